"""Every SQL statement of dispatch.

`dispatch.message` is the outbox: metadata, state, end. `dispatch.request` holds what is needed to send a message
and goes with its end. No address is in either (I1). Each transition is a compare-and-set on state and worker.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg

from libs.common.db.engine import Connection, Database
from libs.common.errors import Unavailable
from libs.contracts.messages import MessageRequested
from services.dispatch import tables
from services.dispatch.handlers import Cancelled, Change, Incoming, Job
from services.dispatch.handlers.news import Touch, Untold

Queue = Literal["messages", "calls"]
CHANNEL = "kurant_dispatch"
LOCK = 0x4B554449
"""First half of a worker's advisory lock ("KUDI"); the second is the worker's number."""
CLAIMING = 0x4B55444943
"""The lock of who claims ("KUDIC")."""
STALLED = "5000"
"""Milliseconds after which a claim that its process does not end is ended."""
ALIVE = 2.0
"""Seconds after which a silent session is asked whether it is still there."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """A worker's life as the database sees it (ADR 0008): while it lasts, what it has claimed is its own."""

    worker: int
    lost: asyncio.Event


@asynccontextmanager
async def session(database: Database, heard: Callable[[str], None]) -> AsyncIterator[Session]:
    """Hold a new worker's lock on a connection of its own; `heard` is called with who announced new messages.

    `lost` is set when the lock is gone: with the connection, or at the end (the pool unlocks what it takes back).
    Raises `Unavailable`.
    """
    lost = asyncio.Event()

    def ended(_connection: object) -> None:
        lost.set()

    def told(_connection: object, _pid: int, _channel: str, by: object) -> None:
        heard(str(by))

    async with database.connection() as connection:
        connection.add_termination_listener(ended)
        await connection.execute("SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 3")
        await connection.execute("SET tcp_keepalives_count = 3")
        worker = await connection.fetchval("SELECT nextval('dispatch.worker')::int")
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", LOCK, worker):
            raise Unavailable(f"worker {worker} is somebody else")
        await connection.add_listener(CHANNEL, told)
        watching = asyncio.ensure_future(_watch(connection, lost))
        try:
            yield Session(worker=worker, lost=lost)
        finally:
            lost.set()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            connection.remove_termination_listener(ended)
            if not connection.is_closed():
                await connection.remove_listener(CHANNEL, told)


async def _watch(connection: Connection, lost: asyncio.Event) -> None:
    """Ask now and then, so that a connection that is gone without a word is noticed."""
    try:
        while True:
            await asyncio.sleep(ALIVE)
            await connection.execute("SELECT 1", timeout=ALIVE)
    except Exception:
        lost.set()


async def insert(connection: Connection, incoming: Sequence[Incoming], now: datetime, by: str) -> int:
    """Keep new messages, pending; one that is there already is left as it is (I3). How many are new.

    At the commit other workers than `by`, who knows already, hear of it.
    """
    rows = [(one, one.request) for one in incoming]
    added: int = await connection.fetchval(
        tables.INSERT,
        [request.message for _, request in rows],
        [one.shop for one, _ in rows],
        [request.profile for _, request in rows],
        [request.scenario for _, request in rows],
        [request.version for _, request in rows],
        [request.enrolment for _, request in rows],
        [request.path for _, request in rows],
        [request.name for _, request in rows],
        [",".join(request.channels) for _, request in rows],
        [request.requested_at for _, request in rows],
        [request.expires_at for _, request in rows],
        [one.traceparent for one, _ in rows],
        [one.body for one, _ in rows],
        [request.priority for _, request in rows],
        now,
    )
    if added:
        await announce(connection, by)
    return added


async def cancel(connection: Connection, told: Sequence[Cancelled], now: datetime, by: str) -> None:
    """Let no worker send these any more. Whoever claims one next ends it; who has claimed one cannot mark it, and
    gives it back; one on its way goes, and is not tried again.
    """
    rows = await connection.fetch(
        tables.CANCEL,
        [shop for shop, _ in told],
        [one.message for _, one in told],
        [one.because for _, one in told],
        now,
    )
    if rows:
        await announce(connection, by)


async def announce(connection: Connection, by: str) -> None:
    """Let other workers than `by` know, at the commit, that there may be something to claim."""
    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, by)


async def claim(connection: Connection, worker: int, now: datetime, limit: int, queue: Queue) -> list[Job]:
    """Take up to `limit` messages that may be sent now; no other worker gets them. Customers come by their earliest due
    message, and of each goes the most important that is due.

    Of the messages to a customer one at a time: claims come one after the other, so that each sees what those before
    it took. One that stalls loses its connection, and with it the lock.
    """
    if queue == "calls":
        rows = await connection.fetch(tables.CLAIM_CALLS, now, limit, worker)
    else:
        async with connection.transaction():
            await connection.execute(tables.CLAIM_LOCK, CLAIMING, STALLED)
            rows = await connection.fetch(tables.CLAIM_MESSAGES, now, limit, worker)
    return [
        Job(
            message=str(row["message"]),
            shop=row["shop"],
            profile=str(row["profile"]),
            tries=row["tries"],
            reason=row["reason"],
            traceparent=row["traceparent"],
            cancelled=row["cancelled"],
            request=MessageRequested.decode(row["body"]),
        )
        for row in sorted(rows, key=lambda row: row["not_before"])
    ]


async def next_due(connection: Connection, now: datetime, queue: Queue) -> datetime | None:
    """When the first of the pending messages may be sent that does not wait for another one under way."""
    found: datetime | None
    if queue == "calls":
        found = await connection.fetchval(tables.NEXT_CALL)
    else:
        found = await connection.fetchval(tables.NEXT_MESSAGE, now)
    return found


async def mark_sending(
    connection: Connection, worker: int, marks: Sequence[tuple[str, str, str, str | None]]
) -> set[str]:
    """(message, channel, gateway, profile): on its way from now on. Those that were still this worker's."""
    columns: list[Any] = [list(column) for column in zip(*marks, strict=True)]
    return {str(row["message"]) for row in await connection.fetch(tables.MARK, worker, *columns)}


async def change(connection: Connection, worker: int, changes: Sequence[Change], now: datetime) -> set[str]:
    """Make transitions; the messages for which it was still this worker's to make."""
    rows = await connection.fetch(
        tables.CHANGE,
        worker,
        now,
        [one.message for one in changes],
        [one.was for one in changes],
        [one.state for one in changes],
        [one.reason for one in changes],
        [one.not_before for one in changes],
        [int(one.tried) for one in changes],
        [one.profile for one in changes],
    )
    return {str(row["message"]) for row in rows}


async def followed(connection: Connection, moved: Sequence[str], now: datetime) -> bool:
    """Whether a message waits for one of these, which have ended or were put off: of its enrolment, or its customer."""
    found: bool = await connection.fetchval(tables.FOLLOWED, moved, now)
    return found


async def recover(
    database: Database, now: datetime, mine: Collection[int], queue: Queue
) -> tuple[int, list[tuple[str, str]]]:
    """Take up what dead workers of the queue left: how many went back, scenario and channel of those now `unknown`.

    A worker is dead when its lock can be had. `mine` are numbers of the caller's own that are winding up. A call of
    a web address that was on its way goes back too: it may come twice.
    """
    async with database.transaction() as connection:
        dead = []
        for row in await connection.fetch(tables.HOLDERS % tables.QUEUES[queue]):
            worker = row["worker"]
            if worker not in mine and await connection.fetchval(
                "SELECT pg_try_advisory_xact_lock($1, $2)", LOCK, worker
            ):
                dead.append(worker)
        if not dead:
            return 0, []
        rows = await connection.fetch(tables.RECOVER, dead, now)
        await connection.execute("SELECT pg_notify($1, '')", CHANNEL)
    unknown = [(row["scenario"], row["channel"]) for row in rows if row["scenario"] is not None]
    return len(rows) - len(unknown), unknown


async def take_untold(connection: Connection, limit: int) -> list[Untold]:
    """Ends and deferrals still to be published, locked until the end of the transaction."""
    rows = await connection.fetch(tables.UNTOLD, limit)
    return [Untold(**_plain(row)) for row in rows]


def _plain(row: asyncpg.Record) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, UUID) else value for name, value in row.items()}


async def mark_told(connection: Connection, messages: Collection[str]) -> None:
    """They were published."""
    await connection.execute("UPDATE dispatch.message SET told = true WHERE message = ANY($1::uuid[])", list(messages))


async def touch(connection: Connection, id: str, message: str, kind: str, url: str | None, at: datetime) -> bool:
    """Note a click or an opening, to be published; False when it is no news."""
    status = await connection.execute(tables.TOUCH, id, message, kind, url, at)
    return bool(status == "INSERT 0 1")


async def take_touches(connection: Connection, limit: int) -> list[Touch]:
    """Clicks and openings to be published; gone when the transaction commits."""
    rows = await connection.fetch(tables.TOUCHED, limit)
    return [Touch(**_plain(row)) for row in rows]


async def outbox(
    connection: Connection, shop: str, profile: UUID | None, channel: str | None, limit: int
) -> list[dict[str, Any]]:
    """The newest messages of a shop, oldest first."""
    rows = await connection.fetch(tables.OUTBOX, shop, profile, channel, limit)
    return [dict(row) for row in rows]


async def sums(connection: Connection, shop: str | None = None) -> dict[str, int]:
    """How many messages of one shop or of all are in each state, counted row by row."""
    which = "" if shop is None else "WHERE shop = $1"
    query = f"SELECT state, count(*) AS n FROM dispatch.message {which} GROUP BY state"
    rows = await connection.fetch(query, *([] if shop is None else [shop]), timeout=600)
    return {row["state"]: row["n"] for row in rows}


async def waiting(connection: Connection, shop: str | None = None) -> int:
    """How many messages of one shop or of all wait or are under way."""
    found: int = await connection.fetchval(f"SELECT {tables.WAITING}", shop)
    return found
