"""The local parts against themselves: real Kafka, real PostgreSQL, a real SMTP server."""

import asyncpg


async def test_fresh_database_has_every_schema(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SHOW fsync") == "on"
    await connection.close()
