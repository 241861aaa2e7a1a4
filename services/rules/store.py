"""Every SQL statement of rules."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

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

KEEP = """
INSERT INTO rules.ended (shop, profile, enrolment, ended_at, document)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::bytea[])
ON CONFLICT DO NOTHING
"""

FORGET = """
DELETE FROM rules.ended WHERE ctid = ANY (ARRAY(SELECT ctid FROM rules.ended WHERE ended_at < $1 LIMIT $2))
"""

BEGIN_SWEEP = """
INSERT INTO rules.sweep (shop, fingerprint, read_to, done) VALUES ($1, $2, $3, $2 = '') ON CONFLICT DO NOTHING
"""

HOLD_SWEEP = """
SELECT fingerprint, read_to, position, done FROM rules.sweep WHERE shop = $1 FOR UPDATE SKIP LOCKED
"""

MOVE_SWEEP = """
UPDATE rules.sweep SET fingerprint = $2, read_to = $3, position = $4, done = $5 WHERE shop = $1
"""

NEXT_PROFILES = """
SELECT profile FROM rules.profile WHERE shop = $1 AND ($2::uuid IS NULL OR profile > $2) ORDER BY profile LIMIT $3
"""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """How far the profiles of a shop have been told to look at the scenarios of a fingerprint."""

    fingerprint: str
    read_to: int
    position: str | None
    done: bool


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


async def keep_ended(connection: Connection, ended: Sequence[tuple[ProfileKey, str, datetime, bytes]]) -> None:
    """Keep ended enrolments: of whom, id, when, document."""
    if ended:
        await connection.execute(
            KEEP,
            [shop for (shop, _), _, _, _ in ended],
            [profile for (_, profile), _, _, _ in ended],
            [enrolment for _, enrolment, _, _ in ended],
            [at for _, _, at, _ in ended],
            [document for _, _, _, document in ended],
        )


async def ended(connection: Connection, shop: str, profile: str) -> list[bytes]:
    """The ended enrolments that are kept of a profile, oldest first."""
    rows = await connection.fetch(
        "SELECT document FROM rules.ended WHERE shop = $1 AND profile = $2 ORDER BY ended_at", shop, profile
    )
    return [row["document"] for row in rows]


async def forget_ended(connection: Connection, before: datetime, limit: int) -> int:
    """Delete some of what ended before `before`; how many."""
    status = await connection.execute(FORGET, before, limit)
    return int(status.removeprefix("DELETE "))


async def hold_sweep(connection: Connection, shop: str, fingerprint: str, read_to: int) -> Sweep | None:
    """The sweep of a shop, held until the end of the transaction; None when another process holds it."""
    await connection.execute(BEGIN_SWEEP, shop, fingerprint, read_to)
    row = await connection.fetchrow(HOLD_SWEEP, shop)
    if row is None:
        return None
    position = None if row["position"] is None else str(row["position"])
    return Sweep(fingerprint=row["fingerprint"], read_to=row["read_to"], position=position, done=row["done"])


async def move_sweep(connection: Connection, shop: str, sweep: Sweep) -> None:
    """Note how far it is."""
    await connection.execute(MOVE_SWEEP, shop, sweep.fingerprint, sweep.read_to, sweep.position, sweep.done)


async def next_profiles(connection: Connection, shop: str, after: str | None, limit: int) -> list[str]:
    """The profiles of a shop after `after`, in order."""
    rows = await connection.fetch(NEXT_PROFILES, shop, after, limit)
    return [str(row["profile"]) for row in rows]
