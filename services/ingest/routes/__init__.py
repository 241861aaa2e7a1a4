"""The HTTP doors: CloudEvents, the Segment API, schemas, who is who, how it goes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import Response

from libs.common.bus.records import Outgoing
from libs.common.errors import Unavailable
from libs.common.http import body as bodies
from libs.common.http import cloudevents
from libs.common.http.auth import Caller
from libs.common.http.cors import Cors
from libs.common.http.problem import Problem, unavailable
from libs.common.runtime import Parts
from libs.common.telemetry import trace
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import EVENTS_RECEIVED, PRODUCTS_RECEIVED
from libs.contracts import event_types
from libs.domain.intake import Invalid, segment
from libs.domain.intake.clean import parts as elements
from libs.domain.intake.identifiers import KINDS, normalise
from libs.domain.intake.lines import Lines
from services.ingest import handlers, store
from services.ingest.handlers import Told
from services.ingest.routes import settled

log = logger(__name__)
LARGEST = 5_000_000
"""Bytes of a body."""
MOST = 2_500
"""Events of a request."""
PAUSE_AFTER = 100
"""Events read before others get their turn."""
PLAIN = "application/json"
NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
CATALOG = 20_000_000
"""Bytes of a catalogue."""
TOGETHER, ENOUGH = 250, 1_000_000
"""Products, or their bytes, that are published at once."""
SHOWN, TOO_MANY = 1_000, 10_000
"""Rejected products that an answer lists, and after which nobody reads on."""
SEGMENT = {
    **{kind: kind for kind in segment.KINDS},
    **dict(zip("itpsga", ("identify", "track", "page", "screen", "group", "alias"), strict=True)),
}
"""The path's last word -> the kind of call. The browser library uses single letters."""
MANY_CALLS = ("batch", "import", "b")


class Durable(Protocol):
    """What is needed of `stream.Intake`. Both raise `Unavailable`."""

    async def accept(self, events: list[Told]) -> list[bool]:
        """Make events durable; for each, whether it had come before."""
        ...

    async def tell(self, records: list[Outgoing]) -> None:
        """Publish, or not at all."""
        ...


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
    intake: Durable

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
        repeats = await self.intake.accept(told)
        for one, repeat in zip(told, repeats, strict=True):
            outcome = "duplicate" if repeat else "accepted"
            EVENTS_RECEIVED.labels(source, handlers.label(one.event.type), outcome).inc()
        return sum(repeats)


def install(app: FastAPI, parts: Parts, intake: Durable, lag: Callable[[], int], unread: settled.Unread) -> None:
    """Add the routes."""
    door = Door(parts, intake)
    paths = {"/v1/events", *(f"/v1/{name}" for name in (*SEGMENT, *MANY_CALLS))}
    app.add_middleware(Cors, paths=paths, origins=parts.settings.cors_origins)
    _install_events(app, door)
    _install_segment(app, door)
    _install_catalog(app, door)
    _install_questions(app, parts, lag)
    settled.install(app, parts, unread)


def _install_events(app: FastAPI, door: Door) -> None:
    @app.post("/v1/events", status_code=202)
    async def events(request: Request) -> Response:
        """CloudEvents 1.0 in binary, structured or batch mode. Answers once they are durable."""
        caller = await door.parts.gate.caller(request, "ingest")
        shop = named_shop(caller, request)
        body = await bodies.read(request, LARGEST)
        told, alone = cloudevents.read(request.headers, body)
        with trace.span("POST /v1/events", _traceparent(request), "server", {"events": len(told)}) as traceparent:
            reading = await door.read(told, shop, "http", traceparent)
            if reading.first is not None and alone:
                raise Problem(422, str(reading.first), field=reading.first.field)
            if reading.first is not None and not reading.told:
                raise Problem(422, "no event of the batch can be used", rejected=reading.rejected)
            duplicates = await door.keep(reading.told, "http")
        accepted = len(reading.told) - duplicates
        return _json({"accepted": accepted, "duplicates": duplicates, "rejected": reading.rejected}, 202)


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
    for name in MANY_CALLS:
        app.add_api_route(f"/v1/{name}", batch, methods=["POST"], name=f"segment {name}")


async def _segment_body(request: Request) -> dict[str, Any]:
    value = cloudevents.parsed(await bodies.read(request, LARGEST))
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


@dataclass(slots=True)
class Taking:
    """A catalogue on its way to Kafka."""

    door: Door
    shop: str
    traceparent: str
    place: str
    """How a product is named to who sent it: by its `line`, or by its `index`."""
    accepted: int = 0
    rejected: int = 0
    shown: list[dict[str, Any]] = field(default_factory=list)
    ready: list[Outgoing] = field(default_factory=list)
    size: int = 0

    async def take(self, place: int, raw: bytes | msgspec.Raw) -> None:
        """Note a product, good or bad; publish when enough have come together."""
        now = self.door.parts.clock.now()
        try:
            made = handlers.product(raw, shop=self.shop, now=now, traceparent=self.traceparent)
        except Invalid as error:
            self.reject({self.place: place, "error": str(error), "field": error.field})
        else:
            self.ready.append(made)
            self.size += len(made.value)
            if len(self.ready) >= TOGETHER or self.size >= ENOUGH:
                await self.publish()
        if (self.accepted + self.rejected) % PAUSE_AFTER == 0:
            await asyncio.sleep(0)

    def reject(self, told: dict[str, Any]) -> None:
        """Raises `Problem` when there are so many that it is no catalogue."""
        self.rejected += 1
        PRODUCTS_RECEIVED.labels("rejected").inc()
        if len(self.shown) < SHOWN:
            self.shown.append(told)
        if self.rejected > TOO_MANY:
            raise Problem(422, f"more than {TOO_MANY:,} products cannot be used", rejected=self.shown)

    async def publish(self) -> None:
        """Return when Kafka has all that is ready."""
        if self.ready:
            await self.door.intake.tell(self.ready)
        self.accepted += len(self.ready)
        PRODUCTS_RECEIVED.labels("accepted").inc(len(self.ready))
        self.ready, self.size = [], 0

    def so_far(self, problem: Problem) -> Problem:
        """The problem that ended it, with what was taken before."""
        if not self.accepted:
            return problem
        detail = f"{problem.detail}; {self.accepted:,} products before that were taken: send the whole again"
        return Problem(problem.status, detail, headers=problem.headers, accepted=self.accepted, **problem.more)


def _install_catalog(app: FastAPI, door: Door) -> None:
    @app.post("/v1/catalog", status_code=202)
    async def catalog(request: Request) -> Response:
        """Products, each whole, as NDJSON or a JSON array. Answers once Kafka has all of them.

        Nothing is kept while Kafka is away: then, and whenever the answer is not 202, send the whole again.
        """
        caller = await door.parts.gate.caller(request, "ingest")
        shop = named_shop(caller, request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (PLAIN, *NDJSON):
            raise Problem(415, f"send {NDJSON[0]}, or {PLAIN}")
        with trace.span("POST /v1/catalog", _traceparent(request), "server") as traceparent:
            taking = Taking(door, shop, traceparent, "index" if kind == PLAIN else "line")
            try:
                async for place, raw in _array(request) if kind == PLAIN else _lines(request):
                    await taking.take(place, raw)
                await taking.publish()
            except Unavailable as error:
                log.warning("catalogue not taken", shop=shop, accepted=taking.accepted, error=str(error))
                raise taking.so_far(unavailable("Kafka is away", retry_after=5)) from None
            except Problem as problem:
                raise taking.so_far(problem) from None
        if taking.rejected and not taking.accepted:
            raise Problem(422, "no product can be used", rejected=taking.shown, rejected_total=taking.rejected)
        told: dict[str, Any] = {"accepted": taking.accepted, "rejected": taking.shown}
        return _json(told | ({"rejected_total": taking.rejected} if taking.rejected > SHOWN else {}), 202)


async def _lines(request: Request) -> AsyncIterator[tuple[int, bytes]]:
    """The lines of the body, as it comes."""
    lines = Lines()
    async for piece in bodies.pieces(request, CATALOG):
        for line in lines.feed(piece):
            yield line
    for line in lines.end():
        yield line


async def _array(request: Request) -> AsyncIterator[tuple[int, msgspec.Raw]]:
    """The elements of the body, which is judged as JSON before any is taken."""
    body = await bodies.read(request, CATALOG)
    try:
        found = [msgspec.Raw(body)] if body.lstrip()[:1] == b"{" else elements(body)
    except ValueError as error:
        raise Problem(400, str(error)) from None
    for element in enumerate(found):
        yield element


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
