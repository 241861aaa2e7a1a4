"""The one clock. Everything that asks for the time asks here, or is told (I7).

In local mode the platform's time may start elsewhere and run faster, the same for every process:
`platform = start + (real - anchor) * speed`.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Time as a service sees it."""

    def now(self) -> datetime:
        """The platform's time, UTC."""
        ...

    async def sleep_until(self, moment: datetime, wake: asyncio.Event | None = None) -> None:
        """Return at `moment` (platform time), or at once when `wake` is set."""
        ...


@dataclass(frozen=True, kw_only=True)
class PlatformClock:
    """Real time, shifted and sped up. `anchor` is the Unix time at which the platform's time was `start`."""

    start: datetime
    anchor: float
    speed: float = 1.0

    def now(self) -> datetime:
        return self.start + timedelta(seconds=(time.time() - self.anchor) * self.speed)

    def seconds_until(self, moment: datetime) -> float:
        """Real seconds until `moment`, 0 when it is past."""
        return max(0.0, (moment - self.now()).total_seconds() / self.speed)

    async def sleep_until(self, moment: datetime, wake: asyncio.Event | None = None) -> None:
        delay = self.seconds_until(moment)
        if wake is None:
            await asyncio.sleep(delay)
            return
        try:
            async with asyncio.timeout(delay):
                await wake.wait()
        except TimeoutError:
            pass


REAL = PlatformClock(start=datetime.fromtimestamp(0, UTC), anchor=0.0)
"""The clock of production: platform time is real time."""


class ManualClock:
    """A clock for tests: stands still until it is moved, and then wakes who waits."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._moved = asyncio.Condition()

    def now(self) -> datetime:
        return self._now

    async def move(self, by: timedelta) -> None:
        """Advance by `by` and wake every sleeper whose moment has come."""
        async with self._moved:
            self._now += by
            self._moved.notify_all()

    async def sleep_until(self, moment: datetime, wake: asyncio.Event | None = None) -> None:
        async def moved() -> None:
            async with self._moved:
                await self._moved.wait_for(lambda: self._now >= moment)

        if wake is None:
            await moved()
            return
        tasks = [asyncio.ensure_future(moved()), asyncio.ensure_future(wake.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()


async def first_of(*events: asyncio.Event, seconds: float | None = None) -> None:
    """Return when one of the events is set, or after so many seconds of real time."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait `seconds` of real time, or until `stop` is set."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
