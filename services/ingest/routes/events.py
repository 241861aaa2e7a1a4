"""The door for CloudEvents 1.0."""

from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from libs.common.http import body as bodies
from libs.common.http import cloudevents
from libs.common.http.openapi import SHOP, Content, door, json
from libs.common.http.problem import Problem
from libs.common.telemetry import trace
from services.ingest.routes.door import LARGEST, Door, answered, named_shop, traceparent_of

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "c-77-1",
    "source": "/shops/demo/web",
    "type": "cart.updated",
    "time": "2026-03-02T10:00:00Z",
    "data": {
        "email": "anna@example.com",
        "cart": {
            "id": "c-77",
            "value": "249.00",
            "currency": "PLN",
            "items": [{"product_id": "sofa-1", "name": "Sofa Oslo", "quantity": 1, "price": "249.00"}],
        },
    },
}
REJECTED = {"index": 1, "error": "data.cart.id: is required", "field": "data.cart.id"}
TAKES: Content = (
    json(EVENT, media=cloudevents.ONE)
    | json([EVENT], media=cloudevents.MANY)
    | json(EVENT["data"], media=cloudevents.PLAIN)
)


def install(app: FastAPI, door_: Door) -> None:
    """Add the route."""

    @app.post(
        "/v1/events",
        status_code=202,
        tags=["events"],
        **door(
            scope="ingest",
            takes=TAKES,
            gives={202: json({"accepted": 1, "duplicates": 0, "rejected": [REJECTED]})},
            errors=(415,),
            parameters=(SHOP,),
        ),
    )
    async def events(request: Request) -> Response:
        """CloudEvents 1.0 in binary, structured or batch mode. Answers once they are durable."""
        caller = await door_.parts.gate.caller(request, "ingest")
        shop = named_shop(caller, request)
        body = await bodies.read(request, LARGEST)
        told, alone = cloudevents.read(request.headers, body)
        with trace.span("POST /v1/events", traceparent_of(request), "server", {"events": len(told)}) as traceparent:
            reading = await door_.read(told, shop, "http", traceparent)
            if reading.first is not None and alone:
                raise Problem(422, str(reading.first), field=reading.first.field)
            if reading.first is not None and not reading.told:
                raise Problem(422, "no event of the batch can be used", rejected=reading.rejected)
            duplicates = await door_.keep(reading.told, "http")
        accepted = len(reading.told) - duplicates
        return answered({"accepted": accepted, "duplicates": duplicates, "rejected": reading.rejected}, 202)
