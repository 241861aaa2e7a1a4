"""The engine behind its records: what goes out in which order, and what comes twice."""

from datetime import UTC, datetime

from libs.common.bus.records import Outgoing, Record, outgoing
from libs.contracts import topics
from libs.contracts.consent_changes import ConsentChanged
from libs.contracts.events import MERGED, EventOccurred
from libs.contracts.messages import MessageCancelled, MessageRequested
from libs.contracts.steps import CancelStep, ScheduleStep
from libs.domain import ids
from libs.domain.engine.registry import Registry
from libs.domain.engine.state import Profile
from services.rules import handlers
from tests.unit.engine.world import scenario, world_of

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
ANNA, BOB = ids.derive("profile", "anna"), ids.derive("profile", "bob")


def received(told: Outgoing) -> Record:
    return Record(
        topic=told.topic,
        partition=0,
        offset=0,
        key=told.key,
        value=told.value,
        headers=tuple(told.headers),
        timestamp=0,
    )


def event(profile: str, type: str, id: str, **data: object) -> Record:
    message = EventOccurred(profile=profile, received_at=NOW, data=data)
    return received(
        outgoing(topics.EVENTS, message, key=profile, id=id, source="/shops/demo/web", shop="demo", time=NOW, type=type)
    )


class Platform:
    """Profiles and what came out, a record at a time."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.profiles: dict[tuple[str, str], Profile] = {}
        self.sums: dict[str, int] = {}

    def take(self, *records: Record) -> list[Outgoing]:
        good, poison = handlers.decode(records)
        assert poison == []
        for item in good:
            self.profiles.setdefault(item.key, Profile())
        decision = handlers.decide(good, self.profiles, self.registry, lambda: NOW)
        for counts in decision.sums.values():
            for name, count in counts.items():
                self.sums[name] = self.sums.get(name, 0) + count
        return decision.outputs


def test_of_two_messages_of_a_turn_the_more_important_goes_out_first() -> None:
    low = scenario("{event: custom.go}", "  - tag: x\n  - send: low\n", id="low", more="priority: 99")
    high = scenario("{tag: {added: x}}", "  - send: high\n", id="high", more="priority: 100")
    lower = scenario("{event: custom.go}", "  - send: lower\n", id="lower", more="priority: 1")
    platform = Platform(world_of(low, high, lower).registry)
    out = [MessageRequested.decode(one.value).name for one in platform.take(event(ANNA, "custom.go", "1"))]
    assert out == ["high", "low", "lower"]


def test_of_two_messages_of_a_batch_the_more_important_goes_out_first_whatever_came_first() -> None:
    """Two waits end at one moment, and the calls come in whatever order."""
    low = scenario("{event: custom.low}", "  - send: low\n", id="low", more="priority: 20")
    high = scenario("{event: custom.high}", "  - send: high\n", id="high", more="priority: 80")
    platform = Platform(world_of(low, high).registry)
    out = platform.take(event(ANNA, "custom.low", "1"), event(ANNA, "custom.high", "2"))
    messages = [MessageRequested.decode(one.value) for one in out]
    assert [(one.name, one.priority) for one in messages] == [("high", 80), ("low", 20)]


def test_what_is_taken_back_follows_what_is_asked_for() -> None:
    """Both may be of one batch: dispatch must have the message before it can let it go."""
    cart = scenario("{event: custom.go}", "  - send: first\n", more="exit: [{event: custom.gone}]")
    platform = Platform(world_of(cart).registry)
    asked, cancelled = platform.take(event(ANNA, "custom.go", "1"), event(ANNA, "custom.gone", "2"))
    assert cancelled.topic == topics.MESSAGES.name and cancelled.key == asked.key
    told = MessageCancelled.decode(cancelled.value)
    assert (told.message, told.profile, told.because) == (MessageRequested.decode(asked.value).message, ANNA, "exit")


def test_what_is_handed_over_twice_is_taken_over_once() -> None:
    birthday = scenario('{date: profile.birthday, at: "10:00", every: year}', "  - send: wishes\n", id="b")
    cart = scenario("{event: cart.updated}", "  - wait: 1h\n  - send: first\n", id="c", more="key: event.cart.id")
    platform = Platform(world_of(birthday, cart).registry)
    platform.take(
        event(ANNA, "profile.updated", "1", birthday="1990-03-20"), event(ANNA, "cart.updated", "2", cart={"id": "c"})
    )
    out = platform.take(event(ANNA, MERGED, "3", into=BOB))
    assert [one.topic for one in out] == [topics.EVENTS.name, topics.STEPS.name, topics.STEPS.name]
    assert len({CancelStep.decode(one.value).step for one in out[1:]}) == 2
    absorbed = received(out[0])
    first = platform.take(absorbed)
    assert len({ScheduleStep.decode(one.value).step for one in first}) == 2
    assert platform.take(absorbed) == []
    assert platform.profiles[("demo", BOB)].tracks["cart.updated"].total == 1
    assert platform.sums["steps.scheduled"] - platform.sums["steps.cancelled"] == 2


def test_a_permission_that_changes_is_an_event_once() -> None:
    welcome = scenario("{event: consent.changed, where: {event.status: granted}}", "  - send: welcome\n")
    platform = Platform(world_of(welcome).registry)
    told = ConsentChanged(
        profile=ANNA,
        channel="email",
        purpose="marketing",
        status="granted",
        because="link",
        consents={"email": {"marketing": "granted"}},
    )
    record = received(
        outgoing(topics.CONSENT_CHANGES, told, key=ANNA, id="7", source="/kurant/consent", shop="demo", time=NOW)
    )
    assert [MessageRequested.decode(one.value).name for one in platform.take(record)] == ["welcome"]
    assert platform.take(record) == []
    assert platform.sums.get("events.applied", 0) == 0, "it is no event of the events topic"
