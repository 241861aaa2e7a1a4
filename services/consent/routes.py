"""Doors over HTTP: decisions for dispatch, the register for officers, pages for customers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs
from uuid import UUID

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, Response

from libs.common.bus.consumer import Loop
from libs.common.errors import Unavailable
from libs.common.http.problem import Problem
from libs.common.runtime import Parts
from libs.common.secrets import BadToken
from libs.common.telemetry.log import logger
from libs.domain.consent import pages, texts
from libs.domain.consent.choices import Choose, all_off, confirming, switching, unsubscribing
from libs.domain.consent.register import Verifier
from libs.domain.consent.state import ProfileKey, State, Status, Who
from services.consent import handlers, store
from services.consent.handlers import SOURCE, Answer, Asked, Evidence, Questions

log = logger(__name__)
PAGE_BODY = 16_384
"""Bytes that are read of what a customer's page posts."""
VERIFIED_AT_ONCE = 2_000
MOST_QUESTIONS = 1_000
T = TypeVar("T")
Standing = dict[tuple[str, str], Status]


class Consents(Protocol):
    """What the doors open to."""

    async def decide(self, asked: Sequence[Asked]) -> list[Answer]: ...
    async def standing(self, shop: str, profile: str) -> tuple[str, dict[tuple[str, str], State]] | None: ...
    async def turn(
        self, shop: str, profile: str, choose: Choose, *, who: Who, source: str, evidence: Mapping[str, str | None]
    ) -> Standing: ...
    async def told(
        self, shop: str, profile: str, at: datetime, consents: Sequence[Evidence], addresses: Mapping[str, str]
    ) -> int: ...
    async def erase(self, shop: str, profile: str) -> dict[str, object] | None: ...
    def digest(self, shop: str, channel: str, address: str) -> bytes | None: ...
    def open_evidence(self, sealed: bytes | None) -> dict[str, str | None]: ...
    def open_address(self, sealed: bytes) -> str | None: ...


class ByHand(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/consents`; `contacts` by channel."""

    profile: UUID
    shop: str | None = None
    at: datetime | None = None
    consents: list[Evidence] = []
    contacts: dict[str, str] = {}


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/erasures`."""

    profile: UUID
    shop: str | None = None


class Suppression(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/suppressions`: an address with its channel, or the message that was sent to it."""

    reason: str
    shop: str | None = None
    message: UUID | None = None
    channel: str | None = None
    address: str | None = None


async def body(request: Request, shape: type[T]) -> T:
    """The JSON body in the declared shape; raises `Problem` 422 that says what does not fit, and no value."""
    try:
        return msgspec.json.decode(await request.body(), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(422, f"body: {error}") from None


def answered(content: object) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(content), media_type="application/json")


def install(app: FastAPI, parts: Parts, loop: Loop, consents: Consents) -> None:
    """Add the routes."""
    _for_services(app, parts, loop, consents)
    _for_officers(app, parts, consents)
    _for_persons(app, parts, consents)
    _for_proof(app, parts, consents)
    _for_customers(app, parts, consents)


def _for_services(app: FastAPI, parts: Parts, loop: Loop, consents: Consents) -> None:
    @app.post("/v1/decisions")
    async def decided(request: Request) -> Response:
        caller = await parts.gate.caller(request, "admin")
        asked = (await body(request, Questions)).requests
        if len(asked) > MOST_QUESTIONS:
            raise Problem(413, f"requests: ask {MOST_QUESTIONS} at most at once")
        for one in asked:
            caller.for_shop(one.shop)
        return answered({"decisions": await consents.decide(asked)})

    @app.post("/v1/suppressions")
    async def suppressed(request: Request) -> dict[str, Any]:
        caller = await parts.gate.caller(request, "admin")
        told = await body(request, Suppression)
        shop = caller.for_shop(told.shop)
        async with parts.database.transaction() as connection:
            channel, digest = told.channel, None
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

    @app.get("/v1/status")
    async def status(request: Request) -> dict[str, Any]:
        await parts.gate.caller(request, "read")
        async with parts.database.connection() as connection:
            waiting = await store.waiting(connection)
        return {"lag": sum(loop.lag().values()), "outbox": waiting}

    @app.get("/v1/audit")
    async def audited(request: Request) -> dict[str, Any]:
        await parts.gate.caller(request, "admin")
        async with parts.database.connection() as connection:
            waiting, rows = await store.waiting(connection), await store.register_rows(connection)
        return {"register": rows, "outbox": waiting, "lag": sum(loop.lag().values())}


def _for_officers(app: FastAPI, parts: Parts, consents: Consents) -> None:
    @app.get("/v1/consents")
    async def shown(request: Request, profile: UUID, shop: str | None = None) -> Response:
        own = (await parts.gate.caller(request, "read")).for_shop(shop)
        found = await consents.standing(own, str(profile))
        if found is None:
            raise _unknown(profile)
        root, states = found
        async with parts.database.connection() as connection:
            rows = await store.history(connection, own, await store.aliases(connection, own, root))
            points = (await store.reachable(connection, {(own, root)})).get((own, root), {})
        return answered(
            {
                "profile": root,
                "consents": handlers.shown_standing(states),
                "reachable": {channel: not point[2] for channel, point in sorted(points.items())},
                "history": [handlers.shown_row(entry) for entry, _, _ in rows],
            }
        )

    @app.post("/v1/consents")
    async def recorded(request: Request) -> dict[str, Any]:
        caller = await parts.gate.caller(request, "admin")
        told = await body(request, ByHand)
        shop, profile = caller.for_shop(told.shop), str(told.profile)
        at = told.at or parts.clock.now()
        if at.tzinfo is None:
            raise Problem(422, "at: give it with an offset, as 2026-03-01T08:00:00Z")
        try:
            count = await consents.told(shop, profile, at, told.consents, told.contacts)
        except ValueError as error:
            raise Problem(422, str(error)) from None
        return {"profile": profile, "recorded": count}


def _for_persons(app: FastAPI, parts: Parts, consents: Consents) -> None:
    @app.get("/v1/exports/{profile}")
    async def exported(request: Request, profile: UUID, shop: str | None = None) -> Response:
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
        for point in points:
            point["address"] = consents.open_address(point["address"])
        return answered(
            {
                "profile": root,
                "known_as": profiles,
                "contacts": points,
                "consents": handlers.shown_standing(states),
                "register": [handlers.shown_row(entry) | consents.open_evidence(sealed) for entry, sealed, _ in rows],
                "decisions": [handlers.shown_decision(row) for row in decisions],
            }
        )

    @app.post("/v1/erasures")
    async def erased(request: Request) -> dict[str, Any]:
        caller = await parts.gate.caller(request, "admin")
        told = await body(request, Erasure)
        done = await consents.erase(caller.for_shop(told.shop), str(told.profile))
        if done is None:
            raise _unknown(told.profile)
        return done


def _for_proof(app: FastAPI, parts: Parts, consents: Consents) -> None:
    @app.get("/v1/consents/verify")
    async def verified(request: Request, shop: str | None = None) -> dict[str, Any]:
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

    @app.get("/v1/proof/{message}")
    async def proven(request: Request, message: UUID, shop: str | None = None) -> Response:
        caller = await parts.gate.caller(request, "admin")
        own = caller.for_shop(shop) if caller.shop or shop else None
        async with parts.database.connection() as connection:
            decisions = await store.decisions_about(connection, str(message), own)
            if not decisions:
                raise Problem(404, f"nothing was decided about message {message}")
            newest = decisions[0]
            row = await store.chain_row(connection, newest["shop"], newest["seq"]) if newest["seq"] else None
        rested = handlers.shown_row(row[0]) | consents.open_evidence(row[1]) if row else None
        intact = row[0].hash == newest["hash"] if row else newest["seq"] is None
        earlier = [handlers.shown_decision(one) for one in decisions[1:]]
        return answered(handlers.shown_decision(newest) | {"rested_on": rested, "intact": intact, "earlier": earlier})


def _unknown(profile: UUID) -> Problem:
    return Problem(404, f"profile {profile} is not known to consent: nothing was told about it")


def _for_customers(app: FastAPI, parts: Parts, consents: Consents) -> None:
    doors = Pages(parts, consents)
    for path, page in (("/u", doors.unsubscribe), ("/c", doors.confirm), ("/p", doors.prefer)):
        app.add_api_route(
            f"{path}/{{token}}",
            page,
            methods=["GET", "HEAD", "POST"],
            response_class=HTMLResponse,
            include_in_schema=False,
        )


Make = Callable[[texts.Texts], Awaitable[str]]


class Pages:
    """A GET changes nothing (mail scanners follow links); a POST takes effect before it is answered.

    The body of a one-click request (RFC 8058) is not needed: the token says all, any POST of it counts.
    """

    def __init__(self, parts: Parts, consents: Consents) -> None:
        self._database = parts.database
        self._secrets = parts.secrets
        self._consents = consents

    async def unsubscribe(self, request: Request, token: str) -> Response:
        async def make(words: texts.Texts) -> str:
            shop, profile, channel, purpose, message = self._opened("unsubscribe", token, 5)
            if request.method != "POST":
                return pages.unsubscribe(words, shop, channel, purpose)
            choose = unsubscribing(channel, purpose)
            await self._click(request, (shop, profile), choose, "link", message, "unsubscribe link of a message")
            return pages.unsubscribed(words, shop, channel, purpose)

        return await _shown(request, make)

    async def confirm(self, request: Request, token: str) -> Response:
        async def make(words: texts.Texts) -> str:
            shop, profile, channel, purpose, message, digest = self._opened("confirm", token, 6)
            root, states = await self._consents.standing(shop, profile) or (profile, {})
            async with self._database.connection() as connection:
                point = (await store.reachable(connection, {(shop, root)})).get((shop, root), {}).get(channel)
            state = states.get((channel, purpose))
            if point is None or point[0].hex() != digest or not state or state.status not in ("requested", "granted"):
                return pages.plain(words, "stale")
            if request.method != "POST":
                return pages.confirm(words, shop, channel, purpose)
            text = pages.filled(words, "confirm_ask", shop, channel, purpose)
            choose, how = confirming(channel, purpose), "double opt-in link"
            after = await self._click(request, (shop, profile), choose, "confirmation", message, how, text)
            done = after.get((channel, purpose)) == "granted"
            return pages.confirmed(words, shop, channel, purpose) if done else pages.plain(words, "stale")

        return await _shown(request, make)

    async def prefer(self, request: Request, token: str) -> Response:
        async def make(words: texts.Texts) -> str:
            shop, profile, message = self._opened("preferences", token, 3)
            if request.method == "POST":
                choose, text = _choice(words, shop, await _form(request))
                how = "preference page"
                after = await self._click(request, (shop, profile), choose, "preferences", message, how, text)
                return pages.preferences(words, shop, after, saved=True)
            _, states = await self._consents.standing(shop, profile) or (profile, {})
            now: Standing = {key: state.status for key, state in states.items()}
            return pages.preferences(words, shop, now, saved=False)

        return await _shown(request, make)

    def _opened(self, use: str, token: str, length: int) -> list[str]:
        """What a token says; raises `BadToken`."""
        try:
            payload = msgspec.convert(self._secrets.unsign(use, token), list[str])
        except msgspec.ValidationError:
            raise BadToken("not ours") from None
        if len(payload) != length:
            raise BadToken("not ours")
        return payload

    async def _click(
        self,
        request: Request,
        who: ProfileKey,
        choose: Choose,
        by: Who,
        message: str,
        how: str,
        text: str | None = None,
    ) -> Standing:
        evidence = {
            "ip": request.client.host if request.client else None,
            "user_agent": (request.headers.get("user-agent") or "")[:500] or None,
            "how": how,
            "text": text,
        }
        source = f"{SOURCE}/{by}/{message}"
        return await self._consents.turn(*who, choose, who=by, source=source, evidence=evidence)


async def _shown(request: Request, make: Make) -> Response:
    words, status, more = texts.language(request.headers.get("accept-language")), 200, dict(pages.HEADERS)
    try:
        page = await make(words)
    except BadToken:
        page, status = pages.plain(words, "bad"), 404
    except Unavailable as error:
        log.warning("a page answered 503", error=str(error))
        page, status = pages.plain(words, "away"), 503
        more["Retry-After"] = "5"
    more |= {"Content-Language": words["lang"], "Vary": "Accept-Language"}
    return HTMLResponse(page, status, headers=more)


def _choice(words: texts.Texts, shop: str, form: Mapping[str, str]) -> tuple[Choose, str | None]:
    """Which button was pressed, and the sentence that stood beside it."""
    if form.get("all") == "off":
        return all_off, None
    on = "on" in form
    channel, _, purpose = form.get("on" if on else "off", "").partition(":")
    text = pages.filled(words, "turn_on_say", shop, channel, purpose) if on else None
    return switching(channel, purpose, on), text


async def _form(request: Request) -> dict[str, str]:
    """The fields of a posted form, as far as a page of ours can have sent them."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > PAGE_BODY:
            return {}
    return {name: values[0] for name, values in parse_qs(raw.decode("utf-8", "replace")).items()}
