"""Every SQL statement of the console.

Scenarios, segments and the rules of RFM are kept alike, told apart by `kind`. `told` says whether Kafka has
acknowledged a row. A row is only ever published by who holds the lock on its scenario, so that states reach Kafka in
the order in which they were decided.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from libs.common.db.engine import Connection
from services.console.handlers import Current, KindName, Ref, Untold

BEGIN = """
INSERT INTO console.scenario (shop, kind, id, version, state, changed_at, told)
VALUES ($1, $2, $3, 0, 'live', $4, true)
ON CONFLICT (shop, kind, id) DO NOTHING
"""

LOCK = """
SELECT version, state, changed_at, told, over FROM console.scenario WHERE shop = $1 AND kind = $2 AND id = $3 FOR UPDATE
"""

DIGEST = "SELECT digest FROM console.scenario_version WHERE shop = $1 AND kind = $2 AND id = $3 AND version = $4"
"""In a statement of its own, after the lock: one that waited for it would still see the versions of before."""

ADD_VERSION = """
INSERT INTO console.scenario_version (shop, kind, id, version, name, digest, files, published_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""

CHANGE = """
UPDATE console.scenario SET version = $4, state = $5, changed_at = $6, told = false,
    over = CASE WHEN kind = 'scenario' AND $5 = 'archived' THEN $4 ELSE over END
WHERE shop = $1 AND kind = $2 AND id = $3
"""

UNTOLD = """
SELECT shop, kind, id FROM console.scenario WHERE NOT told
UNION
SELECT shop, kind, id FROM console.scenario_version WHERE NOT told
ORDER BY shop, kind, id
"""

UNTOLD_VERSIONS = """
SELECT version, files, published_at FROM console.scenario_version
WHERE shop = $1 AND kind = $2 AND id = $3 AND NOT told ORDER BY version
"""

TELL = "UPDATE console.scenario SET told = true WHERE shop = $1 AND kind = $2 AND id = $3"

TELL_VERSIONS = """
UPDATE console.scenario_version SET told = true WHERE shop = $1 AND kind = $2 AND id = $3 AND version = ANY($4::int[])
"""

LIST = """
SELECT s.id, s.version, s.state, s.changed_at, v.name, v.published_at
FROM console.scenario AS s
JOIN console.scenario_version AS v USING (shop, kind, id, version)
WHERE s.shop = $1 AND s.kind = $2 ORDER BY s.id
"""

OTHERS = """
SELECT v.files ->> $4 AS text
FROM console.scenario AS s
JOIN console.scenario_version AS v USING (shop, kind, id, version)
WHERE s.shop = $1 AND s.kind = $2 AND s.id <> $3 AND s.state <> 'archived' AND v.files ? $4 ORDER BY s.id
"""

VERSIONS = """
SELECT version, name, published_at FROM console.scenario_version
WHERE shop = $1 AND kind = $2 AND id = $3 ORDER BY version
"""

FILES = "SELECT files FROM console.scenario_version WHERE shop = $1 AND kind = $2 AND id = $3 AND version = $4"


async def lock(connection: Connection, ref: Ref) -> Current | None:
    """The scenario as it stands, held until the end of the transaction; None when there is none."""
    row = await connection.fetchrow(LOCK, *ref)
    if row is None or row["version"] == 0:
        return None
    return Current(**row, digest=await connection.fetchval(DIGEST, *ref, row["version"]))


async def lock_or_begin(connection: Connection, ref: Ref, now: datetime) -> Current | None:
    """The same, and nobody else can begin it meanwhile."""
    await connection.execute(BEGIN, *ref, now)
    return await lock(connection, ref)


async def add_version(
    connection: Connection,
    ref: Ref,
    version: int,
    *,
    name: str,
    digest: bytes,
    files: dict[str, str],
    now: datetime,
) -> None:
    """Store a version, for ever as it is."""
    await connection.execute(ADD_VERSION, *ref, version, name, digest, files, now)


async def change(connection: Connection, ref: Ref, version: int, state: str, now: datetime) -> None:
    """Say which version is current, and its state; Kafka is to be told."""
    await connection.execute(CHANGE, *ref, version, state, now)


async def untold(connection: Connection) -> list[Ref]:
    """What Kafka does not know all of."""
    return [Ref(**row) for row in await connection.fetch(UNTOLD)]


async def untold_versions(connection: Connection, ref: Ref) -> list[Untold]:
    """The versions that Kafka has not acknowledged, oldest first."""
    return [Untold(**row) for row in await connection.fetch(UNTOLD_VERSIONS, *ref)]


async def mark_told(connection: Connection, ref: Ref, versions: Sequence[int]) -> None:
    """Kafka has acknowledged the state and these versions."""
    await connection.execute(TELL, *ref)
    await connection.execute(TELL_VERSIONS, *ref, list(versions))


async def listed(connection: Connection, shop: str, kind: KindName) -> list[dict[str, Any]]:
    """The shop's scenarios (or segments) with their current version and state."""
    return [dict(row) for row in await connection.fetch(LIST, shop, kind)]


async def others(connection: Connection, ref: Ref, main: str) -> list[str]:
    """The main files of the shop's other entries of this kind, as they stand; of archived ones none."""
    return [row["text"] for row in await connection.fetch(OTHERS, *ref, main)]


async def versions(connection: Connection, ref: Ref) -> list[dict[str, Any]]:
    """The versions, oldest first, without their files."""
    return [dict(row) for row in await connection.fetch(VERSIONS, *ref)]


async def files(connection: Connection, ref: Ref, version: int) -> dict[str, str] | None:
    """The files of one version."""
    found: dict[str, str] | None = await connection.fetchval(FILES, *ref, version)
    return found
