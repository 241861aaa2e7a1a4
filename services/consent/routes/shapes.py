"""What the doors take, what they show, and what they open to."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec

from libs.contracts.contacts import Channel
from libs.domain.consent.caps import Place
from libs.domain.consent.choices import Choose
from libs.domain.consent.register import Entry
from libs.domain.consent.state import State, Status, Who
from services.consent.handlers import Answer, Asked, ConsentSaid

Standing = dict[tuple[str, str], Status]


class Consents(Protocol):
    """What the doors open to."""

    async def decide(self, asked: Sequence[Asked]) -> list[Answer]: ...
    async def standing(self, shop: str, profile: str) -> tuple[str, dict[tuple[str, str], State]] | None: ...
    async def turn(
        self, shop: str, profile: str, choose: Choose, *, who: Who, source: str, evidence: Mapping[str, str | None]
    ) -> Standing: ...
    async def told(
        self, shop: str, profile: str, at: datetime, consents: Sequence[ConsentSaid], addresses: Mapping[str, str]
    ) -> int: ...
    async def erase(self, shop: str, profile: str) -> dict[str, object] | None: ...
    def digest(self, shop: str, channel: str, address: str) -> bytes | None: ...
    def open_evidence(self, sealed: bytes | None) -> dict[str, str | None]: ...
    def open_address(self, sealed: bytes) -> str | None: ...


class ByHand(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/consents`; `contacts` by channel."""

    profile: UUID
    shop: str | None = None
    at: datetime | None = None
    consents: list[ConsentSaid] = []
    contacts: dict[Channel, str] = {}


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/erasures`."""

    profile: UUID
    shop: str | None = None


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/suppressions`: an address with its channel, or the message that was sent to it."""

    reason: str
    shop: str | None = None
    message: UUID | None = None
    channel: Channel | None = None
    address: str | None = None


def shown_standing(states: Mapping[tuple[str, str], State]) -> dict[str, dict[str, Any]]:
    """What stands, as shown to officers."""
    shown: dict[str, dict[str, Any]] = {}
    for (channel, purpose), state in sorted(states.items()):
        shown.setdefault(channel, {})[purpose] = {"status": state.status, "since": state.at, "row": state.seq}
    return shown


def shown_row(entry: Entry) -> dict[str, Any]:
    """A row of the register as shown: hashes in hexadecimal."""
    names = ("seq", "record", "profile", "channel", "purpose", "status", "at", "recorded_at", "who", "source")
    shown = {name: getattr(entry, name) for name in (*names, "clause", "text", "how")}
    sealed = entry.sealed.hex() if entry.sealed else None
    return shown | {"sealed": sealed, "prev": entry.prev.hex(), "hash": entry.hash.hex()}


def shown_decision(row: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded decision as shown; `row` is the register's row that it rested on."""
    names = ("shop", "purpose", "scenario", "decision", "reason", "channel", "decided_at")
    shown = {name: row[name] for name in names}
    return {"message": str(row["message"]), "profile": str(row["profile"]), **shown, "row": row["seq"]}


def shown_places(places: Mapping[str, Place]) -> list[dict[str, Any]]:
    """What counts against the caps, oldest first."""
    rows = sorted(places.items(), key=lambda one: (one[1].at, one[0]))
    return [{"message": message, "channel": place.channel, "at": place.at} for message, place in rows]
