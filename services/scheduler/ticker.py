"""Fires what is due. Sleeps until the next step is due, or until an earlier one is heard of; never polls."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from libs.common.bus.consumer import BACKOFF
from libs.common.clock import Clock, pause
from libs.common.errors import Unavailable
from libs.common.telemetry.log import logger

log = logger(__name__)
NEVER = datetime.max.replace(tzinfo=UTC)


class Ticker:
    """Calls `fire` when something is due.

    `fire` fires a batch and says whether there may be more; `next_due` says when the oldest pending step is due.
    Both may raise `Unavailable`: then they are tried again, and nothing is skipped.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        fire: Callable[[], Awaitable[bool]],
        next_due: Callable[[], Awaitable[datetime | None]],
    ) -> None:
        self._clock = clock
        self._fire = fire
        self._next_due = next_due
        self._wake = asyncio.Event()
        self._until = NEVER
        self._oldest = NEVER

    def hear(self, due_at: datetime | None) -> None:
        """A step due at `due_at` was stored, by this process or another: wake if that is earlier than planned.

        None: something may have been missed, look for yourself.
        """
        if due_at is None:
            self._wake.set()
        elif due_at < self._until:
            self._until = due_at
            self._oldest = min(self._oldest, due_at)
            self._wake.set()

    def overdue(self) -> float:
        """Seconds (platform time) since the oldest step known here was due; 0 when none is."""
        return max(0.0, (self._clock.now() - self._oldest).total_seconds())

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set."""
        stopping = asyncio.ensure_future(self._wake_at_end(stop))
        failures = 0
        try:
            while not stop.is_set():
                try:
                    await self._turn(stop)
                    failures = 0
                except Unavailable as error:
                    log.warning("waiting for a downstream", error=str(error), failures=failures)
                    await pause(stop, BACKOFF[min(failures, len(BACKOFF) - 1)])
                    failures += 1
                    continue
                if not stop.is_set():
                    await self._clock.sleep_until(self._until, self._wake)
        finally:
            stopping.cancel()

    async def _turn(self, stop: asyncio.Event) -> None:
        """Fire all that is due, then learn how long there is to sleep.

        While the table is read nothing is planned, so that whoever stores a step meanwhile wakes us again.
        """
        self._wake.clear()
        while not stop.is_set() and await self._fire():
            pass
        self._until = NEVER
        due_at = await self._next_due() or NEVER
        self._oldest = self._until = min(self._until, due_at)

    async def _wake_at_end(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()
