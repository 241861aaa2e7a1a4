"""The doors to what became of customers and messages, put together from what other services say."""

from typing import Any
from uuid import UUID

from fastapi import FastAPI, Request

from libs.common.http import examples
from libs.common.http.openapi import door, json
from libs.common.http.problem import Problem
from libs.common.runtime import Parts
from services.console import handlers
from services.console.clients import Peers
from services.console.routes.asked import shop_of

MOST_ROWS = "1000"


def install(app: FastAPI, parts: Parts, peers: Peers) -> None:
    """Add the routes."""
    _install_outbox(app, parts, peers)
    _install_customers(app, parts, peers)


def _install_outbox(app: FastAPI, parts: Parts, peers: Peers) -> None:
    @app.get("/v1/outbox", tags=["messages"], **door(scope="read", gives={200: json([examples.OUTBOX])}, errors=(422,)))
    async def outbox(
        request: Request,
        shop: str | None = None,
        profile: UUID | None = None,
        channel: str | None = None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Every message with its end and the reason, oldest first."""
        caller = await parts.gate.caller(request, "read")
        params = {
            "shop": shop_of(caller, shop),
            "profile": str(profile) if profile else None,
            "channel": channel,
            "limit": str(limit) if limit is not None else None,
        }
        found: list[dict[str, Any]] = await peers.ask("dispatch", "GET", "/v1/outbox", params=params)
        return found


def _install_customers(app: FastAPI, parts: Parts, peers: Peers) -> None:
    async def rows(shop: str, profile: str) -> list[dict[str, Any]]:
        params = {"shop": shop, "profile": profile, "limit": MOST_ROWS}
        found: list[dict[str, Any]] = await peers.ask("dispatch", "GET", "/v1/outbox", params=params)
        return found

    @app.get(
        "/v1/explain",
        tags=["customers"],
        **door(scope="read", gives={200: json(examples.EXPLAINED)}, errors=(404, 422)),
    )
    async def explain(
        request: Request,
        shop: str | None = None,
        email: str | None = None,
        profile: UUID | None = None,
        scenario: str | None = None,
    ) -> dict[str, Any]:
        """Why something was sent, deferred, suppressed, or never started, for one customer."""
        caller = await parts.gate.caller(request, "read")
        own = shop_of(caller, shop)
        if (email is None) == (profile is None):
            raise Problem(422, "give either email or profile")
        asked = await peers.resolve(own, "email", email) if email is not None else str(profile)
        params = {"shop": own, "profile": asked, "scenario": scenario}
        answer = await peers.ask("rules", "GET", "/v1/explain", params=params)
        known = [row for one in sorted({asked, answer["profile"]}) for row in await rows(own, one)]
        return handlers.explained(answer, known)

    @app.get(
        "/v1/profiles/{id}/timeline",
        tags=["customers"],
        **door(
            scope="read",
            gives={200: json({**examples.TIMELINE, "messages": [examples.OUTBOX]})},
            errors=(404, 422),
        ),
    )
    async def timeline(request: Request, id: UUID, shop: str | None = None) -> dict[str, Any]:
        """What happened to a customer, and what was sent, each oldest first."""
        caller = await parts.gate.caller(request, "read")
        own = shop_of(caller, shop)
        answer: dict[str, Any] = await peers.ask(
            "rules", "GET", "/v1/timeline", params={"shop": own, "profile": str(id)}
        )
        return {**answer, "messages": await rows(own, answer["profile"])}
