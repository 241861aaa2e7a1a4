"""Every SQL statement of the scheduler.

`scheduler.step` has a partition a week, made when a step first needs it. `scheduler.pending` counts the rows in
the same transactions that change them, spread over slots so that transactions do not wait for each other.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import astuple
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from libs.common.clock import first_of
from libs.common.db.engine import Connection, Database
from libs.common.errors import Unavailable
from services.scheduler.handlers import Step, StepKey

CHANNEL = "kurant_scheduler"
LOCK = 0x4B5553544550  # "KUSTEP"
PARTITION = "step_%Y%m%d"
IMPATIENCE = 2.0
"""Seconds for which the steps of one shop are counted for its status: no index has them, it would slow every step."""
ALIVE = 30.0
"""Seconds after which a silent LISTEN connection is asked whether it is still there."""

HOLD = "LOCK TABLE ONLY scheduler.step IN ROW EXCLUSIVE MODE"

MISSING = "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass('scheduler.' || name) IS NULL"

CREATE = """
CREATE TABLE scheduler.{name} (LIKE scheduler.step INCLUDING ALL)
WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05)
"""

ATTACH = "ALTER TABLE scheduler.step ATTACH PARTITION scheduler.{name} FOR VALUES FROM ('{start}') TO ('{end}')"

SCHEDULE = """
WITH new AS (
    INSERT INTO scheduler.step (due_at, step, profile, enrolment, shop, scenario, traceparent)
    SELECT * FROM unnest($1::timestamptz[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[])
    ON CONFLICT (due_at, step) DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM new
"""

REMOVE = """
DELETE FROM scheduler.step AS s USING unnest($1::timestamptz[], $2::uuid[]) AS gone (due_at, step)
WHERE s.due_at = gone.due_at AND s.step = gone.step AND s.due_at >= $3 AND s.due_at <= $4
"""

BY_INDEX = """
SELECT set_config(name, 'off', true)
FROM unnest('{enable_hashjoin, enable_mergejoin, enable_seqscan}'::text[]) AS name
"""
"""Until the end of the transaction: no plan that reads a table of a hundred million rows, whatever the statistics."""

FIRE = """
WITH due AS (
    SELECT due_at, step FROM scheduler.step WHERE due_at <= $1
    ORDER BY due_at, step LIMIT $2 FOR UPDATE SKIP LOCKED
)
DELETE FROM scheduler.step AS s USING due
WHERE s.due_at = due.due_at AND s.step = due.step AND s.due_at <= $1
RETURNING s.due_at, s.step, s.profile, s.enrolment, s.shop, s.scenario, s.traceparent
"""

NEXT = "SELECT due_at FROM scheduler.step ORDER BY due_at LIMIT 1"

EXACT = "SELECT count(*) FROM scheduler.step WHERE $1::text IS NULL OR shop = $1"
OF_SHOP = "SELECT count(*) AS steps, min(due_at) AS oldest FROM scheduler.step WHERE shop = $1"

COUNT = """
INSERT INTO scheduler.pending AS p (slot, steps) VALUES (pg_backend_pid() % 16, $1)
ON CONFLICT (slot) DO UPDATE SET steps = p.steps + excluded.steps
"""

PARTITIONS = """
SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'scheduler.step'::regclass ORDER BY c.relname
"""


async def hold_partitions(connection: Connection, weeks: Collection[datetime]) -> None:
    """Keep the partitions of `weeks` from being dropped until the end of the transaction.

    Raises `Unavailable` when one is not there (any more): begin again.
    """
    await connection.execute(HOLD)
    if await connection.fetch(MISSING, _names(weeks)):
        raise Unavailable("a partition of scheduler.step was dropped meanwhile")


async def make_partitions(database: Database, weeks: Collection[datetime]) -> None:
    """Create the partitions of `weeks` (their Mondays) that are missing.

    In a short transaction of its own. Attaching takes a lock that neither reads nor writes wait for; replicas
    take turns by an advisory lock.
    """
    names = dict(zip(_names(weeks), weeks, strict=True))
    async with database.connection() as connection:
        if not await connection.fetch(MISSING, list(names)):
            return
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        for row in await connection.fetch(MISSING, list(names)):
            name = row["name"]
            start = names[name]
            await connection.execute(CREATE.format(name=name))
            end = start + timedelta(days=7)
            await connection.execute(ATTACH.format(name=name, start=start.isoformat(), end=end.isoformat()))


def _names(weeks: Collection[datetime]) -> list[str]:
    return [monday.strftime(PARTITION) for monday in weeks]


async def schedule(connection: Connection, steps: Collection[Step]) -> int:
    """Insert what is not there yet; how many that were."""
    if not steps:
        return 0
    columns: list[tuple[Any, ...]] = list(zip(*map(astuple, steps), strict=True))
    added: int = await connection.fetchval(SCHEDULE, *columns)
    return added


async def cancel(connection: Connection, keys: Collection[StepKey]) -> int:
    """Delete what is still there; how many that were."""
    if not keys:
        return 0
    ordered = sorted(keys)
    await connection.execute(BY_INDEX)
    status = await connection.execute(
        REMOVE, [due_at for due_at, _ in ordered], [step for _, step in ordered], ordered[0][0], ordered[-1][0]
    )
    return int(status.removeprefix("DELETE "))


async def take_due(connection: Connection, now: datetime, limit: int) -> list[Step]:
    """Delete up to `limit` steps that are due, oldest first, passing over those another replica is firing."""
    await connection.execute(BY_INDEX)
    rows = await connection.fetch(FIRE, now, limit)
    return sorted((Step(**row) for row in rows), key=lambda step: (step.due_at, step.step))


async def add_pending(connection: Connection, difference: int) -> None:
    """Count rows inserted (or, below zero, deleted) in this transaction."""
    if difference:
        await connection.execute(COUNT, difference)


async def next_due(connection: Connection) -> datetime | None:
    """When the oldest pending step is due."""
    found: datetime | None = await connection.fetchval(NEXT)
    return found


async def pending(connection: Connection) -> int:
    """How many steps wait, from the counters."""
    found: int = await connection.fetchval("SELECT coalesce(sum(steps), 0)::bigint FROM scheduler.pending")
    return found


async def exact_pending(connection: Connection, shop: str | None = None) -> int:
    """How many steps wait, of one shop or of all, counted row by row (seconds, on a large table)."""
    found: int = await connection.fetchval(EXACT, shop, timeout=600)
    return found


async def pending_of(connection: Connection, shop: str) -> tuple[int, datetime | None] | None:
    """How many steps of a shop wait, and when the oldest is due; None when counting them takes too long."""
    try:
        row = await connection.fetchrow(OF_SHOP, shop, timeout=IMPATIENCE)
    except TimeoutError:
        return None
    assert row is not None
    return row["steps"], row["oldest"]


async def announce(connection: Connection, earliest: datetime) -> None:
    """Tell every replica, at the commit, that a step due at `earliest` was stored."""
    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, earliest.isoformat())


async def listen(database: Database, heard: Callable[[datetime | None], None], stop: asyncio.Event) -> None:
    """Call `heard` for every announcement until `stop`; raises `Unavailable` when the connection is lost.

    It begins with `heard(None)`: what was announced while nobody listened must be looked for.
    """
    lost = asyncio.Event()

    def told(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        heard(datetime.fromisoformat(str(payload)))

    def ended(_connection: object) -> None:
        lost.set()

    async with database.connection() as connection:
        connection.add_termination_listener(ended)
        await connection.add_listener(CHANNEL, told)
        heard(None)
        try:
            while not stop.is_set() and not lost.is_set():
                await first_of(stop, lost, seconds=ALIVE)
                if not stop.is_set() and not lost.is_set():
                    await connection.execute("SELECT 1", timeout=10)
        finally:
            connection.remove_termination_listener(ended)
            if not connection.is_closed():
                await connection.remove_listener(CHANNEL, told)
        if lost.is_set():
            raise Unavailable("database: the listening connection was lost")


async def drop_partitions(database: Database, before: datetime) -> list[str]:
    """Drop the empty partitions whose week ended before `before`; their names. Gives way to those at work.

    Raises `Unavailable` when the table was too busy to lock; try again another time.
    """
    last = (before - timedelta(days=7)).strftime(PARTITION)
    try:
        async with database.transaction() as connection:
            old = [row["relname"] for row in await connection.fetch(PARTITIONS) if row["relname"] < last]
            if not old:
                return []
            await connection.execute("SET LOCAL lock_timeout = '200ms'")
            await connection.execute("LOCK TABLE scheduler.step IN ACCESS EXCLUSIVE MODE")
            empty = [name for name in old if not await connection.fetchval(f"SELECT EXISTS (TABLE scheduler.{name})")]
            for name in empty:
                await connection.execute(f"DROP TABLE scheduler.{name}")
            return empty
    except asyncpg.LockNotAvailableError:
        raise Unavailable("scheduler.step is busy") from None
