"""An enrolment goes on, from where it stands to its next wait or its end."""

from datetime import datetime, timedelta
from typing import Literal

from libs.domain import ids
from libs.domain.engine.acts import LATE, draw, mark, put, request
from libs.domain.engine.program import Await, Branch, Hook, Jump, Lot, Mark, Program, Put, Send, Stop, WaitFor
from libs.domain.engine.state import Enrolment, Happened, StepTaken, Wait
from libs.domain.engine.trace import trace, unfinished
from libs.domain.engine.turn import Call, Cancelled, Resumed, Turn
from libs.domain.scenario.match import holds, past
from libs.domain.scenario.model import Exit
from libs.domain.scenario.times import is_local, next_open, wait_until

RECHECK = timedelta(minutes=5)
"""How soon a held step (paused scenario, version not known yet) is looked at again."""
AT = "at:"
"""How the names of counts begin that say how many wait where."""


def begin(turn: Turn, enrolment: Enrolment, program: Program) -> None:
    """Start (or start anew) from the first step, at the time of the trigger."""
    enrolment.cursor = 0
    enrolment.at = enrolment.triggered_at
    go_on(turn, enrolment, program)


def go_on(turn: Turn, enrolment: Enrolment, program: Program) -> None:
    """Run instructions until one waits or the program is over."""
    if turn.programs.over(turn.shop, program.id, program.version):
        end(turn, enrolment, "archived")
    while enrolment.state == "waiting":
        if enrolment.cursor >= len(program.instructions):
            end(turn, enrolment, "completed")
            return
        step = program.instructions[enrolment.cursor]
        if isinstance(step, WaitFor):
            if not _wait_for(turn, enrolment, step):
                return
        elif isinstance(step, Send | Hook):
            if not _send(turn, enrolment, program, step):
                return
            enrolment.cursor += 1
        elif isinstance(step, Branch):
            taken = holds(step.condition, turn.scope_of(enrolment), turn.history(enrolment))
            trace(enrolment, step.path, turn.now, "then" if taken else "else")
            enrolment.cursor = enrolment.cursor + 1 if taken else step.otherwise
        elif isinstance(step, Await):
            if not _await(turn, enrolment, program, step):
                return
        elif isinstance(step, Jump):
            enrolment.cursor = step.to
        elif isinstance(step, Lot):
            enrolment.cursor = draw(turn, enrolment, step)
        elif isinstance(step, Mark | Put):
            enrolment.cursor += 1
            if mark(turn, enrolment, step) if isinstance(step, Mark) else put(turn, enrolment, step):
                turn.told.append(Resumed(enrolment=enrolment, round=enrolment.round, depth=turn.depth))
                return  # others react first: what was changed may be an exit of this one
        elif isinstance(step, Stop):
            end(turn, enrolment, step.because)


def _wait_for(turn: Turn, enrolment: Enrolment, step: WaitFor) -> bool:
    """Whether the wait is over already; `late` then counts from when it was over.

    Told by an event, which may be of a while ago, it waits for a call all the same: what happened after it may be on
    its way, and a call is judged when all of that is known.
    """
    began = enrolment.at
    scope = turn.scope_of(enrolment) if step.wait.until_path is not None else {}
    due = wait_until(step.wait, began, turn.zone(), scope)
    if due <= turn.now and step.wait.until_path is None:
        began = _after_message(enrolment)
        due = wait_until(step.wait, began, turn.zone(), scope)
    enrolment.cursor += 1
    enrolment.at = due
    if due <= turn.now and turn.caught_up:
        trace(enrolment, step.path, due, "past", "it was over when it was reached")
        return True
    _call_at(turn, enrolment, step.path, due, "wait", began if is_local(step.wait) else None)
    return False


def _call_at(
    turn: Turn, enrolment: Enrolment, path: str, due: datetime, kind: str, began: datetime | None = None
) -> None:
    _ask_for_call(turn, enrolment, path, max(due, turn.now), kind, began)
    if due > turn.now:
        enrolment.asked_at = None
    else:
        enrolment.steps[-1].because = f"it was over at {due.isoformat()}"


def _after_message(enrolment: Enrolment) -> datetime:
    """When a wait begins that would be over already: not before the message that it follows was asked for.

    So nobody gets two at once, or has no time to answer the first.
    """
    at, asked_at = enrolment.at, enrolment.asked_at
    return at if asked_at is None else max(at, asked_at)


def _await(turn: Turn, enrolment: Enrolment, program: Program, step: Await) -> bool:
    """Go to the one side when the event has happened in time, to the other when the time is over; else wait."""
    if enrolment.at + step.within <= turn.now:
        enrolment.at = _after_message(enrolment)
    deadline = enrolment.at + step.within
    found = _happened(turn, enrolment, program, step, deadline)
    if found is not None:
        trace(enrolment, step.path, turn.now, "then", f"{step.event} at {found.isoformat()}")
        enrolment.cursor += 1
        enrolment.at = found
        return True
    if deadline <= turn.now and turn.caught_up:
        trace(enrolment, step.path, turn.now, "else", f"no {step.event} until {deadline.isoformat()}")
        enrolment.cursor = step.otherwise
        enrolment.at = deadline
        return True
    _call_at(turn, enrolment, step.path, deadline, "until")
    return False


def _happened(turn: Turn, enrolment: Enrolment, program: Program, step: Await, deadline: datetime) -> datetime | None:
    """When the event that is waited for happened first after the wait began; by its own time, whenever it came.

    At the moment of the trigger itself another type of event counts too: consents that came with it are told apart.
    """
    track = turn.profile.tracks.get(step.event)
    if track is None:
        return None
    began, trigger = enrolment.at, enrolment.trigger
    first = track.since(began) if trigger.time == began and trigger.type != step.event else track.after(began)
    scope = turn.scope_of(enrolment) if step.where is not None else {}
    for place in range(first, len(track.times)):
        if track.times[place] > deadline:
            return None
        if step.of is not None and not _is_of(track.fields(place), enrolment, program, step.of):
            continue
        event = past(step.event, track, place)
        if step.where is None or holds(step.where, {**scope, "event": event}, turn.history(enrolment)):
            return track.times[place]
    return None


def _is_of(data: dict[str, object], enrolment: Enrolment, program: Program, name: str) -> bool:
    """Whether an event of a message is about the message `name` of this enrolment."""
    told = data.get("message")
    return any(
        told == ids.message_id(enrolment.id, step.path, round)
        for step in program.instructions
        if isinstance(step, Send) and step.name == name
        for round in range(enrolment.round, -1, -1)
    )


def awaits(enrolment: Enrolment, program: Program, type: str) -> bool:
    """Whether an event of this type may end the wait at hand."""
    if enrolment.wait is None or enrolment.wait.kind != "until":
        return False
    step = program.instructions[enrolment.cursor]
    return isinstance(step, Await) and step.event == type


def on_path(enrolment: Enrolment, program: Program) -> bool:
    """Whether the wait at hand ends at a date that the next event may move."""
    step = program.instructions[enrolment.cursor - 1] if enrolment.cursor else None
    if enrolment.wait is None or enrolment.wait.kind != "wait" or not isinstance(step, WaitFor):
        return False
    path = step.wait.until_path
    return path is not None and not path.startswith("event.")


def look_again(turn: Turn, enrolment: Enrolment, program: Program) -> None:
    """Something came that may end the wait for an event."""
    step = program.instructions[enrolment.cursor]
    if isinstance(step, Await) and _happened(turn, enrolment, program, step, enrolment.at + step.within):
        cancel_wait(turn, enrolment, "woken")
        go_on(turn, enrolment, program)


def move(turn: Turn, enrolment: Enrolment, program: Program) -> None:
    """The zone or a date has changed: a wait that depends on it ends at another moment."""
    wait = enrolment.wait
    if wait is None or wait.began is None:
        return
    back = enrolment.cursor - 1 if wait.kind == "wait" else enrolment.cursor
    step = program.instructions[back]
    if isinstance(step, WaitFor):
        due = wait_until(step.wait, wait.began, turn.zone(), turn.scope_of(enrolment))
    elif wait.kind == "window" and program.window is not None:
        due = next_open(program.window, max(turn.now, wait.began), turn.zone())
    else:
        return
    if due == enrolment.at:
        return
    cancel_wait(turn, enrolment, "moved")
    enrolment.cursor, enrolment.at = back, wait.began
    go_on(turn, enrolment, program)


def end(turn: Turn, enrolment: Enrolment, because: str, at: datetime | None = None) -> None:
    """No further step; a call that is still out is cancelled. What its event said is of no use any more."""
    cancel_wait(turn, enrolment)
    began = enrolment.trigger
    enrolment.trigger, enrolment.traceparent = Happened(began.type, began.time, began.id), None
    enrolment.asked_at = None
    enrolment.state = "ended"
    enrolment.because = because
    enrolment.ended_at = at or turn.now


def exit_by(turn: Turn, enrolment: Enrolment, event: Happened) -> None:
    """The customer leaves by an event: no further step, and what was asked for and has not gone out does not."""
    take_back(turn, enrolment, "exit")
    if enrolment.state == "waiting":
        end(turn, enrolment, event.type, at=event.time)


def end_archived(turn: Turn) -> None:
    """What runs by a scenario that is archived by now ends."""
    for enrolment in turn.profile.running():
        if turn.programs.over(turn.shop, enrolment.scenario, enrolment.version):
            end(turn, enrolment, "archived")


def take_back(turn: Turn, enrolment: Enrolment, because: Literal["exit", "restart"]) -> None:
    """Take back the messages that may not have gone out yet."""
    turn.cancelled += [
        Cancelled(message=message, because=because, traceparent=enrolment.traceparent) for message in enrolment.out
    ]
    enrolment.out = []


def cancel_wait(turn: Turn, enrolment: Enrolment, verdict: str = "cancelled") -> None:
    """Forget the awaited call and tell the scheduler so."""
    wait = enrolment.wait
    if wait is not None:
        turn.revoke(_call(enrolment, wait))
        leave(turn, enrolment, verdict)


def leave(turn: Turn, enrolment: Enrolment, verdict: str) -> None:
    """It waits no more where it did."""
    enrolment.wait = None
    step = unfinished(enrolment, verdict)
    if step is not None:
        turn.sums[place(enrolment, step)] -= 1


def place(enrolment: Enrolment, step: str) -> str:
    """The name of the count of enrolments of a version that wait at a step; who does not wait has ended."""
    return f"{AT}{enrolment.scenario}@{enrolment.version}:{step}"


def hold(turn: Turn, enrolment: Enrolment, path: str, because: str) -> None:
    """Look again in a while, at the same step. That it is held is told once, with since when."""
    before = [(taken.step, taken.verdict, taken.because) for taken in enrolment.steps[-2:]]
    if before == [(path, "held", because), (path, "woken", None)]:
        del enrolment.steps[-1]
    else:
        trace(enrolment, path, turn.now, "held", because)
    _ask_for_call(turn, enrolment, path, turn.now + RECHECK, "held")


def is_exit(turn: Turn, way: Exit, event: Happened, key: str) -> bool:
    """Whether this event is the way out `way` for an enrolment of `key`."""
    if way.event != event.type:
        return False
    return way.where is None or holds(way.where, turn.scope(event, key), turn.history())


def left_since(turn: Turn, program: Program, key: str, trigger: Happened) -> Happened | None:
    """The exit that happened since the trigger but reached us before it. The trigger is no exit of its own."""
    first: Happened | None = None
    for type, ways in program.ways.items():
        track = turn.profile.tracks.get(type)
        if track is None:
            continue
        for place in range(track.since(trigger.time), len(track.times)):
            if first is not None and track.times[place] >= first.time:
                break
            if type == trigger.type and track.times[place] == trigger.time:
                continue
            event = Happened(type, track.times[place], "", track.fields(place))
            if any(is_exit(turn, way, event, key) for way in ways):
                first = event
                break
    return first


def resume(turn: Turn, enrolment: Enrolment, waited: Wait | None) -> None:
    """Wait again, as before, under this profile: the call of the profile it comes from was cancelled."""
    due = waited.due_at if waited is not None else enrolment.at
    kind, began = (waited.kind, waited.began) if waited is not None else ("", None)
    path = enrolment.steps[-1].step if enrolment.steps else "merge"
    _ask_for_call(turn, enrolment, path, max(due, turn.now), kind, began)


def _ask_for_call(
    turn: Turn, enrolment: Enrolment, path: str, due: datetime, kind: str, began: datetime | None = None
) -> None:
    step = ids.step_id(enrolment.id, path, enrolment.calls)
    enrolment.calls += 1
    enrolment.wait = Wait(step, due, kind, began)
    turn.ask(_call(enrolment, enrolment.wait))
    trace(enrolment, path, due, "waiting")
    turn.sums[place(enrolment, path)] += 1


def _call(enrolment: Enrolment, wait: Wait) -> Call:
    return Call(
        step=wait.step,
        due_at=wait.due_at,
        scenario=enrolment.scenario,
        enrolment=enrolment.id,
        traceparent=enrolment.traceparent,
    )


def _send(turn: Turn, enrolment: Enrolment, program: Program, step: Send | Hook) -> bool:
    """Request the message, or say why not. False when the step waits (window closed, scenario paused)."""
    if turn.programs.state(turn.shop, program.id) == "paused":
        hold(turn, enrolment, step.path, "paused")
        return False
    if isinstance(step, Send):
        if step.condition is not None and not holds(step.condition, turn.scope_of(enrolment), turn.history(enrolment)):
            trace(enrolment, step.path, turn.now, "skipped", "if")
            return True
        late = LATE if step.late is None else step.late
        if program.window is not None and turn.now <= enrolment.at + late:  # what is too late already does not wait
            began = enrolment.at
            opens = next_open(program.window, max(turn.now, began), turn.zone())
            if opens > turn.now:
                enrolment.at = opens
                trace(enrolment, step.path, turn.now, "deferred", f"window until {opens.isoformat()}")
                _ask_for_call(turn, enrolment, step.path, opens, "window", began)
                return False
    made = request(turn, enrolment, program, step)
    if isinstance(step, Send):
        enrolment.out = [*enrolment.out, made.message]
        if enrolment.at + late > turn.now:
            enrolment.asked_at = turn.now
    turn.sums["messages.requested"] += 1
    turn.messages.append(made)
    enrolment.steps.append(StepTaken(step.path, turn.now, "requested", None, made.message))
    return True
