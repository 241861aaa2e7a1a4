"""Tells Kafka what the registry holds: at once after each change, and again whatever a crash left untold."""

import asyncio

from libs.common.bus.kafka import Producer
from libs.common.clock import pause
from libs.common.db.engine import Database
from libs.common.errors import Unavailable
from libs.common.telemetry.log import logger
from services.console import handlers, store
from services.console.handlers import Ref

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

    async def tell_now(self, ref: Ref) -> bool:
        """Publish what Kafka does not know of one scenario (or segment); False when it does not know it yet, but will.

        A publication that was begun is never given up half-way: a record that is still on its way must not meet
        one that was decided later and published by somebody else.
        """
        task = asyncio.ensure_future(self._quietly(ref))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
        done, _ = await asyncio.wait({task}, timeout=PATIENCE)
        return bool(done) and task.result()

    async def _quietly(self, ref: Ref) -> bool:
        try:
            await self.tell(ref)
        except Unavailable as error:
            log.warning("a publication is not told yet", kind=ref.kind, error=str(error))
            return False
        return True

    async def tell(self, ref: Ref) -> None:
        """Publish what Kafka does not know of one of them. Raises `Unavailable`; then it stays untold."""
        async with self._database.transaction() as connection:
            current = await store.lock(connection, ref)
            if current is None:
                return
            versions = await store.untold_versions(connection, ref)
            if current.told and not versions:
                return
            await self._producer.send(handlers.news(ref, current, versions))
            await store.mark_told(connection, ref, [one.version for one in versions])

    async def tell_all(self) -> int:
        """Publish everything that is untold; how many things it was of. Raises `Unavailable`."""
        async with self._database.connection() as connection:
            waiting = await store.untold(connection)
        for ref in waiting:
            await self.tell(ref)
        return len(waiting)

    async def run(self, stop: asyncio.Event) -> None:
        """Look for what is untold, now and then, until `stop`."""
        while not stop.is_set():
            try:
                if count := await self.tell_all():
                    log.info("told of publications", count=count)
            except Unavailable as error:
                log.warning("publications are not told yet", error=str(error))
            await pause(stop, EVERY)
