"""A case: scenarios, a customer's history as it reaches us, and what came of it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]
SHOP = "demo"
PROFILE = "11111111-1111-5111-8111-111111111111"


@dataclass(frozen=True)
class Arrival:
    """An event that happened at `time` and reaches us at `moment`. `of`: it is about the last message of that name."""

    moment: datetime
    type: str
    time: datetime
    id: str
    data: Json = field(default_factory=dict)
    of: str = ""


@dataclass(frozen=True)
class Case:
    """Everything that decides what happens. `seed` is where it came from, `reported` how many seconds after a message
    was asked for it is told as sent (None: never). From `away` on nothing is done until what arrives at `back` is read.
    """

    seed: int
    zone: str
    scenarios: list[Json]
    arrivals: list[Arrival]
    until: datetime
    reported: int | None = None
    away: datetime | None = None
    back: datetime | None = None

    def done_before(self, moment: datetime) -> datetime:
        """Up to when all is done that is due, when something arrives at that moment."""
        return self.away if self.away is not None and moment == self.back else moment


@dataclass(frozen=True)
class Message:
    """A message that was asked for. Its id says by which enrolment, step and round."""

    now: datetime
    scenario: str
    key: str
    name: str
    id: str
    due_at: datetime
    expires_at: datetime | None
    arms: tuple[tuple[str, str], ...]
    context: Json


@dataclass(frozen=True)
class Run:
    """How an enrolment stands at the end. `due` is when its wait is over."""

    id: str
    scenario: str
    key: str
    entered_at: datetime
    triggered_at: datetime
    round: int
    state: str
    because: str | None
    ended_at: datetime | None
    due: datetime | None


@dataclass
class Outcome:
    """What came of a case: two of them are compared."""

    messages: list[Message] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    cancelled: list[tuple[datetime, str, str]] = field(default_factory=list)
    traits: Json = field(default_factory=dict)
    dates: list[tuple[str, str, datetime]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def sorted(self) -> "Outcome":
        """In an order of its own: of what happens at one moment nothing promises which is first."""
        return Outcome(
            sorted(self.messages, key=lambda one: (one.now, one.scenario, one.id, one.due_at)),
            sorted(self.runs, key=lambda one: (one.scenario, one.id)),
            sorted(self.cancelled),
            self.traits,
            sorted(self.dates),
            self.faults,
        )


def without_id(context: Json) -> Json:
    """What a message is written with. An event's own id is none of the promises."""
    return {**context, "event": {name: value for name, value in context["event"].items() if name != "id"}}
