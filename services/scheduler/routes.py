"""What other services ask of the scheduler: how much waits, and since when."""

from typing import Any

from fastapi import FastAPI, Request

from libs.common.bus.consumer import Loop
from libs.common.http.openapi import door, json
from libs.common.runtime import Parts
from services.scheduler import store

STATUS = {"pending": 12, "oldest_due": "2026-03-02T11:00:00+00:00", "lag": 0}


def install(app: FastAPI, parts: Parts, loop: Loop) -> None:
    """Add the routes."""

    @app.get(
        "/v1/audit",
        tags=["operation"],
        **door(scope="admin", gives={200: json({"pending": 12, "lag": 0})}, errors=(422,)),
    )
    async def audited(request: Request, shop: str | None = None) -> dict[str, Any]:
        """How many steps wait, counted one by one; of one shop, or of all."""
        caller = await parts.gate.caller(request, "admin")
        own = caller.within(shop)
        async with parts.database.connection() as connection:
            pending = await store.exact_pending(connection, own)
        return caller.platform({"lag": sum(loop.lag().values())}) | {"pending": pending}

    @app.get("/v1/status", tags=["operation"], **door(scope="admin", gives={200: json(STATUS)}, errors=(422,)))
    async def status(request: Request, shop: str | None = None) -> dict[str, Any]:
        """How many steps wait, and when the oldest is due. Both are null for a shop whose steps take long to count."""
        caller = await parts.gate.caller(request, "admin")
        own = caller.within(shop)
        async with parts.database.connection() as connection:
            if own is not None:
                found = await store.pending_of(connection, own)
            else:
                found = await store.pending(connection), await store.next_due(connection)
        pending, oldest = found or (None, None)
        told = {"pending": pending, "oldest_due": oldest.isoformat() if oldest else None}
        return caller.platform({"lag": sum(loop.lag().values())}) | told
