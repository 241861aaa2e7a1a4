"""What the doors take, and what they open to."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from libs.contracts.contacts import Channel
from libs.domain.consent.choices import Choose
from libs.domain.consent.state import State, Status, Who
from services.consent.handlers import Answer, Asked, Evidence

Standing = dict[tuple[str, str], Status]


class Consents(Protocol):
    """What the doors open to."""

    async def decide(self, asked: Sequence[Asked]) -> list[Answer]: ...
    async def standing(self, shop: str, profile: str) -> tuple[str, dict[tuple[str, str], State]] | None: ...
    async def turn(
        self, shop: str, profile: str, choose: Choose, *, who: Who, source: str, evidence: Mapping[str, str | None]
    ) -> Standing: ...
    async def told(
        self, shop: str, profile: str, at: datetime, consents: Sequence[Evidence], addresses: Mapping[str, str]
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
    consents: list[Evidence] = []
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
