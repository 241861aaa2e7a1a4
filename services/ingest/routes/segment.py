"""The doors that speak the Segment HTTP API."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from libs.common.http import body as bodies
from libs.common.http import cloudevents
from libs.common.http.openapi import SHOP, door, json
from libs.common.http.problem import Problem
from libs.common.telemetry import trace
from libs.common.telemetry.log import logger
from libs.domain.intake import Invalid, segment
from services.ingest.handlers import Told
from services.ingest.routes.door import LARGEST, MOST, Door, Reading, answered, named_shop, traceparent_of

log = logger(__name__)
SEGMENT = {
    **{kind: kind for kind in segment.KINDS},
    **dict(zip("itpsga", ("identify", "track", "page", "screen", "group", "alias"), strict=True)),
}
"""The path's last word -> the kind of call. The browser library uses single letters."""
MANY_CALLS = ("batch", "import", "b")
PATHS = frozenset(f"/v1/{name}" for name in (*SEGMENT, *MANY_CALLS))
SAID: dict[str, dict[str, Any]] = {
    "identify": {"traits": {"email": "anna@example.com", "first_name": "Anna"}},
    "track": {"event": "Cart Viewed", "properties": {"cart": {"id": "c-77", "value": "249.00"}}},
    "page": {"name": "Sofas", "properties": {"url": "https://demo.example/sofas"}},
    "screen": {"name": "Sofas"},
    "group": {"groupId": "wholesale"},
    "alias": {"previousId": "a-1"},
}
WHO = {"messageId": "m-1", "userId": "42", "timestamp": "2026-03-02T10:00:00Z"}


def install(app: FastAPI, door_: Door) -> None:
    """Add the routes."""

    def single(kind: str) -> Callable[[Request], Awaitable[Response]]:
        async def call(request: Request) -> Response:
            """One call of the Segment API."""
            shop, value = await _asked(door_, request)
            told, reading = await _translate(door_, [value | {"type": kind}], shop, request)
            if reading.first is not None:
                raise Problem(422, str(reading.first), field=reading.first.field)
            await door_.keep(told, "segment")
            return answered({"success": True}, 200)

        return call

    async def batch(request: Request) -> Response:
        """Many calls of the Segment API. Those that cannot be used are counted and logged, as Segment does."""
        shop, value = await _asked(door_, request)
        calls = value.get("batch")
        if not isinstance(calls, list):
            raise Problem(422, "batch: must be a list of calls", field="batch")
        whole = [segment.merged(call, value) if isinstance(call, dict) else call for call in calls]
        told, reading = await _translate(door_, whole, shop, request)
        if reading.first is not None:
            fields = sorted({row["field"] for row in reading.rejected})[:5]
            log.warning("segment calls rejected", shop=shop, rejected=len(reading.rejected), fields=fields)
        await door_.keep(told, "segment")
        return answered({"success": True}, 200)

    for name, kind in SEGMENT.items():
        app.add_api_route(f"/v1/{name}", single(kind), methods=["POST"], tags=["segment"], **_told(WHO | SAID[kind]))
    for name in MANY_CALLS:
        calls = {"batch": [WHO | {"type": "track"} | SAID["track"]]}
        app.add_api_route(f"/v1/{name}", batch, methods=["POST"], tags=["segment"], **_told(calls))


def _told(example: dict[str, Any]) -> dict[str, Any]:
    return door(
        scope="ingest", takes=json(example), gives={200: json({"success": True})}, errors=(415,), parameters=(SHOP,)
    )


async def _segment_body(request: Request) -> dict[str, Any]:
    value = cloudevents.parsed(await bodies.read(request, LARGEST))
    if not isinstance(value, dict):
        raise Problem(400, "the body must be a JSON object")
    return value


async def _asked(door: Door, request: Request) -> tuple[str, dict[str, Any]]:
    """The shop, by Basic or Bearer, or by the `writeKey` that some libraries put into the body; and the body.

    Who it is comes before what is wrong with the body: one that cannot be read holds no key.
    """
    gate = door.parts.gate
    if "authorization" in request.headers:
        return named_shop(await gate.caller(request, "ingest"), request), await _segment_body(request)
    try:
        value = await _segment_body(request)
    except Problem:
        value = {}
    key = value.get("writeKey")
    if isinstance(key, str) and key:
        return named_shop(await gate.holder(key, "ingest"), request), value
    return named_shop(await gate.caller(request, "ingest"), request), value


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
    with trace.span("segment", traceparent_of(request), "server", {"events": len(calls)}) as traceparent:
        reading = await door.read(events, shop, "segment", traceparent)
    reading.rejected = bad.rejected + reading.rejected
    reading.first = bad.first or reading.first
    return reading.told, reading
