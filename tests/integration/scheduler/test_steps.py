"""I4, I5: pending steps are stored with their offset; a fire is published before the row is gone, never after."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.bus.records import Outgoing
from libs.common.errors import Unavailable
from libs.contracts.envelope import Envelope
from libs.contracts.steps import StepDue
from services.scheduler.app import Scheduler
from tests.integration.scheduler.conftest import (
    PROFILE,
    START,
    Bench,
    Wire,
    at,
    cancelled,
    record,
    scheduled,
    step_id,
)


async def test_nothing_before_its_time_and_once_at_its_time(bench: Bench) -> None:
    await bench.consume(scheduled("one", at(60)))
    await bench.clock.move(timedelta(minutes=59, seconds=59))
    assert await bench.fire_all() == []
    await bench.clock.move(timedelta(seconds=1))
    assert await bench.fire_all() == [step_id("one")]
    assert await bench.fire_all() == []
    assert await bench.rows() == 0


async def test_what_is_told_of_a_step_that_fires(bench: Bench) -> None:
    await bench.consume(scheduled("one", at(60)))
    await bench.clock.move(timedelta(minutes=61))
    await bench.fire_all()
    (told,) = bench.wire.sent
    envelope, due = Envelope.read(told.headers), StepDue.decode(told.value)
    assert (told.topic, told.key) == ("kurant.due.v1", PROFILE.encode())
    assert (envelope.shop, envelope.type, envelope.id) == ("demo", StepDue.TYPE, f"due-{step_id('one')}")
    assert (due.step, due.profile, due.due_at, due.fired_at) == (step_id("one"), PROFILE, at(60), at(61))


async def test_a_cancelled_step_does_not_fire(bench: Bench) -> None:
    await bench.consume(scheduled("one", at(60)), scheduled("two", at(60)))
    await bench.consume(cancelled("one", at(60)))
    await bench.clock.move(timedelta(hours=2))
    assert await bench.fire_all() == [step_id("two")]
    assert await bench.rows() == 0


async def test_scheduled_and_cancelled_in_one_batch_leaves_nothing(bench: Bench) -> None:
    await bench.consume(scheduled("one", at(60)), cancelled("one", at(60)))
    assert await bench.rows() == 0


async def test_cancelled_and_scheduled_again_in_one_batch_is_pending(bench: Bench) -> None:
    await bench.consume(scheduled("one", at(60)))
    await bench.consume(cancelled("one", at(60)), scheduled("one", at(60)))
    assert await bench.rows() == 1


async def test_scheduled_again_changes_nothing(bench: Bench) -> None:
    await bench.consume(scheduled("one", at(60)), scheduled("one", at(60)))
    await bench.consume(scheduled("one", at(60)))
    assert await bench.rows() == 1


async def test_cancelling_what_is_not_there_changes_nothing(bench: Bench) -> None:
    await bench.consume(scheduled("one", at(60)))
    await bench.consume(cancelled("other", at(60)), cancelled("one", at(61)))
    assert await bench.rows() == 1


async def test_far_in_the_past_fires_at_once_oldest_first(bench: Bench) -> None:
    moments = {"c": at(-1), "a": START - timedelta(days=400), "b": START - timedelta(days=30)}
    await bench.consume(*(scheduled(name, moment) for name, moment in moments.items()))
    assert await bench.fire_all() == [step_id("a"), step_id("b"), step_id("c")]


async def test_more_than_a_batch_fires_completely_in_order(bench: Bench) -> None:
    await bench.consume(*(scheduled(str(n), at(60 + n)) for n in range(250)))
    await bench.clock.move(timedelta(days=1))
    assert await bench.fire_all() == [step_id(str(n)) for n in range(250)]
    assert await bench.rows() == 0


async def test_a_record_that_is_not_ours_goes_to_quarantine_alone(bench: Bench) -> None:
    broken = record(0, scheduled("x", at(1)))
    wrong = [
        type(broken)(**{**_fields(broken), "value": b"{"}),
        type(broken)(**{**_fields(broken), "offset": 1, "headers": ()}),
        record(2, scheduled("y", datetime.max.replace(tzinfo=UTC))),
    ]
    await bench.applier.apply([*wrong, record(3, scheduled("good", at(1)))])
    assert [one.topic for one in bench.wire.sent] == ["kurant.steps.v1.quarantine"] * 3
    assert await bench.rows() == 1


def _fields(one: object) -> dict[str, object]:
    return {
        name: getattr(one, name) for name in ("topic", "partition", "offset", "key", "value", "headers", "timestamp")
    }


async def test_an_unacknowledged_fire_leaves_the_step_pending(bench: Bench) -> None:
    """I4: the row goes only after the broker's acknowledgement."""
    await bench.consume(scheduled("one", at(60)))
    await bench.clock.move(timedelta(hours=1))
    bench.wire.fails = Unavailable("kafka: away")
    with pytest.raises(Unavailable):
        await bench.scheduler.fire()
    assert await bench.rows() == 1
    bench.wire.fails = None
    assert await bench.fire_all() == [step_id("one")]


async def test_replicas_firing_together_publish_each_step_once(bench: Bench) -> None:
    """The second replica passes over what the first is firing, and fires the rest meanwhile."""
    await bench.consume(*(scheduled(str(n), at(n % 60)) for n in range(300)))
    await bench.clock.move(timedelta(hours=1))
    holding, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Wire):
        async def send(self, records: list[Outgoing]) -> list[tuple[int, int]]:  # type: ignore[override]
            holding.set()
            await go_on.wait()
            return await super().send(records)

    slow = Slow()
    other = Scheduler(database=bench.database, producer=slow, clock=bench.clock, batch=100)  # type: ignore[arg-type]
    firing = asyncio.ensure_future(other.fire())
    await holding.wait()
    mine = await bench.fire_all()
    go_on.set()
    await firing
    theirs = slow.fired()
    assert (len(mine), len(theirs)) == (200, 100)
    assert len({*mine, *theirs}) == 300
    assert await bench.rows() == 0


async def test_a_batch_that_is_repeated_after_a_failed_commit_is_stored_once(bench: Bench) -> None:
    """I4: nothing of a batch remains when its transaction fails."""
    original = bench.scheduler.handle
    bench.applier._handle = _failing_after(original)
    with pytest.raises(Unavailable):
        await bench.consume(scheduled("one", at(60)))
    assert await bench.rows() == 0
    bench.offset = 0
    bench.applier._handle = original
    await bench.consume(scheduled("one", at(60)))
    assert await bench.rows() == 1


def _failing_after(handle):  # type: ignore[no-untyped-def]
    async def broken(connection, records):  # type: ignore[no-untyped-def]
        await handle(connection, records)
        raise Unavailable("database: gone")

    return broken
