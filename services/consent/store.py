"""Every SQL statement of consent.

Every transaction takes its locks in one order: profiles (by shop and id), then the heads of the chains (by shop).
Whoever changes a profile holds it FOR UPDATE, whoever judges holds it FOR SHARE: so the database orders every
decision before or after every withdrawal (I2). Where a cap counts, whoever judges holds it FOR UPDATE too: so no two
messages of a customer take the last place. Rows of places come after profiles, ordered by shop and message.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

import asyncpg

from libs.common.db.engine import Connection
from libs.common.errors import Unavailable
from libs.domain.consent.caps import Place
from libs.domain.consent.register import GENESIS, Entry, chained
from libs.domain.consent.state import Change as Changed
from libs.domain.consent.state import ProfileKey, State, StateKey, Told
from services.consent import tables
from services.consent.handlers import Change, Judged

Mode = Literal["UPDATE OF p", "SHARE OF p"]
"""To change or to count places, to judge."""
WORD = ("status", "at", "seq", "hash")
"""What is stored of a word that stands, and of the one beside it."""
DRAIN_LOCK = 0x4B55434F4E53  # "KUCONS"
BUSY = asyncpg.LockNotAvailableError


def _pairs(keys: Iterable[ProfileKey]) -> tuple[list[str], list[str]]:
    ordered = sorted(keys)
    return [shop for shop, _ in ordered], [profile for _, profile in ordered]


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True))


async def know(connection: Connection, keys: Collection[ProfileKey]) -> None:
    """Make rows for profiles that are new, so that they can be held."""
    await connection.execute(tables.KNOW, *_pairs(keys))


async def hold(
    connection: Connection, keys: Collection[ProfileKey], mode: Mode, *, skip_locked: bool = False
) -> dict[ProfileKey, str]:
    """Lock profiles and those they were merged into; which profile each now is. Unknown ones are left out.

    With `skip_locked` those that somebody else holds are left out as well. Raises `BUSY` after the transaction's
    lock_timeout.
    """
    wanted = set(keys)
    query = tables.LOCK.format(mode=f"{mode} SKIP LOCKED" if skip_locked else mode)
    for _ in range(5):
        rows = await connection.fetch(query, *_pairs(wanted))
        held = {(row["shop"], str(row["profile"])): row["into_profile"] for row in rows}
        missing = {(shop, str(into)) for (shop, _), into in held.items() if into} - held.keys()
        if not missing or skip_locked:
            roots = {key: str(into) if into else key[1] for key, into in held.items()}
            return {key: root for key, root in roots.items() if (key[0], root) in held}
        wanted |= missing
    raise Unavailable("profiles are being merged; try again")


async def patience(connection: Connection, milliseconds: int) -> None:
    """How long this transaction waits for a lock."""
    await connection.execute(f"SET LOCAL lock_timeout = {milliseconds:d}")


async def states(connection: Connection, keys: Collection[ProfileKey]) -> dict[StateKey, State]:
    """Everything that stands for these profiles."""
    rows = await connection.fetch(tables.STATES, *_pairs(keys))
    return {(row["shop"], str(row["profile"]), row["channel"], row["purpose"]): _state(row) for row in rows}


def _state(row: asyncpg.Record) -> State:
    found = State(status=row["status"], at=row["at"], seq=row["seq"], hash=row["hash"])
    beside = {name: row[f"beside_{name}"] for name in WORD}
    return found if beside["status"] is None else replace(found, beside=State(**beside))


async def save_states(connection: Connection, after: Mapping[StateKey, State]) -> None:
    """Store what stands."""
    if after:
        rows = [(*key, *_word(state), *_word(state.beside)) for key, state in sorted(after.items(), key=_key)]
        await connection.execute(tables.SAVE_STATES, *_columns(rows))


def _word(state: State | None) -> list[Any]:
    return [getattr(state, name, None) for name in WORD]


def _key(item: tuple[StateKey, State]) -> StateKey:
    return item[0]


async def merge(connection: Connection, moved: Mapping[ProfileKey, str]) -> None:
    """Redirect profiles, move their contact points and places, and drop their states (`settle` has given them on)."""
    if moved:
        columns = _columns([(shop, loser, winner) for (shop, loser), winner in sorted(moved.items())])
        await connection.execute(tables.REDIRECT, *columns)
        await connection.execute(tables.MOVE_CONTACTS, *columns)
        await connection.execute(tables.MOVE_PLACES, *columns)
        await connection.execute(tables.DROP_STATES, *columns[:2])


async def add_contacts(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Contact points: (shop, profile, channel, digest, encrypted address, at, source)."""
    if rows:
        await connection.execute(tables.ADD_CONTACTS, *_columns(rows))


async def append(
    connection: Connection, told: Sequence[Told], seals: Mapping[str, bytes], now: datetime
) -> dict[str, Entry]:
    """Append what is not in the register yet, by record id; `seals` is the encrypted evidence by record id.

    The head of each shop's chain is held from here to the end of the transaction.
    """
    fresh = {(one.shop, one.record): one for one in told}
    if not fresh:
        return {}
    shops = sorted({one.shop for one in told})
    await connection.execute(tables.NEW_HEADS, shops, GENESIS)
    heads = {row["shop"]: (row["seq"], row["hash"]) for row in await connection.fetch(tables.HEADS, shops)}
    for row in await connection.fetch(tables.RECORDED, *_pairs(fresh)):
        del fresh[(row["shop"], str(row["record"]))]
    entries: dict[str, Entry] = {}
    for one in fresh.values():
        seq, prev = heads[one.shop]
        entry = chained(one, seq=seq + 1, prev=prev, recorded_at=now, sealed=seals.get(one.record))
        heads[one.shop] = (entry.seq, entry.hash)
        entries[one.record] = entry
    if entries:
        rows = [tuple(getattr(entry, name) for name in Entry.__slots__) for entry in entries.values()]
        await connection.execute(tables.APPEND, *_columns(rows))
        kept = [(entries[r].shop, entries[r].seq, seals[r]) for r in entries if r in seals]
        if kept:
            await connection.execute(tables.KEEP_EVIDENCE, *_columns(kept))
        await connection.execute(tables.MOVE_HEADS, *_columns([(shop, *head) for shop, head in sorted(heads.items())]))
    return entries


async def post(connection: Connection, changes: Sequence[Changed]) -> None:
    """Put changes into the outbox."""
    if changes:
        rows = [(*c.key, c.state.status, c.because, c.state.at, c.state.seq, c.traceparent) for c in changes]
        await connection.execute(tables.POST, *_columns(rows))


async def one_drainer(connection: Connection) -> None:
    """Wait until no other replica empties the outbox; held to the end of the transaction."""
    await connection.execute(tables.LOCK_DRAIN, DRAIN_LOCK)


async def posted(connection: Connection, limit: int) -> list[Change]:
    """The oldest changes of the outbox."""
    rows = await connection.fetch(tables.POSTED, limit)
    return [Change(**{**dict(row), "profile": str(row["profile"])}) for row in rows]


async def told(connection: Connection, changes: Sequence[Change]) -> None:
    """Take changes out of the outbox."""
    await connection.execute(tables.TOLD, [c.id for c in changes])


async def register_rows(connection: Connection, shop: str | None) -> int:
    """How many rows all chains have."""
    found: int = await connection.fetchval(tables.SIZES, shop)
    return found


async def waiting(connection: Connection, shop: str | None) -> int:
    """How many changes are not published yet, of one shop or of all."""
    found: int = await connection.fetchval(tables.WAITING, shop)
    return found


async def positions(connection: Connection, topic: str) -> dict[int, int]:
    """The next offset of each partition of `topic`, whoever owns it."""
    rows = await connection.fetch(tables.POSITIONS, topic)
    return {row["partition"]: row["next_offset"] for row in rows}


async def reachable(
    connection: Connection, keys: Collection[ProfileKey]
) -> dict[ProfileKey, dict[str, tuple[bytes, bytes, bool]]]:
    """By profile and channel: digest, encrypted address, whether it is suppressed."""
    found: dict[ProfileKey, dict[str, tuple[bytes, bytes, bool]]] = {}
    for row in await connection.fetch(tables.REACHABLE, *_pairs(keys)):
        channels = found.setdefault((row["shop"], str(row["profile"])), {})
        channels[row["channel"]] = (row["digest"], row["address"], row["suppressed"])
    return found


async def record_decisions(connection: Connection, judged: Sequence[Judged], now: datetime) -> None:
    """Record decisions with what they rested on."""
    if judged:
        rows = [
            (
                *(one.message, one.shop, one.profile, one.purpose, one.scenario, one.decision, one.reason),
                *(one.channel, one.digest),
                *((one.rested.seq, one.rested.hash) if one.rested else (None, None)),
            )
            for one in judged
        ]
        await connection.execute(tables.DECIDED, *_columns(rows), now)


async def places(
    connection: Connection, keys: Collection[ProfileKey], since: Mapping[str, datetime]
) -> dict[ProfileKey, dict[str, Place]]:
    """The places that these profiles' messages have taken, by message; of each shop those after its `since`."""
    wanted = [(shop, profile, since[shop]) for shop, profile in sorted(keys) if shop in since]
    found: dict[ProfileKey, dict[str, Place]] = {}
    for row in await connection.fetch(tables.PLACES, *_columns(wanted)) if wanted else ():
        held = found.setdefault((row["shop"], str(row["profile"])), {})
        held[str(row["message"])] = Place(channel=row["channel"], at=row["at"])
    return found


async def take_places(connection: Connection, taken: Mapping[tuple[str, str], tuple[str, Place]]) -> None:
    """Store places, by shop and message; one that a message has already moves."""
    if taken:
        rows = [(*key, profile, place.channel, place.at) for key, (profile, place) in sorted(taken.items())]
        await connection.execute(tables.TAKE_PLACES, *_columns(rows))


async def free_places(connection: Connection, messages: Collection[tuple[str, str]]) -> None:
    """These messages, by shop and id, came to nothing."""
    if messages:
        await connection.execute(tables.FREE_PLACES, *_pairs(messages))


async def tidy_places(connection: Connection, before: datetime, limit: int) -> int:
    """Delete places of before; how many, up to `limit`."""
    status = await connection.execute(tables.TIDY_PLACES, before, limit)
    return int(status.rpartition(" ")[2])


async def suppress(connection: Connection, shop: str, channel: str, digest: bytes, reason: str, now: datetime) -> bool:
    """Never write to this address again; False when that was so already."""
    return bool(await connection.execute(tables.SUPPRESS, shop, channel, digest, reason, now) == "INSERT 0 1")


async def aliases(connection: Connection, shop: str, root: str) -> list[str]:
    """The profile and all that were merged into it."""
    rows = await connection.fetch(
        tables.ALIASES,
        shop,
        root,
    )
    return [str(row["profile"]) for row in rows]


async def forget(connection: Connection, shop: str, profiles: list[str], now: datetime) -> tuple[int, int]:
    """Delete addresses, evidence and places of `profiles` for ever; how many addresses, how much evidence."""
    head = await connection.fetchval(tables.CHAIN_ROWS, shop)
    row = await connection.fetchrow(tables.FORGET, shop, profiles, now, head or 0)
    assert row is not None
    return row["addresses"], row["evidence"]


RegisterRow = tuple[Entry, bytes | None, bool]
"""A row, its encrypted evidence if kept, and whether its profile was erased since."""


async def _rows(connection: Connection, which: str, *arguments: object, limit: int = 100_000) -> list[RegisterRow]:
    rows = await connection.fetch(tables.ROWS.format(which=which, limit=limit), *arguments)
    return [(_entry(dict(row)), row["evidence"], row["forgotten"]) for row in rows]


def _entry(row: dict[str, Any]) -> Entry:
    values = {name: row[name] for name in Entry.__slots__}
    return Entry(**(values | {"record": str(row["record"]), "profile": str(row["profile"])}))


async def chain_page(connection: Connection, shop: str, after: int, last: int, limit: int) -> list[RegisterRow]:
    """The rows of a shop's chain after row `after`, up to row `last`."""
    return await _rows(connection, "r.seq > $2 AND r.seq <= $3", shop, after, last, limit=limit)


async def chain_row(connection: Connection, shop: str, seq: int) -> RegisterRow | None:
    """One row of a shop's chain."""
    return next(iter(await _rows(connection, "r.seq = $2", shop, seq)), None)


async def history(connection: Connection, shop: str, profiles: list[str]) -> list[RegisterRow]:
    """Everything that was ever told about these profiles, oldest first."""
    return await _rows(connection, "r.profile = ANY($2::uuid[])", shop, profiles)


async def head(connection: Connection, shop: str) -> tuple[int, bytes]:
    """The last row of a shop's chain, and its hash, as kept apart from the register."""
    row = await connection.fetchrow(tables.CHAIN_ROWS, shop)
    return (row["seq"], row["hash"]) if row else (0, GENESIS)


async def loose_states(connection: Connection, shop: str) -> int:
    """How many of the permissions in force do not say what their row of the register says."""
    found: int = await connection.fetchval(tables.LOOSE, shop, timeout=600)
    return found


async def root(connection: Connection, shop: str, profile: str) -> str | None:
    """Which profile this one is now; None when it is not known."""
    found = await connection.fetchval(tables.ROOT, shop, profile)
    return str(found) if found else None


async def decisions_about(connection: Connection, message: str, shop: str | None) -> list[dict[str, Any]]:
    """Every decision about a message, newest first."""
    return [dict(row) for row in await connection.fetch(tables.PROOF.format(which="message = $1"), message, shop)]


async def decisions_for(connection: Connection, shop: str, profiles: list[str]) -> list[dict[str, Any]]:
    """The newest decisions about messages to these profiles."""
    return [
        dict(row)
        for row in await connection.fetch(tables.PROOF.format(which="profile = ANY($1::uuid[])"), profiles, shop)
    ]


async def contacts(connection: Connection, shop: str, profile: str) -> list[dict[str, Any]]:
    """Every contact point of a profile, the newest of each channel first; addresses encrypted."""
    return [dict(row) for row in await connection.fetch(tables.CONTACTS, shop, profile)]
