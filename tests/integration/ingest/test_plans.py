"""The question before every batch reads indexes only, also of tables that are new and have no statistics."""

import uuid
from datetime import date

from services.ingest import store
from tests.integration.ingest.conftest import Door


async def test_no_table_is_read_whole(door: Door) -> None:
    await store.make_week(door.database, date(2026, 3, 2))
    events = [str(uuid.uuid4()) for _ in range(500)]
    digests = [uuid.uuid4().bytes for _ in range(500)]
    async with door.database.connection() as connection:
        await connection.execute(
            "INSERT INTO ingest.seen SELECT '2026-03-02', gen_random_uuid() FROM generate_series(1, 20000)"
        )
        rows = await connection.fetch("EXPLAIN " + store.LOOK, events, ["demo"] * 500, digests, ["demo"])
    plan = "\n".join(row[0] for row in rows)
    assert "Index" in plan
    for table in ("seen", "identifier", "merged"):
        assert f"Seq Scan on {table}" not in plan, plan
