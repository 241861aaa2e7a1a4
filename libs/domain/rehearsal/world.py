"""One customer on virtual time: every record goes through the real engine, every message through the real decision."""

import heapq
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

import msgspec

from libs.domain import ids
from libs.domain.consent.caps import REASON, Place, counts, take
from libs.domain.consent.decision import judge
from libs.domain.consent.state import State, picture, together
from libs.domain.engine import due, events, explain
from libs.domain.engine.program import HOLDOUT
from libs.domain.engine.state import Enrolment, Happened, Profile, decode, encode
from libs.domain.engine.turn import Call, Request, Turn
from libs.domain.rehearsal.model import EVERY, TICK, Consents, Json, Move, Rehearsal, Seen
from libs.domain.rehearsal.outbox import Open, Outbox
from libs.domain.rehearsal.shelf import Shelf
from libs.domain.rehearsal.stage import SHOP, Stage
from libs.domain.scenario import match
from libs.domain.template import MAY_LACK, CompiledMessage, TemplateError, pick, render

SOURCE = f"/shops/{SHOP}/test"
LINKS = {"unsubscribe_url": "https://shop.example/u/1", "preferences_url": "https://shop.example/p/1"}
RESTLESS = 20_000
"""So many wake-up calls are no reminders any more, but a loop."""
FAULT = "template: "
CHANGED = "consent.changed"
CALLS, MESSAGES = 0, 1
"""Of one moment wake-up calls come first, then messages that were put off until it."""


@dataclass(frozen=True)
class Fate:
    """What becomes of a message: its end, and how it read."""

    end: str
    because: str = ""
    channel: str = ""
    language: str = ""
    subject: str = ""
    text: str = ""
    until: datetime | None = None


@dataclass
class Played:
    """What happened. `faults` are lines of the test that could not be played, each with why; `conditions` the verdicts
    on the lines that say how things are at the end, with what was found.
    """

    seen: list[Seen] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)
    waiting: list[Seen] = field(default_factory=list)
    why: list[dict[str, Any]] = field(default_factory=list)
    conditions: dict[str, tuple[bool, str]] = field(default_factory=dict)


class World:
    """The customer, the clock, and the calls that are out."""

    def __init__(self, stage: Stage, test: Rehearsal) -> None:
        self._stage = stage
        self._test = test
        self._id = stage.customer(test.given.arms, test.given.at)
        self._registry = stage.registry("archived", test.said())  # what is given was before: it starts nothing
        self._profile = Profile()
        self._states: dict[tuple[str, str], State] = {}
        self._calls: dict[str, Call] = {}
        self._queue: list[tuple[datetime, int, int, str]] = []
        self._outbox = Outbox()
        self._places: dict[str, Place] = {}
        self._number = count()
        self._known: dict[str, tuple[str, int, int]] = {}
        self._sent: dict[str, Request] = {}
        self._shelf = Shelf(self._registry)
        self.played = Played()

    def play(self) -> Played:
        """The whole test."""
        given = self._test.given
        if self._id is None:
            self.played.faults.append(("given/arms", "no split of these scenarios draws these arms"))
        for change in self._agree(given.consents, given.at, given.at):
            self._permit(change, given.at, given.at)
        if given.traits:
            self._event(Happened(type="profile.updated", time=given.at, id="given", data=given.traits), given.at)
        for move in given.past:
            self._move(move)
        self.played.seen.clear()
        self._stage.set_state(self._registry, "live")
        turn = self._turn(given.at)
        due.look(turn)  # as the sweep of rules does when a scenario goes live
        self._settle(turn)
        read: datetime | None = None
        for move in self._test.moves:
            if move.arrives != read:  # what arrives at one moment is read before anything is decided by time
                self._run(move.arrives)
            self._move(move)
            read = move.arrives
        self._run(self._test.end())
        self._look()
        return self.played

    def _move(self, move: Move) -> None:
        changes = self._agree(move.consents, move.at, move.arrives)
        if move.product:
            self._tell(move.product, move.arrives)
        if move.type:
            self._happen(move)
        for change in changes:  # rules hears of them from consent, so after the event that brought them
            self._permit(change, move.at, move.arrives)

    def _happen(self, move: Move) -> None:
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

    def _tell(self, product: Json, now: datetime) -> None:
        """A product is told; if it is back in stock or cheaper, so is the customer, as rules does it."""
        words, changes = self._shelf.take(self._profile, product, now)
        self._note("event", now, name=words)
        for happened, digest in changes:
            self._event(happened, now, digest)

    def _event(self, happened: Happened, now: datetime, digest: int = 0) -> None:
        turn = self._turn(now, happened)
        turn.cause_at = now
        fresh = events.on_event(turn, happened, digest, None)
        words = ("" if now == happened.time else "late") if fresh else "again"
        self._note("event", now, name=happened.type, because=words)
        self._settle(turn)

    def _agree(self, told: Consents, at: datetime, now: datetime) -> list[dict[str, Any]]:
        """Words about permissions; of several the newest stands, as consent has it. What changed by them."""
        changes: list[dict[str, Any]] = []
        for (channel, purpose), status in told.items():
            known = {name for way, name in self._states if way == channel} | self._stage.purposes()
            for name in sorted(known) if purpose == EVERY else [purpose]:
                said = State(status=status, at=at, seq=0, hash=b"")
                stands = self._states.get((channel, name))
                after = together(stands, said) if stands else said
                self._states[channel, name] = after
                if stands is not None and (after.status, after.at) == (stands.status, stands.at):
                    continue
                self._note("event", now, name="consent", because=f"{name} by {channel} {status}")
                changes.append({"channel": channel, "purpose": name, "status": status, "because": "shop"})
        return changes

    def _permit(self, data: dict[str, Any], at: datetime, now: datetime) -> None:
        """Rules hears of a change that was said at `at`."""
        digest = ids.event_digest(SHOP, "/kurant/consent", str(next(self._number)))
        states = ((way, name, state.status) for (way, name), state in self._states.items())
        consents = {way: {name: str(status) for name, status in of.items()} for way, of in picture(states).items()}
        turn = self._turn(now)
        due.on_permission(turn, Happened(CHANGED, at, f"{digest:015x}", data), digest, consents)
        self._settle(turn)

    def _run(self, until: datetime) -> None:
        """Give every call that is due up to `until`, at its moment."""
        while self._queue and self._queue[0][0] <= until:
            at, kind, number, step = heapq.heappop(self._queue)
            if kind == MESSAGES:
                self._work(at)
                continue
            call = self._calls.pop(step, None)
            if call is None:
                continue
            if number > RESTLESS:
                self.played.faults.append(("then", f"after {RESTLESS} wake-up calls the scenarios still do not rest"))
                self._queue.clear()
                return
            turn = self._turn(at)
            due.on_due(turn, step)
            self._settle(turn)

    def _turn(self, now: datetime, event: Happened | None = None) -> Turn:
        return Turn(
            shop=SHOP,
            profile_id=self._id or ids.derive("profile", SHOP, "rehearsal", 0),
            profile=self._profile,
            programs=self._registry,
            now=now,
            products=self._shelf.asked(self._profile, event),
        )

    def _settle(self, turn: Turn) -> None:
        """Take up what a turn decided: calls at the scheduler, messages at dispatch."""
        self._profile = decode(encode(turn.profile))  # as it comes back from the database
        for call in turn.cancel:
            self._calls.pop(call.step, None)
        for call in turn.schedule:
            self._calls[call.step] = call
            heapq.heappush(self._queue, (max(call.due_at, turn.now), CALLS, next(self._number), call.step))
        for fact in turn.facts:
            self._note("event", turn.now, name=fact.event.type, because=str(fact.event.data.get("segment")))
        ended = self._compare(turn.now)
        for request in sorted(turn.messages, key=lambda one: -one.priority):
            self._outbox.add(request, turn.now)
        for told in turn.cancelled:
            if taken := self._outbox.take_back(told.message):
                self._places.pop(told.message, None)
                late = taken.expires_at is not None and taken.expires_at < turn.now
                fate = Fate("expired", "late") if late else Fate("suppressed", told.because)
                self._deliver(taken, fate, turn.now)
        self._work(turn.now)
        self.played.seen += ended

    def _work(self, now: datetime) -> None:
        """Let go out what may go out now, one after the other."""
        while one := self._outbox.take(now):
            request = one.request
            fate = self._fate(request, now, one.reason)
            if fate.until is not None:
                self._outbox.put_back(one, fate.because)
                self._put_off(one, fate.until)
            elif fate.end not in ("sent", "webhook"):
                self._places.pop(request.message, None)
            held = self._outbox.space(one, now) if fate.end == "sent" else []
            self._deliver(request, fate, now)
            for later in held:
                until = self._put_off(later, later.not_before)
                self._deliver(later.request, Fate("deferred", later.reason, until=until), now)

    def _put_off(self, one: Open, until: datetime) -> datetime:
        """To a moment, or to when it expires, so that its end is not late."""
        expires_at = one.request.expires_at
        one.not_before = min(until, expires_at + TICK) if expires_at else until
        heapq.heappush(self._queue, (one.not_before, MESSAGES, next(self._number), ""))
        return one.not_before

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
            until=fate.until,
        )
        turn = self._turn(now)
        due.on_delivery(
            turn,
            message=request.message,
            enrolment=request.enrolment,
            scenario=request.scenario,
            name=request.name,
            status="sent" if fate.end == "webhook" else fate.end,
            reason=fate.because or None,
            at=now,
            until=fate.until,
            channel=fate.channel or None,
        )
        self._settle(turn)

    def _fate(self, request: Request, now: datetime, put_off: str) -> Fate:
        """What dispatch and consent make of a request that goes out; `put_off` is why it did not before."""
        if request.channels == ["webhook"]:
            return Fate("webhook", channel="webhook")
        if request.expires_at is not None and request.expires_at < now:
            return Fate("expired", put_off or "late")
        bundle = self._stage.scenarios[request.scenario].bundle
        written = [way for way in request.channels if pick(bundle, request.name, way, request.language)]
        if not written:
            return Fate("failed", "no_template")
        verdict = judge(written, request.purpose, self._states, self._test.given.reachable)
        if not verdict.allowed or verdict.channel is None:
            return Fate("suppressed", verdict.reason)
        if counts(request.purpose):
            found = take(self._test.given.caps, self._places, request.message, verdict.channel, now)
            if isinstance(found, datetime):
                return Fate("deferred", REASON, verdict.channel, until=found)
            self._places[request.message] = found
        message = pick(bundle, request.name, verdict.channel, request.language)
        assert message is not None
        return _rendered(message, request, verdict.channel)

    def _compare(self, now: datetime) -> list[Seen]:
        """Note what became of the enrolments in this turn; those that ended come last."""
        ended: list[Seen] = []
        for one in self._profile.enrolments:
            state, round, steps = self._known.get(one.id, ("", 0, 0))
            about: dict[str, Any] = {"scenario": one.scenario, "key": self._key(one.key)}
            if not state:
                self._note("entered", one.entered_at, **about)
            elif one.round > round:
                self._note("restarted", now, **about)
            self._trace(one, steps, now)
            if one.state == "ended" and state != "ended":
                name, because = _ending(one)
                ended.append(Seen(kind="ended", at=one.ended_at or now, name=name, because=because, **about))
            self._known[one.id] = (one.state, one.round, len(one.steps))
        return ended

    def _trace(self, one: Enrolment, steps: int, now: datetime) -> None:
        """Sends that a step put off or left out, and what the other steps did."""
        for taken in one.steps[steps:]:
            name = self._stage.scenarios[one.scenario].message_at(taken.step)
            why, _, _ = (taken.because or "").partition(" until ")
            if name and taken.verdict in ("deferred", "skipped"):
                until = one.wait.due_at if taken.verdict == "deferred" and one.wait else None
                self._note(taken.verdict, now, name=name, scenario=one.scenario, because=why, until=until)
            elif not name and taken.verdict not in ("waiting", "requested"):
                self._note("step", now, name=taken.verdict, scenario=taken.step, because=taken.because or "")

    def _key(self, key: str) -> str:
        """A key as it is shown: none where it is the profile itself."""
        return "" if key == self._id else key

    def _note(self, kind: str, at: datetime, **fields: Any) -> None:
        self.played.seen.append(Seen(kind=kind, at=at, **fields))

    def _look(self) -> None:
        """How things stand at the end."""
        end = self._test.end()
        waits = [(one.scenario, one.key, one.wait.due_at) for one in self._profile.running() if one.wait]
        waits += [(one.scenario, one.key, one.due_at) for one in self._profile.watches.values() if one.due_at]
        self.played.waiting = [Seen(kind="waiting", at=at, scenario=s, key=self._key(key)) for s, key, at in waits]
        turn = self._turn(end)
        self.played.why = explain.explain(turn, None)["scenarios"]
        for row in self.played.why:
            for run in row["enrolments"]:
                run["key"] = self._key(run["key"])
                for step in run["steps"]:
                    step["name"] = self._stage.scenarios[row["scenario"]].message_at(step["step"])
        nothing = Happened("", end, "")
        for one in self._test.expected:
            if one.condition is not None:
                verdict, found = match.judge(one.condition, turn.scope(nothing, None), turn.history())
                words = ", ".join(f"{row.path} is {row.found}" for row in found)
                self.played.conditions[one.path] = (verdict, words)


def _ending(one: Enrolment) -> tuple[str, str]:
    """How an enrolment ended, and because of what."""
    because = one.because or ""
    names = {"completed": "completed", "archived": "archived", "profile.merged": "merged", HOLDOUT: "holdout"}
    return names.get(because, "exit"), because


def _rendered(message: CompiledMessage, request: Request, channel: str) -> Fate:
    """The message as the customer gets it. The context travels as JSON, as it does on Kafka."""
    context = msgspec.json.decode(msgspec.json.encode(request.context))
    try:
        made = render(message, {**MAY_LACK, **context, **LINKS, "shop": {"id": SHOP}})
    except TemplateError as error:
        return Fate("failed", f"{FAULT}{error}", channel)
    return Fate("sent", "", channel, message.language or "", made.subject, made.text)
