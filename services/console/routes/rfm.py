"""The doors of RFM: a shop's rules, how it stands, its customers, why one is where he is, and a run at once."""

from typing import Any, Protocol
from uuid import UUID

import msgspec
from fastapi import FastAPI, Request, Response

from libs.common.http import examples
from libs.common.http.openapi import door, json
from libs.common.http.problem import Problem
from libs.common.runtime import Parts
from services.console import store
from services.console.clients import Peers
from services.console.handlers import RFM, Ref
from services.console.routes.asked import body_of, shop_of
from services.console.routes.keep import Tell, checked, keep


class Rules(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `PUT /v1/rfm`: the text of the shop's `rfm.yaml`."""

    text: str
    shop: str | None = None


def install(app: FastAPI, parts: Parts, peers: Peers, tell: Tell) -> None:
    """Add the routes."""
    _install_rules(app, parts, peers, tell)
    _install_customers(app, parts, peers)
    _install_runs(app, parts, peers)


def _install_rules(app: FastAPI, parts: Parts, peers: Peers, tell: Tell) -> None:
    made = json({"version": 2, "changed": True, "published": True, "acted_on": True})

    @app.put(
        "/v1/rfm",
        tags=["rfm"],
        **door(
            scope="admin",
            takes=json({"shop": "demo", "text": "window: 365d\n…"}, Rules),
            gives={200: made, 201: made, 202: made},
        ),
    )
    async def publish(request: Request, response: Response) -> dict[str, Any]:
        """Check and publish the rules by which a shop's customers are scored. 201 a new version, 200 unchanged, 202
        stored and told to Kafka later, 422 with `errors` when they are wrong. `acted_on`: the next run goes by them.
        """
        caller = await parts.gate.caller(request, "admin")
        body = await body_of(request, Rules)
        shop = shop_of(caller, body.shop)
        files = {RFM.main: body.text}
        await checked(RFM, files, "these rules are")
        ref, change, _ = await keep(parts, shop, RFM, files)
        published = await tell(ref)
        response.status_code = 202 if not published else 201 if change.fresh else 200
        return {
            "version": change.version,
            "changed": change.fresh,
            "published": published,
            "acted_on": published and await peers.scores_by(shop, change.version),
        }

    versions = [{"version": 2, "name": "RFM", "published_at": "2026-03-02T10:00:00+00:00"}]
    told = json({"shop": "demo", "version": 2, "versions": versions, "text": "window: 365d\n…"})

    @app.get("/v1/rfm/rules", tags=["rfm"], **door(scope="read", gives={200: told}, errors=(404, 422)))
    async def rules(request: Request, shop: str | None = None, version: int | None = None) -> dict[str, Any]:
        """The rules that a shop has published: the current version or the one asked for, and the list of versions."""
        caller = await parts.gate.caller(request, "read")
        own = shop_of(caller, shop)
        async with parts.database.connection() as connection:
            ref = Ref(own, RFM.name, RFM.named("")[0])
            versions = await store.versions(connection, ref)
            if not versions:
                raise Problem(404, f"shop {own} has published no RFM rules: the defaults hold")
            chosen = len(versions) if version is None else version
            files = await store.files(connection, ref, chosen)
        if files is None:
            raise Problem(404, f"the RFM rules have versions 1 to {len(versions)}")
        return {"shop": own, "version": chosen, "versions": versions, "text": files[RFM.main]}


class Ask(Protocol):
    """Asks rules."""

    async def __call__(
        self, request: Request, scope: str, method: str, path: str, shop: str | None, **more: str | None
    ) -> Any:
        """What rules says, of the caller's shop alone (I9)."""
        ...


def _asking(parts: Parts, peers: Peers) -> Ask:
    async def ask(request: Request, scope: str, method: str, path: str, shop: str | None, **more: str | None) -> Any:
        own = shop_of(await parts.gate.caller(request, scope), shop)
        return await peers.ask("rules", method, path, params={"shop": own, **more})

    return ask


def _install_customers(app: FastAPI, parts: Parts, peers: Peers) -> None:
    ask = _asking(parts, peers)

    @app.get(
        "/v1/rfm/customers",
        tags=["rfm"],
        **door(scope="read", gives={200: json([examples.RFM_CUSTOMER])}, errors=(404, 422)),
    )
    async def customers(
        request: Request,
        shop: str | None = None,
        segment: str | None = None,
        after: UUID | None = None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Customers with figures and scores, in order of profile; `after` is the last one of the page before."""
        given = {"after": str(after) if after else None, "limit": str(limit) if limit is not None else None}
        found: list[dict[str, Any]] = await ask(
            request, "read", "GET", "/v1/rfm/customers", shop, segment=segment, **given
        )
        return found

    @app.get(
        "/v1/rfm/explain",
        tags=["rfm"],
        **door(scope="read", gives={200: json(examples.RFM_EXPLAINED)}, errors=(404, 422)),
    )
    async def explain(
        request: Request, shop: str | None = None, email: str | None = None, profile: UUID | None = None
    ) -> dict[str, Any]:
        """Why a customer is in his segment, and how that changed."""
        own = shop_of(await parts.gate.caller(request, "read"), shop)
        if (email is None) == (profile is None):
            raise Problem(422, "give either email or profile")
        asked = await peers.resolve(own, "email", email) if email is not None else str(profile)
        found: dict[str, Any] = await ask(request, "read", "GET", "/v1/rfm/explain", own, profile=asked)
        return found


def _install_runs(app: FastAPI, parts: Parts, peers: Peers) -> None:
    ask = _asking(parts, peers)

    @app.get("/v1/rfm", tags=["rfm"], **door(scope="read", gives={200: json(examples.RFM_STANDS)}, errors=(422,)))
    async def stands(request: Request, shop: str | None = None) -> dict[str, Any]:
        """The last run: when, by which rules and cut points, how many customers in which segment."""
        found: dict[str, Any] = await ask(request, "read", "GET", "/v1/rfm", shop)
        return found

    @app.post(
        "/v1/rfm/runs",
        tags=["rfm"],
        **door(
            scope="admin",
            gives={200: json(examples.RFM_RAN), 202: json(examples.RFM_RUNNING)},
            errors=(409, 422),
        ),
    )
    async def compute(
        request: Request, response: Response, shop: str | None = None, now: bool = False, quiet: bool = False
    ) -> dict[str, Any]:
        """Compute those who changed, or with `now` everybody; with `quiet` no scenario reacts. 202 while at work."""
        given = {"now": "true" if now else None, "quiet": "true" if quiet else None}
        found: dict[str, Any] = await ask(request, "admin", "POST", "/v1/rfm/runs", shop, **given)
        response.status_code = 200 if found["done"] else 202
        return found
