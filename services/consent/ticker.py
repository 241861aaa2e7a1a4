"""Publishes what is in the outbox: at once when this process put it there, and again and again until it is gone.
And does now and then what has time."""

import asyncio
from collections.abc import Awaitable, Callable

from libs.common.clock import first_of, pause
from libs.common.errors import Unavailable
from libs.common.telemetry.log import logger

log = logger(__name__)
LOOK_EVERY = 1.0
"""Real seconds after which the outbox is looked into unasked: another replica may have died with it full."""


class Ticker:
    """Calls `drain` until it says that nothing is left, whenever it is woken."""

    def __init__(self, drain: Callable[[], Awaitable[bool]]) -> None:
        self._drain = drain
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is something to publish."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; Kafka and the database may come and go."""
        while not stop.is_set():
            self._woken.clear()
            more = False
            try:
                more = await self._drain()
            except Unavailable as error:
                log.warning("changes wait in the outbox", error=str(error))
            if not more:
                await first_of(self._woken, stop, seconds=LOOK_EVERY)


async def again(call: Callable[[], Awaitable[None]], seconds: float, stop: asyncio.Event) -> None:
    """Call every so many real seconds until `stop` is set; what does not work now may the next time."""
    while not stop.is_set():
        try:
            await call()
        except Unavailable as error:
            log.warning("not now", error=str(error))
        await pause(stop, seconds)
