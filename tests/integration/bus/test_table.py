"""A table is complete when it was read to the end, however slowly the broker answers."""

import asyncio
import uuid
from typing import Any

from libs.common.bus.kafka import Consumer, Producer, create_topics
from libs.common.bus.records import Outgoing, Record
from libs.common.bus.table import Table
from libs.contracts.topics import Topic


async def table_topic(kafka: str, values: int) -> Topic:
    topic = Topic(
        name=f"test.{uuid.uuid4().hex}",
        key="any",
        says="a test's own",
        messages=(),
        producers=frozenset(),
        consumers=frozenset(),
        compacted=True,
        partitions=1,
    )
    await create_topics(kafka, [topic], partitions=1, replication=1)
    producer = await Producer.connect(kafka, name="test")
    await producer.send(
        [Outgoing(topic=topic.name, key=f"{n}".encode(), value=b"v", headers=[]) for n in range(values)]
    )
    await producer.close()
    return topic


async def completed(kafka: str, topic: Topic, consumer: Any = None) -> list[Record]:
    """What a table has applied at the moment at which it says that it is complete."""
    applied: list[Record] = []
    table, stop = Table(name="test", topic=topic, bootstrap=kafka, apply=applied.append), asyncio.Event()
    if consumer:
        table._consumer = consumer
    running = asyncio.create_task(table.run(stop))
    async with asyncio.timeout(30):
        await table.wait_complete()
    found = list(applied)
    stop.set()
    await running
    return found


async def test_an_empty_one_is_complete_at_once(kafka: str) -> None:
    assert await completed(kafka, await table_topic(kafka, 0)) == []


async def test_polls_without_records_do_not_make_it_complete(kafka: str) -> None:
    """Rules that believes to know every scenario would let events pass that it should act on."""
    topic = await table_topic(kafka, 20)

    class Slow(Consumer):
        polls = 0

        async def poll(self, *, timeout_ms: int = 500, max_records: int = 2_000) -> list[Record]:
            self.polls += 1
            if self.polls <= 3:
                await asyncio.sleep(0)  # as a poll that waited in vain: others go on
                return []
            return await super().poll(timeout_ms=timeout_ms, max_records=7)

    found = await completed(kafka, topic, Slow(kafka, name="test", group=None))
    assert [record.offset for record in found] == list(range(20))


async def test_who_waits_is_let_go_when_it_ends_before_it_is_complete(kafka: str) -> None:
    """Else a service that is asked to stop while it starts would never end."""
    topic = await table_topic(kafka, 1)
    table, stop = Table(name="test", topic=topic, bootstrap=kafka, apply=lambda record: None), asyncio.Event()
    waiting = asyncio.create_task(table.wait_complete())
    stop.set()
    async with asyncio.timeout(10):
        await table.run(stop)
        assert await waiting is False
        assert await table.wait_complete() is False
