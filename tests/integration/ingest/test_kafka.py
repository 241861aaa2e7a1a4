"""On a real broker: positions of contacts in events, the inbox topic, quarantine, a broker that comes back."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from cli.local.kafka import Kafka as KafkaServer
from cli.local.ports import free_port
from cli.local.process import Child
from libs.common.bus.consumer import Loop
from libs.common.bus.kafka import Consumer, Producer, create_topics
from libs.common.bus.records import Outcome, Outgoing, Record
from libs.common.clock import ManualClock
from libs.common.db.engine import Connection, Database
from libs.common.errors import Unavailable
from libs.contracts import topics
from libs.contracts.envelope import Envelope
from libs.contracts.events import EventOccurred
from services.ingest.stream import Inbox
from tests.integration.ingest.conftest import KEY, Door, make_door
from tests.support import servers

TOPICS = (topics.EVENTS, topics.CONTACTS, topics.INBOX)
Read = Callable[[str], Awaitable[list[Record]]]


@pytest.fixture
async def producer(kafka: str) -> AsyncIterator[Producer]:
    await create_topics(kafka, TOPICS, partitions=4, replication=1)
    opened = await Producer.connect(kafka, name="test")
    yield opened
    await opened.close()


@pytest.fixture
async def live(database: Database, producer: Producer) -> AsyncIterator[Door]:
    made = make_door(database, producer, ManualClock(datetime(2026, 3, 2, 12, 0, tzinfo=UTC)))
    yield made
    await made.client.aclose()


@pytest.fixture
async def read(kafka: str) -> Read:
    """Everything that a topic holds."""

    async def whole(topic: str) -> list[Record]:
        return await everything(kafka, topic)

    return whole


async def everything(bootstrap: str, topic: str) -> list[Record]:
    consumer = Consumer(bootstrap, name="test", group=None)
    await consumer.start()
    try:
        partitions = await consumer.assign_all(topic)
        ends = await consumer.ends(partitions)
        found: list[Record] = []
        while len(found) < sum(ends.values()):
            found += await consumer.poll(timeout_ms=200)
        return found
    finally:
        await consumer.close()


async def test_an_event_names_the_position_of_what_its_sender_told(live: Door, read: Read) -> None:
    events = [live.event(id=f"k-{n}", email=f"k{n}@example.com") for n in range(20)]
    answer = await live.client.post("/v1/events", json=events, headers=KEY)
    assert answer.json()["accepted"] == 20
    told = {(str(one.partition), one.offset): one for one in await read(topics.CONTACTS.name)}
    occurred = [one for one in await read(topics.EVENTS.name) if Envelope.read(one.headers).id.startswith("k-")]
    assert len(occurred) == 20
    for record in occurred:
        event = EventOccurred.decode(record.value)
        ((partition, offset),) = event.contacts_at.items()
        assert told[(partition, offset)].key == record.key == event.profile.encode()


async def test_the_inbox_topic_is_a_door_like_http(
    live: Door, producer: Producer, kafka: str, database: Database, read: Read
) -> None:
    def inbox(value: bytes, *headers: tuple[str, bytes]) -> Outgoing:
        return Outgoing(topic=topics.INBOX.name, key=b"any", value=value, headers=list(headers))

    def event(**change: Any) -> bytes:
        told = live.event("custom.inbox", user_id="42") | change
        return json.dumps({name: value for name, value in told.items() if value is not None}).encode()

    binary = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"bin"),
        ("ce_source", b"/shops/demo/x"),
        ("ce_type", b"custom.inbox"),
    ]
    repeat = event(id="twice")
    await producer.send(
        [
            inbox(event(id="one")),
            inbox(b"{not json"),
            inbox(event(source="no shop named")),
            inbox(event(id="bad", data={"email": "anna.nowak@"})),
            inbox(repeat),
            inbox(repeat),
            inbox(event(id="elsewhere", source="/shops/other/web")),
            inbox(b'{"user_id": "42"}', *binary),
        ]
    )
    stop = asyncio.Event()
    loop = Loop(
        schema="ingest",
        topics=[topics.INBOX],
        bootstrap=kafka,
        database=database,
        producer=producer,
        handle=Inbox(live.intake).handle,
    )
    running = asyncio.ensure_future(loop.run(stop))
    async with asyncio.timeout(40):
        while await live.fetchval("SELECT coalesce(sum(next_offset), 0)::int FROM ingest.consumer_offset") < 8:
            await asyncio.sleep(0.05)
    stop.set()
    await running
    taken = [one for one in await read(topics.EVENTS.name) if dict(one.headers)["ce_type"] == b"custom.inbox"]
    ids = sorted((Envelope.read(one.headers).shop, Envelope.read(one.headers).id) for one in taken)
    assert ids == [("demo", "bin"), ("demo", "one"), ("demo", "twice"), ("other", "elsewhere")]
    refused = await read(topics.INBOX.quarantine)
    causes = [dict(one.headers)["kurant-quarantine-cause"].decode() for one in refused]
    assert causes == [
        "invalid: event: is not JSON",
        "invalid: source: must be /shops/<shop>/...",
        "invalid: data.email: is not an e-mail address",
    ]


async def test_the_inbox_is_unread_until_it_is_taken_also_behind_transactions(
    live: Door, producer: Producer, kafka: str, database: Database
) -> None:
    """The marker that ends a transaction has an offset, and is never given to us as a record."""
    inbox, gate = Inbox(live.intake), asyncio.Event()

    async def take(connection: Connection, records: Sequence[Record]) -> Outcome:
        await gate.wait()
        return await inbox.handle(connection, records)

    loop = Loop(
        schema="ingest", topics=[topics.INBOX], bootstrap=kafka, database=database, producer=producer, handle=take
    )
    stop = asyncio.Event()
    running = asyncio.ensure_future(loop.run(stop))
    shop = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id="shop")
    await shop.start()
    try:
        gate.set()
        await _until(loop, 0)
        gate.clear()
        async with shop.transaction():
            event = live.event("custom.transaction", id="tx", user_id="42")
            await shop.send_and_wait(topics.INBOX.name, json.dumps(event).encode())
        await _until(loop, 2)
        gate.set()
        await _until(loop, 0)
    finally:
        gate.set()
        stop.set()
        await running
        await shop.stop()


async def _until(loop: Loop, unread: int) -> None:
    async with asyncio.timeout(40):
        while True:
            with suppress(Unavailable):
                await loop.ready()
                if await loop.unread() == unread:
                    return
            await asyncio.sleep(0.05)


async def test_a_broker_that_dies_and_comes_back_loses_nothing(database: Database, tmp_path: Path) -> None:
    """`kill -9` of the only broker: 202 all the while, and then everything, in its order."""
    broker = KafkaServer(tmp_path / "kafka", port=free_port(), controller=free_port(), log=tmp_path / "kafka.log")
    broker.prepare()
    child = Child(broker.command())
    producer: Producer | None = None
    try:
        await asyncio.to_thread(servers.wait_ready, broker, child)
        await create_topics(broker.bootstrap, TOPICS, partitions=1, replication=1)
        producer = await Producer.connect(broker.bootstrap, name="test")
        door = make_door(database, producer, ManualClock(datetime(2026, 3, 2, 12, 0, tzinfo=UTC)))
        await door.take(door.event("custom.x", id="k-0", user_id="42"))
        os.kill(child.pid, signal.SIGKILL)
        for number in range(1, 4):
            await door.take(door.event("custom.x", id=f"k-{number}", user_id="42"))
        assert await door.fetchval("SELECT count(*) FROM ingest.spill") == 3
        child.stop()
        child = Child(broker.command())
        await asyncio.to_thread(servers.wait_ready, broker, child)
        async with asyncio.timeout(30):
            while await door.fetchval("SELECT count(*) FROM ingest.spill"):
                with suppress(Unavailable):
                    await door.drain.drain()
                await asyncio.sleep(0.1)
        await door.take(door.event("custom.x", id="k-4", user_id="42"))
        told = [Envelope.read(one.headers).id for one in await everything(broker.bootstrap, topics.EVENTS.name)]
        assert list(dict.fromkeys(told)) == [f"k-{number}" for number in range(5)]
        await door.client.aclose()
    finally:
        if producer:
            await producer.close()
        child.stop()
