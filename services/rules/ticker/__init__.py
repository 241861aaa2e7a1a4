"""What rules does by itself: `Sweeper` and `Scorer`, and `Announcer` beside them (announcer.py).

The sweep tells every profile of a shop to look, when scenarios that wait for a date or a silence, or segments, have
changed, and when scenarios of products are new, so that each product finds those whom it matters to. A profile finds
out by itself at its next event; a birthday must not wait for one. So the profiles are walked through in chunks. How far
is stored with each chunk, in a row that the process at work holds: replicas take turns, none does what another has
done, and after a crash a chunk is at most told again.

RFM is computed when it is due (docs/rfm.md), by whoever holds the shop's advisory lock. One transaction reads orders
as they were at one moment and writes rows, history and how the shop stands; the history then is the outbox from which
`rfm.changed` is published, acknowledged, and only then marked. After a crash a run is made again from the beginning,
and what was published without being marked is published again under the same ids.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from libs.common.bus.kafka import Producer
from libs.common.clock import Clock, first_of, pause
from libs.common.db.engine import Connection, Database
from libs.common.errors import Unavailable
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import RFM_CHANGES, RFM_CUSTOMERS, RFM_SECONDS
from libs.domain.engine.registry import Registry
from libs.domain.rfm import frames, plan, run
from libs.domain.rfm.cuts import Cuts
from libs.domain.rfm.figures import Figures, span
from libs.domain.rfm.frames import counted, kept, written
from libs.domain.rfm.model import RfmRules
from libs.domain.rfm.plan import Kind, Last
from libs.domain.rfm.report import Ran
from libs.domain.rfm.run import Result
from services.rules import handlers, store
from services.rules.store import products

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
PART = 16_000_000
"""So many bytes of orders are in memory at a time: some 250,000 of them."""
MOST = 50_000
"""So many profiles are looked up one by one; if more have changed, everybody is read."""
BUSY = 0.2
"""Seconds after which one looks again whether another process is done with a shop."""


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
            await first_of(stop, self._news, seconds=EVERY)
            while self._news.is_set() and not stop.is_set():
                self._news.clear()
                await first_of(stop, self._news, seconds=self._settled)
            try:
                for shop in self._registry.shops():
                    while not stop.is_set() and not self._news.is_set() and await self.sweep(shop):
                        await first_of(stop, self._news, seconds=self._pace)
                await self.forget(stop.is_set)
            except Unavailable as error:
                log.warning("waiting for a downstream", error=str(error))
                await pause(stop, 1.0)

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
        """Delete enrolments that ended long ago, and to whom a product mattered long ago; how many."""
        total = 0
        while not stopped():
            async with self._database.transaction() as connection:
                gone = await store.forget_ended(connection, self._clock.now() - KEPT, FORGOTTEN)
                gone += await products.forget_interests(connection, self._clock.now(), FORGOTTEN)
            total += gone
            if gone < FORGOTTEN:
                break
        return total


@dataclass(frozen=True, kw_only=True)
class Case:
    """A shop that is being computed: how it stood, by which rules, and when."""

    shop: str
    last: Last
    rules: RfmRules
    version: int
    now: datetime


class Scorer:
    """Computes the RFM of each shop when it is due or asked for, and tells who moved."""

    def __init__(
        self,
        *,
        database: Database,
        producer: Producer,
        clock: Clock,
        registry: Registry,
        part: int = PART,
        most: int = MOST,
        chunk: int = CHUNK,
        pace: float = PACE,
    ) -> None:
        self._database = database
        self._producer = producer
        self._clock = clock
        self._registry = registry
        self._part = part
        self._most = most
        self._chunk = chunk
        self._pace = pace
        self._wake = asyncio.Event()

    def hear(self) -> None:
        """A shop has its first orders, or other rules, or something to tell."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set."""
        while not stop.is_set():
            self._wake.clear()
            try:
                at = await self.turn(stop)
            except Unavailable as error:
                log.warning("waiting for a downstream", error=str(error))
                await pause(stop, 1.0)
                continue
            await pause(stop, self._pace)  # a clock that runs fast makes runs due faster than they are made
            waiting = {
                asyncio.ensure_future(self._clock.sleep_until(at, self._wake)),
                asyncio.ensure_future(stop.wait()),
            }
            await asyncio.wait(waiting, timeout=EVERY, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()

    async def turn(self, stop: asyncio.Event) -> datetime:
        """Compute what is due and tell what is not told; when something is due next."""
        async with self._database.connection() as connection:
            shops = await store.rfm_shops(connection)
            telling = await store.telling(connection)
        soonest = plan.NEVER
        for shop, last in shops.items():
            early = last.begun_at + plan.DAY
            if last.run == 0 and self._registry.rfm(shop) is None and self._clock.now() < early:
                soonest = min(soonest, early)
                continue
            try:
                if not stop.is_set():
                    soonest = min(soonest, await self._look(shop, shop in telling, stop))
            except Unavailable:
                raise
            except Exception as error:  # a shop that cannot be computed holds up neither others nor the stream
                log.error("RFM cannot be computed", shop=shop, cause=type(error).__name__, exc_info=True)
        return soonest

    async def compute(self, shop: str, *, everybody: bool, quiet: bool) -> Ran | None:
        """A run at once, of everybody or of those who changed; None when there is nothing to compute.

        Waits while another process is at it. Raises `Unavailable`.
        """
        while True:
            async with self._held(shop) as connection:
                case = await self._case(connection, shop) if connection else None
                if connection and case is None:
                    return None
                if connection and case:
                    if case.version < case.last.version:
                        raise Unavailable("the newest rules of this shop are not known here yet")
                    everybody = everybody or case.last.run == 0 or plan.other_rules(case.last, case.rules)
                    ran = await self._compute(connection, case, "full" if everybody else "incremental", quiet)
                    self._wake.set()  # to tell
                    return ran
            await asyncio.sleep(BUSY)

    async def _look(self, shop: str, telling: bool, stop: asyncio.Event) -> datetime:
        """Do what is due in one shop; when the next is. What another process is at is looked at again later."""
        async with self._database.connection() as connection:
            case = await self._case(connection, shop)
        planned = case and plan.plan(case.last, case.rules, case.version, case.now)
        if planned and not planned.kind and not telling:
            return planned.at
        async with self._held(shop) as connection:
            case = await self._case(connection, shop) if connection else None
            planned = case and plan.plan(case.last, case.rules, case.version, case.now)
            if connection and case and planned and planned.kind:
                await self._compute(connection, case, planned.kind, False)
            if connection:
                await self._tell(connection, shop, stop)
                case = await self._case(connection, shop)
        return plan.plan(case.last, case.rules, case.version, case.now).at if case else plan.NEVER

    @asynccontextmanager
    async def _held(self, shop: str) -> AsyncIterator[Connection | None]:
        """A connection on which nobody else is at this shop; None while somebody is."""
        async with self._database.connection() as connection:
            if not await store.hold_rfm(connection, shop):
                yield None
                return
            try:
                yield connection
            finally:
                await store.release_rfm(connection, shop)

    async def _case(self, connection: Connection, shop: str) -> Case | None:
        """The shop as it stands; None without orders, or without rules where no order has a currency."""
        last = await store.rfm_shop(connection, shop)
        if last is None:
            return None
        known = self._registry.rfm(shop)
        if known is None:
            own = last.rules.currency if last.rules and last.version == 0 else await store.currency(connection, shop)
            if own is None:
                return None
            known = 0, RfmRules(currency=own, timezone=self._registry.shop(shop).zone)
        return Case(shop=shop, last=last, version=known[0], rules=known[1], now=self._clock.now())

    async def _compute(self, connection: Connection, case: Case, kind: Kind, quiet: bool) -> Ran:
        began = time.perf_counter()
        async with connection.transaction():
            await store.move_merged(connection, case.shop, case.now - plan.DAY)
        async with store.snapshot(connection):
            touched = await store.take_touched(connection, case.shop)
            if kind == "full":
                before, after = await self._full(connection, case, None)
            else:
                before, after = await self._incremental(connection, case, touched)
            quiet = quiet or plan.quiet(case.last, case.rules, after.cuts)
            merged = [profile for profile, by_merge in touched.items() if by_merge]
            found = await asyncio.to_thread(written, before, after, merged, quiet)
            last = replace(
                case.last,
                run=case.last.run + 1,
                version=case.version,
                rules=case.rules,
                cuts=after.cuts,
                day=after.day,
                run_at=case.now,
            )
            if kind == "full":
                last = replace(last, full_at=case.now, excluded=after.excluded)
            await store.save_customers(connection, case.shop, found.customers, found.gone)
            await store.save_history(connection, case.shop, last.run, case.now, found.history)
            await store.save_run(connection, case.shop, last)
        ran = Ran(
            run=last.run, kind=kind, day=after.day, customers=after.frame.height, changed=found.changed, quiet=quiet
        )
        RFM_SECONDS.labels(kind).observe(time.perf_counter() - began)
        RFM_CUSTOMERS.labels(case.shop, kind).set(ran.customers)
        RFM_CHANGES.labels(case.shop).inc(ran.changed)
        if kind == "full" or ran.changed:
            log.info("RFM was computed", shop=case.shop, kind=kind, customers=ran.customers, changed=ran.changed)
        return ran

    async def _full(self, connection: Connection, case: Case, cuts: Cuts | None) -> tuple[Result | None, Result]:
        """Everybody: orders are read and counted in parts, so that they are never all in memory."""
        days = span(case.rules, case.now)
        parts: list[Figures] = []

        async def count(text: bytes) -> None:
            parts.append(await asyncio.to_thread(counted, text, case.rules, days))

        await store.all_orders(connection, case.shop, case.rules.counts, self._part, count)
        before = None
        if case.last.cuts is not None and case.last.day is not None:
            known = await store.customers(connection, case.shop)
            before = await asyncio.to_thread(kept, known, case.last.cuts, case.last.day)
        return before, await asyncio.to_thread(run.total, parts, case.rules, case.now, before, cuts)

    async def _incremental(
        self, connection: Connection, case: Case, touched: Collection[str]
    ) -> tuple[Result | None, Result]:
        """Those who changed, or whom time has changed; if they are many, by reading everybody."""
        cuts, day, rules = case.last.cuts, case.last.day, case.rules
        assert cuts is not None
        assert day is not None
        due = run.due(kept(b"", cuts, day), rules, case.now)
        ids = {*touched, *await store.crossing(connection, case.shop, rules.counts, due.spans)}
        if len(ids) > self._most:
            return await self._full(connection, case, cuts)
        known = await store.customers_of(connection, case.shop, ids, due.worse)
        text = await store.orders_of(connection, case.shop, rules.counts, ids)
        before = await asyncio.to_thread(kept, known, cuts, day)
        orders = await asyncio.to_thread(frames.orders, text)
        return before, await asyncio.to_thread(run.incremental, before, orders, rules, case.now, ids)

    async def _tell(self, connection: Connection, shop: str, stop: asyncio.Event) -> None:
        """Publish what is untold, oldest first; acknowledged before it is marked."""
        while not stop.is_set():
            async with connection.transaction():
                rows = await store.untold(connection, shop, self._chunk)
                if rows:
                    await self._producer.send(handlers.rfm_changed(rows, shop=shop))
                    await store.mark_told(connection, shop, rows)
            if len(rows) < self._chunk:
                return
            await pause(stop, self._pace)
