"""The trace of an enrolment: what became of each step, for `explain`."""

from datetime import datetime

from libs.domain.engine.state import STEPS, Enrolment, StepTaken


def trace(enrolment: Enrolment, path: str, at: datetime, verdict: str, because: str | None = None) -> None:
    """Note what became of a step; of very many those go first that came to nothing."""
    enrolment.steps.append(StepTaken(path, at, verdict, because))
    if len(enrolment.steps) > STEPS:
        idle = (i for i, taken in enumerate(enrolment.steps) if taken.verdict in ("cancelled", "moved", "held"))
        del enrolment.steps[next(idle, 0)]


def unfinished(enrolment: Enrolment, verdict: str) -> str | None:
    """Say how the wait at hand ended; the step that waited."""
    for taken in reversed(enrolment.steps):
        if taken.verdict == "waiting":
            taken.verdict = verdict
            return taken.step
    return None
