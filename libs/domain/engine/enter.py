"""A profile enters a scenario, or its running enrolment begins anew, or it is remembered why not."""

from collections.abc import Callable
from datetime import datetime

from libs.domain import ids
from libs.domain.engine import run
from libs.domain.engine.program import Program
from libs.domain.engine.state import Enrolment, Happened, Judged
from libs.domain.engine.turn import Turn
from libs.domain.scenario.match import Found, lookup


def enter(
    turn: Turn,
    program: Program,
    event: Happened,
    key: str,
    found: Callable[[], list[Found]],
    traceparent: str | None = None,
) -> None:
    """The trigger is met: enter the scenario, start its waits anew, or remember why not."""
    running = next((e for e in turn.profile.running() if e.scenario == program.id and e.key == key), None)
    if running is not None:
        if program.id not in turn.profile.judged:
            judged(turn, program, event, found(), entered=True, because=event.type)
        _again_triggered(turn, program, running, event, traceparent)
        return
    refusal = _refusal(turn, program, event.time)
    if refusal:
        judged(turn, program, event, found(), entered=False, because=refusal)
        return
    judged(turn, program, event, found(), entered=True, because=event.type)
    _enrol(turn, program, key, event, traceparent)


def key_of(turn: Turn, program: Program, scope: dict[str, object]) -> str | None:
    """The key of the enrolment; None when it is not told."""
    if program.key is None:
        return turn.profile_id
    value = lookup(scope, program.key)
    return None if value is None else str(value)


def judged(turn: Turn, program: Program, event: Happened, found: list[Found], *, entered: bool, because: str) -> None:
    """Remember how the trigger was judged last."""
    turn.profile.judged[program.id] = Judged(event.time, program.version, entered, because, found)


def _refusal(turn: Turn, program: Program, at: datetime) -> str | None:
    """Why a profile may not enter now, if so."""
    state = turn.programs.state(turn.shop, program.id)
    if state != "live":
        return state
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
    if program.restart:
        for known in profile.enrolments:
            if (known.scenario, known.key) == (program.id, key) and known.triggered_at < event.time:
                run.take_back(turn, known, "restart")
    profile.enrolments.append(enrolment)
    turn.sums["enrolments"] += 1
    if program.exits and (left := run.left_since(turn, program, key, event)):
        run.exit_by(turn, enrolment, left)
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
        run.take_back(turn, running, "restart")
        running.round += 1
        running.trigger, running.triggered_at, running.traceparent = event, event.time, traceparent
        run.begin(turn, running, started)
    elif event.time < running.entered_at:
        left = run.left_since(turn, program, running.key, event)
        if left is not None and left.time <= running.entered_at:
            return  # what it started was over before this enrolment began
        running.entered_at = event.time
        if not program.restart and not running.sent and running.round == 0 and running.wait is not None:
            run.cancel_wait(turn, running)
            running.trigger, running.triggered_at = event, event.time
            run.begin(turn, running, program)
