"""What is stored of products: as they are, whom they matter to, and the changes that are still to be told."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.common.db.engine import Connection
from libs.domain.engine.interest import KEPT_FOR, SLACK, VIEWED, VIEWED_FOR, Interest
from services.rules import tables
from services.rules.handlers.catalogue import Announcement, ProductKey

ProfileKey = tuple[str, str]
INDEX_LOCK = 0x494E54
LONG = 600.0
"""Seconds that the index may take for a part of what is noted."""


@dataclass(frozen=True, kw_only=True)
class Held:
    """A change that is being told: up to which profile, and the product as it is now (a document)."""

    number: int
    position: str | None
    told: Announcement
    document: bytes


async def load(connection: Connection, keys: Iterable[ProductKey]) -> dict[ProductKey, bytes]:
    """The document of each product that is known."""
    wanted = sorted(keys)
    if not wanted:
        return {}
    rows = await connection.fetch(tables.LOAD_PRODUCTS, [shop for shop, _ in wanted], [one for _, one in wanted])
    return {(row["shop"], row["product"]): row["document"] for row in rows}


async def save(connection: Connection, documents: Mapping[ProductKey, bytes]) -> None:
    """Write products."""
    keys = sorted(documents)
    if keys:
        await connection.execute(
            tables.SAVE_PRODUCTS,
            [shop for shop, _ in keys],
            [product for _, product in keys],
            [documents[key] for key in keys],
        )


async def note_interests(connection: Connection, rows: Mapping[ProfileKey, Mapping[str, Interest | None]]) -> None:
    """Note to whom products matter from now on, or no more (None)."""
    told = [
        (shop, product, profile, *(row or ())) for (shop, profile), of in rows.items() for product, row in of.items()
    ]
    if told:
        await connection.execute("INSERT INTO rules.interest_log (rows) VALUES ($1)", told)


async def index_interests(connection: Connection, limit: int) -> int | None:
    """Bring some of what is noted into the index, within a transaction; how many batches that were.

    None while another process is at it: what is newer must not be overtaken.
    """
    if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", INDEX_LOCK):
        return None
    taken: int = await connection.fetchval(
        tables.INDEX_INTERESTS, limit, VIEWED, VIEWED_FOR + SLACK, KEPT_FOR + SLACK, timeout=LONG
    )
    return taken


async def forget_interests(connection: Connection, before: datetime, limit: int) -> int:
    """Delete some of what mattered until `before`; how many."""
    status = await connection.execute(tables.FORGET_INTERESTS, before, limit)
    return int(status.removeprefix("DELETE "))


async def keep_changes(connection: Connection, changes: Sequence[Announcement]) -> None:
    """Note changes that are to be told."""
    if changes:
        await connection.execute(
            tables.KEEP_CHANGES,
            [one.change for one in changes],
            [one.shop for one in changes],
            [one.product for one in changes],
            [one.kind for one in changes],
            [one.old_price for one in changes],
            [one.at for one in changes],
            [one.data for one in changes],
            [one.traceparent for one in changes],
        )


async def newest_change(connection: Connection) -> int:
    """The number of the newest change that is to be told; 0 when there is none."""
    newest: int | None = await connection.fetchval("SELECT max(number) FROM rules.product_change")
    return newest or 0


async def hold_change(connection: Connection, up_to: int) -> Held | None:
    """The next change to tell, of those up to a number, held until the end of the transaction."""
    row = await connection.fetchrow(tables.HOLD_CHANGE, up_to)
    if row is None:
        return None
    told = Announcement(
        change=str(row["change"]),
        shop=row["shop"],
        product=row["product"],
        kind=row["kind"],
        old_price=row["old_price"],
        at=row["at"],
        data=row["data"],
        traceparent=row["traceparent"],
    )
    position = None if row["position"] is None else str(row["position"])
    return Held(number=row["number"], position=position, told=told, document=row["document"])


async def interested(connection: Connection, held: Held, limit: int) -> list[str]:
    """The next profiles to whom the product matters, in order."""
    told = held.told
    rows = await connection.fetch(tables.INTERESTED, told.shop, told.product, held.position, told.at, limit)
    return [str(row["profile"]) for row in rows]


async def move_change(connection: Connection, held: Held, position: str) -> None:
    """Note how far it is; others have their turn first."""
    await connection.execute(tables.MOVE_CHANGE, held.number, position)


async def end_change(connection: Connection, held: Held) -> None:
    """It is told, or need not be told any more."""
    await connection.execute("DELETE FROM rules.product_change WHERE number = $1", held.number)
