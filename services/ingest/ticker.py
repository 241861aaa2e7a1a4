"""What ingest does by itself: drains the spill when Kafka is back, publishes merges that a crash left, tidies up."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from libs.common.clock import Clock, first_of
from libs.common.db.engine import Database
from libs.common.errors import Unavailable
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import EVENTS_SPILLED
from services.ingest import store
from services.ingest.handlers import Canonical

log = logger(__name__)
BATCH = 500
EVERY = 1.0
"""Real seconds between two looks, when nobody says that something was spilled."""
TIDY_EVERY = 600
"""Looks between two tidyings."""
KEPT = timedelta(days=30)
"""How long a repeat of an event is recognised at the door."""


class Publisher(Protocol):
    """What is needed of `stream.Intake`."""

    away: bool
    spilled: asyncio.Event

    async def ping(self) -> None: ...
    async def publish_merges(self) -> None: ...
    async def publish(self, events: Sequence[Canonical]) -> None: ...
    def unseal(self, sealed: bytes) -> Canonical: ...


class Drain:
    """Empties the spill in order. Replicas take turns by an advisory lock."""

    def __init__(self, *, database: Database, intake: Publisher, clock: Clock) -> None:
        self._database = database
        self._intake = intake
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Look, drain and tidy until `stop`."""
        turn = 0
        while not stop.is_set():
            try:
                while await self.drain():
                    pass
                if turn % TIDY_EVERY == 0:
                    await self.tidy()
            except Unavailable as error:
                log.info("not now", error=str(error))
            turn += 1
            await self._pause(stop)

    async def drain(self) -> bool:
        """Publish the oldest that waits; whether there may be more. Raises `Unavailable` while Kafka is away."""
        async with self._database.transaction() as connection:
            waits = await store.waiting(connection)
            EVENTS_SPILLED.set(await store.count_spilled(connection) if waits else 0)
            if not waits:
                if self._intake.away:
                    await self._intake.ping()
                    self._intake.away = False
                return False
            if not await store.try_drain(connection):
                return False
            await self._intake.ping()
            await self._intake.publish_merges()
            rows = await store.spilled(connection, BATCH)
            if rows:
                await self._intake.publish([self._intake.unseal(sealed) for _, sealed in rows])
                await store.unspill(connection, [number for number, _ in rows])
        if rows:
            log.info("drained", events=len(rows))
        EVENTS_SPILLED.dec(len(rows))
        self._intake.away = False
        return len(rows) == BATCH

    async def tidy(self) -> list[str]:
        """Forget repeats of weeks long past; the names of the partitions dropped."""
        return await store.drop_weeks(self._database, (self._clock.now() - KEPT).date())

    async def _pause(self, stop: asyncio.Event) -> None:
        """Wait a while, shorter when something is spilled here; at once at the end."""
        self._intake.spilled.clear()
        await first_of(stop, self._intake.spilled, seconds=EVERY)
        if self._intake.spilled.is_set() and not stop.is_set():
            await asyncio.sleep(0.1)
