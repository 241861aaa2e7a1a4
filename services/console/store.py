"""Every SQL statement of the console.

`told` says whether Kafka has acknowledged a row. A row is only ever published by who holds the lock on its
scenario, so that states reach Kafka in the order in which they were decided. The rules of a shop's RFM are kept by the
same guarantees, under an id that no scenario has (`handlers.RFM`).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from libs.common.db.engine import Connection
from services.console.handlers import RFM, Current, Untold

BEGIN = """
INSERT INTO console.scenario (shop, id, version, state, changed_at, told) VALUES ($1, $2, 0, 'live', $3, true)
ON CONFLICT (shop, id) DO NOTHING
"""

LOCK = "SELECT version, state, changed_at, told FROM console.scenario WHERE shop = $1 AND id = $2 FOR UPDATE"

DIGEST = "SELECT digest FROM console.scenario_version WHERE shop = $1 AND id = $2 AND version = $3"
"""In a statement of its own, after the lock: one that waited for it would still see the versions of before."""

ADD_VERSION = """
INSERT INTO console.scenario_version (shop, id, version, name, digest, files, published_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""

CHANGE = """
UPDATE console.scenario SET version = $3, state = $4, changed_at = $5, told = false WHERE shop = $1 AND id = $2
"""

UNTOLD = """
SELECT shop, id FROM console.scenario WHERE NOT told
UNION
SELECT shop, id FROM console.scenario_version WHERE NOT told
ORDER BY shop, id
"""

UNTOLD_VERSIONS = """
SELECT version, files, published_at FROM console.scenario_version
WHERE shop = $1 AND id = $2 AND NOT told ORDER BY version
"""

LIST = """
SELECT s.id, s.version, s.state, s.changed_at, v.name, v.published_at
FROM console.scenario AS s
JOIN console.scenario_version AS v ON v.shop = s.shop AND v.id = s.id AND v.version = s.version
WHERE s.shop = $1 AND s.id <> $2 ORDER BY s.id
"""

VERSIONS = """
SELECT version, name, published_at FROM console.scenario_version WHERE shop = $1 AND id = $2 ORDER BY version
"""


async def lock(connection: Connection, shop: str, id: str) -> Current | None:
    """The scenario as it stands, held until the end of the transaction; None when there is none."""
    row = await connection.fetchrow(LOCK, shop, id)
    if row is None or row["version"] == 0:
        return None
    return Current(**row, digest=await connection.fetchval(DIGEST, shop, id, row["version"]))


async def lock_or_begin(connection: Connection, shop: str, id: str, now: datetime) -> Current | None:
    """The same, and nobody else can begin it meanwhile."""
    await connection.execute(BEGIN, shop, id, now)
    return await lock(connection, shop, id)


async def add_version(
    connection: Connection,
    shop: str,
    id: str,
    version: int,
    *,
    name: str,
    digest: bytes,
    files: dict[str, str],
    now: datetime,
) -> None:
    """Store a version, for ever as it is."""
    await connection.execute(ADD_VERSION, shop, id, version, name, digest, files, now)


async def change(connection: Connection, shop: str, id: str, version: int, state: str, now: datetime) -> None:
    """Say which version is current, and its state; Kafka is to be told."""
    await connection.execute(CHANGE, shop, id, version, state, now)


async def untold(connection: Connection) -> list[tuple[str, str]]:
    """The scenarios (shop, id) of which Kafka does not know all."""
    return [(row["shop"], row["id"]) for row in await connection.fetch(UNTOLD)]


async def untold_versions(connection: Connection, shop: str, id: str) -> list[Untold]:
    """The versions that Kafka has not acknowledged, oldest first."""
    return [Untold(**row) for row in await connection.fetch(UNTOLD_VERSIONS, shop, id)]


async def mark_told(connection: Connection, shop: str, id: str, versions: Sequence[int]) -> None:
    """Kafka has acknowledged the state of the scenario and these versions."""
    await connection.execute("UPDATE console.scenario SET told = true WHERE shop = $1 AND id = $2", shop, id)
    await connection.execute(
        "UPDATE console.scenario_version SET told = true WHERE shop = $1 AND id = $2 AND version = ANY($3::int[])",
        shop,
        id,
        list(versions),
    )


async def scenarios(connection: Connection, shop: str) -> list[dict[str, Any]]:
    """The shop's scenarios with their current version and state."""
    return [dict(row) for row in await connection.fetch(LIST, shop, RFM)]


async def versions(connection: Connection, shop: str, id: str) -> list[dict[str, Any]]:
    """The versions of a scenario, oldest first, without their files."""
    return [dict(row) for row in await connection.fetch(VERSIONS, shop, id)]


async def files(connection: Connection, shop: str, id: str, version: int) -> dict[str, str] | None:
    """The files of one version."""
    found: dict[str, str] | None = await connection.fetchval(
        "SELECT files FROM console.scenario_version WHERE shop = $1 AND id = $2 AND version = $3", shop, id, version
    )
    return found
