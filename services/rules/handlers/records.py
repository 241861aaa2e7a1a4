"""The records that rules publishes, each made of what a turn decided."""

from datetime import datetime

from libs.common.bus.records import Outgoing, outgoing
from libs.contracts import topics
from libs.contracts.envelope import Envelope
from libs.contracts.events import EventOccurred
from libs.contracts.messages import MessageCancelled, MessageRequested
from libs.contracts.steps import CancelStep, ScheduleStep
from libs.domain.engine.acts import SOURCE
from libs.domain.engine.turn import Call, Fact, Request, Turn


def effects(turn: Turn) -> list[Outgoing]:
    """The turn's effects but for the messages, cancellations first."""
    made: list[Outgoing] = []
    for call in turn.cancel:
        told = CancelStep(step=call.step, profile=turn.profile_id, due_at=call.due_at)
        made.append(_call(turn, call, told, f"cancel-{call.step}"))
    for call in turn.schedule:
        asked = ScheduleStep(
            step=call.step,
            profile=turn.profile_id,
            due_at=call.due_at,
            scenario=call.scenario,
            enrolment=call.enrolment,
        )
        made.append(_call(turn, call, asked, call.step))
    for fact in turn.facts:
        made.append(_fact(turn, fact))
    return made


def messages(turn: Turn) -> list[tuple[int, Outgoing]]:
    """The messages that the turn asks for, each with its priority."""
    return [(request.priority, _message(turn, request)) for request in turn.messages]


def cancellations(turn: Turn) -> list[Outgoing]:
    """The messages that shall not go out any more. They follow the requests: one may be of the same turn."""
    return [
        outgoing(
            topics.MESSAGES,
            MessageCancelled(message=one.message, profile=turn.profile_id, because=one.because),
            key=turn.profile_id,
            id=f"cancelled-{one.message}",
            source=SOURCE,
            shop=turn.shop,
            time=turn.now,
            traceparent=one.traceparent,
        )
        for one in turn.cancelled
    ]


def event(
    cause: Envelope, received_at: datetime, profile: str, type: str, id: str, data: dict[str, object]
) -> Outgoing:
    """An event that rules itself makes of another."""
    return outgoing(
        topics.EVENTS,
        EventOccurred(profile=profile, received_at=received_at, data=data),
        key=profile,
        id=id,
        source=SOURCE,
        shop=cause.shop,
        time=cause.time,
        type=type,
        traceparent=cause.traceparent,
    )


def _fact(turn: Turn, fact: Fact) -> Outgoing:
    return outgoing(
        topics.EVENTS,
        EventOccurred(profile=turn.profile_id, received_at=turn.now, data=fact.event.data),
        key=turn.profile_id,
        id=fact.id,
        source=SOURCE,
        shop=turn.shop,
        time=fact.event.time,
        type=fact.event.type,
    )


def _call(turn: Turn, call: Call, told: ScheduleStep | CancelStep, id: str) -> Outgoing:
    return outgoing(
        topics.STEPS,
        told,
        key=turn.profile_id,
        id=id,
        source=SOURCE,
        shop=turn.shop,
        time=turn.now,
        traceparent=call.traceparent,
    )


def _message(turn: Turn, request: Request) -> Outgoing:
    message = MessageRequested(
        message=request.message,
        profile=turn.profile_id,
        scenario=request.scenario,
        version=request.version,
        enrolment=request.enrolment,
        path=request.path,
        name=request.name,
        channels=request.channels,
        purpose=request.purpose,
        requested_at=turn.now,
        due_at=request.due_at,
        expires_at=request.expires_at,
        cause_at=request.cause_at,
        language=request.language,
        timezone=request.timezone,
        context=request.context,
        contacts_at=request.contacts_at,
        arms=dict(request.arms),
        priority=request.priority,
    )
    return outgoing(
        topics.MESSAGES,
        message,
        key=turn.profile_id,
        id=request.message,
        source=SOURCE,
        shop=turn.shop,
        time=turn.now,
        traceparent=request.traceparent,
    )
