"""A platform of one profile on virtual time."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.domain import ids
from libs.domain.engine import due, events
from libs.domain.engine.explain import explain
from libs.domain.engine.named import compile_segment
from libs.domain.engine.program import compile_program
from libs.domain.engine.registry import Registry
from libs.domain.engine.run import AT, place
from libs.domain.engine.state import Enrolment, Happened, Profile, decode, encode
from libs.domain.engine.turn import Call, Cancelled, Fact, Request, Turn
from libs.domain.scenario.parse import parse
from libs.domain.scenario.segment import parse_segment

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def at(clock: str) -> datetime:
    hours, minutes = clock.split(":")
    return MONDAY + timedelta(hours=int(hours), minutes=int(minutes))


@dataclass
class World:
    """One profile, a clock, and the calls that are out."""

    registry: Registry = field(default_factory=Registry)
    profile: Profile = field(default_factory=Profile)
    id: str = "11111111-1111-5111-8111-111111111111"
    calls: dict[str, Call] = field(default_factory=dict)
    sent: list[tuple[str, datetime]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    cancelled: list[Cancelled] = field(default_factory=list)
    gone: list[Enrolment] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    sums: dict[str, int] = field(default_factory=dict)
    now: datetime = MONDAY - timedelta(days=4000)

    def publish(self, text: str, version: int = 1, state: str = "live") -> None:
        program = compile_program(parse(text), version)
        self.registry.publish("demo", program)
        self.registry.set_state("demo", program.id, version, state)

    def segment(self, condition: str, version: int = 1, state: str = "live", id: str = "vip") -> None:
        """Publish a segment."""
        text = f"kurant: 1\nid: {id}\nname: {id}\ncondition: {condition}\n"
        self.registry.publish_segment("demo", compile_segment(parse_segment(text), version))
        self.registry.set_segment_state("demo", id, version, state)

    def moves(self) -> list[tuple[str, datetime]]:
        """Who entered (`+vip`) and left (`-vip`) what, and when."""
        signs = {"segment.entered": "+", "segment.left": "-"}
        return [(signs[one.event.type] + one.event.data["segment"], one.event.time) for one in self.facts]

    def turn(self, now: datetime) -> Turn:
        self.now = max(self.now, now)  # a call may be due before anybody knew of it
        return Turn(
            shop="demo",
            profile_id=self.id,
            profile=self.profile,
            programs=self.registry,
            now=self.now,
            cause_at=self.now,
        )

    def absorb(self, turn: Turn) -> None:
        self.profile = decode(encode(turn.profile))  # as it comes back from the database
        self.gone += turn.gone
        self.facts += turn.facts
        for call in turn.cancel:
            self.calls.pop(call.step, None)
        for call in turn.schedule:
            self.calls[call.step] = call
        for request in sorted(turn.messages, key=lambda one: -one.priority):
            self.sent.append((request.name, turn.now))
            self.requests.append(request)
        self.cancelled += turn.cancelled
        for name, count in turn.sums.items():
            self.sums[name] = self.sums.get(name, 0) + count
        counted, waiting = self.places()
        assert counted == waiting

    def event(
        self, type: str, time: datetime, data: dict[str, Any], *, id: str = "", now: datetime | None = None
    ) -> bool:
        self.run(now or time)
        fresh = self.hear(type, time, data, id=id, now=now)
        self.run(now or time)
        return fresh

    def hear(
        self, type: str, time: datetime, data: dict[str, Any], *, id: str = "", now: datetime | None = None
    ) -> bool:
        """An event of a backlog: it is read, and calls wait until all of it is."""
        digest = ids.event_digest("demo", "/shops/demo/web", id or f"{type}-{time.isoformat()}")
        turn = self.turn(now or time)
        fresh = events.on_event(turn, Happened(type=type, time=time, id=f"{digest:015x}", data=data), digest, None)
        self.absorb(turn)
        return fresh

    def cart(self, clock: str, *, value: str = "249.00", id: str = "c-1", now: str | None = None) -> bool:
        data = {"cart": {"id": id, "value": value}}
        return self.event("cart.updated", at(clock), data, now=at(now) if now else None)

    def order(self, clock: str, *, now: str | None = None) -> bool:
        data = {"order": {"id": "o-1", "channel": "pos"}}
        return self.event("order.placed", at(clock), data, now=at(now) if now else None)

    def tell(self, type: str, when: datetime | str, *, now: datetime | None = None, id: str = "", **data: Any) -> bool:
        """An event at a time of Monday, or at a moment."""
        moment = at(when) if isinstance(when, str) else when
        return self.event(type, moment, data, id=id, now=now)

    def deliver(self, name: str, when: datetime, status: str = "sent", until: datetime | None = None) -> None:
        """What became of the last message of that name."""
        asked = [one for one in self.requests if one.name == name][-1]
        self.run(when)
        turn = self.turn(when)
        due.on_delivery(
            turn,
            message=asked.message,
            enrolment=asked.enrolment,
            scenario=asked.scenario,
            name=name,
            status=status,
            reason=None,
            at=when,
            until=until,
        )
        self.absorb(turn)

    def message(self, name: str) -> str:
        """The id of the last message of that name."""
        return [one for one in self.requests if one.name == name][-1].message

    def look(self, now: datetime) -> None:
        """The word that scenarios have changed."""
        self.run(now)
        turn = self.turn(now)
        due.look(turn)
        self.absorb(turn)

    def explain(self, scenario: str, now: datetime = MONDAY) -> dict[str, Any]:
        """The row of a scenario."""
        found = explain(self.turn(now), scenario, self.gone)["scenarios"]
        assert len(found) == 1
        row: dict[str, Any] = found[0]
        return row

    def verdicts(self, place: int = -1) -> list[tuple[str, str]]:
        """Step and verdict of an enrolment."""
        return [(taken.step, taken.verdict) for taken in self.profile.enrolments[place].steps]

    @property
    def names(self) -> list[str]:
        """The messages asked for so far."""
        return [name for name, _ in self.sent]

    @property
    def due(self) -> list[datetime]:
        """When the calls that are out are due."""
        return sorted(call.due_at for call in self.calls.values())

    def places(self) -> tuple[dict[str, int], dict[str, int]]:
        """How many enrolments wait where: as it was counted, and as it is."""
        counted = {name: count for name, count in self.sums.items() if name.startswith(AT) and count}
        waiting = [one for one in self.profile.enrolments if one.wait is not None]
        return counted, Counter(
            place(one, [taken.step for taken in one.steps if taken.verdict == "waiting"][-1]) for one in waiting
        )

    def balanced(self) -> bool:
        """What was scheduled has fired, was cancelled, or is out."""
        done = self.sums.get("steps.fired", 0) + self.sums.get("steps.cancelled", 0)
        return self.sums.get("steps.scheduled", 0) == done + len(self.calls)

    def run(self, until: datetime) -> None:
        """Give every call that is due up to `until`, at its moment."""
        while ready := sorted((c for c in self.calls.values() if c.due_at <= until), key=lambda c: c.due_at):
            call = ready[0]
            del self.calls[call.step]
            turn = self.turn(call.due_at)
            due.on_due(turn, call.step)
            self.absorb(turn)

    def end(self) -> list[tuple[str, datetime]]:
        self.run(MONDAY + timedelta(days=400))
        return self.sent


def scenario(trigger: str, steps: str, *, id: str = "s", more: str = "") -> str:
    """The text of a scenario."""
    head = f"kurant: 1\nid: {id}\nname: {id}\npurpose: marketing\n"
    return f"{head}trigger: {trigger}\n{more}\nsteps:\n{steps}\n"


def world_of(*texts: str) -> World:
    """A world with these scenarios live."""
    made = World()
    for text in texts:
        made.publish(text)
    return made
