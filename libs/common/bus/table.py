"""A compacted topic read whole into memory by every process (no group), and followed."""

import asyncio
from collections.abc import Callable

from libs.common.bus.kafka import Consumer
from libs.common.bus.records import Record
from libs.common.errors import Unavailable
from libs.common.telemetry.log import logger
from libs.contracts.topics import Topic

log = logger(__name__)


class Table:
    """Calls `apply` for every record of `topic`, from the beginning, in order; `apply` must not raise."""

    def __init__(self, *, name: str, topic: Topic, bootstrap: str, apply: Callable[[Record], None]) -> None:
        self._consumer = Consumer(bootstrap, name=f"{name}-{topic.name}", group=None)
        self._topic = topic
        self._apply = apply
        self._complete = asyncio.Event()
        self._over = asyncio.Event()

    async def wait_complete(self) -> bool:
        """Return when all that was there at the start has been applied; False when `run` ended before."""
        waiting = [asyncio.ensure_future(event.wait()) for event in (self._complete, self._over)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        return self._complete.is_set()

    async def ready(self) -> None:
        """Raises `Unavailable` until `wait_complete` would return."""
        if not self._complete.is_set():
            raise Unavailable(f"kafka: {self._topic.name} not read yet")

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the topic until `stop` is set."""
        try:
            await self._follow(stop)
        finally:
            self._over.set()

    async def _follow(self, stop: asyncio.Event) -> None:
        await self._consumer.start()
        try:
            partitions = await self._consumer.assign_all(self._topic.name)
            behind = await self._consumer.ends(partitions)
            while not stop.is_set():
                try:
                    records = await self._consumer.poll(timeout_ms=200)
                except Unavailable as error:
                    log.warning("waiting for a downstream", error=str(error))
                    await asyncio.sleep(1)
                    continue
                for record in records:
                    self._apply(record)
                if not self._complete.is_set():
                    behind = {key: end for key, end in behind.items() if await self._consumer.position(key) < end}
                    if not behind:
                        self._complete.set()
        finally:
            await self._consumer.close()
