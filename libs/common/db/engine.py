"""The database: one pool, and transactions. SQL itself is written in each service's `store.py`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self, TypeAlias
from urllib.parse import urlsplit

import asyncpg
import msgspec

from libs.common.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server died in the middle of an answer
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    ConnectionError,
    OSError,
    TimeoutError,
)
"""What asyncpg raises when the server is away or the transaction may simply be tried again."""


REFUSED = (
    ValueError,  # asyncpg's for an address that is none is an InterfaceError as well
    asyncpg.InvalidPasswordError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)
"""What asyncpg raises for an address that will never do."""


def _refusal(error: Exception) -> str:
    """Why, without the address, which holds a password."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error)
    return "must be postgresql://user:password@host:port/database"


async def reach(url: str) -> None:
    """Raises `Unavailable` or `Misconfigured`, with what to do, unless the database lets us in."""
    try:
        database = await Database.connect(url, name="reach", size=1)
    except Unavailable as error:
        parts = urlsplit(url)
        where = f"{parts.hostname}:{parts.port or 5432}"
        why = str(error).removeprefix("database: ")
        told = f"the database at {where} does not answer ({why}): start PostgreSQL, or set KURANT_DATABASE_URL"
        raise Unavailable(told) from None
    await database.close()


class Database:
    """A pool of connections to one PostgreSQL database."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    @classmethod
    async def connect(cls, url: str, *, name: str, size: int = 10) -> Self:
        """Open a pool; `name` shows in `pg_stat_activity`. Raises `Unavailable` when the server is away, and
        `Misconfigured` when the address is none or it does not let us in.
        """
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=size,
                init=_codecs,
                command_timeout=60,
                server_settings={"application_name": f"kurant-{name}", "jit": "off"},
            )
        except REFUSED as error:
            raise Misconfigured(f"KURANT_DATABASE_URL: {_refusal(error)}") from None
        except AWAY as error:
            raise Unavailable(f"database: {type(error).__name__}") from error
        return cls(pool)

    async def close(self) -> None:
        """Close every connection, gracefully for ten seconds."""
        try:
            await asyncio.wait_for(self.pool.close(), 10)
        except TimeoutError:
            self.pool.terminate()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction: committed at the end, rolled back on an exception.

        Raises `Unavailable` when the server is away, before, within or at the commit (then its outcome is
        unknown, and what was done must be safe to do again).
        """
        try:
            async with self.pool.acquire(timeout=30) as connection, connection.transaction():
                yield connection
        except AWAY as error:
            raise Unavailable(f"database: {type(error).__name__}") from error

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection without a transaction, for single statements. Raises `Unavailable`."""
        try:
            async with self.pool.acquire(timeout=30) as connection:
                yield connection
        except AWAY as error:
            raise Unavailable(f"database: {type(error).__name__}") from error

    async def ping(self) -> None:
        """Raises `Unavailable` unless the server answers."""
        async with self.connection() as connection:
            await connection.fetchval("SELECT 1", timeout=5)


async def _codecs(connection: Connection) -> None:
    """jsonb columns take and give Python values."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),
        decoder=lambda data: msgspec.json.decode(data[1:]),
        format="binary",
    )
