"""The door for products."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import Response

from libs.common.bus.records import Outgoing
from libs.common.errors import Unavailable
from libs.common.http import body as bodies
from libs.common.http.openapi import SHOP, Content, door, json, text
from libs.common.http.problem import Problem, unavailable
from libs.common.telemetry import trace
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import PRODUCTS_RECEIVED
from libs.domain.intake import Invalid
from libs.domain.intake.clean import parts as elements
from libs.domain.intake.lines import Lines
from services.ingest import handlers
from services.ingest.routes.door import PAUSE_AFTER, Door, answered, named_shop, traceparent_of

log = logger(__name__)
PLAIN = "application/json"
NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
CATALOG = 20_000_000
"""Bytes of a catalogue."""
TOGETHER, ENOUGH = 250, 1_000_000
"""Products, or their bytes, that are published at once."""
SHOWN, TOO_MANY = 1_000, 10_000
"""Rejected products that an answer lists, and after which nobody reads on."""
PRODUCT = {"product_id": "sofa-1", "name": "Sofa Oslo", "price": "249.00", "currency": "PLN", "stock": 3}
TAKES: Content = json([PRODUCT], media=PLAIN) | {name: one for kind in NDJSON for name, one in text(kind).items()}
REJECTED = {"index": 1, "error": "product_id: is required", "field": "product_id"}


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


def install(app: FastAPI, door_: Door) -> None:
    """Add the route."""

    @app.post(
        "/v1/catalog",
        status_code=202,
        tags=["catalogue"],
        **door(
            scope="ingest",
            takes=TAKES,
            gives={202: json({"accepted": 1, "rejected": [REJECTED]})},
            errors=(415,),
            parameters=(SHOP,),
        ),
    )
    async def catalog(request: Request) -> Response:
        """Products, each whole, as NDJSON or a JSON array. Answers once Kafka has all of them.

        Nothing is kept while Kafka is away: then, and whenever the answer is not 202, send the whole again.
        """
        caller = await door_.parts.gate.caller(request, "ingest")
        shop = named_shop(caller, request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (PLAIN, *NDJSON):
            raise Problem(415, f"send {NDJSON[0]}, or {PLAIN}")
        with trace.span("POST /v1/catalog", traceparent_of(request), "server") as traceparent:
            taking = Taking(door_, shop, traceparent, "index" if kind == PLAIN else "line")
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
        return answered(told | ({"rejected_total": taking.rejected} if taking.rejected > SHOWN else {}), 202)


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
