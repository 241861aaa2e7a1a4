"""The composition root of dispatch: a loop that keeps what is asked for, workers that send it, a teller."""

import asyncio
import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from fastapi import FastAPI

from libs.common import shops
from libs.common.bus.consumer import Loop
from libs.common.bus.records import Outcome, Record
from libs.common.bus.table import Table
from libs.common.db.engine import Connection
from libs.common.http.client import Client
from libs.common.http.server import build
from libs.common.runtime import Parts, Task
from libs.common.telemetry import trace
from libs.common.telemetry.log import logger
from libs.contracts import topics
from libs.domain.mail import Links
from libs.domain.template.shelf import Shelf
from services.dispatch import channels, handlers, routes, settings, store
from services.dispatch.clients import Consent
from services.dispatch.stream import Teller
from services.dispatch.ticker import Worker

log = logger(__name__)
PATIENCE = 60.0
"""Seconds for which a process that begins waits for what was published while nobody read: messages may be cancelled."""


class Dispatch:
    """Keeps what the messages topic asks for, and has it sent."""

    def __init__(
        self, parts: Parts, gateways: channels.Gateways[channels.Gateway | channels.Hooks], consent: Consent
    ) -> None:
        self._clock = parts.clock
        self.shelf = Shelf()
        self.teller = Teller(database=parts.database, producer=parts.producer, clock=parts.clock)
        base = parts.settings.public_url or parts.settings.dispatch_url
        hooks = channels.Hooks(
            keys=parts.secrets.webhook_keys,
            now=parts.clock.now,
            anywhere=parts.settings.profile == "local",
        )

        def worker(queue: store.Queue, ways: channels.Gateways[channels.Gateway | channels.Hooks]) -> Worker:
            return Worker(
                database=parts.database,
                clock=parts.clock,
                consent=consent,
                gateways=ways,
                queue=queue,
                shelf=self.shelf,
                links=Links(base=base.rstrip("/"), sign=parts.secrets.sign),
                shops=shops_of(parts.settings.shops),
                untold=self.teller.wake,
            )

        self.worker = worker("messages", gateways)
        self.caller = worker("calls", channels.Gateways([hooks]))

    async def handle(self, connection: Connection, records: Sequence[Record]) -> Outcome:
        """One batch of the messages topic (I4: through the connection that moves the offset)."""
        asked, cancelled, poison = handlers.decode(records)
        traced = []
        for one in asked:
            with trace.span("dispatch.requested", one.traceparent, "consumer") as traceparent:
                traced.append(handlers.traced(one, traceparent))
        if traced:
            await store.insert(connection, traced, self._clock.now(), by=self.worker.name)
        if cancelled:
            await store.cancel(connection, cancelled, self._clock.now(), by=self.worker.name)
        return Outcome(poison=poison, after=self._wake)

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`, finish what is under way, and tell of all of it."""
        finished = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.teller.run(finished))
            async with asyncio.TaskGroup() as workers:
                workers.create_task(self.worker.run(stop))
                workers.create_task(self.caller.run(stop))
            finished.set()

    def _wake(self) -> None:
        self.worker.wake()
        self.caller.wake()

    def learn(self, record: Record) -> None:
        """One record of the scenarios topic."""
        handlers.learn(self.shelf, record)
        self.worker.hear_news()


def shops_of(path: str | None) -> dict[str, dict[str, str]]:
    """What templates may say of each shop."""
    return {id: {"name": shop.name, "url": shop.url} for id, shop in shops.load(path).items()}


def fallback_sender(public_url: str | None) -> str:
    """Who writes when neither the gateways file nor the author says: no-reply at the platform's own name."""
    host = urlsplit(public_url or "").hostname or ""
    try:
        ipaddress.ip_address(host)
        host = ""
    except ValueError:
        pass
    return f"no-reply@{host or 'kurant.localhost'}"


async def compose(parts: Parts) -> tuple[FastAPI, list[Task]]:
    """Build the service."""
    found = settings.load(parts.settings.gateways)
    for gateway in found:
        if gateway.sender is None:
            log.warning("this gateway has no sender: name one in the gateways file", gateway=gateway.name)
    gateways = channels.build(found, fallback_sender(parts.settings.public_url))
    consent = Consent(Client(parts.settings.consent_url, parts.secrets.service_key()))
    dispatch = Dispatch(parts, gateways, consent)
    scenarios = Table(
        name="dispatch", topic=topics.SCENARIOS, bootstrap=parts.settings.kafka_bootstrap, apply=dispatch.learn
    )
    loop = Loop(
        schema="dispatch",
        topics=[topics.MESSAGES],
        bootstrap=parts.settings.kafka_bootstrap,
        database=parts.database,
        producer=parts.producer,
        handle=dispatch.handle,
        instance=parts.settings.instance,
    )
    app = build(
        "dispatch",
        clock=parts.clock,
        gate=parts.gate,
        checks={
            "database": parts.database.ping,
            "kafka": parts.producer.ping,
            "scenarios": scenarios.ready,
            "partitions": loop.ready,
        },
    )
    routes.install(app, parts, loop, dispatch.teller.wake_for_touch)

    async def follow() -> None:
        await scenarios.run(parts.stop)

    async def consume() -> None:
        await loop.run(parts.stop)

    async def work() -> None:
        if await scenarios.wait_complete():
            if not await loop.read_so_far(parts.stop, PATIENCE):
                log.warning("messages go out though not all cancellations have been read", seconds=PATIENCE)
            await dispatch.run(parts.stop)
        await consent.close()

    return app, [follow, consume, work]
