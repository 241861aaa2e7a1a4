"""The table of steps: partitions come when they are needed and go when they are empty; the plans use the index."""

import asyncio
import json
from datetime import timedelta

import pytest

from libs.common.bus.apply import Applier
from libs.common.db.engine import Database
from libs.common.errors import Unavailable
from libs.contracts import topics
from services.scheduler import store
from services.scheduler.handlers import week
from tests.integration.scheduler.conftest import START, Bench, at, record, scheduled, step_id

WEEK = timedelta(days=7)


async def partitions(database: Database) -> list[str]:
    async with database.connection() as connection:
        return [row["relname"] for row in await connection.fetch(store.PARTITIONS)]


async def test_a_partition_is_made_for_each_week_that_needs_one(bench: Bench) -> None:
    await bench.consume(scheduled("a", at(0)), scheduled("b", START + WEEK), scheduled("c", START + 52 * WEEK))
    assert await partitions(bench.database) == ["step_20260302", "step_20260309", "step_20270301"]


async def test_two_replicas_make_the_same_partition_at_once(bench: Bench) -> None:
    """They hold steps of the same new weeks in their hands, in transactions that are open at the same time."""
    other = Applier(
        schema="scheduler",
        database=bench.database,
        producer=bench.wire,  # type: ignore[arg-type]
        handle=bench.scheduler.handle,
    )
    await other.assign({(topics.STEPS.name, 1): 0})

    def theirs(number: int) -> object:
        one = record(number, scheduled(f"theirs-{number}", START + number * WEEK))
        return type(one)(
            topic=one.topic, partition=1, offset=number, key=one.key, value=one.value, headers=one.headers, timestamp=0
        )

    await asyncio.gather(
        bench.consume(*(scheduled(f"mine-{n}", START + n * WEEK) for n in range(10))),
        other.apply([theirs(n) for n in range(10)]),  # type: ignore[misc]
    )
    assert await bench.rows() == 20
    assert len(await partitions(bench.database)) == 10


async def test_partitions_go_when_they_are_past_and_empty(bench: Bench) -> None:
    await bench.consume(
        scheduled("gone", at(1)), scheduled("kept", at(1) + WEEK), scheduled("future", at(1) + 5 * WEEK)
    )
    await bench.clock.move(timedelta(minutes=1))
    assert await bench.fire_all() == [step_id("gone")]
    assert await bench.scheduler.tidy() == []
    await bench.clock.move(3 * WEEK)
    assert await bench.scheduler.tidy() == ["step_20260302"]
    assert await partitions(bench.database) == ["step_20260309", "step_20260406"]
    assert await bench.fire_all() == [step_id("kept")]


async def test_a_step_for_a_week_whose_partition_was_dropped_makes_it_again(bench: Bench) -> None:
    await bench.consume(scheduled("first", at(1)))
    await bench.clock.move(4 * WEEK)
    await bench.fire_all()
    assert await bench.scheduler.tidy() == ["step_20260302"]
    await bench.consume(scheduled("late", at(2)))
    assert await bench.fire_all() == [step_id("late")]


async def test_tidying_gives_way_to_a_transaction_at_work(bench: Bench) -> None:
    await bench.consume(scheduled("first", at(1)))
    await bench.clock.move(4 * WEEK)
    await bench.fire_all()
    async with bench.database.transaction() as connection:
        await store.hold_partitions(connection, [week(START)])
        with pytest.raises(Unavailable, match="busy"):
            await bench.scheduler.tidy()
    assert await bench.scheduler.tidy() == ["step_20260302"]


async def plan(database: Database, query: str, *arguments: object) -> list[dict[str, object]]:
    """The nodes of the plan with which a statement runs, executed for real and rolled back."""
    async with database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(store.BY_INDEX)
        found = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *arguments)
        await transaction.rollback()
    nodes: list[dict[str, object]] = []

    def walk(node: dict[str, object]) -> None:
        nodes.append(node)
        for child in node.get("Plans", []):  # type: ignore[attr-defined]
            walk(child)

    walk(json.loads(found)[0]["Plan"])
    return nodes


def scanned(nodes: list[dict[str, object]]) -> set[object]:
    """The tables out of which rows came."""
    scans = [node for node in nodes if "Relation Name" in node and "Scan" in str(node["Node Type"])]
    return {node["Relation Name"] for node in scans if node["Actual Rows"]}


async def fill(bench: Bench) -> None:
    """Four weeks of two thousand steps each; the first week is due."""
    for number in range(4):
        await bench.consume(*(scheduled(f"{number}-{n}", at(n) + number * WEEK) for n in range(2_000)))
    async with bench.database.connection() as connection:
        await connection.execute("ANALYZE scheduler.step")


async def test_firing_goes_by_the_index_and_leaves_later_weeks_alone(bench: Bench) -> None:
    await fill(bench)
    nodes = [node for node in await plan(bench.database, store.FIRE, at(20_000), 100) if node["Actual Loops"]]
    kinds = {node["Node Type"] for node in nodes}
    assert "Seq Scan" not in kinds
    assert not kinds & {"Hash Join", "Merge Join"}
    assert scanned(nodes) == {"step_20260302"}
    assert all(node["Actual Rows"] <= 100 for node in nodes), "more rows were read than are fired"


async def test_looking_for_the_next_due_time_reads_one_row(bench: Bench) -> None:
    await fill(bench)
    nodes = await plan(bench.database, store.NEXT)
    assert sum(node["Actual Rows"] for node in nodes if "Relation Name" in node) == 1  # type: ignore[misc]
    assert "Seq Scan" not in {node["Node Type"] for node in nodes}


async def test_cancelling_goes_by_the_index(bench: Bench) -> None:
    await fill(bench)
    keys = [(at(5), step_id("0-5")), (at(9), step_id("0-9"))]
    nodes = await plan(bench.database, store.REMOVE, [k[0] for k in keys], [k[1] for k in keys], at(5), at(9))
    assert "Seq Scan" not in {node["Node Type"] for node in nodes}
    assert scanned(nodes) == {"step_20260302"}
