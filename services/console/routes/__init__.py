"""The doors of the console: scenarios, segments, RFM, keys, and what became of customers and messages."""

import asyncio
import time
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import FastAPI, Path, Request, Response

from libs.common.db.keys import SCOPES, KeyStore
from libs.common.errors import Unavailable
from libs.common.http.problem import Problem
from libs.common.runtime import Parts
from libs.domain.scenario.parse import IDENTIFIER
from services.console import handlers, store
from services.console.clients import Peers
from services.console.handlers import Kind, Ref
from services.console.routes import rfm
from services.console.routes.asked import body_of, shop_of, takes
from services.console.routes.keep import Tell, checked, keep

MOST_ROWS = "1000"
SETTLE = 8.0
"""Real seconds for which the audit waits for sums that differ while the platform works."""
AGAIN = 0.5
CALM = 6
"""So many equal answers in a row, with no lag, and a difference is no longer work in progress."""


class Publication(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /v1/scenarios`: file names relative to the scenario's folder, and their texts. Of `/v1/segments`:
    `segment.yaml` alone.
    """

    files: dict[str, str]
    shop: str | None = None


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /v1/keys`."""

    scopes: list[str]
    shop: str | None = None


def install(app: FastAPI, parts: Parts, keys: KeyStore, peers: Peers, tell: Tell) -> None:
    """Add the routes."""

    @app.exception_handler(handlers.Refused)
    async def _refused(_request: Request, error: handlers.Refused) -> Response:
        more: dict[str, Any] = {"errors": [{"field": error.field, "message": str(error)}]} if error.field else {}
        return Problem(error.status, str(error), **more).response()

    for kind in (handlers.SCENARIO, handlers.SEGMENT):
        _install_publish(app, parts, peers, tell, kind)
        _install_registry(app, parts, peers, tell, kind)
    _install_keys(app, parts, keys)
    _install_views(app, parts, peers)
    _install_sums(app, parts, peers)
    rfm.install(app, parts, peers, tell)


def _install_publish(app: FastAPI, parts: Parts, peers: Peers, tell: Tell, kind: Kind) -> None:
    @app.post(f"/v1/{kind.plural}", status_code=201, tags=[kind.plural], openapi_extra=takes(Publication))
    async def publish(request: Request, response: Response) -> dict[str, Any]:
        """Check and publish. 201 a new version, 200 unchanged, 202 stored and told to Kafka later, 422 with `errors`
        when it is wrong. `acted_on` says that the next event will be judged by it, `diff` what is other than in the
        version before.
        """
        caller = await parts.gate.caller(request, "admin")
        body = await body_of(request, Publication)
        shop = shop_of(caller, body.shop)
        warnings = await checked(kind, body.files, f"this {kind.name} is")
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
        }


def _install_registry(app: FastAPI, parts: Parts, peers: Peers, tell: Tell, kind: Kind) -> None:
    @app.get(f"/v1/{kind.plural}", tags=[kind.plural])
    async def listed(request: Request, shop: str | None = None) -> list[dict[str, Any]]:
        """Those of the shop, each with its current version and its state."""
        caller = await parts.gate.caller(request, "read")
        async with parts.database.connection() as connection:
            return await store.listed(connection, shop_of(caller, shop), kind.name)

    @app.get(f"/v1/{kind.plural}/{{id}}", tags=[kind.plural])
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

    verb_pattern = f"^({'|'.join(kind.verbs)})$"

    @app.post(f"/v1/{kind.plural}/{{id}}/{{verb}}", tags=[kind.plural])
    async def change(
        request: Request,
        response: Response,
        id: str,
        verb: Annotated[str, Path(pattern=verb_pattern)],
        shop: str | None = None,
    ) -> dict[str, Any]:
        """`pause` holds new enrolments and sends, `resume` goes on, `archive` ends it and all that runs by it."""
        caller = await parts.gate.caller(request, "admin")
        own = shop_of(caller, shop)
        if not IDENTIFIER.fullmatch(id):
            raise Problem(404, f"no {kind.name} has such an id")
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


def _install_keys(app: FastAPI, parts: Parts, keys: KeyStore) -> None:
    @app.post("/v1/keys", status_code=201, tags=["keys"], openapi_extra=takes(NewKey))
    async def create(request: Request) -> dict[str, Any]:
        """Make an API key; its text is shown this once."""
        caller = await parts.gate.caller(request, "admin")
        body = await body_of(request, NewKey)
        scopes = tuple(scope for scope in SCOPES if scope in body.scopes)
        if len(scopes) != len(set(body.scopes)) or not scopes:
            raise handlers.Refused(422, f"scopes: one or more of {', '.join(SCOPES)}", "scopes")
        key, text = await keys.create(shop_of(caller, body.shop), scopes, parts.clock.now())
        return {"id": str(key.id), "key": text, "shop": key.shop, "scopes": list(key.scopes)}

    @app.get("/v1/keys", tags=["keys"])
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

    @app.delete("/v1/keys/{id}", status_code=204, tags=["keys"])
    async def revoke(request: Request, id: UUID) -> None:
        """End a key. Services that have just seen it may take it for ten seconds more."""
        caller = await parts.gate.caller(request, "admin")
        if not await keys.revoke(id, caller.shop, parts.clock.now()):
            raise Problem(404, f"no live key {id}; see the list of keys")


def _install_views(app: FastAPI, parts: Parts, peers: Peers) -> None:
    async def rows(shop: str, profile: str) -> list[dict[str, Any]]:
        params = {"shop": shop, "profile": profile, "limit": MOST_ROWS}
        found: list[dict[str, Any]] = await peers.ask("dispatch", "GET", "/v1/outbox", params=params)
        return found

    @app.get("/v1/outbox", tags=["messages"])
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

    @app.get("/v1/explain", tags=["customers"])
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

    @app.get("/v1/profiles/{id}/timeline", tags=["customers"])
    async def timeline(request: Request, id: UUID, shop: str | None = None) -> dict[str, Any]:
        """What happened to a customer, and what was sent, each oldest first."""
        caller = await parts.gate.caller(request, "read")
        own = shop_of(caller, shop)
        answer: dict[str, Any] = await peers.ask(
            "rules", "GET", "/v1/timeline", params={"shop": own, "profile": str(id)}
        )
        return {**answer, "messages": await rows(own, answer["profile"])}


def _install_sums(app: FastAPI, parts: Parts, peers: Peers) -> None:
    @app.get("/v1/audit", tags=["operation"])
    async def audit(request: Request) -> dict[str, Any]:
        """Do the sums of the whole platform agree?"""
        await parts.gate.caller(request, "admin")
        deadline, before, calm = time.monotonic() + SETTLE, None, 0
        while True:
            told = await asyncio.gather(*(peers.ask(one, "GET", "/v1/audit") for one in AUDITED))
            found = handlers.audit(*told)
            calm = calm + 1 if found == before and not any(found["lag"].values()) else 0
            if found["ok"] or calm >= CALM or time.monotonic() > deadline:
                return found
            before = found
            await asyncio.sleep(AGAIN)

    @app.get("/v1/status", tags=["operation"])
    async def status(request: Request) -> dict[str, Any]:
        """What runs, how far behind it is, what waits. Always 200: a service that is away is not ready."""
        await parts.gate.caller(request, "admin")
        told = dict(zip(peers.names, await asyncio.gather(*map(peers.how, peers.names)), strict=True))
        services = {name: {"ready": ready, "lag": handlers.lag_of(own)} for name, (ready, own) in told.items()}
        steps = told["scheduler"][1] or {}
        return {
            "now": parts.clock.now().isoformat(),
            "services": {"console": await _own(parts), **services},
            "steps": {"pending": steps.get("pending"), "oldest_due": steps.get("oldest_due")},
        }


AUDITED = ("rules", "scheduler", "dispatch")


async def _own(parts: Parts) -> dict[str, Any]:
    """How the console itself is; its lag is the publications that Kafka is still to be told of."""
    try:
        async with parts.database.connection() as connection:
            waiting = len(await store.untold(connection))
        await parts.producer.ping()
    except Unavailable:
        return {"ready": False, "lag": None}
    return {"ready": True, "lag": waiting}
