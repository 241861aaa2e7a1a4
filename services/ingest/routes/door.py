"""What every door of ingest does: judge each event, make the good ones durable, count the others."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from fastapi import Request
from starlette.responses import Response

from libs.common.bus.records import Outgoing
from libs.common.errors import Unavailable
from libs.common.http.auth import Caller
from libs.common.http.problem import Problem
from libs.common.runtime import Parts
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import EVENTS_RECEIVED
from libs.domain.intake import Invalid, sums
from services.ingest import handlers, store
from services.ingest.handlers import Told

log = logger(__name__)
LARGEST = 5_000_000
"""Bytes of a body."""
MOST = 2_500
"""Events of a request."""
PAUSE_AFTER = 100
"""Events read before others get their turn."""


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
        if any(repeats):
            await self._count(sums.stopped([one.event.shop for one in told], repeats))
        return sum(repeats)

    async def _count(self, repeats: sums.Sums) -> None:
        """For the audit: what goes no further than this door. What cannot be counted is missing on both its sides."""
        try:
            async with self.parts.database.connection() as connection:
                await store.count(connection, repeats, durably=False)
        except Unavailable as error:
            log.warning("repeats are not counted", error=str(error))


def named_shop(caller: Caller, request: Request) -> str:
    """The shop that events of this request belong to (I9)."""
    shop = caller.for_shop(request.query_params.get("shop"))
    if not shop.isprintable() or "/" in shop or not 0 < len(shop) <= 100:
        raise Problem(422, "shop: at most 100 printable characters, no slash", field="shop")
    return shop


def traceparent_of(request: Request) -> str | None:
    """The caller's trace context, when it is one."""
    told = request.headers.get("traceparent", "")
    return told if handlers.TRACEPARENT.fullmatch(told) else None


def answered(value: Any, status: int) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")
