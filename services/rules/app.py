"""The composition root of rules: scenarios in memory, profiles in Postgres, Faust in front."""

import asyncio
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from fastapi import FastAPI

from libs.common import shops
from libs.common.bus.apply import Applier
from libs.common.bus.records import Outcome, Record
from libs.common.bus.table import Table
from libs.common.db.engine import Connection
from libs.common.http.client import Client
from libs.common.http.server import build
from libs.common.runtime import Parts, Task
from libs.contracts import topics
from libs.contracts.envelope import shop_of
from libs.domain.catalogue.product import view
from libs.domain.engine.registry import DEFAULT_ZONE, Registry
from libs.domain.engine.state import Profile
from services.rules import handlers, routes, store
from services.rules.clients import Ingest
from services.rules.handlers import catalogue
from services.rules.store import products
from services.rules.stream import Stream
from services.rules.ticker import Scorer, Sweeper
from services.rules.ticker.announcer import Announcer

CACHED = 100_000_000
"""So many bytes of documents are kept in memory as profiles, where they take about six times as much."""
ProfileKey = tuple[str, str]


class Cache:
    """Profiles as this process wrote them last, under the version it wrote; those used longest ago go first."""

    def __init__(self, most: int = CACHED) -> None:
        self.bytes = 0
        self._most = most
        self._kept: OrderedDict[ProfileKey, tuple[int, Profile, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
        self.bytes = 0

    def take(self, key: ProfileKey) -> tuple[int, Profile] | None:
        """Version and profile, which are not here any more."""
        known = self._kept.pop(key, None)
        if known is None:
            return None
        self.bytes -= known[2]
        return known[0], known[1]

    def keep(self, key: ProfileKey, version: int, profile: Profile, size: int) -> None:
        """Put it in. `size` is that of its document."""
        self.take(key)
        self._kept[key] = (version, profile, size)
        self.bytes += size
        while self.bytes > self._most:
            _, (_, _, gone) = self._kept.popitem(last=False)
            self.bytes -= gone


class Rules:
    """Loads what a batch is about, lets the handlers decide, stores the result.

    The cache holds what this process wrote last, under the version it wrote; a version that is not the stored
    one's successor makes the whole transaction fail, and the cache is dropped.
    """

    def __init__(
        self,
        parts: Parts,
        registry: Registry,
        new_shop: Callable[[], None] = lambda: None,
        new_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`new_shop` is told when a shop's first order has been stored, `new_change` when a product has changed."""
        self._clock = parts.clock
        self._new_shop = new_shop
        self._new_change = new_change
        self._registry = registry
        self._cache = Cache()

    def forget(self) -> None:
        """Drop the cache: partitions have moved, or a transaction failed."""
        self._cache.clear()

    async def handle(self, connection: Connection, records: Sequence[Record]) -> Outcome:
        """One batch: everything it changes is written through `connection`."""
        told, bad = catalogue.decode(record for record in records if record.topic == topics.CATALOG.name)
        changes = await self._catalogue(connection, told)
        good, poison = handlers.decode(record for record in records if record.topic != topics.CATALOG.name)
        loaded = await self._load(connection, handlers.about(good))
        profiles = {key: profile for key, (_, profile) in loaded.items()}
        known = await self._products(connection, handlers.wanted(good, profiles, self._registry))
        decision = handlers.decide(good, profiles, self._registry, self._clock.now, known)
        _received(decision.sums, records, [record for record, _ in poison])
        written = {key: (loaded[key][0] + 1, handlers.write(profile)) for key, profile in profiles.items()}
        await store.save(connection, written)
        await store.keep_ended(
            connection,
            [(key, one.id, one.ended_at or one.at, handlers.write_ended(one)) for key, one in decision.gone],
        )
        new_shops = await store.keep_orders(connection, decision.orders, self._clock.now())
        await store.note_merges(connection, decision.merged, self._clock.now())
        await products.note_interests(connection, decision.interests)
        await store.count(connection, min(record.partition for record in records), decision.sums)

        def keep() -> None:
            for key, (version, document) in written.items():
                self._cache.keep(key, version, profiles[key], len(document))
            if new_shops:
                self._new_shop()
            if changes:
                self._new_change()

        return Outcome(outputs=decision.outputs, poison=poison + bad, after=keep)

    async def _catalogue(self, connection: Connection, told: Sequence[catalogue.Told]) -> int:
        """Take up products as they are told; how many changes are to be told on."""
        keys = {(one.shop, one.product.product_id) for one in told}
        known = {key: catalogue.read(one) for key, one in (await products.load(connection, keys)).items()}
        taken = catalogue.take(told, known, self._registry)
        await products.save(connection, {key: catalogue.write(one) for key, one in taken.products.items()})
        await products.keep_changes(connection, taken.announcements)
        return len(taken.announcements)

    async def _products(
        self, connection: Connection, keys: Iterable[catalogue.ProductKey]
    ) -> dict[str, dict[str, dict[str, Any]]]:
        """The products that scenarios may ask for, as they are now, by shop."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for (shop, product), document in (await products.load(connection, keys)).items():
            found.setdefault(shop, {})[product] = view(catalogue.read(document))
        return found

    async def refused(self, connection: Connection, record: Record) -> None:
        """Count a record that could not be applied, in the transaction that puts it into quarantine."""
        if record.topic == topics.EVENTS.name:
            sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
            _received(sums, [record], [record])
            await store.count(connection, record.partition, sums)

    async def _load(self, connection: Connection, keys: set[ProfileKey]) -> dict[ProfileKey, tuple[int, Profile]]:
        """Versions and profiles. Cached ones leave the cache until the commit, so that a failure leaves no trace."""
        found = {key: known for key in keys if (known := self._cache.take(key)) is not None}
        stored = await store.load(connection, keys - found.keys()) if len(found) < len(keys) else {}
        found |= {key: (version, handlers.read(document)) for key, (version, document) in stored.items()}
        return {key: found.get(key) or (0, Profile()) for key in sorted(keys)}


def _received(sums: defaultdict[str, Counter[str]], records: Sequence[Record], poison: Sequence[Record]) -> None:
    """Count what was read of the events topic, and what of it cannot be used, for the shop that it is about."""
    for name, of in (("events.received", records), ("events.quarantined", poison)):
        for record in of:
            if record.topic == topics.EVENTS.name:
                sums[shop_of(record.headers)][name] += 1


def _registry(file: str | None) -> Registry:
    """No scenarios yet; the zones of the shops."""
    registry = Registry()
    for shop, told in shops.load(file).items():
        registry.set_zone(shop, told.timezone or DEFAULT_ZONE)
    return registry


async def compose(parts: Parts) -> tuple[FastAPI, list[Task]]:
    """Build the service."""
    settings = parts.settings
    registry = _registry(settings.shops)
    sweeper = Sweeper(database=parts.database, producer=parts.producer, clock=parts.clock, registry=registry)
    scorer = Scorer(database=parts.database, producer=parts.producer, clock=parts.clock, registry=registry)

    def learn(record: Record) -> None:
        handlers.learn(registry, record)
        sweeper.hear(record.offset)
        scorer.hear()

    scenarios = Table(name="rules", topic=topics.SCENARIOS, bootstrap=settings.kafka_bootstrap, apply=learn)
    rules = Rules(parts, registry, scorer.hear, lambda: announcer.hear())
    applier = Applier(
        schema="rules",
        database=parts.database,
        producer=parts.producer,
        handle=rules.handle,
        refused=rules.refused,
    )
    ingest = Ingest(Client(settings.ingest_url, parts.secrets.service_key(), timeout=3.0))
    stream = Stream(
        bootstrap=settings.kafka_bootstrap,
        group="kurant-rules",
        topics=[
            topic.name
            for topic in (topics.EVENTS, topics.DUE, topics.DELIVERIES, topics.CONSENT_CHANGES, topics.CATALOG)
        ],
        applier=applier,
        forget=rules.forget,
        read_first=(topics.EVENTS.name, topics.DUE.name),
        settled=ingest.settled,
        instance=settings.instance,
    )
    announcer = Announcer(database=parts.database, producer=parts.producer, ends=stream.all_ends)
    checks = {"database": parts.database.ping, "kafka": parts.producer.ping}
    checks |= {"scenarios": scenarios.ready, "partitions": stream.ready}
    app = build("rules", clock=parts.clock, checks=checks, gate=parts.gate)
    routes.install(app, parts, registry, stream)
    routes.install_rfm(app, parts, registry, scorer)

    async def follow() -> None:
        await scenarios.run(parts.stop)

    def informed(run: Callable[[asyncio.Event], Awaitable[None]]) -> Task:
        async def task() -> None:
            if await scenarios.wait_complete():
                await run(parts.stop)

        return task

    async def work(stop: asyncio.Event) -> None:
        try:
            await stream.run(stop)
        finally:
            await ingest.close()

    return app, [follow, *(informed(run) for run in (work, sweeper.run, scorer.run, announcer.run))]
