"""Many records at once: every one is acknowledged where it is, in its order, where single ones would be."""

import random
import uuid

import pytest

from libs.common.bus.kafka import Consumer, Producer, create_topics
from libs.common.bus.records import Outgoing, Record
from libs.common.errors import Unavailable
from libs.contracts.topics import Topic

PARTITIONS = 3


async def topics(kafka: str, count: int) -> list[str]:
    made = [
        Topic(
            name=f"test.{uuid.uuid4().hex}",
            key="any",
            says="a test's own",
            messages=(),
            producers=frozenset(),
            consumers=frozenset(),
            partitions=PARTITIONS,
        )
        for _ in range(count)
    ]
    await create_topics(kafka, made, partitions=PARTITIONS, replication=1)
    return [topic.name for topic in made]


async def read(kafka: str, topic: str) -> dict[tuple[int, int], Record]:
    consumer = Consumer(kafka, name="test", group=None)
    await consumer.start()
    try:
        ends = await consumer.ends(await consumer.assign_all(topic))
        found: list[Record] = []
        while len(found) < sum(ends.values()):
            found += await consumer.poll(timeout_ms=500)
        return {(one.partition, one.offset): one for one in found}
    finally:
        await consumer.close()


async def test_many_are_acknowledged_each_at_its_place_and_in_order(kafka: str) -> None:
    names, source = await topics(kafka, 2), random.Random(1)
    records = [
        Outgoing(
            topic=source.choice(names),
            key=f"key-{source.randrange(40)}".encode(),
            value=f"{n} ".encode() + b"x" * source.choice([10, 300, 3_000]),
            headers=[("n", f"{n}".encode())],
        )
        for n in range(3_000)
    ]
    records.insert(7, Outgoing(topic=names[0], key=b"large", value=b"y" * 700_000, headers=[]))
    producer = await Producer.connect(kafka, name="test")
    try:
        acks = await producer.send(records)
        singly = [(await producer.send([one]))[0] for one in records[:20]]
    finally:
        await producer.close()
    assert [partition for partition, _ in singly] == [partition for partition, _ in acks[:20]]
    kept = {name: await read(kafka, name) for name in names}
    for record, ack in zip(records, acks, strict=True):
        found = kept[record.topic][ack]
        assert (found.key, found.value, list(found.headers)) == (record.key, record.value, record.headers)
    last: dict[tuple[str, int], int] = {}
    for record, (partition, offset) in zip(records, acks, strict=True):
        assert offset > last.get((record.topic, partition), -1)
        last[record.topic, partition] = offset


async def test_one_that_is_too_large_is_refused_and_none_is_half_sent(kafka: str) -> None:
    [name] = await topics(kafka, 1)
    records = [Outgoing(topic=name, key=b"k", value=b"v", headers=[]) for _ in range(100)]
    records.append(Outgoing(topic=name, key=b"k", value=b"y" * 5_000_000, headers=[]))
    producer = await Producer.connect(kafka, name="test")
    try:
        with pytest.raises(Unavailable):
            await producer.send(records)
    finally:
        await producer.close()
    assert await read(kafka, name) == {}
