"""Tells the others: ends and deferrals on the deliveries topic, clicks and openings as events.

What is to be told is in the database before it is told, and is marked only when the broker has it: a crash in
between tells it twice, under the same id, and loses nothing.
"""

import asyncio

from libs.common.bus.consumer import BACKOFF
from libs.common.bus.kafka import Producer
from libs.common.clock import Clock
from libs.common.db.engine import Database
from libs.common.errors import Unavailable
from libs.common.telemetry.log import logger
from services.dispatch import store
from services.dispatch.handlers import news

log = logger(__name__)
BATCH = 500
LOOK_EVERY = 2.0
"""Real seconds until a look for what others left untold."""


class Teller:
    """Publishes whatever is untold, by whomever it was left."""

    def __init__(self, *, database: Database, producer: Producer, clock: Clock) -> None:
        self._database = database
        self._producer = producer
        self._clock = clock
        self._wake = asyncio.Event()
        self._touched = True

    def wake(self) -> None:
        """There is an end or a deferral to tell."""
        self._wake.set()

    def wake_for_touch(self) -> None:
        """There is a click or an opening to tell."""
        self._touched = True
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Tell until `stop`, and then once more."""
        failures = 0
        stopping = asyncio.ensure_future(self._wake_at_end(stop))
        try:
            while not stop.is_set():
                self._wake.clear()
                try:
                    await self.tell_all()
                    failures = 0
                    pause = LOOK_EVERY
                except Unavailable as error:
                    log.warning("waiting for a downstream", error=str(error), failures=failures)
                    pause = BACKOFF[min(failures, len(BACKOFF) - 1)]
                    failures += 1
                    self._wake.clear()
                await self._rest(pause)
        finally:
            stopping.cancel()
        try:
            await self.tell_all()
        except Unavailable as error:
            log.warning("the rest is told at the next start", error=str(error))

    async def tell_all(self) -> None:
        """Tell what there is. Raises `Unavailable`; what was not told stays untold."""
        while await self._tell_ends():
            pass
        if self._touched:
            self._touched = False
            try:
                while await self._tell_touches():
                    pass
            except Unavailable:
                self._touched = True
                raise

    async def _tell_ends(self) -> bool:
        async with self._database.transaction() as connection:
            rows = await store.take_untold(connection, BATCH)
            if rows:
                await self._producer.send(news.deliveries(rows, self._clock.now()))
                await store.mark_told(connection, [row.message for row in rows])
        return len(rows) == BATCH

    async def _tell_touches(self) -> bool:
        async with self._database.transaction() as connection:
            rows = await store.take_touches(connection, BATCH)
            if rows:
                await self._producer.send(news.touched(rows))
        return len(rows) == BATCH

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            self._touched = True  # others may have left some

    async def _wake_at_end(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()
