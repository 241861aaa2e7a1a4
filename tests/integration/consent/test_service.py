"""The whole service on a real Kafka: a record in, a permission out, the change told; nothing lost by a restart."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from libs.common.bus.kafka import Consumer, Producer, create_topics
from libs.common.bus.records import Outgoing, outgoing
from libs.common.clock import ManualClock
from libs.common.db.engine import Database
from libs.common.db.keys import KeyStore
from libs.common.http.auth import Gate
from libs.common.runtime import Parts
from libs.common.secrets import Secrets
from libs.common.settings import Settings
from libs.contracts import topics
from libs.contracts.consent_changes import ConsentChanged
from libs.contracts.contacts import ContactsTold
from services.consent.app import compose
from tests.integration.consent.conftest import at, consent, told


@pytest.fixture
async def parts(database: Database, kafka: str) -> AsyncIterator[Parts]:
    await create_topics(kafka, [topics.CONTACTS, topics.CONSENT_CHANGES], partitions=4, replication=1)
    secrets = Secrets({"k1": b"1" * 32})
    producer = await Producer.connect(kafka, name="test")
    yield Parts(
        settings=Settings(profile="local", kafka_bootstrap=kafka, public_url="https://c.example"),
        secrets=secrets,
        clock=ManualClock(at(600)),
        database=database,
        producer=producer,
        gate=Gate(service_key=secrets.service_key(), keys=KeyStore(database), local=True),
        stop=asyncio.Event(),
    )
    await producer.close()


@asynccontextmanager
async def running(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    """The service with its tasks, until the end of the block."""
    mine = replace(parts, stop=asyncio.Event())
    app, tasks = await compose(mine)
    headers = {"Authorization": f"Bearer {parts.secrets.service_key()}"}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://c.example", headers=headers) as http:
        running = [asyncio.ensure_future(task()) for task in tasks]  # type: ignore[arg-type]
        try:
            while (await http.get("/readyz")).status_code != 200:
                assert not any(task.done() for task in running)
                await asyncio.sleep(0.05)
            yield http
        finally:
            mine.stop.set()
            await asyncio.gather(*running)


def outgo(message: ContactsTold, minute: float) -> Outgoing:
    id = uuid.uuid4().hex
    time = at(minute)
    return outgoing(topics.CONTACTS, message, key=message.profile, id=id, source="/t", shop="demo", time=time)


async def decide(http: httpx.AsyncClient, profile: str, ack: tuple[int, int]) -> dict[str, str]:
    """The permission as it stands after the record that was acknowledged at `ack`."""
    question = {
        "message": str(uuid.uuid4()),
        "shop": "demo",
        "profile": profile,
        "channels": ["email"],
        "purpose": "marketing",
        "contacts_at": {str(ack[0]): ack[1]},
    }
    while True:
        (answer,) = (await http.post("/v1/decisions", json={"requests": [question]})).json()["decisions"]
        if answer["decision"] != "defer":
            found: dict[str, str] = answer
            return found


async def last_change(kafka: str, profile: str, until: str) -> ConsentChanged:
    """Read the topic of changes until one of `profile` has email/marketing as `until`."""
    consumer = Consumer(kafka, name="test", group=None)
    await consumer.start()
    try:
        await consumer.assign_all(topics.CONSENT_CHANGES.name)
        while True:
            for record in await consumer.poll(timeout_ms=500):
                change = ConsentChanged.decode(record.value)
                if change.profile == profile and change.consents["email"]["marketing"] == until:
                    assert record.key == profile.encode()
                    return change
    finally:
        await consumer.close()


async def test_told_by_kafka_asked_by_http_unsubscribed_by_a_page_and_told_again(parts: Parts, kafka: str) -> None:
    anna = str(uuid.uuid4())
    async with running(parts) as http:
        (ack,) = await parts.producer.send([outgo(told(anna, consent("granted"), email="anna@example.com"), 0)])
        allowed = await decide(http, anna, ack)
        assert (allowed["decision"], allowed["address"]) == ("allow", "anna@example.com")
        assert (await last_change(kafka, anna, "granted")).because == "shop"
        page = allowed["unsubscribe_url"].removeprefix("https://c.example")
        assert (await http.post(page, data={"List-Unsubscribe": "One-Click"})).status_code == 200
        assert (await last_change(kafka, anna, "withdrawn")).because == "link"
        denied = await decide(http, anna, ack)
        assert (denied["decision"], denied["reason"]) == ("deny", "withdrawn")


async def test_what_a_dead_process_left_in_the_outbox_is_told_by_the_next(parts: Parts, kafka: str) -> None:
    """The page's withdrawal was committed, and the process killed before it was published."""
    anna = str(uuid.uuid4())
    async with running(parts) as http:
        (ack,) = await parts.producer.send([outgo(told(anna, consent("granted"), email="anna@example.com"), 0)])
        page = (await decide(http, anna, ack))["unsubscribe_url"].removeprefix("https://c.example")
        await last_change(kafka, anna, "granted")
    app, _ = await compose(parts)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="https://c.example") as half:
        assert (await half.post(page)).status_code == 200
    async with parts.database.connection() as connection:
        waiting = await connection.fetchval("SELECT count(*) FROM consent.outbox")
        assert waiting >= 1  # and the grant's, where it was published and the process stopped before it was let go
    async with running(parts) as http:
        assert (await last_change(kafka, anna, "withdrawn")).status == "withdrawn"
        denied = await decide(http, anna, ack)
        assert denied["reason"] == "withdrawn"


async def test_a_restart_appends_nothing_twice(parts: Parts) -> None:
    people = [str(uuid.uuid4()) for _ in range(50)]
    sent = [outgo(told(one, consent("granted"), email="a@example.com"), 0) for one in people]
    async with running(parts) as http:
        acks = await parts.producer.send(sent[:25])
        await decide(http, people[24], acks[-1])
    acks = await parts.producer.send(sent[25:])
    async with running(parts) as http:
        for person, ack in zip(people[25:], acks, strict=True):
            assert (await decide(http, person, ack))["decision"] == "allow"
        found = (await http.get("/v1/consents/verify", params={"shop": "demo"})).json()
    async with parts.database.connection() as connection:
        rows = await connection.fetchval(
            "SELECT count(*) FROM consent.register WHERE profile = ANY($1::uuid[])", people
        )
    assert (found["ok"], rows) == (True, 50)
