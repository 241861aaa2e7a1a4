"""When a shop is computed, what a run writes, and who is told."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from libs.domain.rfm import frames
from libs.domain.rfm.changes import data, moves
from libs.domain.rfm.cuts import Cuts
from libs.domain.rfm.figures import figures, span
from libs.domain.rfm.frames import written
from libs.domain.rfm.model import RfmRules
from libs.domain.rfm.plan import DAY, NEVER, Last, plan, quiet, slices
from libs.domain.rfm.run import STORED, full, total
from tests.unit.rfm.support import NOW, PLAIN, frame, order, rules, table

HOUR = timedelta(hours=1)


def last(**told: Any) -> Last:
    cuts = Cuts(rules=PLAIN.digest(), day=NOW.date(), customers=1, recency=(60,), frequency=(2,), monetary=(1,))
    begun = {"begun_at": NOW, "run": 3, "rules": PLAIN, "cuts": cuts, "day": NOW.date(), "full_at": NOW, "run_at": NOW}
    return Last(**(begun | told))


def due(found: Last, chosen: RfmRules, at: datetime, version: int = 0) -> tuple[str | None, datetime]:
    made = plan(found, chosen, version, at)
    return made.kind, made.at


def test_the_first_run_waits_a_day_or_an_interval() -> None:
    new = Last(begun_at=NOW)
    assert due(new, PLAIN, NOW) == (None, NOW + DAY)
    assert due(new, PLAIN, NOW + DAY)[0] == "full"
    assert due(new, rules(every=timedelta(days=7)), NOW) == (None, NOW + DAY)
    assert due(new, rules(every=HOUR), NOW) == (None, NOW + HOUR)


def test_whole_days_end_at_midnight_of_the_shop() -> None:
    warsaw = rules(timezone="Europe/Warsaw")
    known = last(rules=warsaw, run_at=NOW + 10 * HOUR)
    midnight = datetime(2026, 3, 2, 23, tzinfo=UTC)
    assert due(known, warsaw, midnight - HOUR / 60) == (None, midnight)
    assert due(known, warsaw, midnight)[0] == "full"
    assert due(last(full_at=NOW), rules(every=6 * HOUR), NOW + 6 * HOUR)[0] == "full"
    week = rules(timezone="Europe/Warsaw", every=timedelta(days=7))
    assert due(last(rules=week, run_at=NOW + 6.4 * DAY), week, NOW + 6.4 * DAY) == (None, midnight + 6 * DAY)


def test_between_full_runs_those_who_changed() -> None:
    assert due(last(), PLAIN, NOW + HOUR / 2) == (None, NOW + HOUR)
    assert due(last(), PLAIN, NOW + HOUR)[0] == "incremental"


def test_other_rules_are_due_at_once_and_older_ones_never() -> None:
    assert due(last(version=1), rules(window=50), NOW, 2)[0] == "full"
    assert due(last(version=1), rules(every=2 * DAY), NOW, 2) == (None, NOW + 2 * HOUR)
    assert due(last(version=2), rules(window=50), NOW + 9 * DAY, 1) == (None, NEVER)


def test_what_is_quiet() -> None:
    known = last()
    assert known.cuts is not None
    assert not quiet(known, PLAIN, known.cuts)
    assert quiet(Last(begun_at=NOW), PLAIN, known.cuts)
    assert quiet(known, rules(window=50), known.cuts)
    none = Cuts(rules=PLAIN.digest(), day=NOW.date(), customers=1, recency=None, frequency=None, monetary=None)
    assert quiet(last(cuts=none), PLAIN, known.cuts)
    assert not quiet(last(cuts=none), PLAIN, none)


@pytest.mark.parametrize("parts", [1, 3, 16])
def test_slices_hold_every_profile_once(parts: int) -> None:
    found = slices(parts)
    assert len(found) == parts
    assert found[0][0] == "00000000-0000-0000-0000-000000000000"
    assert found[-1][1] == "ffffffff-ffff-ffff-ffff-ffffffffffff"
    for (_, end), (begin, _) in pairwise(found):
        assert int(begin.replace("-", ""), 16) == int(end.replace("-", ""), 16) + 1


def test_counted_in_parts_it_is_the_same() -> None:
    rows = [order(f"c{number % 40}", number % 130, 1_000 * number) for number in range(300)]
    rows += [order("late", 1, status="cancelled"), order("c1", 2, currency="EUR")]
    whole = full(frame(*rows), PLAIN, NOW)
    parts = [
        figures(frame(*(row for row in rows if hash(row["profile"]) % 3 == part)), PLAIN, span(PLAIN, NOW))
        for part in range(3)
    ]
    again = total(parts, PLAIN, NOW)
    assert table(again, *STORED[1:]) == table(whole, *STORED[1:])
    assert (again.cuts, again.excluded) == (whole.cuts, whole.excluded)


def test_moves_are_segments_and_scores() -> None:
    before = full(frame(order("anna", 5), order("bob", 5), order("eve", 70), order("dan", 5)), PLAIN, NOW)
    changed = (order("anna", 5), order("bob", 5), order("bob", 6), order("dan", 5, 60_000), order("new", 90))
    after = full(frame(*changed), PLAIN, NOW, before)
    found = {row[0]: row[1:] for row in moves(before, after, ["anna", "nobody"]).rows()}
    assert found == {
        "anna": ("good", "good", 4, 1, 2),
        "bob": ("good", "good", 4, 2, 2),
        "eve": ("rest", None, 0, 0, 0),
        "dan": ("good", "good", 4, 1, 3),
        "new": (None, "rest", 1, 1, 2),
    }
    assert {row[0] for row in moves(None, after).rows()} == {"anna", "bob", "dan", "new"}
    told = written(before, after, ["anna"], False)
    hushed = dict(zip(told.history[0], told.history[-1], strict=True))
    assert set(hushed.values()) == {False}, "from a segment to the same says it already"
    assert set(written(before, after, ["anna"], True).history[-1]) == {True}
    assert sorted(told.customers[0]) == ["bob", "dan", "new"]
    assert told.gone == ["eve"]
    assert set(written(before, after, [], True).history[-1]) == {True}


def test_data_says_when_it_is_quiet() -> None:
    row = {"from": None, "to": "good", "r": 4, "f": 1, "m": 2}
    told = {"from": None, "to": "good", "scores": {"r": 4, "f": 1, "m": 2}}
    assert data(row) == told
    assert data(row, quiet=True) == told | {"quiet": True}


def test_frames_read_what_a_database_copies() -> None:
    micro = int(NOW.timestamp() * 1_000_000) + 7
    text = f'a,{micro},"paid, ""in cash""",PLN,100,0\nb,,,,,\n'.encode()
    found = frames.orders(text)
    assert found.rows() == [
        ("a", NOW + timedelta(microseconds=7), 'paid, "in cash"', "PLN", 100, 0),
        ("b", None, None, None, None, None),
    ]
    assert frames.orders(b"").height == 0
    rows = frames.customers(b"a,20514,1,1,100,4,1,2,good\nb,20000,0,0,0,0,0,0,\n").rows()
    assert rows[0] == ("a", date(2026, 3, 2), 1, 1, 100, 4, 1, 2, "good")
    assert rows[1][-1] is None
