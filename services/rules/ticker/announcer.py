"""Tells customers of products that are back in stock or cheaper: `Announcer`.

The stream notes what has changed, in the transaction that takes up the catalogue. Here each change becomes an event of
every profile to which the product matters, page by page: published and acknowledged, then how far it is is noted in the
same transaction that holds the change, so replicas share the work, and after a crash a page is published again under
the same ids. Changes of several products have their turns, those of one product come one after the other. A change
that is over meanwhile (sold out again, as dear as before) is not told any further.

The index of who is interested is made here as well, of what the stream notes (services/rules/tables.py), by one process
at a time. A customer's wish and a change of stock travel in different partitions. So that nobody is missed who had
asked before, a change is told when all events have been read, and indexed, that Kafka had when it was seen here first.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

from libs.common.bus.kafka import Producer
from libs.common.bus.records import Outgoing
from libs.common.clock import first_of, pause
from libs.common.db.engine import Database
from libs.common.errors import Unavailable
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import PRODUCT_CHANGES, PRODUCT_EVENTS
from libs.contracts import topics
from services.rules import store
from services.rules.handlers import catalogue
from services.rules.store import products

log = logger(__name__)
CHUNK = 500
"""So many events are published at a time."""
CHANGES = 200
"""So many changes are looked at in one transaction."""
PACE = 0.2
"""Seconds between two chunks: no more than a share of what the stream can take."""
EVERY = 2.0
"""Seconds after which one looks anyway: interests are noted, and who noted a change may have died."""
BATCHES = 20
"""So many batches of interests are indexed in one transaction."""
SOON = 0.05
PATIENCE = 60.0
"""Seconds after which events that are not read are waited for no longer: a partition may stand still."""
Ends = Callable[[str, Iterable[int]], Awaitable[dict[int, int]]]


class Announcer:
    """Works off the changes of products that are noted."""

    def __init__(
        self, *, database: Database, producer: Producer, ends: Ends, chunk: int = CHUNK, pace: float = PACE
    ) -> None:
        """`ends`: the offsets after the newest records of partitions of a topic."""
        self._database = database
        self._producer = producer
        self._ends = ends
        self._chunk = chunk
        self._pace = pace
        self._wake = asyncio.Event()
        self._ready = 0
        self._awaited: tuple[int, dict[int, int], float] | None = None

    def hear(self) -> None:
        """A product has changed."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set."""
        while not stop.is_set():
            self._wake.clear()
            try:
                await self.index()
                waits = await self.settle()
                told = await self.tell()
            except Unavailable as error:
                log.warning("waiting for a downstream", error=str(error))
                await pause(stop, 1.0)
                continue
            if told >= self._chunk:
                await pause(stop, self._pace)
            elif waits:
                await pause(stop, SOON)
            else:
                await self._rest(stop)

    async def index(self) -> bool:
        """Index what is noted of interests; False when another process is at it."""
        taken: int | None = BATCHES
        while taken == BATCHES:
            async with self._database.transaction() as connection:
                taken = await products.index_interests(connection, BATCHES)
        return taken is not None

    async def settle(self) -> bool:
        """See whether the events of before the newest change are read; whether one waits for that still."""
        async with self._database.connection() as connection:
            newest = await products.newest_change(connection)
            read = await store.positions(connection, topics.EVENTS.name)
        if self._awaited is None and newest > self._ready:
            self._awaited = newest, await self._ends(topics.EVENTS.name, read), time.monotonic()
        if self._awaited is None:
            return False
        number, ends, since = self._awaited
        behind = any(read.get(partition, 0) < end for partition, end in ends.items())
        if behind and time.monotonic() - since < PATIENCE:
            return True
        if behind:
            log.warning("products are announced although events are not read yet", seconds=PATIENCE)
        if not await self.index():
            return True
        self._ready, self._awaited = number, None
        return newest > number

    async def tell(self) -> int:
        """Tell the next page or pages; how many events were published, `chunk` or more when there may be others."""
        events: Counter[str] = Counter()
        done: Counter[str] = Counter()
        made: list[Outgoing] = []
        looked = 0
        async with self._database.transaction() as connection:
            while looked < CHANGES and events.total() < self._chunk:
                held = await products.hold_change(connection, self._ready)
                if held is None:
                    break
                looked += 1
                limit = self._chunk - events.total()
                over = catalogue.is_over(held.told, held.document)
                profiles = [] if over else await products.interested(connection, held, limit)
                if profiles:
                    made += catalogue.announced(held.told, profiles)
                    events[held.told.kind] += len(profiles)
                if len(profiles) == limit:
                    await products.move_change(connection, held, profiles[-1])
                else:
                    await products.end_change(connection, held)
                    done[held.told.kind] += 1
            if made:
                await self._producer.send(made)
        for kind, count in events.items():
            PRODUCT_EVENTS.labels(kind).inc(count)
        for kind, count in done.items():
            PRODUCT_CHANGES.labels(kind).inc(count)
        return self._chunk if looked == CHANGES else events.total()

    async def _rest(self, stop: asyncio.Event) -> None:
        """Until a product changes, or for a while."""
        await first_of(stop, self._wake, seconds=EVERY)
