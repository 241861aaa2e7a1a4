"""What others ask of ingest: schemas, who is who, how it goes, the sums of the audit."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import Response

from libs.common.http import body as bodies
from libs.common.http import cloudevents, examples
from libs.common.http.openapi import door, json
from libs.common.http.problem import Problem
from libs.common.runtime import Parts
from libs.contracts import event_types
from libs.domain.intake import sums
from libs.domain.intake.identifiers import KINDS, normalise
from services.ingest import store
from services.ingest.routes.door import answered
from services.ingest.routes.settled import Unread


def install(app: FastAPI, parts: Parts, lag: Callable[[], int], unread: Unread) -> None:
    """Add the routes."""
    _install_schemas(app)
    _install_resolve(app, parts)
    _install_sums(app, parts, lag, unread)


def _install_schemas(app: FastAPI) -> None:
    listed = {"types": [{"type": "cart.updated", "schema": "/v1/schemas/cart.updated"}]}

    @app.get("/v1/schemas", tags=["schemas"], **door(scope=None, gives={200: json(listed)}))
    async def schemas() -> Response:
        """Every event type, and where its schema is."""
        return answered(
            {"types": [{"type": name, "schema": f"/v1/schemas/{name}"} for name in event_types.names()]}, 200
        )

    one = json({"title": "cart.updated", "type": "object", "properties": {}}, media="application/schema+json")

    @app.get("/v1/schemas/{type}", tags=["schemas"], **door(scope=None, gives={200: one}, errors=(404, 422)))
    async def schema(type: str) -> Response:
        """The JSON Schema of an event type's `data`."""
        found = event_types.schema("custom.any" if type == "custom.*" else type)
        if found is None:
            raise Problem(404, "there is no such event type; GET /v1/schemas lists them")
        return Response(msgspec.json.encode(found), media_type="application/schema+json")


def _install_resolve(app: FastAPI, parts: Parts) -> None:
    @app.post(
        "/v1/profiles/resolve",
        tags=["customers"],
        **door(
            scope="read",
            takes=json({"shop": "demo", "email": "anna@example.com"}),
            gives={200: json({"profile": examples.PROFILE})},
            errors=(404,),
        ),
    )
    async def resolve(request: Request) -> Response:
        """The profile that identifiers, or an older profile id, stand for now."""
        caller = await parts.gate.caller(request, "read")
        asked = cloudevents.parsed(await bodies.read(request, 100_000))
        if not isinstance(asked, dict) or not isinstance(asked.get("shop", caller.shop), str):
            raise Problem(422, "shop: send an object with the shop and an identifier", field="shop")
        shop = caller.for_shop(asked.get("shop"))
        async with parts.database.connection() as connection:
            if asked.get("profile") is not None:
                found = await store.current(connection, shop, _profile(asked["profile"]))
            else:
                found = await store.resolve(connection, shop, _digests(parts, shop, asked))
        if found is None:
            raise Problem(404, "no customer is known by that")
        return answered({"profile": found}, 200)


def _install_sums(app: FastAPI, parts: Parts, lag: Callable[[], int], unread: Unread) -> None:
    @app.get(
        "/v1/status",
        tags=["operation"],
        **door(scope="read", gives={200: json({"spilled": 0, "lag": 0})}, errors=(422,)),
    )
    async def status(request: Request, shop: str | None = None) -> dict[str, Any]:
        """How many events wait for Kafka in PostgreSQL, and how many records of the inbox topic are still to be read.

        The key of a shop sees its own, and no lag: that is of all shops together.
        """
        caller = await parts.gate.caller(request, "read")
        own = caller.within(shop)
        async with parts.database.connection() as connection:
            spilled = await store.count_spilled(connection, own)
        return caller.platform({"lag": lag()}) | {"spilled": spilled}

    stopped = {"events": {"stopped": 3, "duplicates": 2, "quarantined": 1}, "lag": 0}

    @app.get("/v1/audit", tags=["operation"], **door(scope="admin", gives={200: json(stopped)}, errors=(422,)))
    async def audited(request: Request, shop: str | None = None) -> dict[str, Any]:
        """What came in and went no further: repeats known at the door, and what of the inbox topic cannot be used.

        `stopped` is what was taken and not passed on, the others are why; of one shop, or of all.
        """
        caller = await parts.gate.caller(request, "admin")
        own = caller.within(shop)
        async with parts.database.connection() as connection:
            told = sums.audited(await store.counters(connection, own))
            waiting = await store.count_waiting(connection) if caller.shop is None else 0
        return {"events": told} | ({"lag": waiting + await unread()} if caller.shop is None else {})


def _digests(parts: Parts, shop: str, asked: dict[str, Any]) -> list[bytes]:
    found: list[bytes] = []
    for kind in KINDS:
        value = asked.get(kind)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise Problem(422, f"{kind}: must be text", field=kind)
        try:
            text = normalise(kind, str(value))
        except ValueError as error:
            raise Problem(422, f"{kind}: {error}", field=kind) from None
        if text is not None:
            found.append(parts.secrets.identifier(shop, kind, text))
    if not found:
        raise Problem(422, f"send one of {', '.join(KINDS)}, or profile")
    return found


def _profile(value: Any) -> str:
    try:
        return str(msgspec.convert(value, UUID))
    except msgspec.ValidationError:
        raise Problem(422, "profile: must be a profile id", field="profile") from None
