"""An enrolment goes on, from where it stands to its next wait or its end."""

from datetime import datetime, timedelta

from libs.domain import ids
from libs.domain.engine.program import Branch, Jump, Program, Send, Stop, WaitFor
from libs.domain.engine.state import Enrolment, Happened, StepTaken, Wait
from libs.domain.engine.turn import Call, Request, Turn
from libs.domain.scenario.match import holds
from libs.domain.scenario.model import Exit
from libs.domain.scenario.times import next_open, wait_until

RECHECK = timedelta(minutes=5)
"""How soon a held step (paused scenario, version not known yet) is looked at again."""
LATE = timedelta(days=3)
"""How late a message may be sent when its step does not say."""


def begin(turn: Turn, enrolment: Enrolment, program: Program) -> None:
    """Start (or start anew) from the first step, at the time of the trigger."""
    enrolment.cursor = 0
    enrolment.at = enrolment.triggered_at
    go_on(turn, enrolment, program)


def go_on(turn: Turn, enrolment: Enrolment, program: Program) -> None:
    """Run instructions until one waits or the program is over. A wait that is already past does not wait."""
    while enrolment.state == "waiting":
        if enrolment.cursor >= len(program.instructions):
            end(turn, enrolment, "completed")
            return
        step = program.instructions[enrolment.cursor]
        if isinstance(step, WaitFor):
            due = wait_until(step.wait, enrolment.at, turn.zone(), turn.scope_of(enrolment))
            enrolment.cursor += 1
            enrolment.at = due
            if due > turn.now:
                _wait(turn, enrolment, step.path, due)
                return
        elif isinstance(step, Send):
            if not _send(turn, enrolment, program, step):
                return
            enrolment.cursor += 1
        elif isinstance(step, Branch):
            taken = bool(holds(step.condition, turn.scope_of(enrolment), turn.history(enrolment)))
            _trace(enrolment, step.path, turn.now, "then" if taken else "else")
            enrolment.cursor = enrolment.cursor + 1 if taken else step.otherwise
        elif isinstance(step, Jump):
            enrolment.cursor = step.to
        elif isinstance(step, Stop):
            end(turn, enrolment, "exit step")
            return


def end(turn: Turn, enrolment: Enrolment, because: str, at: datetime | None = None) -> None:
    """No further step; a call that is still out is cancelled."""
    cancel_wait(turn, enrolment)
    enrolment.state = "ended"
    enrolment.because = because
    enrolment.ended_at = at or turn.now


def cancel_wait(turn: Turn, enrolment: Enrolment) -> None:
    """Forget the awaited call and tell the scheduler so."""
    wait = enrolment.wait
    if wait is None:
        return
    enrolment.wait = None
    turn.sums["steps.cancelled"] += 1
    turn.cancel.append(_call(enrolment, wait))
    for taken in reversed(enrolment.steps):
        if taken.verdict == "waiting":
            taken.verdict = "cancelled"
            break


def hold(turn: Turn, enrolment: Enrolment, path: str, because: str) -> None:
    """Look again in a while, at the same step."""
    _trace(enrolment, path, turn.now, "held", because)
    _wait(turn, enrolment, path, turn.now + RECHECK)


def is_exit(turn: Turn, way: Exit, event: Happened, key: str) -> bool:
    """Whether this event is the way out `way` for an enrolment of `key`."""
    if way.event != event.type:
        return False
    return way.where is None or bool(holds(way.where, turn.scope(event, key)))


def left_since(turn: Turn, program: Program, enrolment: Enrolment) -> Happened | None:
    """The exit that happened after this trigger but reached us before it."""
    for past in turn.profile.history:
        if past.time >= enrolment.triggered_at and any(
            is_exit(turn, way, past, enrolment.key) for way in program.exits
        ):
            return past
    return None


def resume(turn: Turn, enrolment: Enrolment) -> None:
    """Wait again, as before, under this profile: the call of the profile it comes from was cancelled."""
    due = max(enrolment.at, turn.now)
    _wait(turn, enrolment, "merge", due)


def _wait(turn: Turn, enrolment: Enrolment, path: str, due: datetime) -> None:
    step = ids.step_id(enrolment.id, path, enrolment.calls)
    enrolment.calls += 1
    enrolment.wait = Wait(step=step, due_at=due)
    turn.sums["steps.scheduled"] += 1
    turn.schedule.append(_call(enrolment, enrolment.wait))
    _trace(enrolment, path, due, "waiting")


def _call(enrolment: Enrolment, wait: Wait) -> Call:
    return Call(
        step=wait.step,
        due_at=wait.due_at,
        scenario=enrolment.scenario,
        enrolment=enrolment.id,
        traceparent=enrolment.traceparent,
    )


def _send(turn: Turn, enrolment: Enrolment, program: Program, step: Send) -> bool:
    """Request the message, or say why not. False when the step waits (window closed, scenario paused)."""
    state = turn.programs.state(turn.shop, program.id)
    if state == "archived":
        end(turn, enrolment, "archived")
        return False
    if state == "paused":
        hold(turn, enrolment, step.path, "paused")
        return False
    scope = turn.scope_of(enrolment)
    if step.condition is not None and not holds(step.condition, scope, turn.history(enrolment)):
        _trace(enrolment, step.path, turn.now, "skipped", "if")
        return True
    if program.window is not None:
        opens = next_open(program.window, max(turn.now, enrolment.at), turn.zone())
        if opens > turn.now:
            enrolment.at = opens
            _trace(enrolment, step.path, turn.now, "deferred", "window")
            _wait(turn, enrolment, step.path, opens)
            return False
    message = ids.message_id(enrolment.id, step.path, enrolment.round)
    late = step.late if step.late is not None else LATE
    traits = turn.profile.traits
    turn.sums["messages.requested"] += 1
    turn.messages.append(
        Request(
            message=message,
            scenario=program.id,
            version=program.version,
            enrolment=enrolment.id,
            path=step.path,
            name=step.name,
            channels=list(step.channels),
            purpose=program.purpose,
            due_at=enrolment.at,
            expires_at=enrolment.at + late,
            cause_at=turn.cause_at,
            language=traits.get("language"),
            timezone=turn.zone(),
            context={name: scope[name] for name in ("profile", "event", "cart", "order", "rfm", "key")},
            contacts_at=dict(turn.profile.contacts_at),
            traceparent=enrolment.traceparent,
        )
    )
    enrolment.steps.append(StepTaken(step=step.path, at=turn.now, verdict="requested", message=message))
    return True


def _trace(enrolment: Enrolment, path: str, at: datetime, verdict: str, because: str | None = None) -> None:
    enrolment.steps.append(StepTaken(step=path, at=at, verdict=verdict, because=because))
