"""API keys, stored hashed. A key is 32 random bytes, so one round of SHA-256 is enough to keep it."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from libs.common.db.engine import Database

SCOPES = ("ingest", "read", "admin")


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key as listed: never the key itself."""

    id: UUID
    shop: str
    scopes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None = None


def digest(key: str) -> bytes:
    """What is stored of a key (SHA-256, 32 bytes)."""
    return hashlib.sha256(key.encode()).digest()


class KeyStore:
    """The table `platform.api_key`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, shop: str, scopes: tuple[str, ...], now: datetime) -> tuple[ApiKey, str]:
        """A new key and its text, which is shown this once."""
        text = f"kurant_{secrets.token_urlsafe(32)}"
        key = ApiKey(id=uuid4(), shop=shop, scopes=scopes, created_at=now)
        async with self._database.connection() as connection:
            await connection.execute(
                "INSERT INTO platform.api_key (id, shop, scopes, digest, created_at) VALUES ($1, $2, $3, $4, $5)",
                key.id,
                shop,
                list(scopes),
                digest(text),
                now,
            )
        return key, text

    async def find(self, text: str) -> ApiKey | None:
        """The live key with this text, if there is one."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                "SELECT id, shop, scopes, created_at FROM platform.api_key WHERE digest = $1 AND revoked_at IS NULL",
                digest(text),
            )
        if row is None:
            return None
        return ApiKey(id=row["id"], shop=row["shop"], scopes=tuple(row["scopes"]), created_at=row["created_at"])

    async def list(self, shop: str | None) -> list[ApiKey]:
        """Every key, revoked ones too, of one shop or (None) of all."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                "SELECT id, shop, scopes, created_at, revoked_at FROM platform.api_key "
                "WHERE $1::text IS NULL OR shop = $1 ORDER BY created_at",
                shop,
            )
        return [ApiKey(**{**dict(row), "scopes": tuple(row["scopes"])}) for row in rows]

    async def revoke(self, key: UUID, shop: str | None, now: datetime) -> bool:
        """End a key; False when there is no such live key."""
        async with self._database.connection() as connection:
            status = await connection.execute(
                "UPDATE platform.api_key SET revoked_at = $3 "
                "WHERE id = $1 AND ($2::text IS NULL OR shop = $2) AND revoked_at IS NULL",
                key,
                shop,
                now,
            )
        return bool(status == "UPDATE 1")
