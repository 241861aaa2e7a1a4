"""What still comes for a profile that was merged into another goes on to that one."""

from datetime import UTC, datetime

from libs.common.bus.records import Outgoing, Record, outgoing
from libs.contracts import topics
from libs.contracts.envelope import Message
from libs.contracts.events import EventOccurred
from libs.contracts.messages import Delivered
from libs.contracts.steps import StepDue
from libs.contracts.topics import Topic
from libs.domain.engine.registry import Registry
from libs.domain.engine.state import Profile
from services.rules import handlers

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
OLD, NEW = "11111111-1111-5111-8111-111111111111", "22222222-2222-5222-8222-222222222222"


def decide(topic: Topic, message: Message, type: str | None = None) -> list[Outgoing]:
    """What comes out when this is told of the merged profile."""
    told = outgoing(topic, message, key=OLD, id="x", source="/test", shop="demo", time=NOW, type=type)
    record = Record(
        topic=told.topic,
        partition=0,
        offset=0,
        key=told.key,
        value=told.value,
        headers=tuple(told.headers),
        timestamp=0,
    )
    good, poison = handlers.decode([record])
    assert not poison
    return handlers.decide(good, {("demo", OLD): Profile(into=NEW)}, Registry(), lambda: NOW).outputs


def test_an_event() -> None:
    (told,) = decide(topics.EVENTS, EventOccurred(profile=OLD, received_at=NOW, data={"a": 1}), "custom.x")
    assert (told.topic, told.key) == (topics.EVENTS.name, NEW.encode())
    assert EventOccurred.decode(told.value).profile == NEW


def test_the_end_of_a_message_that_was_asked_for_before_the_merge() -> None:
    """Its enrolment lives in the other profile by now, and explain must say what became of it."""
    told = Delivered(
        message="m",
        profile=OLD,
        scenario="s",
        version=1,
        enrolment="e",
        path="steps/0",
        name="n",
        status="sent",
        at=NOW,
    )
    (forwarded,) = decide(topics.DELIVERIES, told)
    assert (forwarded.topic, forwarded.key) == (topics.DELIVERIES.name, NEW.encode())
    assert Delivered.decode(forwarded.value).profile == NEW


def test_a_wake_up_call_is_stale() -> None:
    due = StepDue(step="s", profile=OLD, due_at=NOW, fired_at=NOW, scenario="s", enrolment="e")
    assert decide(topics.DUE, due) == []
