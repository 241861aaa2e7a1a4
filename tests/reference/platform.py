"""The engine on virtual time, playing a case."""

from datetime import UTC, datetime, timedelta
from typing import Any

from libs.domain import ids
from libs.domain.engine import due, events, watch
from libs.domain.engine.program import Program
from libs.domain.engine.registry import Registry
from libs.domain.engine.state import Enrolment, Happened, Profile, decode, encode
from libs.domain.engine.turn import Call, Request, Turn
from libs.domain.scenario.model import DateTrigger
from tests.reference import case
from tests.reference.case import PROFILE, SHOP, Arrival, Case, Message, Outcome

SOURCE = "/shops/demo/web"


def registry_of(programs: list[Program], zone: str) -> Registry:
    """These, live, in a shop of that zone."""
    registry = Registry()
    registry.set_zone(SHOP, zone)
    for program in programs:
        registry.publish(SHOP, program)
        registry.set_state(SHOP, program.id, program.version, "live")
    return registry


class Platform:
    """One profile, a clock, and the calls that are out."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.profile = Profile()
        self.calls: dict[str, Call] = {}
        self.requests: list[tuple[datetime, Request]] = []
        self.reports: list[tuple[datetime, Request]] = []
        self.gone: list[Enrolment] = []
        self.cancelled: list[tuple[datetime, str, str]] = []
        self.sums = {"steps.scheduled": 0, "steps.cancelled": 0, "steps.fired": 0}
        self.reported: int | None = None
        self.now = datetime.min.replace(tzinfo=UTC)

    def play(self, told: Case) -> Outcome:
        """The whole history, then silence."""
        self.reported = told.reported
        for arrival in sorted(told.arrivals, key=lambda one: one.moment):
            self._pass(told.done_before(arrival.moment))
            self.now = arrival.moment
            self.arrive(arrival)
        self._pass(told.until)
        return self._outcome()

    def arrive(self, arrival: Arrival) -> None:
        data = dict(arrival.data)
        if arrival.of:
            data["message"] = next((r.message for _, r in reversed(self.requests) if r.name == arrival.of), "none")
        digest = ids.event_digest(SHOP, SOURCE, arrival.id)
        turn = self._turn(arrival.moment)
        events.on_event(turn, Happened(arrival.type, arrival.time, f"{digest:015x}", data), digest, None)
        self._absorb(turn)

    def _turn(self, now: datetime) -> Turn:
        return Turn(shop=SHOP, profile_id=PROFILE, profile=self.profile, programs=self.registry, now=now)

    def _absorb(self, turn: Turn) -> None:
        self.profile = decode(encode(turn.profile))  # as it comes back from the database
        self.gone += turn.gone
        for call in turn.cancel:
            self.calls.pop(call.step, None)
        for call in turn.schedule:
            self.calls[call.step] = call
        for request in sorted(turn.messages, key=lambda one: -one.priority):
            self.requests.append((turn.now, request))
            if self.reported is not None:
                self.reports.append((turn.now + timedelta(seconds=self.reported), request))
        self.cancelled += [(turn.now, one.message, one.because) for one in turn.cancelled]
        for name in self.sums:
            self.sums[name] += turn.sums[name]

    def _order(self, call: Call) -> tuple[datetime, str, str, str]:
        """Of calls at one moment nothing promises which comes first; the reference has the same order."""
        own = next((one.key for one in self.profile.enrolments if one.id == call.enrolment), None)
        if own is not None:
            return call.due_at, call.scenario, own, "run"
        watched = next((one for one in self.profile.watches.values() if one.step == call.step), None)
        program = self.registry.get(SHOP, watched.scenario, watched.version) if watched else None
        if watched is None or program is None:
            return call.due_at, call.scenario, "", "watch"
        due = watch.awaited(self._turn(self.now), program, watched)  # the call for a silence may come too early
        return due or call.due_at, call.scenario, watched.key, "watch"

    def _pass(self, until: datetime) -> None:
        while True:
            call = min(self.calls.values(), key=self._order, default=None)
            report = self.reports[0] if self.reports else None
            if call is not None and call.due_at <= until and (report is None or call.due_at <= report[0]):
                del self.calls[call.step]
                self.now = max(self.now, call.due_at)
                turn = self._turn(self.now)
                due.on_due(turn, call.step)
                self._absorb(turn)
            elif report is not None and report[0] <= until:
                del self.reports[0]
                self.now = max(self.now, report[0])
                self._report(self.now, report[1])
            else:
                return

    def _report(self, at: datetime, request: Request) -> None:
        turn = self._turn(at)
        due.on_delivery(
            turn,
            message=request.message,
            enrolment=request.enrolment,
            scenario=request.scenario,
            name=request.name,
            status="sent",
            reason=None,
            at=at,
            channel="email",
        )
        self._absorb(turn)

    def _outcome(self) -> Outcome:
        runs = {one.id: one for one in [*self.gone, *self.profile.enrolments]}
        keys = {one.id: one.key for one in runs.values()}
        known = {program.id: program for program, _ in self.registry.current(SHOP)}
        dates = [
            (one.scenario, one.key, one.due_at)
            for one in self.profile.watches.values()
            if one.due_at is not None and isinstance(known[one.scenario].on, DateTrigger)
        ]
        found = Outcome(
            [_message(now, request, keys[request.enrolment]) for now, request in self.requests],
            [_run(one) for one in runs.values()],
            self.cancelled,
            self.profile.traits,
            dates,
        )
        done = self.sums["steps.fired"] + self.sums["steps.cancelled"] + len(self.calls)
        if self.sums["steps.scheduled"] != done:
            found.faults.append(f"calls do not balance: {self.sums}, {len(self.calls)} are out")
        return found.sorted()

    def lots(self) -> dict[tuple[str, str], str]:
        """The arms that were drawn; one that is drawn otherwise the next time is a fault."""
        lots: dict[tuple[str, str], str] = {}
        for one in [*self.gone, *self.profile.enrolments]:
            for name, arm in one.arms.items():
                if lots.setdefault((one.scenario, name), arm) != arm:
                    lots[one.scenario, name] = "drawn twice"
        return lots


def _message(now: datetime, request: Request, key: str) -> Message:
    return Message(
        now=now,
        scenario=request.scenario,
        key=key,
        name=request.name,
        id=request.message,
        due_at=request.due_at,
        expires_at=request.expires_at,
        arms=tuple(sorted(request.arms.items())),
        context=case.without_id(request.context),
    )


def _run(one: Enrolment) -> case.Run:
    state: Any = one.state
    return case.Run(
        id=one.id,
        scenario=one.scenario,
        key=one.key,
        entered_at=one.entered_at,
        triggered_at=one.triggered_at,
        round=one.round,
        state=state,
        because=one.because,
        ended_at=one.ended_at,
        due=one.wait.due_at if one.wait else None,
    )
