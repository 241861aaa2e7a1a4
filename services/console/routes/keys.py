"""The doors of API keys."""

from typing import Any
from uuid import UUID

import msgspec
from fastapi import FastAPI, Request

from libs.common.db.keys import SCOPES, KeyStore
from libs.common.http.openapi import door, json
from libs.common.http.problem import Problem
from libs.common.runtime import Parts
from services.console import handlers
from services.console.routes.asked import body_of, shop_of

ID = "5c1f2a52-5a1d-4b0c-9f0e-0a4f3c2b1d00"
MADE = {"id": ID, "key": "kurant_…", "shop": "demo", "scopes": ["ingest"]}
LISTED = {
    "id": ID,
    "shop": "demo",
    "scopes": ["ingest"],
    "created_at": "2026-03-02T10:00:00+00:00",
    "revoked_at": None,
}


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /v1/keys`."""

    scopes: list[str]
    shop: str | None = None


def install(app: FastAPI, parts: Parts, keys: KeyStore) -> None:
    """Add the routes."""

    @app.post(
        "/v1/keys",
        status_code=201,
        tags=["keys"],
        **door(scope="admin", takes=json({"shop": "demo", "scopes": ["ingest"]}, NewKey), gives={201: json(MADE)}),
    )
    async def create(request: Request) -> dict[str, Any]:
        """Make an API key; its text is shown this once."""
        caller = await parts.gate.caller(request, "admin")
        body = await body_of(request, NewKey)
        scopes = tuple(scope for scope in SCOPES if scope in body.scopes)
        if len(scopes) != len(set(body.scopes)) or not scopes:
            raise handlers.Refused(422, f"scopes: one or more of {', '.join(SCOPES)}", "scopes")
        key, text = await keys.create(shop_of(caller, body.shop), scopes, parts.clock.now())
        return {"id": str(key.id), "key": text, "shop": key.shop, "scopes": list(key.scopes)}

    @app.get("/v1/keys", tags=["keys"], **door(scope="admin", gives={200: json([LISTED])}, errors=(422,)))
    async def listed(request: Request, shop: str | None = None) -> list[dict[str, Any]]:
        """The keys of a shop, revoked ones too; never their text. A service sees those of all shops."""
        caller = await parts.gate.caller(request, "admin")
        chosen = None if caller.shop is None and shop is None else shop_of(caller, shop)
        return [
            {
                "id": str(key.id),
                "shop": key.shop,
                "scopes": list(key.scopes),
                "created_at": key.created_at.isoformat(),
                "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
            }
            for key in await keys.list(chosen)
        ]

    @app.delete(
        "/v1/keys/{id}",
        status_code=204,
        tags=["keys"],
        **door(scope="admin", gives={204: None}, errors=(404, 422)),
    )
    async def revoke(request: Request, id: UUID) -> None:
        """End a key. Services that have just seen it may take it for ten seconds more."""
        caller = await parts.gate.caller(request, "admin")
        if not await keys.revoke(id, caller.shop, parts.clock.now()):
            raise Problem(404, f"no live key {id}; see the list of keys")
