"""The service as it is composed, on a real Kafka: a message in, a mail and a delivery out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from libs.common.bus.kafka import Consumer, Producer, create_topics
from libs.common.bus.records import outgoing
from libs.common.clock import REAL
from libs.common.db.engine import Database
from libs.common.db.keys import KeyStore
from libs.common.errors import Misconfigured
from libs.common.http.auth import Gate
from libs.common.runtime import Parts
from libs.common.settings import Settings
from libs.contracts import topics
from libs.contracts.messages import Delivered, MessageCancelled
from libs.contracts.scenarios import ScenarioPublished
from services.dispatch import store
from services.dispatch.app import compose, fallback_sender
from services.dispatch.handlers import Incoming
from tests.integration.dispatch.conftest import FILES, SECRETS, address, request, until
from tests.support.mailserver import MailServer
from tests.support.web import Web


@pytest.fixture
async def parts(database: Database, kafka: str, web: Web, mails: MailServer, tmp_path: Path) -> AsyncIterator[Parts]:
    await create_topics(kafka, topics.ALL, partitions=2, replication=1)
    gateways = tmp_path / "gateways.yaml"
    gateways.write_text(f'gateways:\n  - {{name: mail, kind: smtp, url: "smtp://127.0.0.1:{mails.port}"}}\n')
    producer = await Producer.connect(kafka, name="test")
    yield Parts(
        settings=Settings(kafka_bootstrap=kafka, consent_url=web.url, gateways=str(gateways)),  # type: ignore[call-arg]
        secrets=SECRETS,
        clock=REAL,
        database=database,
        producer=producer,
        gate=Gate(service_key=SECRETS.service_key(), keys=KeyStore(database), local=True),
        stop=asyncio.Event(),
    )
    await producer.close()


async def test_from_topic_to_mail_to_topic(parts: Parts, mails: MailServer) -> None:
    now = datetime.now(UTC)
    published = ScenarioPublished(scenario="abandoned-cart", version=1, published_at=now, files=FILES)
    asked = request("anna", requested_at=now, due_at=now, expires_at=None, cause_at=now)
    traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
    _, tasks = await compose(parts)
    running = [asyncio.ensure_future(task()) for task in tasks]  # type: ignore[arg-type]
    await parts.producer.send(
        [
            outgoing(
                topics.SCENARIOS, published, key="demo/abandoned-cart@1", id="s", source="/t", shop="demo", time=now
            ),
            *(
                outgoing(
                    topics.MESSAGES,
                    asked,
                    key=asked.profile,
                    id=asked.message,
                    source="/t",
                    shop="demo",
                    time=now,
                    traceparent=traceparent,
                )
                for _ in range(2)
            ),
        ]
    )
    await until(lambda: mails.received)
    told = await _told(parts.settings.kafka_bootstrap)
    parts.stop.set()
    await asyncio.gather(*running)
    (mail,) = mails.to(address("anna"))
    assert mail.mail["traceparent"] == traceparent
    assert mail.mail["From"] == "Sofas <no-reply@kurant.localhost>"
    assert (told.message, told.status, told.gateway) == (asked.message, "sent", "mail")


async def test_what_was_cancelled_while_nobody_read_does_not_go_out(parts: Parts, mails: MailServer) -> None:
    """The message was put off when its process was killed; its customer has bought since (ADR 0024)."""
    now = datetime.now(UTC)
    published = ScenarioPublished(scenario="abandoned-cart", version=1, published_at=now, files=FILES)
    asked, other = (
        request(who, requested_at=now, due_at=now, expires_at=None, cause_at=now) for who in ("anna", "ben")
    )
    cancelled = MessageCancelled(message=asked.message, profile=asked.profile, because="exit")
    await parts.producer.send(
        [outgoing(topics.SCENARIOS, published, key="demo/abandoned-cart@1", id="s", source="/t", shop="demo", time=now)]
    )
    incoming = [Incoming(shop="demo", traceparent=None, request=one, body=one.encode()) for one in (asked, other)]
    async with parts.database.transaction() as connection:
        await store.insert(connection, incoming, now, by="one that was killed")
    told = outgoing(topics.MESSAGES, cancelled, key=asked.profile, id="c", source="/t", shop="demo", time=now)
    await parts.producer.send([told])
    _, tasks = await compose(parts)
    running = [asyncio.ensure_future(task()) for task in tasks]  # type: ignore[arg-type]
    await until(lambda: mails.received)
    parts.stop.set()
    await asyncio.gather(*running)
    assert mails.to(address("anna")) == []
    assert len(mails.to(address("ben"))) == 1


async def _told(bootstrap: str) -> Delivered:
    consumer = Consumer(bootstrap, name="test", group=None)
    await consumer.start()
    try:
        await consumer.assign_all(topics.DELIVERIES.name)
        async with asyncio.timeout(10):
            while True:
                for record in await consumer.poll(timeout_ms=200):
                    return Delivered.decode(record.value)
    finally:
        with contextlib.suppress(Exception):
            await consumer.close()


async def test_a_gateway_that_is_not_there_yet_is_refused_at_the_start(parts: Parts) -> None:
    await asyncio.to_thread(
        Path(parts.settings.gateways).write_text, "gateways: [{name: sms, kind: smsapi, url: 'https://x'}]"
    )
    with pytest.raises(Misconfigured, match="kind 'smsapi' is not available in this version"):
        await compose(parts)


@pytest.mark.parametrize(
    ("public", "sender"),
    [
        (None, "no-reply@kurant.localhost"),
        ("http://127.0.0.1:8083", "no-reply@kurant.localhost"),
        ("https://mail.shop.example/x", "no-reply@mail.shop.example"),
    ],
)
def test_who_writes_when_nobody_says(public: str | None, sender: str) -> None:
    assert fallback_sender(public) == sender
