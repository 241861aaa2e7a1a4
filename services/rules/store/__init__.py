"""Every SQL statement of rules."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec

from libs.common.db.engine import Connection
from libs.common.errors import Unavailable
from libs.domain.rfm.cuts import Cuts
from libs.domain.rfm.facts import MOMENTS, OrderFact
from libs.domain.rfm.model import RfmRules
from libs.domain.rfm.plan import Last
from services.rules import tables

ProfileKey = tuple[str, str]
"""Shop and profile id."""

RFM_LOCK = 0x52464D
"""The first key of the advisory lock that a shop's run holds; the second is the shop's hash."""
AT_ONCE = 5_000
LONG = 3600.0
"""Seconds that a statement over all orders of a shop may take."""
UUID_LENGTH = 36


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
    rows = await connection.fetch(tables.LOAD, [shop for shop, _ in wanted], [profile for _, profile in wanted])
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
        tables.SAVE,
        [shop for shop, _ in keys],
        [profile for _, profile in keys],
        [documents[key][0] for key in keys],
        [documents[key][1] for key in keys],
    )
    if status != f"INSERT 0 {len(keys)}":
        raise Unavailable("a profile was written by another process")


async def count(connection: Connection, slot: int, sums: Mapping[str, Mapping[str, int]]) -> None:
    """Add to each shop's audited sums; `slot` spreads them over rows, so that replicas do not wait for each other."""
    rows = sorted((shop, name, value) for shop, of in sums.items() for name, value in of.items() if value)
    if rows:
        shops, names, values = zip(*rows, strict=True)
        await connection.execute(tables.COUNT, shops, names, slot, values)


async def counters(connection: Connection, shop: str | None = None, begins: str | None = None) -> dict[str, int]:
    """The audited sums, of one shop or of all; or the counts of who waits where whose names begin so (`at:...`)."""
    return {row["name"]: row["value"] for row in await connection.fetch(tables.COUNTERS, shop, begins)}


async def positions(connection: Connection, topic: str) -> dict[int, int]:
    """The next offset of each partition of `topic`."""
    rows = await connection.fetch("SELECT partition, next_offset FROM rules.consumer_offset WHERE topic = $1", topic)
    return {row["partition"]: row["next_offset"] for row in rows}


async def keep_ended(connection: Connection, ended: Sequence[tuple[ProfileKey, str, datetime, bytes]]) -> None:
    """Keep ended enrolments: of whom, id, when, document."""
    if ended:
        await connection.execute(
            tables.KEEP,
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
    status = await connection.execute(tables.FORGET, before, limit)
    return int(status.removeprefix("DELETE "))


async def hold_sweep(connection: Connection, shop: str, fingerprint: str, read_to: int) -> Sweep | None:
    """The sweep of a shop, held until the end of the transaction; None when another process holds it."""
    await connection.execute(tables.BEGIN_SWEEP, shop, fingerprint, read_to)
    row = await connection.fetchrow(tables.HOLD_SWEEP, shop)
    if row is None:
        return None
    position = None if row["position"] is None else str(row["position"])
    return Sweep(fingerprint=row["fingerprint"], read_to=row["read_to"], position=position, done=row["done"])


async def move_sweep(connection: Connection, shop: str, sweep: Sweep) -> None:
    """Note how far it is."""
    await connection.execute(tables.MOVE_SWEEP, shop, sweep.fingerprint, sweep.read_to, sweep.position, sweep.done)


async def next_profiles(connection: Connection, shop: str, after: str | None, limit: int) -> list[str]:
    """The profiles of a shop after `after`, in order."""
    rows = await connection.fetch(tables.NEXT_PROFILES, shop, after, limit)
    return [str(row["profile"]) for row in rows]


async def keep_orders(
    connection: Connection, facts: Mapping[ProfileKey, Mapping[str, OrderFact]], now: datetime
) -> int:
    """Blend what was told of orders into what is known of them; how many shops had none before."""
    rows = sorted(
        ((shop, profile, one) for (shop, profile), orders in facts.items() for one in orders.values()),
        key=lambda row: (row[0], row[1], row[2].order),
    )
    if not rows:
        return 0
    told = [one for _, _, one in rows]
    status = await connection.execute(
        tables.KEEP_ORDERS,
        [shop for shop, _, _ in rows],
        [profile for _, profile, _ in rows],
        [one.order for one in told],
        *([getattr(one, name) for one in told] for name in MOMENTS.values()),
        [one.statuses for one in told],
        [one.status for one in told],
        [one.status_at for one in told],
        [one.value for one in told],
        [one.currency for one in told],
        [one.value_at for one in told],
        [one.returned for one in told],
        [one.whole for one in told],
        now,
    )
    return int(status.rpartition(" ")[2])


async def note_merges(connection: Connection, merged: Sequence[tuple[ProfileKey, str]], now: datetime) -> None:
    """Remember that these profiles are others now; the next run moves their orders."""
    if merged:
        told = sorted(dict(merged).items())
        await connection.execute(
            tables.NOTE_MERGES,
            [shop for (shop, _), _ in told],
            [profile for (_, profile), _ in told],
            [into for _, into in told],
            now,
        )


def snapshot(connection: Connection) -> AbstractAsyncContextManager[Any]:
    """A transaction that sees everything as it was at its first statement."""
    return connection.transaction(isolation="repeatable_read")


async def hold_rfm(connection: Connection, shop: str) -> bool:
    """Whether nobody else computes or tells of this shop, until `release_rfm` or the end of the connection."""
    held: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1, hashtext($2))", RFM_LOCK, shop)
    return held


async def release_rfm(connection: Connection, shop: str) -> None:
    """Let others."""
    await connection.execute("SELECT pg_advisory_unlock($1, hashtext($2))", RFM_LOCK, shop)


async def rfm_shops(connection: Connection) -> dict[str, Last]:
    """How every shop that has orders stands."""
    rows = await connection.fetch("SELECT * FROM rules.rfm_shop ORDER BY shop")
    return {row["shop"]: _last(dict(row)) for row in rows}


async def telling(connection: Connection) -> set[str]:
    """The shops with history that is still to be told."""
    rows = await connection.fetch("SELECT DISTINCT shop FROM rules.rfm_history WHERE NOT told")
    return {row["shop"] for row in rows}


async def rfm_shop(connection: Connection, shop: str) -> Last | None:
    """How one shop stands; None when no order of it has come."""
    row = await connection.fetchrow("SELECT * FROM rules.rfm_shop WHERE shop = $1", shop)
    return None if row is None else _last(dict(row))


def _last(row: Mapping[str, Any]) -> Last:
    known = {name: value for name, value in row.items() if name != "shop"}
    for name, kind in (("rules", RfmRules), ("cuts", Cuts)):
        known[name] = None if row[name] is None else msgspec.convert(row[name], kind)
    return Last(**known)


async def save_run(connection: Connection, shop: str, last: Last) -> None:
    """Note how the shop stands now."""
    await connection.execute(
        tables.SAVE_RUN,
        shop,
        last.run,
        last.version,
        last.rules,
        last.cuts,
        last.day,
        last.full_at,
        last.run_at,
        last.excluded,
    )


async def currency(connection: Connection, shop: str) -> str | None:
    """That of most orders."""
    found: str | None = await connection.fetchval(
        "SELECT currency FROM rules.order_fact WHERE shop = $1 AND currency IS NOT NULL "
        "GROUP BY currency ORDER BY count(*) DESC, currency LIMIT 1",
        shop,
        timeout=LONG,
    )
    return found


async def move_merged(connection: Connection, shop: str, forget: datetime) -> int:
    """Give the orders of merged profiles to those that they are now, with history and row; how many merges.

    Both are touched: the one is computed anew, the other found to have no order.
    """
    moves = [(shop, row["origin"], row["root"]) for row in await connection.fetch(tables.MERGES, shop)]
    if moves:
        await connection.executemany(tables.MOVE_ORDERS, moves)
        await connection.executemany(tables.MOVE_ROW, moves)
        await connection.executemany("DELETE FROM rules.rfm WHERE shop = $1 AND profile = $2", [m[:2] for m in moves])
        await connection.executemany(tables.MOVE_HISTORY, moves)
        await connection.execute(tables.TOUCH, shop, [origin for _, origin, _ in moves], False)
        await connection.execute(tables.TOUCH, shop, [root for _, _, root in moves], True)
        await connection.execute(tables.MERGE_DONE, shop, [origin for _, origin, _ in moves])
    await connection.execute(tables.FORGET_MERGES, shop, forget)
    return len(moves)


async def take_touched(connection: Connection, shop: str) -> dict[str, bool]:
    """The profiles of which orders changed, and whether by a merge; they are off the list with the transaction."""
    return {str(row["profile"]): row["merged"] for row in await connection.fetch(tables.TAKE_TOUCHED, shop)}


async def all_orders(
    connection: Connection, shop: str, counts: str, size: int, take: Callable[[bytes], Awaitable[None]]
) -> None:
    """Give every order of a shop to `take`, in parts of about `size` bytes as `frames.orders` reads them.

    All orders of a profile are in one part; the next is read when `take` is done with one.
    """
    rest = bytearray()

    async def cut(data: bytes) -> None:
        rest.extend(data)
        if len(rest) >= size and (end := _begins(rest)):
            part = bytes(rest[:end])
            del rest[:end]
            await take(part)

    at, word = _moment(counts, 2)
    query = f"{tables.ORDERS.format(at=at, chosen='true')} ORDER BY profile"
    await connection.execute(tables.BY_SORTING)
    await connection.copy_from_query(query, shop, *word, output=cut, format="csv", timeout=LONG)
    await connection.execute(tables.AS_BEFORE)
    await take(bytes(rest))


def _begins(rows: bytearray) -> int:
    """Where the rows of the last profile begin. A row is a line, since no status holds a line break."""
    last = rows.rfind(b"\n", 0, rows.rfind(b"\n")) + 1
    profile = rows[last : last + UUID_LENGTH]
    return 0 if rows.startswith(profile) else rows.find(b"\n" + profile) + 1


async def orders_of(connection: Connection, shop: str, counts: str, profiles: Collection[str]) -> bytes:
    """All orders of these profiles."""
    at, word = _moment(counts, 3)
    query = tables.ORDERS.format(at=at, chosen="profile = ANY ($2::uuid[])")
    return await _copy(connection, query, shop, list(profiles), *word)


def _moment(counts: str, place: int) -> tuple[str, list[str]]:
    """SQL of the moment that rules count from, and the parameter it needs: a status told by the shop."""
    if counts in MOMENTS:
        return MOMENTS[counts], []
    return f"(statuses ->> ${place}::text)::timestamptz", [counts.removeprefix("status:")]


async def customers(connection: Connection, shop: str) -> bytes:
    """Every customer's row, as `frames.customers` reads them."""
    return await _copy(connection, tables.CUSTOMERS, shop)


async def customers_of(
    connection: Connection, shop: str, profiles: Collection[str], worse: Mapping[int, date]
) -> bytes:
    """The rows of these profiles, and of those whose recency falls: `worse` has the last day that keeps a score."""
    return await _copy(
        connection, tables.CUSTOMERS_CHOSEN, shop, list(profiles), list(worse.keys()), list(worse.values())
    )


async def crossing(
    connection: Connection, shop: str, counts: str, spans: Sequence[tuple[datetime, datetime]]
) -> list[str]:
    """The profiles of whom an order lies in one of two spans of time."""
    at, word = _moment(counts, 6)
    (first, second), given = spans, (moment for span in spans for moment in span)
    if first[0] >= first[1] and second[0] >= second[1]:
        return []
    rows = await connection.fetch(tables.CROSSING.format(at=at), shop, *given, *word, timeout=LONG)
    return [str(row["profile"]) for row in rows]


async def save_customers(connection: Connection, shop: str, columns: Sequence[list[Any]], gone: list[str]) -> None:
    """Write rows (columns as of `run.ROWS`), and delete those of who is a customer no more."""
    for part in _parts(columns):
        await connection.execute(tables.SAVE_CUSTOMERS, shop, *part)
    await connection.execute("DELETE FROM rules.rfm WHERE shop = $1 AND profile = ANY ($2::uuid[])", shop, gone)


async def save_history(connection: Connection, shop: str, run: int, at: datetime, columns: Sequence[list[Any]]) -> None:
    """Add to the history what is still to be told: profile, from, to, r, f, m, quiet."""
    for part in _parts(columns):
        await connection.execute(tables.SAVE_HISTORY, shop, run, at, *part)


def _parts(columns: Sequence[list[Any]]) -> Iterable[list[list[Any]]]:
    for begin in range(0, len(columns[0]), AT_ONCE):
        yield [column[begin : begin + AT_ONCE] for column in columns]


async def untold(connection: Connection, shop: str, limit: int) -> list[dict[str, Any]]:
    """The oldest of the history that is still to be told."""
    return [dict(row) for row in await connection.fetch(tables.UNTOLD, shop, limit)]


async def mark_told(connection: Connection, shop: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """They are told."""
    await connection.execute(tables.MARK_TOLD, shop, [row["origin"] for row in rows], [row["run"] for row in rows])


async def segments(connection: Connection, shop: str) -> list[dict[str, Any]]:
    """Each segment with its customers, the largest first."""
    return [dict(row) for row in await connection.fetch(tables.SEGMENTS, shop)]


async def page(
    connection: Connection, shop: str, segment: str | None, after: str | None, limit: int
) -> list[dict[str, Any]]:
    """Customers of a shop, or of one segment, in order of their profiles."""
    return [dict(row) for row in await connection.fetch(tables.PAGE, shop, segment, after, limit)]


async def customer(connection: Connection, shop: str, profile: str) -> dict[str, Any] | None:
    """One customer's row."""
    row = await connection.fetchrow(tables.CUSTOMER, shop, profile)
    return None if row is None else dict(row)


async def history(connection: Connection, shop: str, profile: str, limit: int) -> list[dict[str, Any]]:
    """How a customer's segment and scores changed, newest first."""
    return [dict(row) for row in await connection.fetch(tables.HISTORY, shop, profile, limit)]


async def _copy(connection: Connection, query: str, *given: Any) -> bytes:
    """The rows of a query as CSV."""
    found: list[bytes] = []

    async def take(data: bytes) -> None:
        found.append(bytes(data))

    await connection.copy_from_query(query, *given, output=take, format="csv", timeout=LONG)
    return b"".join(found)
