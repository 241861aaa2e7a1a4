"""Tells Kafka what the registry holds: at once after each change, and again whatever a crash left untold."""

import asyncio

from libs.common.bus.kafka import Producer
from libs.common.db.engine import Database
from libs.common.errors import Unavailable
from libs.common.telemetry.log import logger
from services.console import handlers, store

log = logger(__name__)
EVERY = 5.0
"""Seconds between two looks for what is untold."""
PATIENCE = 5.0
"""Seconds for which a publisher waits for Kafka's yes; after that it is told that Kafka will hear of it."""


class Teller:
    """Publishes untold versions, then the state.

    The scenario's row stays locked until the broker has acknowledged: a state that was decided later is published
    later. A crash before the commit publishes the same records again.
    """

    def __init__(self, database: Database, producer: Producer) -> None:
        self._database = database
        self._producer = producer
        self._telling: set[asyncio.Task[bool]] = set()

    async def tell_now(self, shop: str, id: str) -> bool:
        """Publish what Kafka does not know of one scenario; False when it does not know it yet, but will.

        A publication that was begun is never given up half-way: a record that is still on its way must not meet
        one that was decided later and published by somebody else.
        """
        task = asyncio.ensure_future(self._quietly(shop, id))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
        done, _ = await asyncio.wait({task}, timeout=PATIENCE)
        return bool(done) and task.result()

    async def _quietly(self, shop: str, id: str) -> bool:
        try:
            await self.tell(shop, id)
        except Unavailable as error:
            log.warning("a scenario is not told yet", error=str(error))
            return False
        return True

    async def tell(self, shop: str, id: str) -> None:
        """Publish what Kafka does not know of one scenario. Raises `Unavailable`; then it stays untold."""
        async with self._database.transaction() as connection:
            current = await store.lock(connection, shop, id)
            if current is None:
                return
            versions = await store.untold_versions(connection, shop, id)
            if current.told and not versions:
                return
            await self._producer.send(handlers.news(shop, id, current, versions))
            await store.mark_told(connection, shop, id, [one.version for one in versions])

    async def tell_all(self) -> int:
        """Publish everything that is untold; how many scenarios it was of. Raises `Unavailable`."""
        async with self._database.connection() as connection:
            waiting = await store.untold(connection)
        for shop, id in waiting:
            await self.tell(shop, id)
        return len(waiting)

    async def run(self, stop: asyncio.Event) -> None:
        """Look for what is untold, now and then, until `stop`."""
        while not stop.is_set():
            try:
                if count := await self.tell_all():
                    log.info("told of scenarios", count=count)
            except Unavailable as error:
                log.warning("scenarios are not told yet", error=str(error))
            try:
                async with asyncio.timeout(EVERY):
                    await stop.wait()
            except TimeoutError:
                continue
