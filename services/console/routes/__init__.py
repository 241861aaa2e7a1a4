"""The doors of the console: scenarios, segments, RFM, keys, and what became of customers and messages."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response

from libs.common.db.keys import KeyStore
from libs.common.http.openapi import door, json
from libs.common.http.problem import Problem
from libs.common.runtime import Parts
from libs.domain.consent.caps import Cap
from libs.domain.scenario.parse import IDENTIFIER
from services.console import handlers, store
from services.console.clients import Peers
from services.console.handlers import Kind, Ref
from services.console.routes import keys as api_keys
from services.console.routes import rfm, sums, views
from services.console.routes.asked import body_of, shop_of
from services.console.routes.keep import Tell, among, checked, keep

Caps = Mapping[str, Sequence[Cap]]
MOMENT = "2026-03-02T10:00:00+00:00"
STANDING = {"id": "abandoned-cart", "version": 2, "state": "live", "published": True, "acted_on": True}
RUNNING = {"version": 2, "step": "steps/0", "enrolments": 12}
PUBLISHED = {**STANDING, "changed": True, "warnings": [], "diff": [], "running": [RUNNING]}
VERSION = {"version": 2, "name": "Abandoned cart", "published_at": MOMENT}
LISTED = {**VERSION, "id": "abandoned-cart", "state": "live", "changed_at": MOMENT}


class Publication(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /v1/scenarios`: file names relative to the scenario's folder, and their texts. Of `/v1/segments`:
    `segment.yaml` alone.
    """

    files: dict[str, str]
    shop: str | None = None


def install(app: FastAPI, parts: Parts, keys: KeyStore, peers: Peers, tell: Tell, caps: Caps) -> None:
    """Add the routes; `caps` are those of each shop."""

    @app.exception_handler(handlers.Refused)
    async def _refused(_request: Request, error: handlers.Refused) -> Response:
        more: dict[str, Any] = {"errors": [{"field": error.field, "message": str(error)}]} if error.field else {}
        return Problem(error.status, str(error), **more).response()

    for kind in (handlers.SCENARIO, handlers.SEGMENT):
        _install_publish(app, parts, peers, tell, kind, caps)
        _install_registry(app, parts, kind)
        _install_verbs(app, parts, peers, tell, kind)
    api_keys.install(app, parts, keys)
    views.install(app, parts, peers)
    sums.install(app, parts, peers)
    rfm.install(app, parts, peers, tell)


def _install_publish(app: FastAPI, parts: Parts, peers: Peers, tell: Tell, kind: Kind, caps: Caps) -> None:
    made = json(PUBLISHED)

    @app.post(
        f"/v1/{kind.plural}",
        status_code=201,
        tags=[kind.plural],
        **door(
            scope="admin",
            takes=json({"shop": "demo", "files": {kind.main: "kurant: 1\n…"}}, Publication),
            gives={201: made, 200: made, 202: made},
        ),
    )
    async def publish(request: Request, response: Response) -> dict[str, Any]:
        """Check and publish. 201 a new version, 200 unchanged, 202 stored and told to Kafka later, 422 with `errors`
        when it is wrong. `acted_on` says that the next event will be judged by it, `diff` what is other than in the
        version before, `running` how many enrolments wait at which step, by versions that they keep (null: not known).
        """
        caller = await parts.gate.caller(request, "admin")
        body = await body_of(request, Publication)
        shop = shop_of(caller, body.shop)
        warnings = await checked(kind, body.files, f"this {kind.name} is", caps.get(shop, ()))
        if kind is handlers.SCENARIO:
            warnings += await among(parts, shop, body.files, f"this {kind.name} is")
        ref, change, before = await keep(parts, shop, kind, body.files)
        published = await tell(ref)
        response.status_code = 202 if not published else 201 if change.fresh else 200
        known = published and await peers.acted_on(kind.plural, shop, ref.id, change.version, change.state)
        return {
            "id": ref.id,
            "version": change.version,
            "changed": change.fresh,
            "state": change.state,
            "published": published,
            "acted_on": known,
            "warnings": warnings,
            "diff": await asyncio.to_thread(handlers.different, kind, before, body.files),
            "running": await peers.running(shop, ref.id) if kind is handlers.SCENARIO else None,
        }


def _install_registry(app: FastAPI, parts: Parts, kind: Kind) -> None:
    @app.get(f"/v1/{kind.plural}", tags=[kind.plural], **door(scope="read", gives={200: json([LISTED])}, errors=(422,)))
    async def listed(request: Request, shop: str | None = None) -> list[dict[str, Any]]:
        """Those of the shop, each with its current version and its state."""
        own = shop_of(await parts.gate.caller(request, "read"), shop)
        async with parts.database.connection() as connection:
            return await store.listed(connection, own, kind.name)

    whole = json({**LISTED, "shop": "demo", "versions": [VERSION], "files": {kind.main: "kurant: 1\n…"}})

    @app.get(
        f"/v1/{kind.plural}/{{id}}",
        tags=[kind.plural],
        **door(scope="read", gives={200: whole}, errors=(404, 422)),
    )
    async def one(request: Request, id: str, shop: str | None = None, version: int | None = None) -> dict[str, Any]:
        """One of them: state, versions, and the files of the current version or of the one asked for."""
        caller = await parts.gate.caller(request, "read")
        own = shop_of(caller, shop)
        ref = Ref(own, kind.name, id)
        async with parts.database.connection() as connection:
            known = await store.listed(connection, own, kind.name)
            found = next((row for row in known if row["id"] == id), None)
            if found is None:
                raise Problem(404, f"no {kind.name} {id} in shop {own}; see the list of {kind.plural}")
            chosen = found["version"] if version is None else version
            versions = await store.versions(connection, ref)
            if chosen not in [row["version"] for row in versions]:
                raise Problem(404, f"{kind.name} {id} has versions 1 to {len(versions)}")
            files = await store.files(connection, ref, chosen)
        return {**found, "shop": own, "versions": versions, "files": files}


def _install_verbs(app: FastAPI, parts: Parts, peers: Peers, tell: Tell, kind: Kind) -> None:
    @app.post(
        f"/v1/{kind.plural}/{{id}}/{{verb}}",
        tags=[kind.plural],
        **door(scope="admin", gives={200: json(STANDING), 202: json(STANDING)}, errors=(404, 409, 422)),
    )
    async def change(
        request: Request,
        response: Response,
        id: str,
        verb: str,
        shop: str | None = None,
    ) -> dict[str, Any]:
        """`pause` holds new enrolments and sends, `resume` goes on, `archive` ends it and all that runs by it."""
        caller = await parts.gate.caller(request, "admin")
        own = shop_of(caller, shop)
        if not IDENTIFIER.fullmatch(id):
            raise Problem(404, f"no {kind.name} has such an id")
        if verb not in kind.verbs:
            raise Problem(404, f"a {kind.name} can be told: {', '.join(kind.verbs)}")
        ref = Ref(own, kind.name, id)
        async with parts.database.transaction() as connection:
            current = await store.lock(connection, ref)
            state = handlers.transition(ref, current, verb)
            assert current is not None
            if state != current.state:
                await store.change(connection, ref, current.version, state, parts.clock.now())
        published = await tell(ref)
        response.status_code = 200 if published else 202
        acted_on = published and await peers.acted_on(kind.plural, own, id, current.version, state)
        return {"id": id, "version": current.version, "state": state, "published": published, "acted_on": acted_on}
