"""A scenario that waits for dates is published when profiles are known already: the sweep reaches all of them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from libs.common.bus.apply import Applier
from libs.common.bus.kafka import Consumer, Producer, create_topics
from libs.common.bus.records import Outgoing, Record, outgoing
from libs.common.clock import ManualClock
from libs.common.db.engine import Database
from libs.contracts import topics
from libs.contracts.events import EventOccurred
from libs.contracts.steps import ScheduleStep, StepDue
from libs.domain import ids
from libs.domain.engine.program import compile_program
from libs.domain.engine.registry import Registry
from libs.domain.engine.state import decode
from libs.domain.scenario.parse import parse
from services.rules import store
from services.rules.app import Rules
from services.rules.ticker import Sweeper
from tests.unit.engine.world import scenario

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
BIRTHDAY = scenario('{date: profile.birthday, at: "10:00", every: year}', "  - send: wishes\n", id="birthday")
PROFILES = sorted(ids.derive("profile", number) for number in range(23))


def registry_of(*texts: str, version: int = 1) -> Registry:
    registry = Registry()
    for text in texts:
        program = compile_program(parse(text), version)
        registry.publish("demo", program)
        registry.set_state("demo", program.id, version, "live")
    return registry


def record(told: Outgoing, offset: int) -> Record:
    return Record(
        topic=told.topic,
        partition=0,
        offset=offset,
        key=told.key,
        value=told.value,
        headers=tuple(told.headers),
        timestamp=0,
    )


class Wire:
    """Stands where the producer is, and keeps what it was given."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []

    async def send(self, records: list[Outgoing]) -> list[tuple[int, int]]:
        self.sent += records
        return [(0, 0) for _ in records]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database_url, name="test")
    yield opened
    await opened.close()


class Bench:
    """Rules on a real database, without Faust: what it is told is applied by the unit of work."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self.wire = Wire()
        self.clock = ManualClock(NOW)
        self.registry = registry
        parts = type("Parts", (), {"clock": self.clock})()
        self.rules = Rules(parts, registry)  # type: ignore[arg-type]
        self.applier = Applier(schema="rules", database=database, producer=self.wire, handle=self.rules.handle)  # type: ignore[arg-type]
        self.offset = 0

    async def begin(self) -> "Bench":
        await self.applier.assign({(topics.EVENTS.name, 0): 0, (topics.DUE.name, 0): 0})
        return self

    async def apply(self, told: list[Outgoing]) -> None:
        records = [record(one, self.offset + place) for place, one in enumerate(told)]
        self.offset += len(told)
        await self.applier.apply(records)


def born(profile: str) -> Outgoing:
    return outgoing(
        topics.EVENTS,
        EventOccurred(profile=profile, received_at=NOW, data={"birthday": "1990-05-01"}),
        key=profile,
        id=f"born-{profile}",
        source="/shops/demo/crm",
        shop="demo",
        time=NOW,
        type="profile.updated",
    )


async def looks(kafka: str, count: int) -> list[Record]:
    """The first `count` records of the due topic that are about us."""
    consumer = Consumer(kafka, name="test", group=None)
    await consumer.start()
    found: list[Record] = []
    try:
        await consumer.assign_all(topics.DUE.name)
        async with asyncio.timeout(30):
            while len(found) < count:
                polled = await consumer.poll(timeout_ms=200)
                found += [one for one in polled if StepDue.decode(one.value).profile in PROFILES]
    finally:
        await consumer.close()
    return found


async def test_every_known_profile_waits_for_its_day(kafka: str, database: Database) -> None:
    """Published after the fact; the sweep runs as a task, on real Kafka; the profiles wait for their day."""
    await create_topics(kafka, [topics.DUE], partitions=1, replication=1)
    before = await Bench(database, Registry()).begin()
    await before.apply([born(profile) for profile in PROFILES])
    assert before.wire.sent == []

    producer = await Producer.connect(kafka, name="test")
    registry = registry_of(BIRTHDAY)
    sweepers = [
        Sweeper(
            database=database,
            producer=producer,
            clock=ManualClock(NOW),
            registry=registry,
            chunk=5,
            pace=0.01,
            settled=0.05,
        )
        for _ in range(2)
    ]
    stop = asyncio.Event()
    tasks = [asyncio.create_task(sweeper.run(stop)) for sweeper in sweepers]
    try:
        for sweeper in sweepers:
            sweeper.hear(7)
        told = await looks(kafka, len(PROFILES))
        async with asyncio.timeout(20):
            while not await _done(database):
                await asyncio.sleep(0.02)
    finally:
        stop.set()
        await asyncio.gather(*tasks)
        await producer.close()
    assert sorted(StepDue.decode(one.value).profile for one in told) == PROFILES, "each once, by either of the two"

    after = await Bench(database, registry).begin()
    after.offset = len(PROFILES)
    await after.applier.apply([_numbered(one, place) for place, one in enumerate(told)])
    asked = [ScheduleStep.decode(one.value) for one in after.wire.sent if one.topic == topics.STEPS.name]
    assert sorted(one.profile for one in asked) == PROFILES
    assert {one.due_at for one in asked} == {datetime(2026, 5, 1, 10, tzinfo=UTC)}
    await after.applier.apply([_numbered(one, 100 + place) for place, one in enumerate(told)])
    assert len(after.wire.sent) == len(PROFILES), "told again, it asks for nothing more"


def _numbered(one: Record, offset: int) -> Record:
    return Record(
        topic=one.topic,
        partition=0,
        offset=offset,
        key=one.key,
        value=one.value,
        headers=one.headers,
        timestamp=one.timestamp,
    )


async def _done(database: Database) -> bool:
    async with database.connection() as connection:
        return bool(await connection.fetchval("SELECT done FROM rules.sweep WHERE shop = 'demo'"))


def sweeper(database: Database, wire: Wire, registry: Registry, read_to: int) -> Sweeper:
    made = Sweeper(database=database, producer=wire, clock=ManualClock(NOW), registry=registry, chunk=10)  # type: ignore[arg-type]
    made.hear(read_to)
    return made


def told(wire: Wire) -> list[str]:
    return [StepDue.decode(one.value).profile for one in wire.sent]


async def known(database: Database) -> None:
    bench = await Bench(database, Registry()).begin()
    await bench.apply([born(profile) for profile in PROFILES])


async def test_a_crash_between_two_chunks_begins_at_the_chunk_and_loses_nobody(database: Database) -> None:
    await known(database)
    registry, wire = registry_of(BIRTHDAY), Wire()
    first = sweeper(database, wire, registry, 1)
    assert await first.sweep("demo")

    class Broken(Wire):
        async def send(self, records: list[Outgoing]) -> list[tuple[int, int]]:
            await super().send(records)
            raise RuntimeError("killed after the acknowledgement, before the commit")

    broken = Broken()
    with pytest.raises(RuntimeError):
        await sweeper(database, broken, registry, 1).sweep("demo")
    assert told(broken) == PROFILES[10:20]
    second = sweeper(database, wire, registry, 1)
    assert await second.sweep("demo")
    assert not await second.sweep("demo")
    assert not await second.sweep("demo")
    assert told(wire) == PROFILES


async def test_a_process_that_knows_less_does_not_undo_what_one_that_knows_more_has_done(database: Database) -> None:
    await known(database)
    old, new = registry_of(BIRTHDAY), registry_of(BIRTHDAY, version=2)
    wire = Wire()
    ahead, behind = sweeper(database, wire, new, 9), sweeper(database, wire, old, 5)
    assert await ahead.sweep("demo")
    assert not await behind.sweep("demo")
    behind.hear(9)
    assert not await behind.sweep("demo")
    while await ahead.sweep("demo"):
        pass
    assert told(wire) == PROFILES
    archived = sweeper(database, wire, Registry(), 12)
    assert await archived.sweep("demo"), "without the scenario the profiles are told as well: their calls are moot"


async def test_archiving_tells_everybody_so_that_what_runs_ends(database: Database) -> None:
    """Whose call is years ahead as well."""
    registry = registry_of(scenario("{event: profile.updated}", "  - wait: 2y\n  - send: x\n", id="long"))
    bench = await Bench(database, registry).begin()
    await bench.apply([born(profile) for profile in PROFILES])
    wire = Wire()
    assert not await sweeper(database, wire, registry, 1).sweep("demo")
    registry.set_state("demo", "long", 1, "archived")
    over = sweeper(database, wire, registry, 2)
    while await over.sweep("demo"):
        pass
    assert told(wire) == PROFILES
    bench.wire.sent.clear()
    await bench.apply(wire.sent)
    assert [one.topic for one in bench.wire.sent] == [topics.STEPS.name] * len(PROFILES), "every call is cancelled"
    async with database.connection() as connection:
        documents = [row["document"] for row in await connection.fetch("SELECT document FROM rules.profile")]
    assert {decode(one).enrolments[0].because for one in documents} == {"archived"}


async def test_without_scenarios_that_wait_nobody_is_told(database: Database) -> None:
    await known(database)
    wire = Wire()
    assert not await sweeper(database, wire, Registry(), 1).sweep("demo")
    assert wire.sent == []


async def test_what_a_document_lets_go_of_is_kept_for_explain_and_then_forgotten(database: Database) -> None:
    registry = registry_of(scenario("{event: custom.go}", "  - send: it\n", id="go"))
    bench = await Bench(database, registry).begin()
    profile = PROFILES[0]
    await bench.apply(
        [
            outgoing(
                topics.EVENTS,
                EventOccurred(profile=profile, received_at=NOW),
                key=profile,
                id=f"go-{second}",
                source="/shops/demo/web",
                shop="demo",
                time=NOW.replace(second=second),
                type="custom.go",
            )
            for second in range(25)
        ]
    )
    async with database.connection() as connection:
        kept = await store.ended(connection, "demo", profile)
        _, document = (await store.load(connection, [("demo", profile)]))[("demo", profile)]
    assert len(kept) == 5
    assert len(decode(document).enrolments) == 20
    house = sweeper(database, Wire(), registry, 1)
    assert await house.forget(lambda: False) == 0
    house._clock = ManualClock(NOW.replace(year=2027))
    assert await house.forget(lambda: False) == 5
