"""A wake-up call arrives, or the news of what became of a message."""

from datetime import datetime

from libs.domain.engine import run
from libs.domain.engine.state import Happened
from libs.domain.engine.turn import Turn


def on_due(turn: Turn, step: str) -> bool:
    """Go on with the enrolment that waits for this call; False when none does (stale, or a repeat: I5)."""
    enrolment = next((e for e in turn.profile.running() if e.wait and e.wait.step == step), None)
    if enrolment is None:
        return False
    program = turn.programs.get(turn.shop, enrolment.scenario, enrolment.version)
    enrolment.wait = None
    turn.sums["steps.fired"] += 1
    for taken in reversed(enrolment.steps):
        if taken.verdict == "waiting":
            taken.verdict = "woken"
            break
    if program is None:
        run.hold(turn, enrolment, "?", "this version is not known here yet")
    else:
        run.go_on(turn, enrolment, program)
    turn.profile.tidy()
    return True


def on_delivery(
    turn: Turn, *, message: str, enrolment: str, name: str, status: str, reason: str | None, at: datetime
) -> None:
    """Note in the enrolment what became of its message."""
    owner = next((e for e in turn.profile.enrolments if e.id == enrolment), None)
    if owner is None:
        return
    for taken in owner.steps:
        if taken.message == message:
            taken.verdict, taken.because, taken.at = status, reason, at
    if status == "sent":
        owner.sent[name] = at
        sent = Happened(type="message.sent", time=at, id=message, data={"scenario": owner.scenario, "name": name})
        turn.profile.remember(sent)
