"""One customer on virtual time: every record goes through the real engine, every message through the real decision."""

import heapq
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

import msgspec

from libs.domain import ids
from libs.domain.consent.decision import judge
from libs.domain.consent.state import State, picture, stronger
from libs.domain.engine import due, events, explain
from libs.domain.engine.state import Enrolment, Happened, Profile, decode, encode
from libs.domain.engine.turn import Call, Request, Turn
from libs.domain.rehearsal.model import EVERY, Consents, Move, Rehearsal, Seen
from libs.domain.rehearsal.stage import SHOP, Stage
from libs.domain.template import CompiledMessage, TemplateError, pick, render

PROFILE = ids.derive("profile", SHOP, "rehearsal", "1")
SOURCE = f"/shops/{SHOP}/test"
LINKS = {"unsubscribe_url": "https://shop.example/u/1", "preferences_url": "https://shop.example/p/1"}
RESTLESS = 20_000
"""So many wake-up calls are no reminders any more, but a loop."""
FAULT = "template: "


@dataclass(frozen=True)
class Fate:
    """What becomes of a message: its end, and how it read."""

    end: str
    because: str = ""
    channel: str = ""
    language: str = ""
    subject: str = ""
    text: str = ""


@dataclass
class Played:
    """What happened. `faults` are lines of the test that could not be played, each with why."""

    seen: list[Seen] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)
    waiting: list[Seen] = field(default_factory=list)
    why: list[dict[str, Any]] = field(default_factory=list)


class World:
    """The customer, the clock, and the calls that are out."""

    def __init__(self, stage: Stage, test: Rehearsal) -> None:
        self._stage = stage
        self._test = test
        self._registry = stage.registry("archived")  # what is given was before: it starts nothing
        self._profile = Profile()
        self._states: dict[tuple[str, str], State] = {}
        self._calls: dict[str, Call] = {}
        self._queue: list[tuple[datetime, int, str]] = []
        self._number = count()
        self._known: dict[str, tuple[str, int, int]] = {}
        self._sent: dict[str, Request] = {}
        self.played = Played()

    def play(self) -> Played:
        """The whole test."""
        given = self._test.given
        self._agree(given.consents, given.at)
        if given.traits:
            self._event(Happened(type="profile.updated", time=given.at, id="given", data=given.traits), given.at)
        for move in given.past:
            self._move(move)
        self.played.seen.clear()
        self._stage.set_state(self._registry, "live")
        for move in self._test.moves:
            self._run(move.arrives)
            self._move(move)
        self._run(self._test.end())
        self._look()
        return self.played

    def _move(self, move: Move) -> None:
        if move.consents:
            self._agree(move.consents, move.at)
        if not move.type:
            words = ", ".join(f"{way} {purpose} {status}" for (way, purpose), status in move.consents.items())
            self._note("event", move.arrives, name="consent", because=words)
            return
        data = move.data
        if move.of:
            request = self._sent.get(move.of)
            if request is None:
                verb = move.type.rpartition(".")[2]
                self.played.faults.append((move.path, f"{move.of} cannot be {verb}: it has not been sent by then"))
                return
            data = {"message": request.message, "scenario": request.scenario, "name": request.name}
            data |= {"url": move.url} if move.url else {}
        digest = ids.event_digest(SHOP, SOURCE, move.id or move.path)
        happened = Happened(type=move.type, time=move.at, id=f"{digest:015x}", data=data)
        for _ in range(move.repeat + 1):
            self._event(happened, move.arrives, digest)

    def _event(self, happened: Happened, now: datetime, digest: int = 0) -> None:
        turn = self._turn(now)
        turn.cause_at = now
        words = "" if now == happened.time else "late"
        place = len(self.played.seen)
        fresh = events.on_event(turn, happened, digest, None)
        self._settle(turn)
        told = Seen(kind="event", at=now, name=happened.type, because=words if fresh else "again")
        self.played.seen.insert(place, told)

    def _agree(self, told: Consents, at: datetime) -> None:
        """Words about permissions; of several the newest stands, as consent has it."""
        for (channel, purpose), status in told.items():
            known = {name for way, name in self._states if way == channel} | self._stage.purposes()
            for name in sorted(known) if purpose == EVERY else [purpose]:
                said = State(status=status, at=at, seq=0, hash=b"")
                stands = self._states.get((channel, name))
                self._states[channel, name] = stronger(stands, said) if stands else said
        states = ((way, name, state.status) for (way, name), state in self._states.items())
        self._profile.consents = {way: dict(of) for way, of in picture(states).items()}

    def _run(self, until: datetime) -> None:
        """Give every call that is due up to `until`, at its moment."""
        while self._queue and self._queue[0][0] <= until:
            at, number, step = heapq.heappop(self._queue)
            call = self._calls.pop(step, None)
            if call is None:
                continue
            if number > RESTLESS:
                self.played.faults.append(("then", f"after {RESTLESS} wake-up calls the scenarios still do not rest"))
                self._queue.clear()
                return
            turn = self._turn(max(at, call.due_at))
            due.on_due(turn, step)
            self._settle(turn)

    def _turn(self, now: datetime) -> Turn:
        return Turn(shop=SHOP, profile_id=PROFILE, profile=self._profile, programs=self._registry, now=now)

    def _settle(self, turn: Turn) -> None:
        """Take up what a turn decided: calls at the scheduler, messages at dispatch."""
        self._profile = decode(encode(turn.profile))  # as it comes back from the database
        for call in turn.cancel:
            self._calls.pop(call.step, None)
        for call in turn.schedule:
            self._calls[call.step] = call
            heapq.heappush(self._queue, (call.due_at, next(self._number), call.step))
        self._compare(turn.now)
        for request in turn.messages:
            fate = self._fate(request, turn.now)
            self._deliver(request, fate, turn.now)

    def _deliver(self, request: Request, fate: Fate, now: datetime) -> None:
        if fate.end == "sent":
            self._sent[request.name] = request
        self._note(
            fate.end,
            now,
            name=request.name,
            scenario=request.scenario,
            channel=fate.channel,
            language=fate.language,
            subject=fate.subject,
            text=fate.text,
            because=fate.because,
        )
        turn = self._turn(now)
        due.on_delivery(
            turn,
            message=request.message,
            enrolment=request.enrolment,
            name=request.name,
            status=fate.end,
            reason=fate.because or None,
            at=now,
        )
        self._settle(turn)

    def _fate(self, request: Request, now: datetime) -> Fate:
        """What dispatch and consent make of a request, at once."""
        if request.expires_at is not None and request.expires_at < now:
            return Fate("expired", "late")
        bundle = self._stage.scenarios[request.scenario].bundle
        written = [way for way in request.channels if pick(bundle, request.name, way, request.language)]
        if not written:
            return Fate("failed", "no_template")
        verdict = judge(written, request.purpose, self._states, self._test.given.reachable)
        if not verdict.allowed or verdict.channel is None:
            return Fate("suppressed", verdict.reason)
        message = pick(bundle, request.name, verdict.channel, request.language)
        assert message is not None
        return _rendered(message, request, verdict.channel)

    def _compare(self, now: datetime) -> None:
        """Note what became of the enrolments in this turn."""
        for one in self._profile.enrolments:
            state, round, steps = self._known.get(one.id, ("", 0, 0))
            about = {"scenario": one.scenario, "key": one.key}
            if not state:
                self._note("entered", one.entered_at, **about)
            elif one.round > round:
                self._note("restarted", now, **about)
            self._trace(one, steps, now)
            if one.state == "ended" and state != "ended":
                name, because = _ending(one)
                self._note("ended", one.ended_at or now, name=name, because=because, **about)
            self._known[one.id] = (one.state, one.round, len(one.steps))

    def _trace(self, one: Enrolment, steps: int, now: datetime) -> None:
        """Sends that a step put off or left out."""
        for taken in one.steps[steps:]:
            name = self._stage.scenarios[one.scenario].message_at(taken.step)
            if name and taken.verdict in ("deferred", "skipped"):
                until = one.wait.due_at if taken.verdict == "deferred" and one.wait else None
                because = taken.because or ""
                self._note(taken.verdict, now, name=name, scenario=one.scenario, because=because, until=until)

    def _note(self, kind: str, at: datetime, **fields: Any) -> None:
        self.played.seen.append(Seen(kind=kind, at=at, **fields))

    def _look(self) -> None:
        """How things stand at the end."""
        for one in self._profile.running():
            if one.wait is not None:
                waits = Seen(kind="waiting", at=one.wait.due_at, scenario=one.scenario, key=one.key)
                self.played.waiting.append(waits)
        told = explain.explain(self._registry, SHOP, PROFILE, self._profile, None)
        self.played.why = told["scenarios"]
        for row in self.played.why:
            for run in row["enrolments"]:
                for step in run["steps"]:
                    step["name"] = self._stage.scenarios[row["scenario"]].message_at(step["step"])


def _ending(one: Enrolment) -> tuple[str, str]:
    """How an enrolment ended, and because of what."""
    because = one.because or ""
    names = {"completed": "completed", "archived": "archived", "profile.merged": "merged"}
    return names.get(because, "exit"), because


def _rendered(message: CompiledMessage, request: Request, channel: str) -> Fate:
    """The message as the customer gets it. The context travels as JSON, as it does on Kafka."""
    context = msgspec.json.decode(msgspec.json.encode(request.context))
    try:
        made = render(message, {"coupon": {}, **context, **LINKS, "shop": {"id": SHOP}})
    except TemplateError as error:
        return Fate("failed", f"{FAULT}{error}", channel)
    return Fate("sent", "", channel, message.language or "", made.subject, made.text)
