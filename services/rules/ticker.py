"""Tells every profile of a shop to look, when scenarios that wait for a date or a silence, or segments, have changed.

A profile finds out by itself at its next event; a birthday must not wait for one. So the profiles are walked through
in chunks. How far is stored with each chunk, in a row that the process at work holds: replicas take turns, none does
what another has done, and after a crash a chunk is at most told again.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from libs.common.bus.kafka import Producer
from libs.common.clock import Clock
from libs.common.db.engine import Database
from libs.common.errors import Unavailable
from libs.common.telemetry.log import logger
from libs.domain.engine.registry import Registry
from services.rules import handlers, store

log = logger(__name__)
CHUNK = 500
PACE = 0.2
"""Seconds between two chunks: no more than a share of what the stream can take."""
SETTLED = 5.0
"""Seconds without news of scenarios after which a sweep begins: by then other replicas have read them as well."""
EVERY = 60.0
"""Seconds after which one looks anyway: whoever was at it may have died."""
KEPT = timedelta(days=190)
"""How long an ended enrolment is kept for `explain`."""
FORGOTTEN = 1_000


class Sweeper:
    """Walks through the profiles of each shop whose watched scenarios or segments have changed."""

    def __init__(
        self,
        *,
        database: Database,
        producer: Producer,
        clock: Clock,
        registry: Registry,
        chunk: int = CHUNK,
        pace: float = PACE,
        settled: float = SETTLED,
    ) -> None:
        self._database = database
        self._producer = producer
        self._clock = clock
        self._registry = registry
        self._chunk = chunk
        self._pace = pace
        self._settled = settled
        self._read_to = 0
        self._news = asyncio.Event()

    def hear(self, offset: int) -> None:
        """A record of the scenarios topic was taken up."""
        self._read_to = offset + 1
        self._news.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set."""
        while not stop.is_set():
            await _until(stop, self._news, EVERY)
            while self._news.is_set() and not stop.is_set():
                self._news.clear()
                await _until(stop, self._news, self._settled)
            try:
                for shop in self._registry.shops():
                    while not stop.is_set() and not self._news.is_set() and await self.sweep(shop):
                        await _until(stop, self._news, self._pace)
                await self.forget(stop.is_set)
            except Unavailable as error:
                log.warning("waiting for a downstream", error=str(error))
                await _until(stop, stop, 1.0)

    async def sweep(self, shop: str) -> bool:
        """Tell the next chunk of profiles; whether there may be more. Told and acknowledged before it is noted."""
        fingerprint = self._registry.shop(shop).fingerprint
        async with self._database.transaction() as connection:
            sweep = await store.hold_sweep(connection, shop, fingerprint, self._read_to)
            if sweep is None:
                return False
            if sweep.fingerprint != fingerprint:
                if self._read_to <= sweep.read_to:  # another process knows more
                    return False
                sweep = store.Sweep(fingerprint=fingerprint, read_to=self._read_to, position=None, done=False)
            if sweep.done:
                return False
            profiles = await store.next_profiles(connection, shop, sweep.position, self._chunk)
            if profiles:
                told = handlers.looks(profiles, shop=shop, fingerprint=fingerprint, now=self._clock.now())
                await self._producer.send(told)
            done = len(profiles) < self._chunk
            position = profiles[-1] if profiles else sweep.position
            await store.move_sweep(connection, shop, replace(sweep, position=position, done=done))
        if done:
            log.info("every profile was told to look", shop=shop)
        return not done

    async def forget(self, stopped: Callable[[], bool]) -> int:
        """Delete enrolments that ended long ago; how many."""
        total = 0
        while not stopped():
            async with self._database.transaction() as connection:
                gone = await store.forget_ended(connection, self._clock.now() - KEPT, FORGOTTEN)
            total += gone
            if gone < FORGOTTEN:
                break
        return total


async def _until(stop: asyncio.Event, wake: asyncio.Event, seconds: float) -> None:
    """Return when either is set, or after so many seconds."""
    waiting = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(wake.wait())]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
