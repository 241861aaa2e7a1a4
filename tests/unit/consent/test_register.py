"""The chain's formula, pinned, and the walk that finds where it breaks."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from libs.domain.consent.register import GENESIS, Entry, Verifier, canonical, chain_hash, chained
from libs.domain.consent.state import Status, Told


def told(n: int, status: Status = "granted") -> Told:
    return Told(
        record=f"00000000-0000-4000-8000-{n:012d}",
        shop="demo",
        profile="00000000-0000-4000-8000-00000000000a",
        channel="email",
        purpose="marketing",
        status=status,
        at=datetime(2026, 3, 2, 11, tzinfo=timezone(timedelta(hours=1))),
        who="shop",
        source="/shops/demo/web#k-1",
        text="Zgadzam się…",
    )


NOW = datetime(2026, 3, 2, 10, 0, 1, 5, tzinfo=UTC)


def chain(length: int, seals: dict[int, bytes] | None = None) -> list[Entry]:
    rows: list[Entry] = []
    for n in range(1, length + 1):
        prev = rows[-1].hash if rows else GENESIS
        rows.append(chained(told(n), seq=n, prev=prev, recorded_at=NOW, sealed=(seals or {}).get(n)))
    return rows


def test_the_formula_is_as_documented() -> None:
    """Whoever verifies without Kurant computes exactly this: changing it breaks every chain that exists."""
    text = (
        '{"at":"2026-03-02T10:00:00.000000+00:00","channel":"email","clause":null,"how":null,'
        '"profile":"00000000-0000-4000-8000-00000000000a","purpose":"marketing",'
        '"record":"00000000-0000-4000-8000-000000000001","recorded_at":"2026-03-02T10:00:01.000005+00:00",'
        '"schema":"kurant.consent/1","sealed":null,"seq":1,"shop":"demo","source":"/shops/demo/web#k-1",'
        '"status":"granted","text":"Zgadzam się…","who":"shop"}'
    ).encode()
    (row,) = chain(1)
    assert canonical(row) == text
    assert row.hash == hashlib.sha256(bytes(32) + text).digest() == chain_hash(row)


def walk(
    rows: list[Entry], head: tuple[int, bytes] | None = None, evidence: dict[int, bytes] | None = None
) -> Verifier:
    verifier = Verifier()
    for row in rows:
        verifier.take(row, (evidence or {}).get(row.seq))
    verifier.finish(*(head or (rows[-1].seq, rows[-1].hash)))
    return verifier


def test_a_whole_chain() -> None:
    assert (walk(chain(5)).breaks, walk(chain(5)).rows) == (0, 5)


CHANGES: dict[str, object] = {
    "shop": "other",
    "record": "x",
    "profile": "x",
    "channel": "sms",
    "purpose": "x",
    "status": "withdrawn",
    "at": NOW,
    "recorded_at": NOW + timedelta(microseconds=1),
    "who": "link",
    "source": "x",
    "clause": "x",
    "text": None,
    "how": "x",
    "sealed": b"x",
    "hash": b"x",
    "prev": b"x",
}


@pytest.mark.parametrize("name", sorted({*Entry.__slots__} - {"seq"}))
def test_every_field_is_covered(name: str) -> None:
    rows = chain(3)
    rows[1] = replace(rows[1], **{name: CHANGES[name]})  # type: ignore[arg-type]
    assert walk(rows).breaks > 0


def test_a_row_rewritten_with_a_fitting_hash_breaks_the_next() -> None:
    rows = chain(3)
    forged = replace(rows[1], status="withdrawn")
    rows[1] = replace(forged, hash=chain_hash(forged))
    assert [one["seq"] for one in walk(rows).broken] == [3]


def test_removed_reordered_cut_and_added_rows() -> None:
    rows = chain(4)
    head = (4, rows[3].hash)
    assert [one["seq"] for one in walk([rows[0], rows[2], rows[3]], head).broken] == [2, 3]
    assert walk([rows[0], rows[2], rows[1], rows[3]], head).breaks > 0
    assert [one["seq"] for one in walk(rows[:3], head).broken] == [4]
    assert walk([*rows, chain(5)[4]], head).breaks == 1
    assert Verifier().breaks == 0


def test_evidence_is_bound_to_its_row_and_may_be_forgotten() -> None:
    rows = chain(2, {1: b"sealed"})
    assert walk(rows, evidence={1: b"sealed"}).breaks == 0
    assert walk(rows, evidence={1: b"other"}).breaks == 1
    assert walk(rows, evidence={1: b"sealed", 2: b"made up"}).breaks == 1
    assert walk(rows).breaks == 1
    forgetful = Verifier()
    forgetful.take(rows[0], None, forgotten=True)
    assert (forgetful.breaks, forgetful.erased) == (0, 1)
