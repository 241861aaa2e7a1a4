"""The one consumer loop: it begins where the database says, also when the database was away at the assignment."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import pytest

from libs.common.bus.consumer import Loop
from libs.common.bus.kafka import Consumer, Producer, create_topics
from libs.common.bus.records import Outcome, Outgoing, Record, TopicPartition
from libs.common.db.engine import Connection, Database
from libs.common.errors import Unavailable
from libs.contracts.topics import Topic

COUNT = 5


@pytest.fixture
async def topic(kafka: str) -> Topic:
    """A topic of one partition with five records."""
    made = Topic(
        name=f"test.{uuid.uuid4().hex}",
        key="any",
        says="a test's own",
        messages=(),
        producers=frozenset(),
        consumers=frozenset({"rules"}),
        partitions=1,
    )
    await create_topics(kafka, [made], partitions=1, replication=1)
    producer = await Producer.connect(kafka, name="test")
    await producer.send([Outgoing(topic=made.name, key=b"k", value=f"{n}".encode(), headers=[]) for n in range(COUNT)])
    await producer.close()
    return made


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database_url, name="test")
    yield opened
    await opened.close()


async def commit_to_kafka(kafka: str, topic: Topic, offset: int) -> None:
    """As if a member of the group had told Kafka, and then died before its transaction."""
    assigned = asyncio.Event()

    async def note(_partitions: list[TopicPartition]) -> None:
        assigned.set()

    member = Consumer(kafka, name="test", group="kurant-scheduler")
    await member.start()
    member.subscribe([topic.name], note)
    async with asyncio.timeout(20):
        while not assigned.is_set():
            await member.poll(timeout_ms=100)
    await member.commit({(topic.name, 0): offset})
    await member.close()


class Applied:
    """Runs a loop until it has applied what is there."""

    def __init__(self, kafka: str, topic: Topic, database: Database, producer: Producer) -> None:
        self.values: list[str] = []
        self.fails: Callable[[], bool] = lambda: False
        self.loop = Loop(
            schema="scheduler",
            topics=[topic],
            bootstrap=kafka,
            database=database,
            producer=producer,
            handle=self.handle,
        )

    async def handle(self, _connection: Connection, records: Sequence[Record]) -> Outcome:
        if self.fails():
            raise Unavailable("something is away")
        self.values += [(record.value or b"").decode() for record in records]
        return Outcome()

    async def run(self) -> list[str]:
        stop = asyncio.Event()
        running = asyncio.create_task(self.loop.run(stop))
        async with asyncio.timeout(30):
            while len(self.values) < COUNT and not running.done():
                await asyncio.sleep(0.05)
        stop.set()
        await running
        return self.values


@pytest.fixture
async def applied(kafka: str, topic: Topic, database: Database) -> AsyncIterator[Applied]:
    producer = await Producer.connect(kafka, name="test")
    yield Applied(kafka, topic, database, producer)
    await producer.close()


async def test_it_begins_where_the_database_says(kafka: str, topic: Topic, applied: Applied) -> None:
    await commit_to_kafka(kafka, topic, 3)
    assert await applied.run() == ["0", "1", "2", "3", "4"]


async def test_a_database_that_is_away_at_the_assignment_costs_no_record(
    kafka: str, topic: Topic, applied: Applied
) -> None:
    """aiokafka swallows an exception of its listener, and goes on from Kafka's own offset."""
    await commit_to_kafka(kafka, topic, 3)
    assign, tries = applied.loop.applier.assign, 0

    async def away(beginnings: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        nonlocal tries
        tries += 1
        if tries <= 3:
            raise Unavailable("database: away")
        return await assign(beginnings)

    applied.loop.applier.assign = away  # type: ignore[method-assign]
    assert await applied.run() == ["0", "1", "2", "3", "4"]
    assert tries > 3


async def test_a_batch_that_failed_is_read_again(applied: Applied) -> None:
    failures = iter([True, True, False])
    applied.fails = lambda: next(failures, False)
    assert await applied.run() == ["0", "1", "2", "3", "4"]


async def test_who_comes_back_under_its_name_has_its_partitions_at_once(kafka: str, topic: Topic) -> None:
    """A process that was killed has not left the group; without a name its successor waits for the session's end."""

    async def joined(member: Consumer, within: float) -> None:
        assigned = asyncio.Event()

        async def note(_partitions: list[TopicPartition]) -> None:
            assigned.set()

        await member.start()
        member.subscribe([topic.name], note)
        async with asyncio.timeout(within):
            while not assigned.is_set():
                await member.poll(timeout_ms=100)

    name = uuid.uuid4().hex
    killed = Consumer(kafka, name="test", group=f"test-{name}", instance=name)
    await joined(killed, 20)
    killed._client._coordinator._heartbeat_task.cancel()  # from now on nothing is heard of it
    successor = Consumer(kafka, name="test", group=f"test-{name}", instance=name)
    await joined(successor, 6)
    await successor.close()
    await killed.close()
