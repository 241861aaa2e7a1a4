"""Whether everything that was accepted is on its way: asked by rules before it judges a wake-up call."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request

from libs.common.errors import Unavailable
from libs.common.http.openapi import door, json
from libs.common.http.problem import unavailable
from libs.common.runtime import Parts
from services.ingest import store

Unread = Callable[[], Awaitable[int]]
"""How many records of the inbox topic that are in Kafka now are not taken yet."""


def install(app: FastAPI, parts: Parts, unread: Unread) -> None:
    """Add the route."""

    @app.get("/v1/settled", tags=["operation"], **door(scope="read", gives={200: json({"spilled": 0, "unread": 0})}))
    async def settled(request: Request) -> dict[str, Any]:
        """How many events were accepted before this question, and are not on the events topic yet.

        `spilled` wait in PostgreSQL since Kafka was away; `unread` are on the inbox topic. Once both are 0, whoever
        reads the events topic as far as it then goes knows everything that had been accepted. The key of a shop is
        told of its own in `spilled`, and not of the topic, which is of all shops together (I9).
        """
        caller = await parts.gate.caller(request, "read")
        try:
            behind = await unread() if caller.shop is None else 0
            async with parts.database.connection() as connection:
                if caller.shop is not None:
                    return {"spilled": await store.count_spilled(connection, caller.shop)}
                return {"spilled": await store.count_waiting(connection), "unread": behind}
        except Unavailable:
            raise unavailable("Kafka or PostgreSQL is away", retry_after=1) from None
