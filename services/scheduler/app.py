"""The composition root of the scheduler: a table of pending steps, a loop that fills it, a ticker that empties it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from fastapi import FastAPI

from libs.common.bus.consumer import Loop
from libs.common.bus.kafka import Producer
from libs.common.bus.records import Outcome, Record
from libs.common.clock import Clock, pause
from libs.common.db.engine import Connection, Database
from libs.common.errors import Unavailable
from libs.common.http.server import build
from libs.common.runtime import Parts, Task
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import OLDEST_DUE, STEP_LATENESS, STEPS_PENDING
from libs.contracts import topics
from services.scheduler import handlers, routes, store
from services.scheduler.ticker import Ticker

log = logger(__name__)
BATCH = 1_000
MEASURE_EVERY = 5.0
"""Seconds between two readings of the counters for the metrics."""
TIDY_EVERY = 720
"""Readings after which empty partitions of the past are looked for: once an hour."""
KEPT = timedelta(days=7)
"""How long an empty partition of the past is kept."""


class Scheduler:
    """Stores what the steps topic says, and fires what is due."""

    def __init__(self, *, database: Database, producer: Producer, clock: Clock, batch: int = BATCH) -> None:
        self._database = database
        self._producer = producer
        self._clock = clock
        self._batch = batch
        self.ticker = Ticker(clock=clock, fire=self.fire, next_due=self.next_due)

    async def handle(self, connection: Connection, records: Sequence[Record]) -> Outcome:
        """One batch of the steps topic (I4: through the connection that moves the offset)."""
        changes = handlers.read(records)
        weeks = sorted({handlers.week(due_at) for due_at, _ in changes.schedule})
        await store.make_partitions(self._database, weeks)
        await store.hold_partitions(connection, weeks)
        cancelled = await store.cancel(connection, changes.cancel)
        added = await store.schedule(connection, changes.schedule.values())
        await store.add_pending(connection, added - cancelled)
        earliest = changes.earliest
        if earliest is not None:
            await store.announce(connection, earliest)

        def wake() -> None:
            if earliest is not None:
                self.ticker.hear(earliest)

        return Outcome(poison=changes.poison, after=wake)

    async def fire(self) -> bool:
        """Fire a batch of due steps; whether there may be more.

        Published and acknowledged before the rows are gone: a crash in between fires them again, which rules
        sees through (I5), and never loses one.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            steps = await store.take_due(connection, now, self._batch)
            if steps:
                await self._producer.send(handlers.due(steps, now))
                await store.add_pending(connection, -len(steps))
        for step in steps:
            STEP_LATENESS.observe((now - step.due_at).total_seconds())
        return len(steps) == self._batch

    async def next_due(self) -> datetime | None:
        """When the oldest pending step is due."""
        async with self._database.connection() as connection:
            return await store.next_due(connection)

    async def listen(self, stop: asyncio.Event) -> None:
        """Let the other replicas wake the ticker, through every loss of the connection, until `stop`."""
        while not stop.is_set():
            try:
                await store.listen(self._database, self.ticker.hear, stop)
            except Unavailable as error:
                log.warning("listening again", error=str(error))
                await pause(stop, 1.0)

    async def tidy(self) -> list[str]:
        """Drop empty partitions of the past; their names."""
        return await store.drop_partitions(self._database, self._clock.now() - KEPT)

    async def keep_house(self, stop: asyncio.Event) -> None:
        """Read the counters for the metrics, and now and then tidy up, until `stop`."""
        OLDEST_DUE.set_function(self.ticker.overdue)
        turn = 0
        while not stop.is_set():
            try:
                async with self._database.connection() as connection:
                    STEPS_PENDING.set(await store.pending(connection))
                if turn % TIDY_EVERY == 0:
                    await self.tidy()
            except Unavailable as error:
                log.info("not now", error=str(error))
            turn += 1
            await pause(stop, MEASURE_EVERY)


async def compose(parts: Parts) -> tuple[FastAPI, list[Task]]:
    """Build the service."""
    scheduler = Scheduler(database=parts.database, producer=parts.producer, clock=parts.clock)
    loop = Loop(
        schema="scheduler",
        topics=[topics.STEPS],
        bootstrap=parts.settings.kafka_bootstrap,
        database=parts.database,
        producer=parts.producer,
        handle=scheduler.handle,
        instance=parts.settings.instance,
    )
    app = build(
        "scheduler",
        clock=parts.clock,
        gate=parts.gate,
        checks={"database": parts.database.ping, "kafka": parts.producer.ping, "partitions": loop.ready},
    )
    routes.install(app, parts, loop)

    async def consume() -> None:
        await loop.run(parts.stop)

    async def tick() -> None:
        await scheduler.ticker.run(parts.stop)

    async def listen() -> None:
        await scheduler.listen(parts.stop)

    async def keep_house() -> None:
        await scheduler.keep_house(parts.stop)

    return app, [consume, tick, listen, keep_house]
