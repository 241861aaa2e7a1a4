"""Every SQL statement of rules."""

from collections.abc import Iterable, Mapping

from libs.common.db.engine import Connection
from libs.common.errors import Unavailable

ProfileKey = tuple[str, str]
"""Shop and profile id."""

LOAD = """
SELECT p.shop, p.profile, p.version, p.document
FROM unnest($1::text[], $2::uuid[]) AS wanted (shop, profile)
JOIN rules.profile AS p ON p.shop = wanted.shop AND p.profile = wanted.profile
"""

SAVE = """
INSERT INTO rules.profile AS p (shop, profile, version, document)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::bytea[])
ON CONFLICT (shop, profile) DO UPDATE SET version = excluded.version, document = excluded.document
WHERE p.version = excluded.version - 1
"""

COUNT = """
INSERT INTO rules.counter AS c (name, slot, value)
SELECT name, $2, value FROM unnest($1::text[], $3::bigint[]) AS n (name, value)
ON CONFLICT (name, slot) DO UPDATE SET value = c.value + excluded.value
"""


async def load(connection: Connection, keys: Iterable[ProfileKey]) -> dict[ProfileKey, tuple[int, bytes]]:
    """Version and document of each profile that exists."""
    wanted = list(keys)
    rows = await connection.fetch(LOAD, [shop for shop, _ in wanted], [profile for _, profile in wanted])
    return {(row["shop"], str(row["profile"])): (row["version"], row["document"]) for row in rows}


async def save(connection: Connection, documents: Mapping[ProfileKey, tuple[int, bytes]]) -> None:
    """Write documents, each with its new version (1 for a new profile).

    Raises `Unavailable` when a version is not the successor of the stored one: somebody else wrote meanwhile,
    so what was decided here rests on an old state and must be decided again.
    """
    if not documents:
        return
    keys = sorted(documents)
    status = await connection.execute(
        SAVE,
        [shop for shop, _ in keys],
        [profile for _, profile in keys],
        [documents[key][0] for key in keys],
        [documents[key][1] for key in keys],
    )
    if status != f"INSERT 0 {len(keys)}":
        raise Unavailable("a profile was written by another process")


async def count(connection: Connection, slot: int, sums: Mapping[str, int]) -> None:
    """Add to the audited sums; `slot` spreads them over rows, so that replicas do not wait for each other."""
    changed = {name: value for name, value in sorted(sums.items()) if value}
    if changed:
        await connection.execute(COUNT, list(changed), slot, list(changed.values()))


async def counters(connection: Connection) -> dict[str, int]:
    """The audited sums."""
    rows = await connection.fetch("SELECT name, sum(value)::bigint AS value FROM rules.counter GROUP BY name")
    return {row["name"]: row["value"] for row in rows}


async def positions(connection: Connection, topic: str) -> dict[int, int]:
    """The next offset of each partition of `topic`."""
    rows = await connection.fetch("SELECT partition, next_offset FROM rules.consumer_offset WHERE topic = $1", topic)
    return {row["partition"]: row["next_offset"] for row in rows}
