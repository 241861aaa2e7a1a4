"""The register's chain: each row's hash covers the row and the hash before it.

`hash(n) = SHA-256( hash(n-1) || canonical(n) )`, `hash(0)` being 32 zero bytes; `canonical` is the row as JSON
with sorted keys, without white space, UTF-8, absent values as null, times in UTC with microseconds.
What identifies a person (IP, browser, page) is stored encrypted and apart; the row holds its SHA-256 (`sealed`),
so that it can be forgotten and the chain still be verified.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from libs.domain.consent.state import Status, Told

GENESIS = bytes(32)
SCHEMA = "kurant.consent/1"
SHOWN = 100
"""Breaks that are told one by one; the rest is only counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row, as stored. `sealed` is the SHA-256 of the encrypted evidence, if there is any."""

    shop: str
    seq: int
    record: str
    profile: str
    channel: str
    purpose: str
    status: Status
    at: datetime
    recorded_at: datetime
    who: str
    source: str
    clause: str | None
    text: str | None
    how: str | None
    sealed: bytes | None
    prev: bytes
    hash: bytes


def _moment(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def canonical(entry: Entry) -> bytes:
    """What is hashed of a row: everything but the two hashes."""
    row = {
        "schema": SCHEMA,
        "shop": entry.shop,
        "seq": entry.seq,
        "record": entry.record,
        "profile": entry.profile,
        "channel": entry.channel,
        "purpose": entry.purpose,
        "status": entry.status,
        "at": _moment(entry.at),
        "recorded_at": _moment(entry.recorded_at),
        "who": entry.who,
        "source": entry.source,
        "clause": entry.clause,
        "text": entry.text,
        "how": entry.how,
        "sealed": entry.sealed.hex() if entry.sealed else None,
    }
    return msgspec.json.encode(row, order="sorted")


def chain_hash(entry: Entry) -> bytes:
    """The hash that a row must carry, from its `prev` and what it says."""
    return hashlib.sha256(entry.prev + canonical(entry)).digest()


def chained(told: Told, *, seq: int, prev: bytes, recorded_at: datetime, sealed: bytes | None) -> Entry:
    """The row for `told` after the row with hash `prev`; `sealed` is the encrypted evidence itself."""
    entry = Entry(
        shop=told.shop,
        seq=seq,
        record=told.record,
        profile=told.profile,
        channel=told.channel,
        purpose=told.purpose,
        status=told.status,
        at=told.at,
        recorded_at=recorded_at,
        who=told.who,
        source=told.source,
        clause=told.clause,
        text=told.text,
        how=told.how,
        sealed=hashlib.sha256(sealed).digest() if sealed else None,
        prev=prev,
        hash=b"",
    )
    return _with_hash(entry)


def _with_hash(entry: Entry) -> Entry:
    values = {name: getattr(entry, name) for name in Entry.__slots__}
    return Entry(**(values | {"hash": chain_hash(entry)}))


@dataclass(slots=True, kw_only=True)
class Verifier:
    """Walks a chain in the order of `seq` and says where it breaks.

    Begins after row `seq` with hash `prev`. After a break it goes on from what it found, so that each place
    is told once.
    """

    seq: int = 0
    prev: bytes = GENESIS
    rows: int = 0
    erased: int = 0
    breaks: int = 0
    broken: list[dict[str, Any]] = field(default_factory=list)

    def take(self, entry: Entry, evidence: bytes | None = None, *, forgotten: bool = False) -> None:
        """The next row, with its encrypted evidence if that is still kept; `forgotten` when it may be gone."""
        self.rows += 1
        if entry.seq != self.seq + 1:
            self._say(self.seq + 1, f"missing: after row {self.seq} comes row {entry.seq}")
        if entry.prev != self.prev:
            self._say(entry.seq, "does not follow the row before it")
        if chain_hash(entry) != entry.hash:
            self._say(entry.seq, "changed: its hash is another")
        if entry.sealed and evidence is None:
            self.erased += 1
            if not forgotten:
                self._say(entry.seq, "its evidence is gone, and its profile was never erased")
        elif (hashlib.sha256(evidence).digest() if evidence else None) != entry.sealed:
            self._say(entry.seq, "its evidence is another")
        self.seq, self.prev = entry.seq, entry.hash

    def finish(self, seq: int, hash: bytes) -> None:
        """Compare with the head of the chain, which is kept apart."""
        if self.seq != seq:
            self._say(self.seq + 1, f"missing: the head is row {seq}, the last row is {self.seq}")
        elif self.prev != hash:
            self._say(seq, "the head of the chain has another hash")

    def _say(self, seq: int, why: str) -> None:
        self.breaks += 1
        if len(self.broken) < SHOWN:
            self.broken.append({"seq": seq, "why": why})
