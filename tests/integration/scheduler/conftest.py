"""A scheduler on a real database, with a clock that the test moves."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.bus.apply import Applier
from libs.common.bus.records import Outgoing, Record, outgoing
from libs.common.clock import ManualClock
from libs.common.db.engine import Database
from libs.contracts import topics
from libs.contracts.steps import CancelStep, ScheduleStep, StepDue
from libs.domain import ids
from services.scheduler.app import Scheduler

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
PROFILE = ids.derive("profile", "anna")


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def step_id(name: str) -> str:
    return ids.derive("step", name)


def record(offset: int, message: ScheduleStep | CancelStep, shop: str = "demo") -> Record:
    told = outgoing(topics.STEPS, message, key=PROFILE, id="x", source="/test", shop=shop, time=START)
    return Record(
        topic=told.topic,
        partition=0,
        offset=offset,
        key=told.key,
        value=told.value,
        headers=tuple(told.headers),
        timestamp=0,
    )


def scheduled(name: str, due_at: datetime) -> ScheduleStep:
    return ScheduleStep(
        step=step_id(name), profile=PROFILE, due_at=due_at, scenario="cart", enrolment=ids.derive("enrolment", "e")
    )


def cancelled(name: str, due_at: datetime) -> CancelStep:
    return CancelStep(step=step_id(name), profile=PROFILE, due_at=due_at)


@dataclass
class Wire:
    """Stands where the producer is; what it was given counts as acknowledged, unless it is told to fail."""

    sent: list[Outgoing] = field(default_factory=list)
    fails: Exception | None = None

    async def send(self, records: Sequence[Outgoing]) -> list[tuple[int, int]]:
        if self.fails:
            raise self.fails
        self.sent += records
        return [(0, 0) for _ in records]

    def fired(self) -> list[str]:
        return [StepDue.decode(one.value).step for one in self.sent]


@dataclass
class Bench:
    """A scheduler and the loop's unit of work in front of it."""

    database: Database
    clock: ManualClock
    wire: Wire
    scheduler: Scheduler
    applier: Applier
    offset: int = 0

    async def consume(self, *messages: ScheduleStep | CancelStep) -> None:
        """One batch, as the loop would apply it."""
        records = [record(self.offset + place, message) for place, message in enumerate(messages)]
        self.offset += len(messages)
        await self.applier.apply(records)

    async def fire_all(self) -> list[str]:
        """Fire what is due now; the steps of this call, in the order they were published."""
        before = len(self.wire.sent)
        while await self.scheduler.fire():
            pass
        return self.wire.fired()[before:]

    async def fetchval(self, query: str, *arguments: object) -> object:
        async with self.database.connection() as connection:
            return await connection.fetchval(query, *arguments)

    async def rows(self) -> int:
        found = await self.fetchval("SELECT count(*) FROM scheduler.step")
        assert found == await self.fetchval("SELECT coalesce(sum(steps), 0)::bigint FROM scheduler.pending")
        assert isinstance(found, int)
        return found


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database_url, name="test")
    yield opened
    await opened.close()


@pytest.fixture
async def bench(database: Database) -> Bench:
    clock, wire = ManualClock(START), Wire()
    scheduler = Scheduler(database=database, producer=wire, clock=clock, batch=100)  # type: ignore[arg-type]
    applier = Applier(schema="scheduler", database=database, producer=wire, handle=scheduler.handle)  # type: ignore[arg-type]
    await applier.assign({(topics.STEPS.name, 0): 0})
    return Bench(database, clock, wire, scheduler, applier)
