"""Doors over HTTP: decisions for dispatch, the register for officers, pages for customers."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import Response

from libs.common.bus.consumer import Loop
from libs.common.http import body as bodies
from libs.common.http.openapi import door, json
from libs.common.http.problem import Problem
from libs.common.runtime import Parts
from services.consent import store
from services.consent.handlers import Questions
from services.consent.routes import officers, pages
from services.consent.routes.shapes import Consents, Suppression

MOST_QUESTIONS = 1_000
LARGEST_BODY = 4_000_000
MESSAGE, PROFILE = "0b6f5a0e-6c6c-5b0a-9d2b-0d6f3c8f3f11", "9b2c1d52-1c1a-5f58-8f5e-3d1f6a2b7c44"
QUESTION = {
    "message": MESSAGE,
    "shop": "demo",
    "profile": PROFILE,
    "channels": ["email"],
    "purpose": "marketing",
    "scenario": "abandoned-cart",
    "contacts_at": {"0": 17},
}
ALLOWED = {
    "message": MESSAGE,
    "decision": "allow",
    "profile": PROFILE,
    "channel": "email",
    "address": "anna@example.com",
    "unsubscribe_url": "https://shop.example/u/…",
    "preferences_url": "https://shop.example/p/…",
}


def install(app: FastAPI, parts: Parts, loop: Loop, consents: Consents, names: Mapping[str, str]) -> None:
    """Add the routes; `names` is what customers call each shop."""
    _install_decisions(app, parts, consents)
    _install_suppressions(app, parts, consents)
    _install_sums(app, parts, loop)
    officers.install(app, parts, consents)
    pages.install(app, parts, consents, names)


def _install_decisions(app: FastAPI, parts: Parts, consents: Consents) -> None:
    @app.post(
        "/v1/decisions",
        tags=["decisions"],
        **door(
            scope="admin",
            takes=json({"requests": [QUESTION]}, Questions),
            gives={
                200: json({"decisions": [ALLOWED, {"message": MESSAGE, "decision": "deny", "reason": "withdrawn"}]})
            },
        ),
    )
    async def decided(request: Request) -> Response:
        """May these be sent? One answer for each question, in their order: `allow` with the address, `deny` with the
        reason, or `defer` until when to ask again. Each is recorded with what it rested on.
        """
        caller = await parts.gate.caller(request, "admin")
        asked = (await bodies.decoded(request, Questions, LARGEST_BODY)).requests
        if len(asked) > MOST_QUESTIONS:
            raise Problem(413, f"requests: ask {MOST_QUESTIONS} at most at once")
        for one in asked:
            caller.for_shop(one.shop)
        answer = {"decisions": await consents.decide(asked)}
        return Response(msgspec.json.encode(answer), media_type="application/json")


def _install_suppressions(app: FastAPI, parts: Parts, consents: Consents) -> None:
    told = {"shop": "demo", "reason": "hard bounce", "message": MESSAGE}

    @app.post(
        "/v1/suppressions",
        tags=["decisions"],
        **door(
            scope="admin",
            takes=json(told, Suppression),
            gives={200: json({"channel": "email", "suppressed": True, "changed": True})},
            errors=(404,),
        ),
    )
    async def suppressed(request: Request) -> dict[str, Any]:
        """Never write to this address again. It is named by its channel, or by the message that was sent to it."""
        caller = await parts.gate.caller(request, "admin")
        told = await bodies.decoded(request, Suppression, LARGEST_BODY)
        shop = caller.for_shop(told.shop)
        async with parts.database.transaction() as connection:
            channel: str | None = told.channel
            digest = None
            if told.message:
                found = [
                    row for row in await store.decisions_about(connection, str(told.message), shop) if row["digest"]
                ]
                if not found:
                    raise Problem(404, "message: no decision about it named an address")
                channel, digest = found[0]["channel"], found[0]["digest"]
            elif channel and told.address:
                digest = consents.digest(shop, channel, told.address)
            if channel is None or digest is None:
                raise Problem(422, "give message, or channel and a usable address")
            fresh = await store.suppress(connection, shop, channel, digest, told.reason, parts.clock.now())
        return {"channel": channel, "suppressed": True, "changed": fresh}


def _install_sums(app: FastAPI, parts: Parts, loop: Loop) -> None:
    @app.get(
        "/v1/status",
        tags=["operation"],
        **door(scope="read", gives={200: json({"outbox": 0, "lag": 0})}, errors=(422,)),
    )
    async def status(request: Request, shop: str | None = None) -> dict[str, Any]:
        """How many changes of permissions wait to be told, and how many records are still to be read.

        The key of a shop sees its own, and no lag: that is of all shops together.
        """
        caller = await parts.gate.caller(request, "read")
        own = caller.within(shop)
        async with parts.database.connection() as connection:
            waiting = await store.waiting(connection, own)
        return caller.platform({"lag": sum(loop.lag().values())}) | {"outbox": waiting}

    @app.get(
        "/v1/audit",
        tags=["operation"],
        **door(scope="admin", gives={200: json({"register": 12, "outbox": 0, "lag": 0})}, errors=(422,)),
    )
    async def audited(request: Request, shop: str | None = None) -> dict[str, Any]:
        """How many rows the register has, and how many changes wait to be told; of one shop, or of all."""
        caller = await parts.gate.caller(request, "admin")
        own = caller.within(shop)
        async with parts.database.connection() as connection:
            waiting, rows = await store.waiting(connection, own), await store.register_rows(connection, own)
        return caller.platform({"lag": sum(loop.lag().values())}) | {"register": rows, "outbox": waiting}
