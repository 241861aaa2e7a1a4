"""What a test of a scenario says: given who, when this happens, then that. All moments are UTC."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from libs.domain.consent.caps import Cap
from libs.domain.consent.state import Status
from libs.domain.scenario.model import Condition
from libs.domain.scenario.source import Source

Json = dict[str, Any]
Consents = dict[tuple[str, str], Status]
"""By channel and purpose; the purpose `*` is every one that is known, and those of the scenarios."""
EVERY = "*"
LONG = timedelta(days=400)
"""How long silence is watched when `nothing_more` asks for it."""
MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)
SEGMENT_EVENTS = ("segment.entered", "segment.left")
Kind = Literal[
    "sent",
    "suppressed",
    "deferred",
    "expired",
    "failed",
    "skipped",
    "webhook",
    "entered",
    "ended",
    "waiting_until",
    "not_entered",
    "holds",
    "nothing_until",
    "nothing_more",
]


@dataclass(frozen=True, kw_only=True)
class Move:
    """One thing that happens at `at` and reaches us at `arrives`: an event, a consent, a product of the catalogue, or
    a touch of a message.

    `repeat`: so many times more, as the very same event. `of` names the message that is clicked or opened.
    """

    path: str
    at: datetime
    arrives: datetime
    type: str = ""
    data: Json = field(default_factory=dict)
    id: str = ""
    repeat: int = 0
    consents: Consents = field(default_factory=dict)
    of: str = ""
    url: str = ""
    product: Json = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Given:
    """The customer as the test begins, at `at`.

    `reachable`: channels with an address, False for a suppressed one. `arms`: which arm of a split is drawn.
    `segments`: those that the customer is in. `caps`: how often the shop writes to one customer.
    """

    at: datetime
    zone: str
    traits: Json
    reachable: dict[str, bool]
    consents: Consents
    arms: dict[str, str] = field(default_factory=dict)
    segments: tuple[str, ...] = ()
    caps: tuple[Cap, ...] = ()
    past: tuple[Move, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Expected:
    """One line of `then`. `name` is of a message, of a scenario, or how it ended; empty fields are not compared."""

    path: str
    kind: Kind
    name: str = ""
    at: datetime | None = None
    scenario: str = ""
    key: str = ""
    channel: str = ""
    language: str = ""
    subject: str = ""
    text: str = ""
    because: str = ""
    until: datetime | None = None
    condition: Condition | None = None


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """A test as read. `beside` are other scenarios that run with it."""

    source: Source
    name: str
    beside: tuple[str, ...]
    given: Given
    moves: tuple[Move, ...]
    expected: tuple[Expected, ...]

    def said(self) -> set[str]:
        """The segments of which the test itself says who is in: nobody judges them."""
        told = (*self.given.past, *self.moves)
        return {*self.given.segments, *(str(one.data.get("segment")) for one in told if one.type in SEGMENT_EVENTS)}

    def end(self) -> datetime:
        """Up to when the test runs, the end of that moment included."""
        last = max([self.given.at, *(move.arrives for move in self.moves)])
        for one in self.expected:
            if one.at is not None:
                moment = one.at - TICK if one.kind == "nothing_until" else minute(one.at) + MINUTE - TICK
                last = max(last, moment)
        return last + LONG if any(one.kind == "nothing_more" for one in self.expected) else last


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One thing that happened, in the words of `Expected`; `event` for what came in, `step` for what a step did."""

    kind: str
    at: datetime
    name: str = ""
    scenario: str = ""
    key: str = ""
    channel: str = ""
    language: str = ""
    subject: str = ""
    text: str = ""
    because: str = ""
    until: datetime | None = None


def minute(at: datetime) -> datetime:
    """The minute that a moment is in: moments are compared to the minute."""
    return at.replace(second=0, microsecond=0)
