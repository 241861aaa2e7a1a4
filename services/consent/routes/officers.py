"""Doors for data-protection officers: what stands, what was said, what a decision rested on, export, erasure."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import Response

from libs.common.http import body as bodies
from libs.common.http.openapi import door, json
from libs.common.http.problem import Problem
from libs.common.runtime import Parts
from libs.domain.consent.register import Verifier
from services.consent import store
from services.consent.routes import shapes
from services.consent.routes.shapes import ByHand, Consents, Erasure

EVER = datetime.min.replace(tzinfo=UTC)
VERIFIED_AT_ONCE = 2_000
LARGEST_BODY = 1_000_000
PROFILE, MOMENT = "9b2c1d52-1c1a-5f58-8f5e-3d1f6a2b7c44", "2026-03-01T08:00:00Z"
AGREED = {"channel": "email", "purpose": "marketing", "status": "granted", "how": "on paper, at the till"}
ROW = {
    "seq": 1,
    "record": "6f0f7f0b-53d4-5c0a-8a44-7b4f2e1d9c10",
    "profile": PROFILE,
    "channel": "email",
    "purpose": "marketing",
    "status": "granted",
    "at": MOMENT,
    "recorded_at": MOMENT,
    "who": "shop",
    "source": "/shops/demo/web#k-1",
    "clause": "newsletter-2026-01",
    "text": "I agree…",
    "how": "checkbox at checkout",
    "sealed": "9f86d081884c7d65…",
    "prev": "00…",
    "hash": "2c26b46b68ffc68f…",
}
STANDING = {"email": {"marketing": {"status": "granted", "since": MOMENT, "row": 1}}}
DECISION = {
    "message": "0b6f5a0e-6c6c-5b0a-9d2b-0d6f3c8f3f11",
    "profile": PROFILE,
    "shop": "demo",
    "purpose": "marketing",
    "scenario": "abandoned-cart",
    "decision": "allow",
    "reason": "allowed",
    "channel": "email",
    "decided_at": MOMENT,
    "row": 1,
}
VERIFIED = {
    "ok": True,
    "shop": "demo",
    "rows": 12,
    "head": "2c26b46b68ffc68f…",
    "erased": 0,
    "breaks": 0,
    "broken": [],
    "states_without_row": 0,
}
EXPORT = {
    "profile": PROFILE,
    "known_as": [PROFILE],
    "contacts": [{"channel": "email", "address": "anna@example.com", "at": MOMENT, "source": "/shops/demo/web#p-1"}],
    "consents": STANDING,
    "register": [ROW | {"ip": "203.0.113.9", "user_agent": "…"}],
    "decisions": [DECISION],
    "places": [{"message": DECISION["message"], "channel": "email", "at": MOMENT}],
}
SHOWN = {"profile": PROFILE, "consents": STANDING, "reachable": {"email": True}, "history": [ROW]}


def install(app: FastAPI, parts: Parts, consents: Consents) -> None:
    """Add the routes."""
    _install_register(app, parts, consents)
    _install_by_hand(app, parts, consents)
    _install_persons(app, parts, consents)
    _install_proof(app, parts, consents)


def _answered(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")


def _unknown(profile: UUID) -> Problem:
    return Problem(404, f"profile {profile} is not known to consent: nothing was told about it")


def _install_register(app: FastAPI, parts: Parts, consents: Consents) -> None:
    @app.get("/v1/consents", tags=["register"], **door(scope="read", gives={200: json(SHOWN)}, errors=(404, 422)))
    async def shown(request: Request, profile: UUID, shop: str | None = None) -> Response:
        """What a person has agreed to, and everything that was ever said of it. No addresses."""
        own = (await parts.gate.caller(request, "read")).for_shop(shop)
        found = await consents.standing(own, str(profile))
        if found is None:
            raise _unknown(profile)
        root, states = found
        async with parts.database.connection() as connection:
            rows = await store.history(connection, own, await store.aliases(connection, own, root))
            points = (await store.reachable(connection, {(own, root)})).get((own, root), {})
        return _answered(
            {
                "profile": root,
                "consents": shapes.shown_standing(states),
                "reachable": {channel: not point[2] for channel, point in sorted(points.items())},
                "history": [shapes.shown_row(entry) for entry, _, _ in rows],
            }
        )


def _install_by_hand(app: FastAPI, parts: Parts, consents: Consents) -> None:
    example = {"shop": "demo", "profile": PROFILE, "consents": [AGREED], "contacts": {"email": "anna@example.com"}}

    @app.post(
        "/v1/consents",
        tags=["register"],
        **door(
            scope="admin",
            takes=json(example | {"at": MOMENT}, ByHand),
            gives={200: json({"profile": PROFILE, "recorded": 1})},
        ),
    )
    async def recorded(request: Request) -> dict[str, Any]:
        """Record what a person said on paper or by telephone. It counts like what a shop tells by events."""
        caller = await parts.gate.caller(request, "admin")
        told = await bodies.decoded(request, ByHand, LARGEST_BODY)
        shop, profile = caller.for_shop(told.shop), str(told.profile)
        at = told.at or parts.clock.now()
        if at.tzinfo is None:
            raise Problem(422, "at: give it with an offset, as 2026-03-01T08:00:00Z")
        try:
            addresses: dict[str, str] = dict(told.contacts.items())
            count = await consents.told(shop, profile, at, told.consents, addresses)
        except ValueError as error:
            raise Problem(422, str(error)) from None
        return {"profile": profile, "recorded": count}


def _install_persons(app: FastAPI, parts: Parts, consents: Consents) -> None:
    @app.get(
        "/v1/exports/{profile}", tags=["persons"], **door(scope="admin", gives={200: json(EXPORT)}, errors=(404, 422))
    )
    async def exported(request: Request, profile: UUID, shop: str | None = None) -> Response:
        """All that is held about a person (GDPR Art. 15 and 20), addresses included."""
        own = (await parts.gate.caller(request, "admin")).for_shop(shop)
        found = await consents.standing(own, str(profile))
        if found is None:
            raise _unknown(profile)
        root, states = found
        async with parts.database.connection() as connection:
            profiles = await store.aliases(connection, own, root)
            points = await store.contacts(connection, own, root)
            rows = await store.history(connection, own, profiles)
            decisions = await store.decisions_for(connection, own, profiles)
            places = await store.places(connection, {(own, root)}, {own: EVER})
        for point in points:
            point["address"] = consents.open_address(point["address"])
        return _answered(
            {
                "profile": root,
                "known_as": profiles,
                "contacts": points,
                "consents": shapes.shown_standing(states),
                "register": [shapes.shown_row(entry) | consents.open_evidence(sealed) for entry, sealed, _ in rows],
                "decisions": [shapes.shown_decision(row) for row in decisions],
                "places": shapes.shown_places(places.get((own, root), {})),
            }
        )

    done = {"profile": PROFILE, "addresses": 2, "evidence": 1, "withdrawn": 1}

    @app.post(
        "/v1/erasures",
        tags=["persons"],
        **door(
            scope="admin",
            takes=json({"shop": "demo", "profile": PROFILE}, Erasure),
            gives={200: json(done)},
            errors=(404,),
        ),
    )
    async def erased(request: Request) -> dict[str, Any]:
        """Forget a person (GDPR Art. 17): withdraw everything, delete addresses and evidence for ever."""
        caller = await parts.gate.caller(request, "admin")
        told = await bodies.decoded(request, Erasure, LARGEST_BODY)
        done = await consents.erase(caller.for_shop(told.shop), str(told.profile))
        if done is None:
            raise _unknown(told.profile)
        return done


def _install_proof(app: FastAPI, parts: Parts, consents: Consents) -> None:
    @app.get(
        "/v1/consents/verify", tags=["register"], **door(scope="admin", gives={200: json(VERIFIED)}, errors=(422,))
    )
    async def verified(request: Request, shop: str | None = None) -> dict[str, Any]:
        """Is the register of a shop what it was? Walks its chain, and says where it breaks."""
        own = (await parts.gate.caller(request, "admin")).for_shop(shop)
        walk = Verifier()
        async with parts.database.connection() as connection:
            last, head = await store.head(connection, own)
            while rows := await store.chain_page(connection, own, walk.seq, last, VERIFIED_AT_ONCE):
                for entry, evidence, forgotten in rows:
                    walk.take(entry, evidence, forgotten=forgotten)
            walk.finish(last, head)
            loose = await store.loose_states(connection, own)
        return {
            "ok": walk.breaks == 0 and loose == 0,
            "shop": own,
            "rows": walk.rows,
            "head": head.hex(),
            "erased": walk.erased,
            "breaks": walk.breaks,
            "broken": walk.broken,
            "states_without_row": loose,
        }

    proof = DECISION | {"rested_on": ROW, "intact": True, "earlier": []}

    @app.get(
        "/v1/proof/{message}", tags=["register"], **door(scope="admin", gives={200: json(proof)}, errors=(404, 422))
    )
    async def proven(request: Request, message: UUID, shop: str | None = None) -> Response:
        """Why a message was sent, or not: the decision, and the register's row that it rested on with its evidence."""
        caller = await parts.gate.caller(request, "admin")
        own = caller.within(shop)
        async with parts.database.connection() as connection:
            decisions = await store.decisions_about(connection, str(message), own)
            if not decisions:
                raise Problem(404, f"nothing was decided about message {message}")
            if len({one["shop"] for one in decisions}) > 1:
                raise Problem(422, "several shops have asked about this message: say which one (?shop=...)")
            newest = decisions[0]
            row = await store.chain_row(connection, newest["shop"], newest["seq"]) if newest["seq"] else None
        rested = shapes.shown_row(row[0]) | consents.open_evidence(row[1]) if row else None
        intact = row[0].hash == newest["hash"] if row else newest["seq"] is None
        earlier = [shapes.shown_decision(one) for one in decisions[1:]]
        return _answered(shapes.shown_decision(newest) | {"rested_on": rested, "intact": intact, "earlier": earlier})
