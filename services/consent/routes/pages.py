"""The customers' pages: unsubscribe, preferences, double opt-in. No account, signed links."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, Response

from libs.common.errors import Unavailable
from libs.common.http.openapi import Content, door, html, json
from libs.common.runtime import Parts
from libs.common.secrets import BadToken
from libs.common.telemetry.log import logger
from libs.domain.consent import pages, texts
from libs.domain.consent.choices import Choose, NoSuchChoice, all_off, confirming, switching, unsubscribing
from libs.domain.consent.state import ProfileKey, Who
from services.consent import store
from services.consent.handlers import SOURCE
from services.consent.routes.shapes import Consents, Standing

log = logger(__name__)
PAGE_BODY = 16_384
"""Bytes that are read of what a customer's page posts."""


Make = Callable[[texts.Texts], Awaitable[tuple[int, str]]]
"""Makes a page: its status, and itself."""
FORMS = {
    "unsubscribe": {"List-Unsubscribe": "One-Click"},
    "confirm": {"confirm": "yes"},
    "preferences": {"off": "email:marketing"},
}


def install(app: FastAPI, parts: Parts, consents: Consents, names: Mapping[str, str]) -> None:
    """Add the pages; `names` is what customers call each shop."""
    doors = Pages(parts, consents, names)
    pages_: tuple[tuple[str, str, Callable[[Request, str], Awaitable[Response]]], ...] = (
        ("/u", "unsubscribe", doors.unsubscribe),
        ("/c", "confirm", doors.confirm),
        ("/p", "preferences", doors.prefer),
    )
    for path, name, page in pages_:
        for method in ("GET", "HEAD", "POST"):
            app.add_api_route(
                f"{path}/{{token}}",
                page,
                methods=[method],
                response_class=HTMLResponse,
                tags=["customers"],
                **_described(name, method),
            )


def _described(name: str, method: str) -> dict[str, Any]:
    """Pages answer errors as pages too."""
    given: dict[int, Content | None] = {200: html(), 404: html(), 503: html()}
    if method != "POST":
        return door(scope=None, gives=given)
    form = json(FORMS[name], media="application/x-www-form-urlencoded")
    return door(scope=None, gives=given | {422: html()} if name == "preferences" else given, takes=form, optional=True)


class Pages:
    """A GET changes nothing (mail scanners follow links); a POST takes effect before it is answered.

    The body of a one-click request (RFC 8058) is not needed: the token says all, any POST of it counts.
    """

    def __init__(self, parts: Parts, consents: Consents, names: Mapping[str, str]) -> None:
        self._database = parts.database
        self._secrets = parts.secrets
        self._consents = consents
        self._names = names

    def _called(self, shop: str) -> str:
        return self._names.get(shop) or shop

    async def unsubscribe(self, request: Request, token: str) -> Response:
        """Stop messages of one kind by one channel. Looking asks, posting does it: also with one click (RFC 8058)."""

        async def make(words: texts.Texts) -> tuple[int, str]:
            shop, profile, channel, purpose, message = self._opened("unsubscribe", token, 5)
            if request.method != "POST":
                return 200, pages.unsubscribe(words, self._called(shop), channel, purpose)
            choose = unsubscribing(channel, purpose)
            await self._click(request, (shop, profile), choose, "link", message, "unsubscribe link of a message")
            return 200, pages.unsubscribed(words, self._called(shop), channel, purpose)

        return await _shown(request, make)

    async def confirm(self, request: Request, token: str) -> Response:
        """The second yes of a double opt-in. Looking asks, posting confirms."""

        async def make(words: texts.Texts) -> tuple[int, str]:
            shop, profile, channel, purpose, message, digest = self._opened("confirm", token, 6)
            root, states = await self._consents.standing(shop, profile) or (profile, {})
            async with self._database.connection() as connection:
                point = (await store.reachable(connection, {(shop, root)})).get((shop, root), {}).get(channel)
            state = states.get((channel, purpose))
            if point is None or point[0].hex() != digest or not state or state.status not in ("requested", "granted"):
                return 200, pages.plain(words, "stale")
            if request.method != "POST":
                return 200, pages.confirm(words, self._called(shop), channel, purpose)
            text = pages.filled(words, "confirm_ask", self._called(shop), channel, purpose)
            choose, how = confirming(channel, purpose), "double opt-in link"
            after = await self._click(request, (shop, profile), choose, "confirmation", message, how, text)
            if after.get((channel, purpose)) != "granted":
                return 200, pages.plain(words, "stale")
            return 200, pages.confirmed(words, self._called(shop), channel, purpose)

        return await _shown(request, make)

    async def prefer(self, request: Request, token: str) -> Response:
        """Every channel and purpose of a customer, each with its switch. Posting one saves it, or 422 and nothing."""

        async def make(words: texts.Texts) -> tuple[int, str]:
            shop, profile, message = self._opened("preferences", token, 3)
            if request.method == "POST":
                try:
                    choose, text = _choice(words, self._called(shop), await _form(request))
                    how = "preference page"
                    after = await self._click(request, (shop, profile), choose, "preferences", message, how, text)
                except NoSuchChoice:
                    return 422, pages.plain(words, "unknown")
                return 200, pages.preferences(words, self._called(shop), after, saved=True)
            _, states = await self._consents.standing(shop, profile) or (profile, {})
            now: Standing = {key: state.status for key, state in states.items()}
            return 200, pages.preferences(words, self._called(shop), now, saved=False)

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
        status, page = await make(words)
    except BadToken:
        page, status = pages.plain(words, "bad"), 404
    except Unavailable as error:
        log.warning("a page answered 503", error=str(error))
        page, status = pages.plain(words, "away"), 503
        more["Retry-After"] = "5"
    more |= {"Content-Language": words["lang"], "Vary": "Accept-Language"}
    return HTMLResponse(page, status, headers=more)


def _choice(words: texts.Texts, shop: str, form: Mapping[str, str]) -> tuple[Choose, str | None]:
    """Which button was pressed, and the sentence that stood beside it. Raises `NoSuchChoice`."""
    pressed = [(name, form[name]) for name in ("all", "on", "off") if name in form]
    if len(pressed) != 1:
        raise NoSuchChoice("one button at a time")
    ((name, value),) = pressed
    if name == "all":
        if value != "off":
            raise NoSuchChoice("all can only be turned off")
        return all_off, None
    channel, _, purpose = value.partition(":")
    text = pages.filled(words, "turn_on_say", shop, channel, purpose) if name == "on" else None
    return switching(channel, purpose, name == "on"), text


async def _form(request: Request) -> dict[str, str]:
    """The fields of a posted form, as far as a page of ours can have sent them."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > PAGE_BODY:
            return {}
    return {name: values[0] for name, values in parse_qs(raw.decode("utf-8", "replace")).items()}
