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
from services.dispatch.handlers import Change, Incoming, Job, Touch, Untold

Queue = Literal["messages", "calls"]
CHANNEL = "kurant_dispatch"
LOCK = 0x4B554449
"""First half of a worker's advisory lock ("KUDI"); the second is the worker's number."""
ALIVE = 2.0
"""Seconds after which a silent session is asked whether it is still there."""

INSERT = """
WITH told AS (
    SELECT DISTINCT ON (message) * FROM unnest(
        $1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::int[], $6::uuid[], $7::text[], $8::text[],
        $9::text[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::bytea[]
    ) WITH ORDINALITY AS n (message, shop, profile, scenario, version, enrolment, path, name,
                            channels, requested_at, expires_at, traceparent, body, place)
    ORDER BY message, place
), new AS (
    INSERT INTO dispatch.message (message, shop, profile, scenario, version, enrolment, path, name,
                                  channels, requested_at, expires_at, traceparent, not_before)
    SELECT message, shop, profile, scenario, version, enrolment, path, name,
           string_to_array(channels, ','), requested_at, expires_at, traceparent, least(requested_at, $14::timestamptz)
    FROM told ORDER BY place ON CONFLICT (message) DO NOTHING RETURNING message
), kept AS (
    INSERT INTO dispatch.request (message, body) SELECT told.message, told.body FROM told JOIN new USING (message)
)
SELECT count(*) FROM new
"""

QUEUES = {"messages": "channels <> '{webhook}'", "calls": "channels = '{webhook}'"}
"""What goes to customers, and calls of web addresses: each has its own index."""

FIRST = """
NOT EXISTS (
    SELECT FROM dispatch.message AS before
    WHERE before.enrolment = m.enrolment AND before.seq < m.seq AND before.state IN ('pending', 'claimed', 'sending')
)
"""
"""Of the open messages of an enrolment only the first may go out: they come one at a time, in their order."""

CLAIM = f"""
WITH next AS (
    SELECT message FROM dispatch.message AS m
    WHERE state = 'pending' AND %s AND not_before <= $1 AND {FIRST}
    ORDER BY not_before LIMIT $2 FOR UPDATE OF m SKIP LOCKED
)
UPDATE dispatch.message AS m SET state = 'claimed', worker = $3
FROM next JOIN dispatch.request AS r USING (message) WHERE m.message = next.message
RETURNING m.message, m.shop, m.profile, m.tries, m.reason, m.traceparent, m.not_before, r.body
"""

NEXT = f"""
SELECT not_before FROM dispatch.message AS m WHERE state = 'pending' AND %s AND {FIRST}
ORDER BY not_before LIMIT 1
"""

FOLLOWED = """
SELECT EXISTS (
    SELECT FROM dispatch.message AS m JOIN dispatch.message AS next USING (enrolment)
    WHERE m.message = ANY($1::uuid[]) AND next.state = 'pending'
)
"""

WAITING = " + ".join(
    f"(SELECT count(*) FROM dispatch.message WHERE {which} AND ($1::text IS NULL OR shop = $1))"
    for which in (
        *(f"state = 'pending' AND {queue}" for queue in QUEUES.values()),
        "state IN ('claimed', 'sending')",
    )
)

MARK = """
UPDATE dispatch.message AS m SET state = 'sending', channel = n.channel, gateway = n.gateway,
    profile = coalesce(n.profile, m.profile)
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[]) AS n (message, channel, gateway, profile)
WHERE m.message = n.message AND m.state = 'claimed' AND m.worker = $1
RETURNING m.message
"""

CHANGE = """
WITH changed AS (
    UPDATE dispatch.message AS m SET
        state = n.state,
        worker = NULL,
        told = CASE WHEN n.state <> 'pending' THEN false
                    WHEN n.reason IS NULL OR n.reason IS NOT DISTINCT FROM m.reason THEN m.told ELSE false END,
        reason = CASE WHEN n.state = 'pending' THEN coalesce(n.reason, m.reason) ELSE n.reason END,
        not_before = coalesce(n.not_before, m.not_before),
        tries = m.tries + n.tried,
        profile = coalesce(n.profile, m.profile),
        channel = CASE WHEN n.state = 'pending' THEN NULL ELSE m.channel END,
        gateway = CASE WHEN n.state = 'pending' THEN NULL ELSE m.gateway END,
        ended_at = CASE WHEN n.state = 'pending' THEN NULL ELSE $2::timestamptz END
    FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::int[], $9::uuid[])
        AS n (message, was, state, reason, not_before, tried, profile)
    WHERE m.message = n.message AND m.worker = $1 AND m.state IN ('claimed', 'sending')
      AND (m.state = n.was OR n.was = 'held')
    RETURNING m.message, m.state
), gone AS (
    DELETE FROM dispatch.request AS r USING changed AS c WHERE r.message = c.message AND c.state <> 'pending'
)
SELECT message FROM changed
"""

HOLDERS = "SELECT DISTINCT worker FROM dispatch.message WHERE state IN ('claimed', 'sending') AND %s"

RECOVER = """
WITH back AS (
    UPDATE dispatch.message SET state = 'pending', worker = NULL, channel = NULL, gateway = NULL
    WHERE (state = 'claimed' OR (state = 'sending' AND channel = 'webhook')) AND worker = ANY($1::int[])
    RETURNING message
), lost AS (
    UPDATE dispatch.message
    SET state = 'unknown', worker = NULL, reason = 'worker_died', told = false, ended_at = $2::timestamptz
    WHERE state = 'sending' AND channel <> 'webhook' AND worker = ANY($1::int[])
    RETURNING message, scenario, channel
), gone AS (
    DELETE FROM dispatch.request AS r USING lost WHERE r.message = lost.message
)
SELECT NULL AS scenario, NULL AS channel, message FROM back UNION ALL SELECT scenario, channel, message FROM lost
"""

UNTOLD = """
SELECT message, shop, profile, scenario, version, enrolment, path, name, state, reason, channel, gateway,
       ended_at, not_before, traceparent
FROM dispatch.message WHERE NOT told ORDER BY message LIMIT $1 FOR UPDATE SKIP LOCKED
"""

TOUCH = """
WITH touched AS (
    UPDATE dispatch.message SET
        clicked_at = CASE WHEN $3::text = 'clicked' THEN coalesce(clicked_at, $5::timestamptz) ELSE clicked_at END,
        opened_at = CASE WHEN $3::text = 'opened' THEN coalesce(opened_at, $5::timestamptz) ELSE opened_at END
    WHERE message = $2 RETURNING message
)
INSERT INTO dispatch.touch (id, message, kind, url, at) SELECT $1, message, $3, $4, $5 FROM touched
ON CONFLICT DO NOTHING
"""

TOUCHED = """
DELETE FROM dispatch.touch AS t USING dispatch.message AS m
WHERE m.message = t.message
  AND t.id IN (SELECT id FROM dispatch.touch ORDER BY at LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING t.id, t.message, m.shop, m.profile, m.scenario, m.name, t.kind, t.url, t.at, m.traceparent
"""

OUTBOX = """
SELECT * FROM (
    SELECT message AS message_id, shop, profile, scenario, version, name AS message,
           coalesce(channel, channels[1]) AS channel, gateway, requested_at,
           CASE WHEN state IN ('claimed', 'sending') THEN 'pending' ELSE state END AS end, reason, ended_at,
           CASE WHEN state = 'pending' AND reason IS NOT NULL THEN not_before END AS until,
           delivered_at, opened_at, clicked_at, bounced_at
    FROM dispatch.message
    WHERE shop = $1 AND ($2::uuid IS NULL OR profile = $2)
      AND ($3::text IS NULL OR channel = $3 OR (channel IS NULL AND $3 = ANY(channels)))
    ORDER BY requested_at DESC, message_id DESC LIMIT $4
) AS newest ORDER BY requested_at, message_id
"""


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
        INSERT,
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
        now,
    )
    if added:
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, by)
    return added


async def claim(connection: Connection, worker: int, now: datetime, limit: int, queue: Queue = "messages") -> list[Job]:
    """Take up to `limit` messages that may be sent now, oldest first; no other worker gets them."""
    rows = await connection.fetch(CLAIM % QUEUES[queue], now, limit, worker)
    return [
        Job(
            message=str(row["message"]),
            shop=row["shop"],
            profile=str(row["profile"]),
            tries=row["tries"],
            reason=row["reason"],
            traceparent=row["traceparent"],
            request=MessageRequested.decode(row["body"]),
        )
        for row in sorted(rows, key=lambda row: row["not_before"])
    ]


async def next_due(connection: Connection, queue: Queue = "messages") -> datetime | None:
    """When the first of the pending messages may be sent."""
    found: datetime | None = await connection.fetchval(NEXT % QUEUES[queue])
    return found


async def mark_sending(
    connection: Connection, worker: int, marks: Sequence[tuple[str, str, str, str | None]]
) -> set[str]:
    """(message, channel, gateway, profile): on its way from now on. Those that were still this worker's."""
    columns: list[Any] = [list(column) for column in zip(*marks, strict=True)]
    return {str(row["message"]) for row in await connection.fetch(MARK, worker, *columns)}


async def change(connection: Connection, worker: int, changes: Sequence[Change], now: datetime) -> set[str]:
    """Make transitions; the messages for which it was still this worker's to make."""
    rows = await connection.fetch(
        CHANGE,
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


async def followed(connection: Connection, ended: Sequence[str]) -> bool:
    """Whether a message waits for one of these, which have ended."""
    found: bool = await connection.fetchval(FOLLOWED, ended)
    return found


async def recover(
    database: Database, now: datetime, mine: Collection[int], queue: Queue = "messages"
) -> tuple[int, list[tuple[str, str]]]:
    """Take up what dead workers of the queue left: how many went back, scenario and channel of those now `unknown`.

    A worker is dead when its lock can be had. `mine` are numbers of the caller's own that are winding up. A call of
    a web address that was on its way goes back too: it may come twice.
    """
    async with database.transaction() as connection:
        dead = []
        for row in await connection.fetch(HOLDERS % QUEUES[queue]):
            worker = row["worker"]
            if worker not in mine and await connection.fetchval(
                "SELECT pg_try_advisory_xact_lock($1, $2)", LOCK, worker
            ):
                dead.append(worker)
        if not dead:
            return 0, []
        rows = await connection.fetch(RECOVER, dead, now)
        await connection.execute("SELECT pg_notify($1, '')", CHANNEL)
    unknown = [(row["scenario"], row["channel"]) for row in rows if row["scenario"] is not None]
    return len(rows) - len(unknown), unknown


async def take_untold(connection: Connection, limit: int) -> list[Untold]:
    """Ends and deferrals still to be published, locked until the end of the transaction."""
    rows = await connection.fetch(UNTOLD, limit)
    return [Untold(**_plain(row)) for row in rows]


def _plain(row: asyncpg.Record) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, UUID) else value for name, value in row.items()}


async def mark_told(connection: Connection, messages: Collection[str]) -> None:
    """They were published."""
    await connection.execute("UPDATE dispatch.message SET told = true WHERE message = ANY($1::uuid[])", list(messages))


async def touch(connection: Connection, id: str, message: str, kind: str, url: str | None, at: datetime) -> bool:
    """Note a click or an opening, to be published; False when it is no news."""
    status = await connection.execute(TOUCH, id, message, kind, url, at)
    return bool(status == "INSERT 0 1")


async def take_touches(connection: Connection, limit: int) -> list[Touch]:
    """Clicks and openings to be published; gone when the transaction commits."""
    rows = await connection.fetch(TOUCHED, limit)
    return [Touch(**_plain(row)) for row in rows]


async def outbox(
    connection: Connection, shop: str, profile: UUID | None, channel: str | None, limit: int
) -> list[dict[str, Any]]:
    """The newest messages of a shop, oldest first."""
    rows = await connection.fetch(OUTBOX, shop, profile, channel, limit)
    return [dict(row) for row in rows]


async def sums(connection: Connection, shop: str | None = None) -> dict[str, int]:
    """How many messages of one shop or of all are in each state, counted row by row."""
    which = "" if shop is None else "WHERE shop = $1"
    query = f"SELECT state, count(*) AS n FROM dispatch.message {which} GROUP BY state"
    rows = await connection.fetch(query, *([] if shop is None else [shop]), timeout=600)
    return {row["state"]: row["n"] for row in rows}


async def waiting(connection: Connection, shop: str | None = None) -> int:
    """How many messages of one shop or of all wait or are under way."""
    found: int = await connection.fetchval(f"SELECT {WAITING}", shop)
    return found
