"""An event arrives: remembered once, carts and traits brought up to date, exits seen, scenarios entered."""

from datetime import datetime

from libs.domain import ids
from libs.domain.engine import run
from libs.domain.engine.program import Program
from libs.domain.engine.state import (
    CARTS,
    ORDERS,
    SEEN,
    Dated,
    Enrolment,
    Found,
    Happened,
    Judged,
    Profile,
    keep_newest,
)
from libs.domain.engine.turn import Turn
from libs.domain.scenario.match import explain, holds, lookup

TRAIT_EVENTS = frozenset(
    {"profile.registered", "profile.registration_started", "profile.updated", "newsletter.subscribed"}
)


def on_event(turn: Turn, event: Happened, digest: int, traceparent: str | None) -> bool:
    """Apply an event; False when this profile has seen it before."""
    profile = turn.profile
    if digest in profile.seen:
        return False
    profile.seen.append(digest)
    del profile.seen[:-SEEN]
    _learn(profile, event)
    if turn.programs.interesting(turn.shop, event.type):
        profile.remember(event)
    else:
        profile.remember(Happened(type=event.type, time=event.time, id=event.id))
    _leave(turn, event)
    for program in turn.programs.triggered_by(turn.shop, event.type):
        _consider(turn, program, event, traceparent)
    profile.tidy()
    return True


def _learn(profile: Profile, event: Happened) -> None:
    """Traits, carts and orders; each by the newest event time, whatever the order of arrival."""
    data = event.data
    if event.type in TRAIT_EVENTS:
        for name, value in data.items():
            if profile.traits_at.get(name, event.time) <= event.time:
                profile.traits[name] = value
                profile.traits_at[name] = event.time
    elif event.type in ("profile.tagged", "profile.untagged"):
        tags = set(profile.traits.get("tags") or [])
        named = set(data.get("tags") or [])
        profile.traits["tags"] = sorted(tags | named if event.type == "profile.tagged" else tags - named)
    for kind, dated, most in (("cart", profile.carts, CARTS), ("order", profile.orders, ORDERS)):
        told = data.get(kind)
        if isinstance(told, dict) and told.get("id") is not None:
            key = str(told["id"])
            known = dated.get(key)
            if known is None:
                dated[key] = Dated(at=event.time, data=told)
            elif known.at <= event.time:
                dated[key] = Dated(at=event.time, data={**known.data, **told})
            keep_newest(dated, most)


def _leave(turn: Turn, event: Happened) -> None:
    """End every running enrolment that this event is an exit of. One older than the trigger is none."""
    for enrolment in turn.profile.running():
        program = turn.programs.get(turn.shop, enrolment.scenario, enrolment.version)
        if program is None or event.time < enrolment.triggered_at:
            continue
        if any(run.is_exit(turn, way, event, enrolment.key) for way in program.exits):
            run.end(turn, enrolment, event.type, at=event.time)


def _consider(turn: Turn, program: Program, event: Happened, traceparent: str | None) -> None:
    """Enter the scenario, start its waits anew, or remember why not."""
    scope = turn.scope(event, None)
    found: list[Found] = []
    history = turn.history_before()
    if program.where is not None:
        found = [Found(path=f.path, found=f.found, verdict=f.verdict) for f in explain(program.where, scope, history)]
        if not holds(program.where, scope, history):
            _judge(turn, program, event, found, entered=False, because="conditions not met")
            return
    key = _key(turn, program, scope)
    if key is None:
        _judge(turn, program, event, found, entered=False, because=f"no value at key {program.key}")
        return
    running = next((e for e in turn.profile.running() if e.scenario == program.id and e.key == key), None)
    if running is not None:
        _again_triggered(turn, program, running, event, traceparent)
        return
    refusal = _refusal(turn, program, event.time)
    if refusal:
        _judge(turn, program, event, found, entered=False, because=refusal)
        return
    _judge(turn, program, event, found, entered=True, because=event.type)
    _enrol(turn, program, key, event, traceparent)


def _key(turn: Turn, program: Program, scope: dict[str, object]) -> str | None:
    if program.key is None:
        return turn.profile_id
    value = lookup(scope, program.key)
    return None if value is None else str(value)


def _refusal(turn: Turn, program: Program, at: datetime) -> str | None:
    """Why a profile may not enter now, if so."""
    if turn.programs.state(turn.shop, program.id) != "live":
        return turn.programs.state(turn.shop, program.id)
    last = turn.profile.entered.get(program.id)
    if last is None or program.again is None:
        return None
    if program.again == "never":
        return "entered before, and again: never"
    if abs(at - last) < program.again:
        return f"entered at {last.isoformat()}, and again only after {program.again}"
    return None


def _enrol(turn: Turn, program: Program, key: str, event: Happened, traceparent: str | None) -> None:
    profile = turn.profile
    last = profile.entered.get(program.id)
    profile.entered[program.id] = max(last, event.time) if last else event.time
    microseconds = int(event.time.timestamp() * 1_000_000)
    enrolment = Enrolment(
        id=ids.enrolment_id(turn.shop, program.id, turn.profile_id, key, microseconds),
        scenario=program.id,
        version=program.version,
        key=key,
        entered_at=event.time,
        triggered_at=event.time,
        trigger=event,
        at=event.time,
        traceparent=traceparent,
    )
    if any(known.id == enrolment.id for known in profile.enrolments):
        return
    profile.enrolments.append(enrolment)
    turn.sums["enrolments"] += 1
    if left := run.left_since(turn, program, enrolment):
        run.end(turn, enrolment, left.type, at=left.time)
        return
    run.begin(turn, enrolment, program)


def _again_triggered(
    turn: Turn, program: Program, running: Enrolment, event: Happened, traceparent: str | None
) -> None:
    """The trigger of a running key: newer restarts it if the author wants so; older tells of an earlier start."""
    if event.time > running.triggered_at:
        if not program.restart:
            return
        started = turn.programs.get(turn.shop, running.scenario, running.version)
        if started is None:
            return
        run.cancel_wait(turn, running)
        running.round += 1
        running.trigger, running.triggered_at, running.traceparent = event, event.time, traceparent
        run.begin(turn, running, started)
    elif event.time < running.entered_at:
        running.entered_at = event.time
        if not program.restart and not running.sent and running.round == 0 and running.wait is not None:
            run.cancel_wait(turn, running)
            running.trigger, running.triggered_at = event, event.time
            run.begin(turn, running, program)


def _judge(turn: Turn, program: Program, event: Happened, found: list[Found], *, entered: bool, because: str) -> None:
    turn.profile.judged[program.id] = Judged(
        at=event.time, version=program.version, entered=entered, because=because, conditions=found
    )
