"""Faust 0.15.3 can commit past unprocessed events (D1-D6). Each defect is shown on stock Faust, then not on ours."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import Consumer as StockConsumer
from faust.types import TP
from intervaltree import IntervalTree

from libs.common.bus.apply import Applier
from libs.common.bus.kafka import Producer, create_topics
from libs.common.bus.records import Outcome, Outgoing, Record
from libs.common.db.engine import Connection, Database
from libs.contracts.topics import Topic
from services.rules.stream import Stream, _Consumer

PARTITION = TP("kurant.events.v1", 0)


def bookkeeping(kind: type[Any], *, committed: int | None, acked: list[int]) -> Any:
    """A consumer with the state that decides which offset may be committed, and nothing else."""
    consumer = kind.__new__(kind)
    consumer._acked = defaultdict(list, {PARTITION: list(acked)})
    consumer._acked_index = defaultdict(set, {PARTITION: set(acked)})
    consumer._gap = defaultdict(IntervalTree)
    consumer._committed_offset = defaultdict(lambda: None, {PARTITION: committed})
    return consumer


def ours(*, applied: int) -> Any:
    consumer = bookkeeping(_Consumer, committed=5, acked=[6, 7])
    consumer._applier = Applier.__new__(Applier)
    consumer._applier.positions = {tuple(PARTITION): applied}
    return consumer


def test_d1_the_head_in_flight_is_committed_past() -> None:
    # committed 5 means: 5 is the next to process. It is in flight, 6 and 7 are done.
    stock = bookkeeping(StockConsumer, committed=5, acked=[6, 7])
    assert stock._filter_committable_offsets([PARTITION]) == {PARTITION: 8}, "stock Faust no longer has D1"
    assert ours(applied=5)._filter_committable_offsets([PARTITION]) == {PARTITION: 5}


@pytest.mark.parametrize("committed", [None, 0])
def test_d2_the_first_events_of_a_partition_are_committed_past(committed: int | None) -> None:
    stock = bookkeeping(StockConsumer, committed=committed, acked=[3])
    assert stock._filter_committable_offsets([PARTITION]) == {PARTITION: 4}, "stock Faust no longer has D2"
    assert ours(applied=0)._filter_committable_offsets([PARTITION]) == {}


async def test_d3_the_event_after_a_gap_is_counted_as_part_of_it() -> None:
    # offsets 6-8 were compacted away; 9 has been received and not processed; 5 is done.
    stock = bookkeeping(StockConsumer, committed=5, acked=[5])
    await stock._add_gap(PARTITION, 6, 9)
    stock._acked[PARTITION].append(10)
    assert stock._filter_committable_offsets([PARTITION]) == {PARTITION: 11}, "stock Faust no longer has D3"
    mine = ours(applied=9)
    await mine._add_gap(PARTITION, 6, 9)
    assert mine._filter_committable_offsets([PARTITION]) == {PARTITION: 9}


def test_acks_decide_nothing() -> None:
    """An exception in an agent acks the event in stock Faust; here an ack moves no position."""

    class Message:
        acked = False
        tp, offset, topic = PARTITION, 6, PARTITION.topic

    mine = ours(applied=5)
    mine._unacked_messages = set()
    message = Message()
    assert mine.ack(message)
    assert message.acked
    assert mine._filter_committable_offsets([PARTITION]) == {PARTITION: 5}


class Raw:
    """A record as aiokafka gives it."""

    topic, partition, offset, key, value, headers, timestamp = PARTITION.topic, 0, 7, None, b"7", (), 0


class Seeking(_Consumer):
    """Our consumer with a fetch that a test lets something happen in, and with seeks that it counts."""

    def __init__(self) -> None:
        self._missed, self._seeking, self.epoch, self.seeks = False, 0, 0, 0
        self.active, self.meanwhile = True, lambda: None
        self._read_offset: dict[TP, int] = {}
        self._rules = SimpleNamespace(on_seek=lambda: None)

    flow_active = property(lambda self: self.active)
    should_stop = property(lambda self: False)

    async def _to_stored(self) -> None:
        self.seeks += 1

    async def _wait_next_records(self, timeout: float) -> Any:
        self.meanwhile()
        return {PARTITION: [Raw]}, None

    def _to_message(self, tp: TP, record: Any) -> Any:
        return SimpleNamespace(tp=tp, offset=record.offset)

    async def poll(self) -> list[int]:
        return [record.offset async for _, message in self.getmany(1.0) for record in message.value[1]]


async def test_what_was_fetched_around_a_seek_is_fetched_again() -> None:
    """The client goes on behind what it has given: what is not handed on must be gone back to, or it is lost."""

    def a_seek_begins_and_ends(consumer: Seeking) -> None:
        consumer.epoch += 2

    def a_seek_begins(consumer: Seeking) -> None:
        consumer._seeking = 1

    def the_flow_stops(consumer: Seeking) -> None:
        consumer.active = False

    for happens in (a_seek_begins_and_ends, a_seek_begins, the_flow_stops):
        consumer = Seeking()
        assert await consumer.poll() == [7]
        consumer.meanwhile = lambda happens=happens, consumer=consumer: happens(consumer)  # type: ignore[misc]
        assert await consumer.poll() == [], happens
        consumer.meanwhile = lambda: None
        consumer.active, consumer._seeking = True, 0
        assert (await consumer.poll(), consumer.seeks) == ([7], 1), happens
        assert (await consumer.poll(), consumer.seeks) == ([7], 1), happens


async def test_a_poll_that_waited_for_the_flow_is_of_the_time_after_the_seek() -> None:
    """Faust seeks while the flow is stopped: the first poll afterwards is good, and nothing goes back again."""
    consumer = Seeking()
    consumer.active = False

    async def resumes(_event: object) -> None:
        await consumer.perform_seek()
        consumer.active = True

    consumer.wait, consumer.can_resume_flow = resumes, None  # type: ignore[assignment,method-assign]
    assert (await consumer.poll(), consumer.seeks) == ([7], 1)


async def at_once() -> None:
    return


class Running:
    """Our stream on a topic of its own, with a handler that notes what it was given."""

    def __init__(self, kafka: str, database: Database, producer: Producer, topic: str, group: str) -> None:
        self.seen: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.stop = asyncio.Event()
        self.applier = Applier(schema="rules", database=database, producer=producer, handle=self._handle)
        self.stream = Stream(
            bootstrap=kafka,
            group=group,
            topics=[topic],
            applier=self.applier,
            forget=lambda: None,
            read_first=(topic, "none"),
            settled=at_once,
        )
        self.task = asyncio.create_task(self.stream.run(self.stop))

    async def _handle(self, _connection: Connection, records: Sequence[Record]) -> Outcome:
        await self.gate.wait()
        self.seen += [int(record.value or b"") for record in records]
        return Outcome()

    async def until(self, count: int, position: int) -> None:
        async with asyncio.timeout(40):
            while len(self.seen) < count or sum(self.applier.positions.values()) < position:
                await asyncio.sleep(0.01)

    async def end(self) -> None:
        self.stop.set()
        self.gate.set()
        await self.task


async def fill(producer: Producer, topic: str, numbers: range) -> None:
    await producer.send([Outgoing(topic=topic, key=b"k", value=b"%d" % n, headers=[]) for n in numbers])


async def test_d6_what_was_fetched_before_a_seek_is_neither_applied_nor_skipped(kafka: str, database_url: str) -> None:
    """A batch of an old generation is dropped, its offsets stand, and it comes again: nothing lost, all in order."""
    name = f"test.{uuid.uuid4().hex}"
    topic = Topic(
        name=name,
        key="k",
        says="",
        messages=(),
        producers=frozenset(),
        consumers=frozenset({"rules"}),
        partitions=1,
    )
    await create_topics(kafka, [topic], partitions=1, replication=1)
    database = await Database.connect(database_url, name="test")
    producer = await Producer.connect(kafka, name="test")
    running = Running(kafka, database, producer, name, f"group-{name}")
    try:
        await fill(producer, name, range(10))
        await running.until(10, 10)
        running.gate.clear()  # the next batch hangs in the handler while another waits in Faust's queue
        await fill(producer, name, range(10, 20))
        await asyncio.sleep(0.3)
        await fill(producer, name, range(20, 30))
        await asyncio.sleep(0.3)
        seek = asyncio.create_task(running.stream._app.consumer.perform_seek())  # what a rebalance does
        await asyncio.sleep(0.1)
        running.gate.set()
        await seek
        await running.until(30, 30)
        assert running.seen[:10] == list(range(10))
        assert sorted(set(running.seen)) == list(range(30))
        assert running.applier.positions == {(name, 0): 30}
        first_seen = list(dict.fromkeys(running.seen))
        assert first_seen == sorted(first_seen), "applied out of order"
    finally:
        await running.end()
        await producer.close()
        await database.close()


async def test_it_starts_where_postgres_says_whatever_kafka_says(kafka: str, database_url: str) -> None:
    """The group's committed offset in Kafka is moved to the end; the stored one decides."""
    name = f"test.{uuid.uuid4().hex}"
    topic = Topic(
        name=name,
        key="k",
        says="",
        messages=(),
        producers=frozenset(),
        consumers=frozenset({"rules"}),
        partitions=1,
    )
    await create_topics(kafka, [topic], partitions=1, replication=1)
    database = await Database.connect(database_url, name="test")
    producer = await Producer.connect(kafka, name="test")
    await fill(producer, name, range(8))
    async with database.connection() as connection:
        await connection.execute("INSERT INTO rules.consumer_offset VALUES ($1, 0, 5)", name)
    running = Running(kafka, database, producer, name, f"group-{name}")
    try:
        await running.until(3, 8)
        assert running.seen == [5, 6, 7]
    finally:
        await running.end()
        await producer.close()
        await database.close()
