"""The HTTP doors: CloudEvents, the Segment API, schemas, who is who, how it goes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes
from uuid import UUID

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import Response

from libs.common.http import body as bodies
from libs.common.http.auth import Caller
from libs.common.http.problem import Problem
from libs.common.runtime import Parts
from libs.common.telemetry import trace
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import EVENTS_RECEIVED
from libs.contracts import event_types
from libs.domain.intake import Invalid, segment
from libs.domain.intake.identifiers import KINDS, normalise
from services.ingest import handlers, store
from services.ingest.handlers import Told

log = logger(__name__)
LARGEST = 5_000_000
"""Bytes of a body."""
MOST = 2_500
"""Events of a request."""
PAUSE_AFTER = 100
"""Events read before others get their turn."""
ONE = "application/cloudevents+json"
MANY = "application/cloudevents-batch+json"
PLAIN = "application/json"
Accept = Callable[[list[Told]], Awaitable[list[bool]]]
"""Make events durable; for each, whether it had come before. Raises `Unavailable`."""
SEGMENT = {
    **{kind: kind for kind in segment.KINDS},
    **dict(zip("itpsga", ("identify", "track", "page", "screen", "group", "alias"), strict=True)),
}
"""The path's last word -> the kind of call. The browser library uses single letters."""


@dataclass(slots=True)
class Reading:
    """Events of one request: those that can be used, each with its place, and those that cannot."""

    told: list[Told] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    first: Invalid | None = None

    def reject(self, index: int, error: Invalid, source: str, type: Any) -> None:
        """Note a bad one."""
        self.first = self.first or error
        self.rejected.append({"index": index, "error": str(error), "field": error.field})
        EVENTS_RECEIVED.labels(source, handlers.label(type), "rejected").inc()


@dataclass(frozen=True, slots=True)
class Door:
    """What every door needs."""

    parts: Parts
    accept: Accept

    async def read(self, events: list[Any], shop: str, source: str, traceparent: str) -> Reading:
        """Judge each event. Long lists let others have their turn meanwhile."""
        if len(events) > MOST:
            raise Problem(413, f"at most {MOST:,} events in a request")
        reading = Reading()
        now, digest = self.parts.clock.now(), self.parts.secrets.identifier
        for index, event in enumerate(events):
            try:
                reading.told.append(handlers.read(event, shop=shop, now=now, digest=digest, traceparent=traceparent))
            except Invalid as error:
                reading.reject(index, error, source, event.get("type") if isinstance(event, dict) else None)
            if index % PAUSE_AFTER == PAUSE_AFTER - 1:
                await asyncio.sleep(0)
        return reading

    async def keep(self, told: list[Told], source: str) -> int:
        """Make events durable; how many had come before."""
        repeats = await self.accept(told)
        for one, repeat in zip(told, repeats, strict=True):
            outcome = "duplicate" if repeat else "accepted"
            EVENTS_RECEIVED.labels(source, handlers.label(one.event.type), outcome).inc()
        return sum(repeats)


def install(app: FastAPI, parts: Parts, accept: Accept, lag: Callable[[], int]) -> None:
    """Add the routes."""
    door = Door(parts, accept)
    _install_events(app, door)
    _install_segment(app, door)
    _install_questions(app, parts, lag)


def _install_events(app: FastAPI, door: Door) -> None:
    @app.post("/v1/events", status_code=202)
    async def events(request: Request) -> Response:
        """CloudEvents 1.0 in binary, structured or batch mode. Answers once they are durable."""
        caller = await door.parts.gate.caller(request, "ingest")
        shop = named_shop(caller, request)
        body = await bodies.read(request, LARGEST)
        told, alone = cloud_events(request.headers, body)
        with trace.span("POST /v1/events", _traceparent(request), "server", {"events": len(told)}) as traceparent:
            reading = await door.read(told, shop, "http", traceparent)
            if reading.first is not None and alone:
                raise Problem(422, str(reading.first), field=reading.first.field)
            if reading.first is not None and not reading.told:
                raise Problem(422, "no event of the batch can be used", rejected=reading.rejected)
            duplicates = await door.keep(reading.told, "http")
        accepted = len(reading.told) - duplicates
        return _json({"accepted": accepted, "duplicates": duplicates, "rejected": reading.rejected}, 202)


def cloud_events(headers: Mapping[str, str], body: bytes) -> tuple[list[Any], bool]:
    """The events of a request, and whether it is a single one; raises `Problem` 400 or 415."""
    kind, _, parameters = headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if "charset=" in parameters.lower() and charset not in ("utf-8", "utf8", "us-ascii"):
        raise Problem(415, "the charset must be UTF-8")
    if kind not in (ONE, MANY) and "ce-specversion" in headers:
        if kind not in ("", PLAIN) and not kind.endswith("+json"):
            raise Problem(415, f"the data of a binary CloudEvent must be {PLAIN}")
        return [_attributes(headers) | {"data": _parsed(body) if body else None}], True
    if kind not in (ONE, MANY, PLAIN):
        raise Problem(415, f"send {ONE}, {MANY}, {PLAIN}, or binary mode (ce-* headers)")
    value = _parsed(body)
    return (value, False) if isinstance(value, list) else ([value], True)


def _attributes(headers: Mapping[str, str]) -> dict[str, Any]:
    """The `ce-*` headers, percent-decoded (CloudEvents HTTP binding 3.1.3.2)."""
    found: dict[str, Any] = {}
    for name, value in headers.items():
        if name.startswith("ce-"):
            try:
                found[name[3:]] = unquote_to_bytes(value.encode("latin-1")).decode()
            except UnicodeError:
                raise Problem(400, f"header {name[:60]} is not UTF-8 in percent encoding") from None
    return found


def _parsed(body: bytes) -> Any:
    try:
        return handlers.parse(body)
    except ValueError as error:
        raise Problem(400, str(error)) from None


def named_shop(caller: Caller, request: Request) -> str:
    """The shop that events of this request belong to (I9)."""
    shop = caller.for_shop(request.query_params.get("shop"))
    if not shop.isprintable() or "/" in shop or not 0 < len(shop) <= 100:
        raise Problem(422, "shop: at most 100 printable characters, no slash", field="shop")
    return shop


def _traceparent(request: Request) -> str | None:
    told = request.headers.get("traceparent", "")
    return told if handlers.TRACEPARENT.fullmatch(told) else None


def _json(value: Any, status: int) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _install_segment(app: FastAPI, door: Door) -> None:
    def single(kind: str) -> Callable[[Request], Awaitable[Response]]:
        async def call(request: Request) -> Response:
            """One call of the Segment API."""
            value = await _segment_body(request)
            shop = await _segment_shop(door, request, value)
            told, reading = await _translate(door, [value | {"type": kind}], shop, request)
            if reading.first is not None:
                raise Problem(422, str(reading.first), field=reading.first.field)
            await door.keep(told, "segment")
            return _json({"success": True}, 200)

        return call

    async def batch(request: Request) -> Response:
        """Many calls of the Segment API. Those that cannot be used are counted and logged, as Segment does."""
        value = await _segment_body(request)
        shop = await _segment_shop(door, request, value)
        calls = value.get("batch")
        if not isinstance(calls, list):
            raise Problem(422, "batch: must be a list of calls", field="batch")
        whole = [segment.merged(call, value) if isinstance(call, dict) else call for call in calls]
        told, reading = await _translate(door, whole, shop, request)
        if reading.first is not None:
            fields = sorted({row["field"] for row in reading.rejected})[:5]
            log.warning("segment calls rejected", shop=shop, rejected=len(reading.rejected), fields=fields)
        await door.keep(told, "segment")
        return _json({"success": True}, 200)

    for name, kind in SEGMENT.items():
        app.add_api_route(f"/v1/{name}", single(kind), methods=["POST"], name=f"segment {name}")
    for name in ("batch", "import", "b"):
        app.add_api_route(f"/v1/{name}", batch, methods=["POST"], name=f"segment {name}")


async def _segment_body(request: Request) -> dict[str, Any]:
    value = _parsed(await bodies.read(request, LARGEST))
    if not isinstance(value, dict):
        raise Problem(400, "the body must be a JSON object")
    return value


async def _segment_shop(door: Door, request: Request, value: dict[str, Any]) -> str:
    """By Basic or Bearer, or by the `writeKey` that some client libraries put into the body instead."""
    key = value.get("writeKey")
    if "authorization" not in request.headers and isinstance(key, str) and key:
        return named_shop(await door.parts.gate.holder(key, "ingest"), request)
    return named_shop(await door.parts.gate.caller(request, "ingest"), request)


async def _translate(door: Door, calls: list[Any], shop: str, request: Request) -> tuple[list[Told], Reading]:
    """Calls as events, judged like any other."""
    if len(calls) > MOST:
        raise Problem(413, f"at most {MOST:,} calls in a batch")
    now = door.parts.clock.now()
    events: list[Any] = []
    bad = Reading()
    for index, call in enumerate(calls):
        try:
            if not isinstance(call, dict):
                raise Invalid("batch", "holds something that is not a call")
            events.append(segment.event(call, shop, now))
        except Invalid as error:
            bad.reject(index, error, "segment", None)
    with trace.span("segment", _traceparent(request), "server", {"events": len(calls)}) as traceparent:
        reading = await door.read(events, shop, "segment", traceparent)
    reading.rejected = bad.rejected + reading.rejected
    reading.first = bad.first or reading.first
    return reading.told, reading


def _install_questions(app: FastAPI, parts: Parts, lag: Callable[[], int]) -> None:
    @app.get("/v1/schemas")
    async def schemas() -> Response:
        """Every event type, and where its schema is."""
        return _json({"types": [{"type": name, "schema": f"/v1/schemas/{name}"} for name in event_types.names()]}, 200)

    @app.get("/v1/schemas/{type}")
    async def schema(type: str) -> Response:
        """The JSON Schema of an event type's `data`."""
        found = event_types.schema("custom.any" if type == "custom.*" else type)
        if found is None:
            raise Problem(404, "there is no such event type; GET /v1/schemas lists them")
        return Response(msgspec.json.encode(found), media_type="application/schema+json")

    @app.post("/v1/profiles/resolve")
    async def resolve(request: Request) -> Response:
        """The profile that identifiers, or an older profile id, stand for now."""
        caller = await parts.gate.caller(request, "read")
        asked = _parsed(await bodies.read(request, 100_000))
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
        return _json({"profile": found}, 200)

    @app.get("/v1/status")
    async def status(request: Request) -> dict[str, Any]:
        await parts.gate.caller(request, "read")
        async with parts.database.connection() as connection:
            spilled = await store.count_spilled(connection)
        return {"lag": lag(), "spilled": spilled}


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
