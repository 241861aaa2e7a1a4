"""Every SQL statement of ingest.

`ingest.seen` has a partition a week, made when it is first needed and dropped as a whole. `ingest.merged` is both
the signpost from a profile that ended and the list of merges that Kafka has not acknowledged yet.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import asyncpg

from libs.common.db.engine import Connection, Database
from libs.common.errors import Unavailable
from libs.domain.intake.identity import LIMITS, Holds, Key, Settled
from services.ingest.handlers import Merge

LOCK = 0x4B55494E47  # "KUING"
PARTITION = "seen_%Y%m%d"

LOOK = """
SELECT 0 AS what, NULL::text AS shop, NULL::bytea AS digest, s.event AS id, NULL::boolean AS told
FROM unnest($1::uuid[]) AS w (event)
CROSS JOIN LATERAL (SELECT event FROM ingest.seen WHERE event = w.event LIMIT 1) AS s
UNION ALL
SELECT 1, w.shop, w.digest, i.profile, i.told
FROM unnest($2::text[], $3::bytea[]) AS w (shop, digest)
CROSS JOIN LATERAL (
    SELECT profile, told FROM ingest.identifier WHERE shop = w.shop AND digest = w.digest LIMIT 1
) AS i
UNION ALL
SELECT 2, w.shop, NULL, NULL, NULL FROM unnest($4::text[]) AS w (shop)
WHERE EXISTS (SELECT FROM ingest.spill AS s WHERE s.shop = w.shop)
UNION ALL
SELECT 3, NULL, NULL, NULL, NULL
FROM (SELECT seq FROM ingest.merged WHERE NOT published ORDER BY seq LIMIT 1) AS m
"""
"""LATERAL and LIMIT leave the planner no way but the index, also while the tables are new and have no statistics."""

BY_INDEX = """
SELECT set_config(name, 'off', true)
FROM unnest('{enable_hashjoin, enable_mergejoin, enable_seqscan}'::text[]) AS name
"""
"""Until the end of the transaction, the same for statements that cannot be written so."""

KNOWN = """
SELECT i.shop, i.digest, i.profile
FROM unnest($1::text[], $2::bytea[]) AS w (shop, digest)
JOIN ingest.identifier AS i ON i.shop = w.shop AND i.digest = w.digest
"""

HOLDS = """
SELECT profile, kind, count(*)::int AS count FROM ingest.identifier
WHERE profile = ANY ($1::uuid[]) AND kind = ANY ($2::smallint[]) GROUP BY profile, kind
"""

MERGE = """
INSERT INTO ingest.merged (shop, profile, into_profile, at, traceparent)
SELECT w.shop, w.profile, w.into_profile, $4, $5
FROM unnest($1::text[], $2::uuid[], $3::uuid[]) AS w (shop, profile, into_profile)
ON CONFLICT (shop, profile) DO UPDATE SET into_profile = excluded.into_profile, published = false
"""

REPOINT = """
UPDATE ingest.{table} AS t SET {column} = w.into_profile
FROM unnest($1::uuid[], $2::uuid[]) AS w (profile, into_profile)
WHERE t.{column} = w.profile
"""

ATTACH = """
INSERT INTO ingest.identifier AS i (shop, digest, kind, profile)
SELECT * FROM unnest($1::text[], $2::bytea[], $3::smallint[], $4::uuid[])
ON CONFLICT (shop, digest) DO UPDATE SET profile = excluded.profile, told = false
WHERE i.profile <> excluded.profile
"""

TOLD = """
UPDATE ingest.identifier AS i SET told = true
FROM unnest($1::text[], $2::bytea[]) AS w (shop, digest)
WHERE i.shop = w.shop AND i.digest = w.digest AND NOT i.told
"""

SEEN = """
WITH mode AS MATERIALIZED (SELECT set_config('synchronous_commit', $3, true))
INSERT INTO ingest.seen (week, event) SELECT $1, w.event FROM mode, unnest($2::uuid[]) AS w (event)
ON CONFLICT DO NOTHING
"""

UNPUBLISHED = """
SELECT shop, profile, into_profile, at, traceparent FROM ingest.merged WHERE NOT published ORDER BY seq LIMIT $1
"""

PUBLISHED = """
UPDATE ingest.merged AS m SET published = true
FROM unnest($1::text[], $2::uuid[], $3::uuid[]) AS w (shop, profile, into_profile)
WHERE m.shop = w.shop AND m.profile = w.profile AND m.into_profile = w.into_profile
"""

RESOLVE = """
SELECT i.profile FROM unnest($2::bytea[]) WITH ORDINALITY AS w (digest, place)
JOIN ingest.identifier AS i ON i.shop = $1 AND i.digest = w.digest ORDER BY w.place LIMIT 1
"""

COUNT = """
WITH mode AS MATERIALIZED (SELECT set_config('synchronous_commit', $4, true))
INSERT INTO ingest.tally AS t (shop, name, slot, value)
SELECT n.shop, n.name, pg_backend_pid() % 16, n.value
FROM mode, unnest($1::text[], $2::text[], $3::bigint[]) AS n (shop, name, value)
ON CONFLICT (shop, name, slot) DO UPDATE SET value = t.value + excluded.value
"""


@dataclass(slots=True, kw_only=True)
class Looked:
    """What is known before anything is decided. `merges`: some are not published yet."""

    seen: set[str] = field(default_factory=set)
    known: dict[Key, str] = field(default_factory=dict)
    told: set[Key] = field(default_factory=set)
    spilled: set[str] = field(default_factory=set)
    merges: bool = False


async def look(connection: Connection, events: Sequence[str], keys: Collection[Key], shops: Iterable[str]) -> Looked:
    """One question for a whole batch: repeats, known identifiers, shops with a spill, merges to publish."""
    rows = await connection.fetch(LOOK, events, [shop for shop, _ in keys], [digest for _, digest in keys], list(shops))
    found = Looked()
    for what, shop, digest, id, told in rows:
        if what == 0:
            found.seen.add(str(id))
        elif what == 1:
            found.known[(shop, digest)] = str(id)
            if told:
                found.told.add((shop, digest))
        elif what == 2:
            found.spilled.add(shop)
        else:
            found.merges = True
    return found


async def take_turn(connection: Connection, shops: Iterable[str]) -> None:
    """Until the end of the transaction nobody else changes who is who in these shops."""
    await connection.execute(BY_INDEX)
    for shop in sorted(set(shops)):
        await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", LOCK & 0x7FFFFFFF, shop)


async def known(connection: Connection, keys: Collection[Key]) -> dict[Key, str]:
    """The profile of each identifier that is known."""
    rows = await connection.fetch(KNOWN, [shop for shop, _ in keys], [digest for _, digest in keys])
    return {(row["shop"], row["digest"]): str(row["profile"]) for row in rows}


async def holds(connection: Connection, profiles: Collection[str]) -> Holds:
    """How many identifiers of each limited kind these profiles hold."""
    found: Holds = {profile: Counter() for profile in profiles}
    for row in await connection.fetch(HOLDS, list(profiles), list(LIMITS)):
        found[str(row["profile"])][row["kind"]] = row["count"]
    return found


async def settle(connection: Connection, settled: Settled, at: datetime, traceparent: str | None) -> None:
    """Write who is who now. Rows are touched in sorted order."""
    if settled.merged:
        losers = sorted(settled.merged)
        into = [settled.merged[loser][1] for loser in losers]
        await connection.execute(REPOINT.format(table="identifier", column="profile"), losers, into)
        await connection.execute(REPOINT.format(table="merged", column="into_profile"), losers, into)
        shops = [settled.merged[loser][0] for loser in losers]
        await connection.execute(MERGE, shops, losers, into, at, traceparent)
    if settled.attach:
        keys = sorted(settled.attach)
        await connection.execute(
            ATTACH,
            [shop for shop, _ in keys],
            [digest for _, digest in keys],
            [settled.attach[key][0] for key in keys],
            [settled.attach[key][1] for key in keys],
        )


async def remember(connection: Connection, week: date, events: Sequence[str], *, durably: bool = False) -> None:
    """These events are kept: a repeat is a duplicate.

    Without `durably` the commit does not wait for the disk: what a crash of the database forgets, rules still
    recognises (ADR 0004).
    """
    await connection.execute(SEEN, week, events, "on" if durably else "off")


async def contacts_told(connection: Connection, keys: Collection[Key]) -> None:
    """Consent has been told of these addresses. To be called in a transaction."""
    await connection.execute(BY_INDEX)
    ordered = sorted(keys)
    await connection.execute(TOLD, [shop for shop, _ in ordered], [digest for _, digest in ordered])


async def unpublished(connection: Connection, limit: int) -> list[Merge]:
    """Merges that Kafka has not acknowledged, in their order."""
    rows = await connection.fetch(UNPUBLISHED, limit)
    return [
        Merge(
            shop=row["shop"],
            profile=str(row["profile"]),
            into=str(row["into_profile"]),
            at=row["at"],
            traceparent=row["traceparent"],
        )
        for row in rows
    ]


async def published(connection: Connection, merges: Sequence[Merge]) -> None:
    """Kafka has these. One that was led on to another profile meanwhile is published again."""
    columns = [list(column) for column in zip(*((one.shop, one.profile, one.into) for one in merges), strict=True)]
    await connection.execute(PUBLISHED, *columns)


async def spill(connection: Connection, rows: Sequence[tuple[str, bytes]]) -> None:
    """Keep events (shop, sealed) in their order."""
    await connection.execute(
        "INSERT INTO ingest.spill (shop, sealed) SELECT w.shop, w.sealed "
        "FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS w (shop, sealed, place) ORDER BY w.place",
        [shop for shop, _ in rows],
        [sealed for _, sealed in rows],
    )


async def try_drain(connection: Connection) -> bool:
    """Whether it is this replica's turn to drain, until the end of the transaction."""
    found: bool = await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", LOCK)
    return found


async def spilled(connection: Connection, limit: int) -> list[tuple[int, bytes]]:
    """The oldest events that wait."""
    rows = await connection.fetch("SELECT seq, sealed FROM ingest.spill ORDER BY seq LIMIT $1", limit)
    return [(row["seq"], row["sealed"]) for row in rows]


async def unspill(connection: Connection, numbers: Sequence[int]) -> None:
    """These are in Kafka now."""
    await connection.execute("DELETE FROM ingest.spill WHERE seq = ANY ($1::bigint[])", numbers)


async def waiting(connection: Connection) -> bool:
    """Whether anything is spilled, or a merge unpublished."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM ingest.spill) "
        "OR EXISTS (SELECT FROM (SELECT seq FROM ingest.merged WHERE NOT published ORDER BY seq LIMIT 1) AS m)"
    )
    return found


async def count(connection: Connection, sums: Mapping[tuple[str, str], int], *, durably: bool = True) -> None:
    """Add to each shop's audited sums (shop and name -> how many)."""
    rows = [(shop, name, value) for (shop, name), value in sorted(sums.items()) if value]
    if rows:
        shops, names, values = zip(*rows, strict=True)
        await connection.execute(COUNT, shops, names, values, "on" if durably else "off")


async def counters(connection: Connection, shop: str | None) -> dict[str, int]:
    """The audited sums, of one shop or of all."""
    rows = await connection.fetch(
        "SELECT name, sum(value)::bigint AS value FROM ingest.tally WHERE $1::text IS NULL OR shop = $1 GROUP BY name",
        shop,
    )
    return {row["name"]: row["value"] for row in rows}


async def count_spilled(connection: Connection, shop: str | None = None) -> int:
    """How many events of one shop or of all wait for Kafka."""
    found: int = await connection.fetchval(
        "SELECT count(*) FROM ingest.spill WHERE $1::text IS NULL OR shop = $1", shop
    )
    return found


async def count_waiting(connection: Connection) -> int:
    """How many events wait for Kafka, and merges of profiles for being told."""
    found: int = await connection.fetchval(
        "SELECT (SELECT count(*) FROM ingest.spill) + (SELECT count(*) FROM ingest.merged WHERE NOT published)"
    )
    return found


async def resolve(connection: Connection, shop: str, digests: Sequence[bytes]) -> str | None:
    """The profile of the first of these identifiers that is known."""
    found = await connection.fetchval(RESOLVE, shop, digests)
    return None if found is None else str(found)


async def current(connection: Connection, shop: str, profile: str) -> str | None:
    """What a profile id stands for now, None when it never stood for anything."""
    into = await connection.fetchval(
        "SELECT into_profile FROM ingest.merged WHERE shop = $1 AND profile = $2", shop, profile
    )
    if into is not None:
        return str(into)
    found = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM ingest.identifier WHERE shop = $1 AND profile = $2)", shop, profile
    )
    return profile if found else None


async def make_week(database: Database, week: date) -> None:
    """The partition of repeats of a week (its Monday), if it is not there."""
    name = week.strftime(PARTITION)
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK + 1)
        if await connection.fetchval("SELECT to_regclass($1)", f"ingest.{name}") is None:
            await connection.execute(f"CREATE TABLE ingest.{name} (LIKE ingest.seen INCLUDING ALL)")
            await connection.execute(
                f"ALTER TABLE ingest.seen ATTACH PARTITION ingest.{name} FOR VALUES IN ('{week.isoformat()}')"
            )


async def drop_weeks(database: Database, before: date) -> list[str]:
    """Drop the partitions of weeks that ended before a day; their names. Raises `Unavailable` when they are busy."""
    last = (before - timedelta(days=6)).strftime(PARTITION)
    try:
        async with database.transaction() as connection:
            rows = await connection.fetch(
                "SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid "
                "WHERE i.inhparent = 'ingest.seen'::regclass AND c.relname < $1 ORDER BY c.relname",
                last,
            )
            if rows:
                await connection.execute("SET LOCAL lock_timeout = '500ms'")
            for row in rows:
                await connection.execute(f"DROP TABLE ingest.{row['relname']}")
            return [row["relname"] for row in rows]
    except asyncpg.LockNotAvailableError:
        raise Unavailable("ingest.seen is busy") from None
