"""A segment is published on real Kafka: the sweep has everybody judged, and everybody hears who entered and left."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from libs.common.bus.apply import Applier
from libs.common.bus.kafka import Consumer, Producer, create_topics
from libs.common.bus.records import Outgoing, Record, outgoing
from libs.common.bus.table import Table
from libs.common.clock import ManualClock
from libs.common.db.engine import Database
from libs.contracts import topics
from libs.contracts.envelope import Envelope
from libs.contracts.events import EventOccurred
from libs.contracts.steps import ScheduleStep, StepDue
from libs.contracts.topics import Topic
from libs.domain import ids
from libs.domain.engine.registry import Registry
from libs.domain.engine.state import Profile, decode
from services.console import handlers as console
from services.console.handlers import Current, Ref, Untold
from services.rules import handlers, store
from services.rules.app import Rules
from services.rules.ticker import Sweeper

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
SHOP = "segments"
SPAN = timedelta(days=30)
TICK = timedelta(microseconds=1)
PROFILES = sorted(ids.derive("segment-profile", number) for number in range(23))
TEXT = "kurant: 1\nid: lately\nname: Lately\ncondition: {happened: {event: order.placed, within: 30d}}\n"
USED = [topics.EVENTS, topics.DUE, topics.STEPS, topics.SCENARIOS]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database_url, name="test")
    yield opened
    await opened.close()


@pytest.fixture
async def producer(kafka: str) -> AsyncIterator[Producer]:
    await create_topics(kafka, USED, partitions=1, replication=1)
    made = await Producer.connect(kafka, name="test")
    yield made
    await made.close()


class Killed:
    """A producer that is killed after the broker's yes, before the commit."""

    def __init__(self, real: Producer) -> None:
        self.real = real

    async def send(self, records: Sequence[Outgoing]) -> Any:
        await self.real.send(records)
        raise KeyboardInterrupt


class Room:
    """Rules without Faust, fed by hand."""

    def __init__(self, database: Database, producer: Any, registry: Registry, now: datetime = NOW) -> None:
        parts = type("Parts", (), {"clock": ManualClock(now)})()
        self.rules = Rules(parts, registry)  # type: ignore[arg-type]
        self.applier = Applier(schema="rules", database=database, producer=producer, handle=self.rules.handle)

    async def apply(self, records: Sequence[Record | Outgoing]) -> None:
        """One poll, after all that was applied before."""
        starts = await self.applier.assign({(topics.EVENTS.name, 0): 0, (topics.DUE.name, 0): 0})
        next_ = dict(starts)
        told = []
        for one in records:
            offset = next_[(one.topic, 0)]
            next_[(one.topic, 0)] = offset + 1
            if isinstance(one, Record):
                told.append(replace(one, partition=0, offset=offset))
            else:
                headers = tuple(one.headers)
                told.append(Record(topic=one.topic, partition=0, offset=offset, key=one.key, value=one.value,
                                   headers=headers, timestamp=0))  # fmt: skip
        await self.applier.apply(told)


def placed(profile: str, at: datetime) -> Outgoing:
    return outgoing(
        topics.EVENTS,
        EventOccurred(profile=profile, received_at=at, data={"order": {"id": "o"}}),
        key=profile,
        id=f"{profile}-{at.isoformat()}",
        source=f"/shops/{SHOP}/web",
        shop=SHOP,
        time=at,
        type="order.placed",
    )


async def heard(kafka: str, topic: Topic, count: int) -> list[Record]:
    """The first `count` records of a topic that are about us, and no more of them are there."""
    consumer = Consumer(kafka, name="test", group=None)
    await consumer.start()
    found: list[Record] = []
    try:
        partitions = await consumer.assign_all(topic.name)
        ends = await consumer.ends(partitions)
        async with asyncio.timeout(30):
            while len(found) < count or any([await consumer.position(one) < ends[one] for one in partitions]):
                polled = await consumer.poll(timeout_ms=100)
                found += [one for one in polled if (one.key or b"").decode() in PROFILES]
    finally:
        await consumer.close()
    assert len(found) == count
    return found


def published(version: int, state: str = "live", text: str = TEXT) -> list[Outgoing]:
    """What the console tells of it."""
    current = Current(version=version, state=state, changed_at=NOW, told=False, digest=b"")
    one = Untold(version=version, files={"segment.yaml": text}, published_at=NOW)
    return console.news(Ref(SHOP, "segment", "lately"), current, [one])


async def swept(kafka: str, database: Database, producer: Producer, registry: Registry) -> None:
    """Two replicas read the topic and sweep until everybody was told."""
    stop = asyncio.Event()
    made = [
        Sweeper(database=database, producer=producer, clock=ManualClock(NOW), registry=registry, chunk=5, pace=0.01,
                settled=0.05)
        for _ in range(2)
    ]  # fmt: skip

    def learn(record: Record) -> None:
        handlers.learn(registry, record)
        for one in made:
            one.hear(record.offset)

    table = Table(name="test", topic=topics.SCENARIOS, bootstrap=kafka, apply=learn)
    tasks = [asyncio.create_task(table.run(stop))]
    try:
        async with asyncio.timeout(30):
            await table.wait_complete()
            tasks += [asyncio.create_task(one.run(stop)) for one in made]
            done = False
            while not done:
                await asyncio.sleep(0.02)
                async with database.connection() as connection:
                    done = bool(await connection.fetchval("SELECT done FROM rules.sweep WHERE shop = $1", SHOP))
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def sums(database: Database) -> dict[str, int]:
    async with database.connection() as connection:
        return await store.counters(connection)


async def documents(database: Database) -> dict[str, tuple[int, Profile]]:
    async with database.connection() as connection:
        found = await store.load(connection, [(SHOP, profile) for profile in PROFILES])
    return {profile: (version, decode(document)) for (_, profile), (version, document) in found.items()}


async def test_from_publication_to_the_last_to_leave(kafka: str, database: Database, producer: Producer) -> None:
    await Room(database, producer, Registry()).apply([placed(profile, NOW) for profile in PROFILES])
    await producer.send(published(1))
    registry = Registry()
    await swept(kafka, database, producer, registry)
    assert [(one.id, one.version, state) for one, state in registry.current_segments(SHOP)] == [("lately", 1, "live")]
    looks = await heard(kafka, topics.DUE, len(PROFILES))

    with pytest.raises(KeyboardInterrupt):
        await Room(database, Killed(producer), registry).apply(looks)
    later = NOW + timedelta(seconds=9)
    await Room(database, producer, registry, later).apply(looks)
    entered = await heard(kafka, topics.EVENTS, 2 * len(PROFILES))
    told = [Envelope.read(one.headers) for one in entered]
    assert {one.type for one in told} == {"segment.entered"}
    assert len({(one.source, one.id) for one in told}) == len(PROFILES), "told again by the second try, under one id"
    assert {one.time for one in told} == {NOW}
    assert {str(EventOccurred.decode(one.value).data) for one in entered} == {"{'segment': 'lately'}"}

    before = await documents(database)
    await Room(database, producer, registry, later).apply(entered)
    assert await documents(database) == before, "what rules hears of itself changes nothing"
    counted = await sums(database)
    assert (counted["events.applied"], counted["events.duplicates"]) == (len(PROFILES), len(entered))

    asked = [ScheduleStep.decode(one.value) for one in await heard(kafka, topics.STEPS, 2 * len(PROFILES))]
    assert {one.due_at for one in asked} == {NOW + SPAN + TICK}
    assert len({one.step for one in asked}) == len(PROFILES)
    calls = [_due(one) for one in {one.step: one for one in asked}.values()]
    await Room(database, producer, registry, NOW + SPAN + timedelta(minutes=1)).apply(calls)
    told = [_envelope(one) for one in await heard(kafka, topics.EVENTS, 3 * len(PROFILES))]
    left = [one for one in told if one.type == "segment.left"]  # partitions are read in any order
    assert (len(left), {one.time for one in left}) == (len(PROFILES), {NOW + SPAN + TICK})
    counted = await sums(database)
    assert counted["steps.scheduled"] == counted["steps.fired"] == len(PROFILES)
    assert all(profile.segments_wait is None for _, profile in (await documents(database)).values())


def _envelope(record: Record) -> Envelope:
    return Envelope.read(record.headers)


def _due(asked: ScheduleStep) -> Outgoing:
    told = StepDue(
        step=asked.step,
        profile=asked.profile,
        due_at=asked.due_at,
        fired_at=asked.due_at,
        scenario=asked.scenario,
        enrolment=asked.enrolment,
    )
    return outgoing(
        topics.DUE, told, key=asked.profile, id=f"due-{asked.step}", source="/t", shop=SHOP, time=asked.due_at
    )


async def test_archived_nobody_is_left_in_it(database: Database) -> None:
    wire: list[Outgoing] = []

    class Wire:
        async def send(self, records: Sequence[Outgoing]) -> None:
            wire.extend(records)

    registry = Registry()
    for one in published(1):
        handlers.learn(registry, _record(one))
    await Room(database, Wire(), registry).apply([placed(profile, NOW) for profile in PROFILES])
    assert [_type(one) for one in wire if one.topic == topics.EVENTS.name] == ["segment.entered"] * len(PROFILES)
    for one in published(1, "archived"):
        handlers.learn(registry, _record(one))
    looks = handlers.looks(PROFILES, shop=SHOP, fingerprint="x", now=NOW + timedelta(hours=1))
    wire.clear()
    await Room(database, Wire(), registry).apply(looks)
    assert [_type(one) for one in wire if one.topic == topics.EVENTS.name] == ["segment.left"] * len(PROFILES)
    assert [one.topic for one in wire].count(topics.STEPS.name) == len(PROFILES), "their calls are cancelled"
    counted = await sums(database)
    assert counted["steps.scheduled"] == counted["steps.cancelled"] == len(PROFILES)


def test_a_segment_that_cannot_be_read_is_left_out() -> None:
    registry = Registry()
    for one in published(1, text="kurant: 9"):
        handlers.learn(registry, _record(one))
    assert registry.current_segments(SHOP) == []


def _type(told: Outgoing) -> str:
    return Envelope.read(told.headers).type


def _record(told: Outgoing) -> Record:
    return Record(
        topic=told.topic,
        partition=0,
        offset=0,
        key=told.key,
        value=told.value,
        headers=tuple(told.headers),
        timestamp=0,
    )
