"""A product changes in the catalogue, and those whom it matters to hear of it: from the record to the event of each."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.common.bus.apply import Applier
from libs.common.bus.kafka import Consumer, Producer, create_topics
from libs.common.bus.records import Outgoing, Record, outgoing
from libs.common.clock import ManualClock
from libs.common.db.engine import Database
from libs.contracts import catalog, topics
from libs.contracts.envelope import Envelope
from libs.contracts.events import MERGED, EventOccurred
from libs.contracts.messages import MessageRequested
from libs.contracts.steps import ScheduleStep, StepDue
from libs.domain import ids
from libs.domain.engine.program import compile_program
from libs.domain.engine.registry import Registry
from libs.domain.scenario.parse import parse
from services.rules import handlers
from services.rules.app import Rules
from services.rules.ticker import Sweeper
from services.rules.ticker.announcer import Announcer
from tests.integration.rules.test_sweep import Wire, record
from tests.unit.engine.world import scenario

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
REMINDED = "  - send: back\n  - wait: 24h\n  - send: reminder\n    if: {product.available: true}\n"
BACK = scenario("{stock: back}", REMINDED, id="back", more="key: event.product.product_id\n")
DROP = scenario("{price: {drops: 10%}}", "  - send: drop\n", id="drop", more="key: event.product.product_id\n")
PROFILES = sorted(ids.derive("profile", number) for number in range(23))
ANNA, BEA = PROFILES[:2]


def registry_of(*texts: str, shops: Iterable[str] = ("demo",)) -> Registry:
    registry = Registry()
    for text in texts:
        program = compile_program(parse(text), 1)
        for shop in shops:
            registry.publish(shop, program)
            registry.set_state(shop, program.id, 1, "live")
    return registry


def event(
    type: str, profile: str = ANNA, at: datetime = NOW, shop: str = "demo", id: str = "sofa", **data: Any
) -> Outgoing:
    told = data or {"product": {"product_id": id}}
    return outgoing(
        topics.EVENTS,
        EventOccurred(profile=profile, received_at=at, data=told),
        key=profile,
        id=f"{type}-{profile}-{at.isoformat()}-{id}",
        source=f"/shops/{shop}/web",
        shop=shop,
        time=at,
        type=type,
    )


def product(
    stock: int | None, price: str = "200.00", id: str = "sofa", at: datetime = NOW, shop: str = "demo"
) -> Outgoing:
    data = {"product_id": id, "name": "Sofa", "price": Decimal(price), "currency": "PLN", "url": "https://demo.example"}
    told = catalog.told(data | ({} if stock is None else {"stock": stock}), at)
    return outgoing(
        topics.CATALOG, told, key=catalog.key(shop, id), id=f"{stock}-{price}", source="/in", shop=shop, time=at
    )


class Bench:
    """Rules on a real database, without Faust, with the announcer beside it."""

    def __init__(self, database: Database, registry: Registry, chunk: int = 500) -> None:
        self.database, self.registry = database, registry
        self.wire, self.clock = Wire(), ManualClock(NOW)
        parts = type("Parts", (), {"clock": self.clock})()
        self.heard = 0
        self.rules = Rules(parts, registry, new_change=self.hear)  # type: ignore[arg-type]
        self.applier = Applier(schema="rules", database=database, producer=self.wire, handle=self.rules.handle)  # type: ignore[arg-type]
        self.offsets: Counter[str] = Counter()
        self.ends: dict[int, int] = {}
        self.announcer = self.another(chunk)

    def another(self, chunk: int, wire: Wire | None = None) -> Announcer:
        async def ends(_topic: str, _partitions: Iterable[int]) -> dict[int, int]:
            return self.ends

        return Announcer(database=self.database, producer=wire or self.wire, ends=ends, chunk=chunk, pace=0.01)  # type: ignore[arg-type]

    def hear(self) -> None:
        self.heard += 1

    async def begin(self) -> "Bench":
        await self.applier.assign({(topic.name, 0): 0 for topic in (topics.EVENTS, topics.DUE, topics.CATALOG)})
        return self

    def numbered(self, told: Outgoing) -> Record:
        self.offsets[told.topic] += 1
        return record(told, self.offsets[told.topic] - 1)

    async def apply(self, *told: Outgoing) -> list[Outgoing]:
        """What came out of it."""
        before = len(self.wire.sent)
        await self.applier.apply([self.numbered(one) for one in told])
        return self.wire.sent[before:]

    async def announced(self) -> list[Outgoing]:
        """What the announcer tells, until nothing is left."""
        before = len(self.wire.sent)
        assert not await self.announcer.settle()
        while await self.announcer.tell() >= self.announcer._chunk:
            pass
        return self.wire.sent[before:]

    async def interests(self, shop: str = "demo") -> dict[tuple[str, str], str]:
        assert await self.announcer.index()
        async with self.database.connection() as connection:
            rows = await connection.fetch("SELECT product, profile, how FROM rules.interest WHERE shop = $1", shop)
        return {(row["product"], str(row["profile"])): row["how"] for row in rows}

    async def changes(self) -> int:
        async with self.database.connection() as connection:
            return int(await connection.fetchval("SELECT count(*) FROM rules.product_change"))


def told(records: Iterable[Outgoing]) -> list[tuple[str, str, str]]:
    """Kind, product and profile of events."""
    found = [(Envelope.read(one.headers), EventOccurred.decode(one.value)) for one in records]
    return sorted((head.type, one.data["product"]["product_id"], one.profile) for head, one in found)


def event_ids(records: Iterable[Outgoing]) -> list[str]:
    return [Envelope.read(one.headers).id for one in records]


def requested(records: Iterable[Outgoing]) -> list[tuple[str, str]]:
    found = [MessageRequested.decode(one.value) for one in records if one.topic == topics.MESSAGES.name]
    return [(one.name, one.profile) for one in found]


@pytest.fixture
async def bench(database: Database) -> Bench:
    return await Bench(database, registry_of(BACK, DROP)).begin()


async def test_from_the_catalogue_to_the_message_and_the_reminder(bench: Bench) -> None:
    await bench.apply(product(0), event("stock_alert.requested"), event("stock_alert.requested", BEA, id="lamp"))
    assert await bench.interests() == {("sofa", ANNA): "a", ("lamp", BEA): "a"}
    assert await bench.apply(product(5)) == []
    assert bench.heard == 1
    events = await bench.announced()
    assert told(events) == [("product.back_in_stock", "sofa", ANNA)]
    assert await bench.changes() == 0
    data = EventOccurred.decode(events[0].value).data["product"]
    assert data == {
        "product_id": "sofa", "name": "Sofa", "price": "200.00", "currency": "PLN", "stock": "5",
        "url": "https://demo.example",
    }  # fmt: skip
    out = await bench.apply(*events)
    assert requested(out) == [("back", ANNA)]
    (call,) = [ScheduleStep.decode(one.value) for one in out if one.topic == topics.STEPS.name]
    assert call.due_at == NOW + timedelta(days=1)
    await bench.clock.move(timedelta(days=1))
    out = await bench.apply(due(call))
    assert requested(out) == [("reminder", ANNA)]
    context = next(MessageRequested.decode(one.value).context for one in out if one.topic == topics.MESSAGES.name)
    assert context["product"]["stock"] == "5" and context["product"]["available"] is True


async def test_no_reminder_of_what_is_sold_out_again(bench: Bench) -> None:
    await bench.apply(product(0), event("wishlist.added"), product(5))
    out = await bench.apply(*await bench.announced())
    (call,) = [ScheduleStep.decode(one.value) for one in out if one.topic == topics.STEPS.name]
    await bench.clock.move(timedelta(days=1))
    bench.rules.forget()
    out = await bench.apply(product(0, at=NOW + timedelta(hours=3)), due(call))
    assert requested(out) == []


def due(call: ScheduleStep) -> Outgoing:
    message = StepDue(
        step=call.step,
        profile=call.profile,
        due_at=call.due_at,
        fired_at=call.due_at,
        scenario=call.scenario,
        enrolment=call.enrolment,
    )
    return outgoing(topics.DUE, message, key=call.profile, id=call.step, source="/s", shop="demo", time=call.due_at)


async def test_the_same_again_and_what_nobody_asks_for_is_not_told(database: Database) -> None:
    bench = await Bench(database, registry_of(DROP)).begin()
    await bench.apply(event("wishlist.added"), product(0), product(0), product(5), product(5, "150.00"))
    assert told(await bench.announced()) == [("product.price_changed", "sofa", ANNA)], "nobody asks for what is back"
    await bench.apply(product(5, "150.00"), product(5, "160.00"))
    assert bench.heard == 1


async def test_without_a_scenario_of_products_they_are_known_and_no_more(database: Database) -> None:
    bench = await Bench(database, Registry()).begin()
    await bench.apply(event("wishlist.added"), event("product.viewed", BEA), product(0), product(5))
    assert await bench.interests() == {}
    assert await bench.changes() == 0
    later = Bench(database, registry_of(BACK))
    later.offsets = bench.offsets
    await later.begin()
    looks = handlers.looks([ANNA, BEA], shop="demo", fingerprint="f", now=NOW)
    await later.apply(*looks)
    assert await later.interests() == {("sofa", ANNA): "w"}, "what was wished before the scenario is found by the sweep"
    await later.apply(product(0), product(4))
    assert told(await later.announced()) == [("product.back_in_stock", "sofa", ANNA)]


def test_scenarios_of_products_are_worth_a_sweep() -> None:
    assert registry_of(BACK).shop("demo").fingerprint != registry_of().shop("demo").fingerprint
    assert registry_of(BACK).shop("demo").fingerprint == registry_of(DROP).shop("demo").fingerprint


async def test_shops_do_not_meet(database: Database) -> None:
    bench = await Bench(database, registry_of(BACK, shops=("demo", "other"))).begin()
    await bench.apply(event("wishlist.added"), event("wishlist.added", BEA, shop="other"))
    await bench.apply(product(0), product(0, shop="other"), product(5))
    assert told(await bench.announced()) == [("product.back_in_stock", "sofa", ANNA)]


async def test_pages_crash_and_turns(database: Database) -> None:
    bench = await Bench(database, registry_of(BACK), chunk=10).begin()
    await bench.apply(product(0), product(0, id="lamp"), *(event("wishlist.added", one) for one in PROFILES))
    await bench.apply(event("wishlist.added", BEA, id="lamp"), product(5), product(5, id="lamp"))

    class Broken(Wire):
        async def send(self, records: list[Outgoing]) -> list[tuple[int, int]]:
            await super().send(records)
            raise RuntimeError("killed after the acknowledgement, before the commit")

    broken = Broken()
    killed = bench.another(10, broken)
    await killed.settle()
    with pytest.raises(RuntimeError):
        await killed.tell()
    await bench.announcer.settle()
    assert await bench.announcer.tell() == 10
    assert event_ids(bench.wire.sent) == event_ids(broken.sent), "the same page under the same ids"
    assert await bench.announcer.tell() == 10
    assert ("product.back_in_stock", "lamp", BEA) in told(bench.wire.sent), "the small one waits for no large one"
    while await bench.announcer.tell() >= 10:
        pass
    assert len(told(bench.wire.sent)) == len(set(told(bench.wire.sent))) == len(PROFILES) + 1
    events = list(bench.wire.sent)
    out = await bench.apply(*events, *broken.sent)
    assert sorted(requested(out)) == sorted([("back", BEA), *(("back", one) for one in PROFILES)]), "once each"


async def test_what_is_over_is_not_told_any_further(database: Database) -> None:
    bench = await Bench(database, registry_of(BACK, DROP), chunk=10).begin()
    await bench.apply(product(0), *(event("wishlist.added", one) for one in PROFILES), product(5, "150.00"))
    await bench.announcer.settle()
    assert await bench.announcer.tell() == 10
    await bench.apply(product(0, "200.00", at=NOW + timedelta(minutes=1)))
    assert await bench.announced() == []
    assert await bench.changes() == 0


async def test_two_changes_of_one_product_come_in_their_order(database: Database) -> None:
    bench = await Bench(database, registry_of(DROP), chunk=10).begin()
    await bench.apply(product(5), *(event("wishlist.added", one) for one in PROFILES))
    await bench.apply(product(5, "150.00"), product(5, "120.00", at=NOW + timedelta(minutes=1)))
    prices = [EventOccurred.decode(one.value).data["product"]["price"] for one in await bench.announced()]
    assert prices == ["150.00"] * len(PROFILES) + ["120.00"] * len(PROFILES)


async def test_a_purchase_ends_it(bench: Bench) -> None:
    items = {"order": {"id": "o1", "items": [{"product_id": "sofa"}]}}
    await bench.apply(product(0), event("wishlist.added"), event("wishlist.added", BEA))
    await bench.apply(event("order.placed", at=NOW + timedelta(hours=1), **items), product(5))
    assert await bench.interests() == {("sofa", BEA): "w"}
    assert told(await bench.announced()) == [("product.back_in_stock", "sofa", BEA)]


async def test_bought_while_it_is_being_told(bench: Bench) -> None:
    items = {"order": {"id": "o1", "items": [{"product_id": "sofa"}]}}
    await bench.apply(product(0), event("wishlist.added"), product(5))
    events = await bench.announced()
    out = await bench.apply(event("order.placed", at=NOW - timedelta(seconds=1), **items), *events)
    assert len(events) == 1 and requested(out) == [("back", ANNA)], "ordered before it was wished"
    await bench.apply(product(0), event("wishlist.added", BEA), product(5))
    events = [one for one in await bench.announced() if one.key == BEA.encode()]
    out = await bench.apply(event("order.placed", BEA, at=NOW + timedelta(seconds=1), **items), *events)
    assert len(events) == 1 and requested(out) == []


async def test_the_price_that_was_seen(bench: Bench) -> None:
    seen = {"product": {"product_id": "sofa", "price": "200.00", "currency": "PLN"}}
    await bench.apply(product(5), event("wishlist.added", **seen), event("wishlist.added", BEA))
    await bench.apply(product(5, "190.00"), product(5, "178.00", at=NOW + timedelta(minutes=1)))
    out = await bench.apply(*await bench.announced())
    assert requested(out) == [("drop", ANNA)], "178 of 200 seen; of 190 before it is not enough for the other"


async def test_a_merge_takes_what_matters_along_and_nobody_hears_twice(bench: Bench) -> None:
    await bench.apply(product(0), event("wishlist.added"), event("wishlist.added", BEA))
    merged = event("profile.merged", ANNA, into=BEA)
    out = await bench.apply(merged)
    assert MERGED == "profile.merged"
    await bench.apply(*out, product(5))
    events = await bench.announced()
    assert told(events) == [("product.back_in_stock", "sofa", one) for one in sorted((ANNA, BEA))]
    forwarded = await bench.apply(*[one for one in events if one.key == ANNA.encode()])
    direct = [one for one in events if one.key == BEA.encode()]
    assert event_ids(forwarded) == event_ids(direct)
    out = await bench.apply(*forwarded, *direct)
    assert requested(out) == [("back", BEA)]


async def test_an_anonymous_wish_becomes_that_of_somebody_known(bench: Bench) -> None:
    await bench.apply(product(0), event("wishlist.added"))
    out = await bench.apply(event("profile.merged", ANNA, into=BEA))
    await bench.apply(*out)
    assert await bench.interests() == {("sofa", ANNA): "w", ("sofa", BEA): "w"}
    house = Sweeper(database=bench.database, producer=bench.wire, clock=bench.clock, registry=bench.registry)  # type: ignore[arg-type]
    await bench.clock.move(timedelta(days=1, hours=1))
    assert await house.forget(lambda: False) == 1
    assert await bench.interests() == {("sofa", BEA): "w"}


async def test_what_was_only_viewed_is_forgotten_after_a_month(bench: Bench) -> None:
    await bench.apply(product(0), event("product.viewed"), event("wishlist.added", BEA))
    house = Sweeper(database=bench.database, producer=bench.wire, clock=bench.clock, registry=bench.registry)  # type: ignore[arg-type]
    assert len(await bench.interests()) == 2
    await bench.clock.move(timedelta(days=32))
    assert await house.forget(lambda: False) == 1
    assert await bench.interests() == {("sofa", BEA): "w"}


async def test_who_asked_before_the_change_is_waited_for(bench: Bench) -> None:
    await bench.apply(product(0), event("wishlist.added"), product(5))
    bench.ends = {0: 2}
    assert await bench.announcer.settle(), "an event is in Kafka that is not read yet"
    assert await bench.announcer.tell() == 0
    await bench.apply(event("wishlist.added", BEA))
    assert not await bench.announcer.settle()
    assert await bench.announcer.tell() == 2


async def test_what_cannot_be_read_goes_to_quarantine_and_holds_up_nothing(bench: Bench) -> None:
    bad = product(5)
    broken = Outgoing(topic=bad.topic, key=bad.key, value=b"{}", headers=bad.headers)
    out = await bench.apply(product(0), broken, event("wishlist.added"), product(7))
    assert [one.topic for one in out] == [topics.CATALOG.quarantine]
    assert len(await bench.announced()) == 1


async def test_two_processes_tell_everybody_once_over_kafka(kafka: str, database: Database) -> None:
    await create_topics(kafka, [topics.EVENTS], partitions=1, replication=1)
    bench = await Bench(database, registry_of(BACK)).begin()
    await bench.apply(product(0), *(event("wishlist.added", one) for one in PROFILES), product(5))
    producer = await Producer.connect(kafka, name="test")

    async def ends(_topic: str, _partitions: Iterable[int]) -> dict[int, int]:
        return {}

    announcers = [Announcer(database=database, producer=producer, ends=ends, chunk=4, pace=0.01) for _ in range(2)]
    stop = asyncio.Event()
    tasks = [asyncio.create_task(one.run(stop)) for one in announcers]
    consumer = Consumer(kafka, name="test", group=None)
    await consumer.start()
    heard: list[str] = []
    try:
        await consumer.assign_all(topics.EVENTS.name)
        async with asyncio.timeout(30):
            while len(heard) < len(PROFILES):
                polled = await consumer.poll(timeout_ms=200)
                heard += [
                    EventOccurred.decode(one.value).profile
                    for one in polled
                    if Envelope.read(one.headers).type == "product.back_in_stock"
                ]
            while await bench.changes():
                await asyncio.sleep(0.02)
    finally:
        stop.set()
        await asyncio.gather(*tasks)
        await consumer.close()
        await producer.close()
    assert sorted(heard) == PROFILES
