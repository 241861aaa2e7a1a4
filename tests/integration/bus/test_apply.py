"""I4: state and offset commit together; outputs are acknowledged before; a zombie writes nothing."""

import uuid
from collections.abc import AsyncIterator, Sequence

import pytest

from libs.common.bus.apply import Applier
from libs.common.bus.kafka import Consumer, Producer, create_topics
from libs.common.bus.records import Handle, Outcome, Outgoing, Record
from libs.common.db.engine import Connection, Database
from libs.common.errors import Fenced, Unavailable
from libs.contracts.topics import Topic


@pytest.fixture
def topic() -> Topic:
    return Topic(
        name=f"test.{uuid.uuid4().hex}",
        key="any",
        says="a test's own",
        messages=(),
        producers=frozenset(),
        consumers=frozenset({"rules"}),
        partitions=1,
    )


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database_url, name="test")
    async with opened.connection() as connection:
        await connection.execute("CREATE TABLE rules.seen_in_test (value text PRIMARY KEY)")
    yield opened
    await opened.close()


@pytest.fixture
async def producer(kafka: str, topic: Topic) -> AsyncIterator[Producer]:
    await create_topics(kafka, [topic], partitions=1, replication=1)
    opened = await Producer.connect(kafka, name="test")
    yield opened
    await opened.close()


def record(topic: Topic, offset: int, value: bytes = b"v") -> Record:
    return Record(topic=topic.name, partition=0, offset=offset, key=b"k", value=value, headers=(), timestamp=0)


async def remember(connection: Connection, records: Sequence[Record]) -> Outcome:
    """A handler with state: a row for every record. A record `boom` cannot be handled."""
    for one in records:
        if one.value == b"boom":
            raise ValueError("boom")
        await connection.execute("INSERT INTO rules.seen_in_test VALUES ($1)", f"{one.offset}")
    return Outcome()


async def rows(database: Database) -> list[str]:
    async with database.connection() as connection:
        return [row["value"] for row in await connection.fetch("SELECT value FROM rules.seen_in_test ORDER BY 1")]


async def stored(database: Database, topic: Topic) -> int:
    async with database.connection() as connection:
        return int(
            await connection.fetchval("SELECT next_offset FROM rules.consumer_offset WHERE topic = $1", topic.name)
        )


async def owner(database: Database, producer: Producer, topic: Topic, handle: Handle = remember) -> Applier:
    applier = Applier(schema="rules", database=database, producer=producer, handle=handle)
    await applier.assign({(topic.name, 0): 0})
    return applier


async def read_all(kafka: str, name: str) -> list[Record]:
    consumer = Consumer(kafka, name="test", group=None)
    await consumer.start()
    try:
        await consumer.assign_all(name)
        found: list[Record] = []
        ends = await consumer.ends([(name, 0)])
        while len(found) < ends[(name, 0)]:
            found += await consumer.poll(timeout_ms=500)
        return found
    finally:
        await consumer.close()


async def test_state_and_offset_move_together(database: Database, producer: Producer, topic: Topic) -> None:
    applier = await owner(database, producer, topic)
    await applier.apply([record(topic, 0), record(topic, 1)])
    assert await rows(database) == ["0", "1"]
    assert await stored(database, topic) == 2


async def test_records_below_the_position_change_nothing(database: Database, producer: Producer, topic: Topic) -> None:
    applier = await owner(database, producer, topic)
    await applier.apply([record(topic, 0)])
    await applier.apply([record(topic, 0), record(topic, 1)])
    assert await rows(database) == ["0", "1"]


async def test_a_failing_downstream_leaves_neither_state_nor_offset(
    database: Database, producer: Producer, topic: Topic
) -> None:
    async def away(connection: Connection, records: Sequence[Record]) -> Outcome:
        await remember(connection, records)
        raise Unavailable("downstream")

    applier = await owner(database, producer, topic, away)
    with pytest.raises(Unavailable):
        await applier.apply([record(topic, 0)])
    assert await rows(database) == []
    assert await stored(database, topic) == 0
    assert applier.positions == {(topic.name, 0): 0}


async def test_outputs_that_are_not_acknowledged_hold_the_commit_back(
    database: Database, producer: Producer, topic: Topic
) -> None:
    """D4, D5: Faust may commit an offset whose output is still in a buffer; here the offset waits for the ack."""

    class Deaf:
        async def send(self, records: Sequence[Outgoing]) -> None:
            raise Unavailable("kafka: no acknowledgement")

    async def publish(connection: Connection, records: Sequence[Record]) -> Outcome:
        await remember(connection, records)
        return Outcome(outputs=[Outgoing(topic=topic.name, key=b"k", value=b"out", headers=[])])

    applier = await owner(database, Deaf(), topic, publish)  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        await applier.apply([record(topic, 0)])
    assert (await rows(database), await stored(database, topic)) == ([], 0)


async def test_a_zombie_writes_nothing(database: Database, producer: Producer, topic: Topic) -> None:
    zombie = await owner(database, producer, topic)
    successor = await owner(database, producer, topic)
    await successor.apply([record(topic, 0)])
    with pytest.raises(Fenced):
        await zombie.apply([record(topic, 0), record(topic, 1)])
    assert await rows(database) == ["0"]
    assert await stored(database, topic) == 1


async def test_one_poisoned_record_goes_to_quarantine_and_the_others_are_applied(
    database: Database, producer: Producer, topic: Topic, kafka: str
) -> None:
    applier = await owner(database, producer, topic)
    await applier.apply([record(topic, 0), record(topic, 1, b"boom"), record(topic, 2)])
    assert await rows(database) == ["0", "2"]
    assert await stored(database, topic) == 3
    refused = await read_all(kafka, topic.quarantine)
    assert [one.value for one in refused] == [b"boom"]
    headers = dict(refused[0].headers)
    assert headers["kurant-quarantine-position"] == f"{topic.name}/0/1".encode()
    assert headers["kurant-quarantine-cause"] == b"ValueError in the handler"


async def test_a_crash_between_acknowledgement_and_commit_repeats_the_output_and_not_the_state(
    database: Database, producer: Producer, topic: Topic, kafka: str
) -> None:
    class DiesAfterAck:
        async def send(self, records: Sequence[Outgoing]) -> None:
            await producer.send(records)
            raise Unavailable("killed here")

    async def publish(connection: Connection, records: Sequence[Record]) -> Outcome:
        await remember(connection, records)
        return Outcome(outputs=[Outgoing(topic=topic.name, key=b"k", value=b"out", headers=[])])

    first = await owner(database, DiesAfterAck(), topic, publish)  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        await first.apply([record(topic, 0)])
    second = await owner(database, producer, topic, publish)
    await second.apply([record(topic, 0)])
    assert await rows(database) == ["0"]
    assert [one.value for one in await read_all(kafka, topic.name)] == [b"out", b"out"]


async def test_offsets_that_kafka_deleted_are_skipped_openly(
    database: Database, producer: Producer, topic: Topic
) -> None:
    applier = Applier(schema="rules", database=database, producer=producer, handle=remember)
    assert await applier.assign({(topic.name, 0): 7}) == {(topic.name, 0): 7}
    later = Applier(schema="rules", database=database, producer=producer, handle=remember)
    assert await later.assign({(topic.name, 0): 9}) == {(topic.name, 0): 9}
    assert await stored(database, topic) == 9
