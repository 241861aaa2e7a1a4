"""What other services ask of the scheduler: how much waits, and since when."""

from typing import Any

from fastapi import FastAPI, Request

from libs.common.bus.consumer import Loop
from libs.common.runtime import Parts
from services.scheduler import store


def install(app: FastAPI, parts: Parts, loop: Loop) -> None:
    """Add the routes."""

    @app.get("/v1/audit")
    async def audited(request: Request) -> dict[str, Any]:
        await parts.gate.caller(request, "admin")
        async with parts.database.connection() as connection:
            pending = await store.exact_pending(connection)
        return {"pending": pending, "lag": sum(loop.lag().values())}

    @app.get("/v1/status")
    async def status(request: Request) -> dict[str, Any]:
        await parts.gate.caller(request, "admin")
        async with parts.database.connection() as connection:
            pending = await store.pending(connection)
            oldest = await store.next_due(connection)
        return {
            "pending": pending,
            "oldest_due": oldest.isoformat() if oldest else None,
            "lag": sum(loop.lag().values()),
        }
