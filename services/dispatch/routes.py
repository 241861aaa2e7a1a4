"""What customers touch (clicks, openings) and what other services ask: outbox, sums, state."""

import base64
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any
from uuid import UUID

import msgspec
from fastapi import FastAPI, Query, Request
from starlette.responses import RedirectResponse, Response

from libs.common.bus.consumer import Loop
from libs.common.errors import Unavailable
from libs.common.http import examples
from libs.common.http.openapi import Content, door, json, text
from libs.common.http.problem import Problem
from libs.common.runtime import Parts
from libs.common.secrets import BadToken
from libs.common.telemetry.log import logger
from libs.domain import webhook
from libs.domain.mail.links import is_web
from services.dispatch import store
from services.dispatch.handlers import news

log = logger(__name__)
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
UNCACHED = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
ENDS = ("sent", "suppressed", "failed", "expired", "unknown")
MOST = 1_000_000
SHOWN = 100_000
"""How many rows of the outbox are shown when nobody says how many."""


def install(app: FastAPI, parts: Parts, loop: Loop, told: Callable[[], None]) -> None:
    """Add the routes; `told` wakes who publishes clicks and openings."""
    _for_customers(app, parts, told)
    _for_others(app, parts, loop)


def _for_customers(app: FastAPI, parts: Parts, told: Callable[[], None]) -> None:
    async def note(request: Request, message: str, kind: str, url: str | None) -> None:
        """Count a look of a person; a database that is away costs the count, never the customer's click."""
        if request.method == "HEAD" or _is_prefetch(request.headers):
            return
        now = parts.clock.now()
        try:
            async with parts.database.connection() as connection:
                id = news.touch_id(message, kind, url, now)
                if await store.touch(connection, id, message, kind, url, now):
                    told()
        except Unavailable as error:
            log.warning("not counted", kind=kind, message=message, error=str(error))

    async def clicked(request: Request, token: str) -> Response:
        """A link of a mail: to where it says, and nowhere else."""
        message, target = _click(parts, token)
        await note(request, message, "clicked", target)
        return RedirectResponse(target, 302, headers=UNCACHED)

    async def opened(request: Request, token: str) -> Response:
        """The pixel of a mail."""
        await note(request, _open(parts, token), "opened", None)
        return Response(GIF, media_type="image/gif", headers=UNCACHED)

    redirects: dict[int, Content | None] = {302: None}
    pictures: dict[int, Content | None] = {200: text("image/gif")}
    ways = (("/r/{token}", clicked, redirects), ("/o/{token}", opened, pictures))
    for (path, touched, gives), method in product(ways, ("GET", "HEAD")):
        app.add_api_route(
            path,
            touched,
            methods=[method],
            status_code=next(iter(gives)),
            response_class=Response,
            tags=["customers"],
            **door(scope=None, gives=gives, errors=(404,)),
        )

    @app.post("/v1/reports/{gateway}", tags=["customers"], **door(scope=None, gives={200: None}, errors=(404,)))
    async def report(gateway: str) -> None:
        """Delivery reports; the gateways of this version send none."""
        raise Problem(404, f"gateway {gateway} has no delivery reports: smtp and file give none in this version")


def _click(parts: Parts, token: str) -> tuple[str, str]:
    try:
        message, target = parts.secrets.unsign("click", token)
        if not is_web(target):
            raise BadToken("not a link")
        return str(UUID(message)), target
    except (BadToken, ValueError, TypeError, AttributeError):
        raise Problem(404, "this link is not one of ours") from None


def _open(parts: Parts, token: str) -> str:
    try:
        return str(UUID(parts.secrets.unsign("open", token)))
    except (BadToken, ValueError, TypeError, AttributeError):
        raise Problem(404, "this picture is not one of ours") from None


def _is_prefetch(headers: Mapping[str, str]) -> bool:
    """Whether a program only looks ahead of a person."""
    purposes = " ".join(headers.get(name, "") for name in ("sec-purpose", "purpose", "x-purpose", "x-moz"))
    return any(word in purposes.lower() for word in ("prefetch", "prerender", "preview"))


def _for_others(app: FastAPI, parts: Parts, loop: Loop) -> None:
    @app.get("/v1/outbox", tags=["messages"], **door(scope="read", gives={200: json([examples.OUTBOX])}, errors=(422,)))
    async def outboxed(
        request: Request,
        shop: str | None = None,
        profile: UUID | None = None,
        channel: str | None = Query(None, pattern="^[a-z]{1,20}$"),
        limit: int = Query(SHOWN, ge=1, le=MOST),
    ) -> list[dict[str, Any]]:
        """Every message with its end and reason: the newest `limit`, oldest first."""
        caller = await parts.gate.caller(request, "read")
        own = caller.for_shop(shop)
        async with parts.database.connection() as connection:
            return await store.outbox(connection, own, profile, channel, limit)

    @app.get(
        "/v1/webhook-secret",
        tags=["messages"],
        **door(scope="admin", gives={200: json({"shop": "demo", "secret": "whsec_…", "older": []})}, errors=(422,)),
    )
    async def webhook_secret(request: Request, shop: str | None = None) -> Response:
        """With what calls of the shop's web addresses are signed (Standard Webhooks), older ones too."""
        caller = await parts.gate.caller(request, "admin")
        own = caller.for_shop(shop)
        newest, *older = (webhook.secret(key) for key in parts.secrets.webhook_keys(own))
        told = {"shop": own, "secret": newest, "older": older}
        return Response(msgspec.json.encode(told), media_type="application/json", headers=UNCACHED)

    @app.get(
        "/v1/audit",
        tags=["operation"],
        **door(scope="admin", gives={200: json({"messages": examples.MESSAGES, "lag": 0})}, errors=(422,)),
    )
    async def audited(request: Request, shop: str | None = None) -> dict[str, Any]:
        """How many messages came to which end, counted one by one; of one shop, or of all."""
        caller = await parts.gate.caller(request, "admin")
        own = caller.within(shop)
        async with parts.database.connection() as connection:
            found = await store.sums(connection, own)
        sums = {state: found.get(state, 0) for state in ENDS}
        sums["pending"] = sum(found.values()) - sum(sums.values())
        return caller.platform({"lag": sum(loop.lag().values())}) | {"messages": sums}

    @app.get(
        "/v1/status",
        tags=["operation"],
        **door(scope="read", gives={200: json({"pending": 1, "lag": 0})}, errors=(422,)),
    )
    async def status(request: Request, shop: str | None = None) -> dict[str, Any]:
        """How many messages wait or are under way, and how many requests are still to be read.

        The key of a shop sees its own, and no lag: that is of all shops together.
        """
        caller = await parts.gate.caller(request, "read")
        own = caller.within(shop)
        async with parts.database.connection() as connection:
            waiting = await store.waiting(connection, own)
        return caller.platform({"lag": sum(loop.lag().values())}) | {"pending": waiting}
