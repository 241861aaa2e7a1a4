"""A wake-up call arrives, or the news of what became of a message, or of a permission."""

from datetime import datetime

from libs.domain import ids
from libs.domain.engine import events, run, segments, watch
from libs.domain.engine.acts import SOURCE
from libs.domain.engine.state import Happened
from libs.domain.engine.turn import Turn

AS_EVENTS = frozenset({"sent", "delivered", "bounced"})
"""What becomes of a message and is also an event of the profile (`message.sent`)."""


def on_due(turn: Turn, step: str) -> bool:
    """Go on with what waits for this call; False when nothing does (stale, or a repeat: I5)."""
    turn.caught_up = True
    enrolment = next((e for e in turn.profile.running() if e.wait and e.wait.step == step), None)
    if enrolment is None:
        known = watch.on_due(turn, step) or segments.on_due(turn, step)
    else:
        known = True
        program = turn.programs.get(turn.shop, enrolment.scenario, enrolment.version)
        turn.sums["steps.fired"] += 1
        run.leave(turn, enrolment, "woken")
        if program is None:
            run.hold(turn, enrolment, "?", "this version is not known here yet")
        else:
            run.go_on(turn, enrolment, program)
    events.settle(turn)
    turn.gone += turn.profile.tidy(turn.now)
    return known


def look(turn: Turn, at: datetime | None = None) -> None:
    """Somebody says (at `at`) that scenarios which wait for a moment, or segments, have changed."""
    events.look(turn, at or turn.now)
    events.settle(turn)
    turn.gone += turn.profile.tidy(turn.now)


def on_delivery(
    turn: Turn,
    *,
    message: str,
    enrolment: str,
    scenario: str,
    name: str,
    status: str,
    reason: str | None,
    at: datetime,
    until: datetime | None = None,
    channel: str | None = None,
) -> None:
    """Note in the enrolment what became of its message; others may react to that."""
    owner = next((e for e in turn.profile.enrolments if e.id == enrolment), None)
    if owner is not None:
        why = f"{reason or 'later'} until {until.isoformat()}" if until is not None else reason
        for taken in owner.steps:
            if taken.message == message and not _is_older(status, taken.verdict):
                taken.verdict, taken.because, taken.at = status, why, at
        if status != "deferred" and message in owner.out:
            owner.out = [one for one in owner.out if one != message]
        if status == "sent":
            owner.sent = {**owner.sent, name: at}
    if status in AS_EVENTS:
        digest = ids.event_digest(turn.shop, SOURCE, f"{message}/{status}")
        data = {"message": message, "scenario": scenario, "name": name, "channel": channel}
        events.on_event(turn, Happened(f"message.{status}", at, f"{digest:015x}", data), digest, None)


def _is_older(status: str, verdict: str) -> bool:
    """Whether the news is of before what is known already: sent is no news of a message that was delivered."""
    return status == "sent" and verdict in ("delivered", "bounced")


def on_permission(turn: Turn, event: Happened, digest: int, consents: dict[str, dict[str, str]]) -> None:
    """A permission changed: `profile.consents` as it now stands, and `consent.changed` with channel and status."""
    turn.profile.consents = {channel: dict(told) for channel, told in consents.items()}
    events.on_event(turn, event, digest, None)
