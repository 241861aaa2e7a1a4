"""A shop with orders: rules on a real database, a clock that stands still, and the scorer beside it."""

import asyncio
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.common.bus.apply import Applier
from libs.common.bus.records import Outgoing, Record, outgoing
from libs.common.clock import ManualClock
from libs.common.db.engine import Database
from libs.contracts import topics
from libs.contracts.envelope import Envelope
from libs.contracts.events import EventOccurred
from libs.domain import ids
from libs.domain.engine.program import compile_program
from libs.domain.engine.registry import Registry
from libs.domain.engine.state import Profile, decode
from libs.domain.rfm.parse import parse as parse_rfm
from libs.domain.rfm.report import Ran
from libs.domain.scenario.parse import parse
from services.rules import store
from services.rules.app import Rules
from services.rules.ticker import Scorer

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
DAY = timedelta(days=1)
RULES = """\
kurant: 1
currency: PLN
window: 100d
recency: {thresholds: [10, 30, 60], margin: 0}
frequency: {thresholds: [2, 4], margin: 0}
monetary: {thresholds: ["100", "500"], margin: 0}
segments:
  - {segment: best, r: 4, f: 3}
  - {segment: good, r: 3-4}
  - {segment: rest}
"""
_numbers = itertools.count(1)


def profile(name: str) -> str:
    """The profile of a customer."""
    return ids.derive("profile", name)


def event(type: str, who: str, at: datetime, data: dict[str, Any], *, shop: str = "demo", id: str = "") -> Outgoing:
    """An event as ingest publishes it."""
    return outgoing(
        topics.EVENTS,
        EventOccurred(profile=profile(who), received_at=at, data=data),
        key=profile(who),
        id=id or f"e-{next(_numbers)}",
        source=f"/shops/{shop}/web",
        shop=shop,
        time=at,
        type=type,
    )


def order(
    who: str, days: float, value: str | None = "100.00", *, type: str = "order.placed", id: str = "", **more: Any
) -> Outgoing:
    """An event of an order, so many days before NOW; `shop` says of which shop."""
    shop = more.pop("shop", "demo")
    told = {"id": id or f"o-{next(_numbers)}", "value": value, "currency": "PLN"} | more
    order = {name: one for name, one in told.items() if one is not None}
    return event(type, who, NOW - days * DAY, {"order": order}, shop=shop)


class Wire:
    """Stands where the producer is, and keeps what it was given; `fails` is raised after that."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.fails: Exception | None = None

    async def send(self, records: list[Outgoing]) -> list[tuple[int, int]]:
        self.sent += records
        if self.fails is not None:
            raise self.fails
        return [(0, 0) for _ in records]


@dataclass
class Shop:
    """Rules without Faust: what they are told is applied by the unit of work, what the scorer tells too."""

    database: Database
    registry: Registry = field(default_factory=Registry)
    wire: Wire = field(default_factory=Wire)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    offset: int = 0

    async def begin(self, rules: str | None = RULES) -> "Shop":
        if rules:
            self.registry.set_rfm("demo", 1, parse_rfm(rules))
        parts: Any = type("Parts", (), {"clock": self.clock})()
        self.rules = Rules(parts, self.registry)
        producer: Any = self.wire
        self.applier = Applier(schema="rules", database=self.database, producer=producer, handle=self.rules.handle)
        await self.applier.assign({(topics.EVENTS.name, 0): 0})
        self.offset = self.applier.positions[topics.EVENTS.name, 0]
        return self

    def scorer(self, **more: Any) -> Scorer:
        producer: Any = more.pop("producer", self.wire)
        return Scorer(
            database=self.database, producer=producer, clock=self.clock, registry=self.registry, pace=0.0, **more
        )

    def publish(self, text: str) -> None:
        program = compile_program(parse(text), 1)
        self.registry.publish("demo", program)
        self.registry.set_state("demo", program.id, 1, "live")

    async def tell(self, *told: Outgoing) -> list[Outgoing]:
        """Apply these; what rules publishes because of them."""
        before = len(self.wire.sent)
        records = [
            Record(
                topic=topics.EVENTS.name,
                partition=0,
                offset=self.offset + place,
                key=one.key,
                value=one.value,
                headers=tuple(one.headers),
                timestamp=0,
            )
            for place, one in enumerate(told)
        ]
        self.offset += len(told)
        await self.applier.apply(records)
        return self.wire.sent[before:]

    async def compute(self, *, everybody: bool = False, quiet: bool = False, **more: Any) -> Ran:
        """A run of which nobody is told yet."""
        ran = await self.scorer(**more).compute("demo", everybody=everybody, quiet=quiet)
        assert ran is not None
        return ran

    async def changes(self) -> list[Outgoing]:
        """Let the scorer tell what is untold; the events."""
        before = len(self.wire.sent)
        await self.scorer().turn(asyncio.Event())
        return self.wire.sent[before:]

    async def settle(self) -> list[Outgoing]:
        """Tell, and apply what was told; what rules publishes because of it."""
        return await self.tell(*await self.changes())

    async def document(self, who: str) -> Profile:
        async with self.database.connection() as connection:
            found = await store.load(connection, [("demo", profile(who))])
        return decode(found["demo", profile(who)][1])

    async def rows(self, query: str, *given: Any) -> list[tuple[Any, ...]]:
        async with self.database.connection() as connection:
            return [tuple(row.values()) for row in await connection.fetch(query, *given)]

    async def scores(self) -> dict[str, tuple[Any, ...]]:
        """Segment and scores by profile."""
        rows = await self.rows("SELECT profile, segment, r, f, m FROM rules.rfm WHERE shop = 'demo'")
        return {str(row[0]): row[1:] for row in rows}


def said(told: list[Outgoing]) -> list[tuple[str, Any, Any, bool]]:
    """Events of RFM in short: profile, from, to, quiet; in order of profiles."""
    rows = []
    for one in told:
        assert Envelope.read(one.headers).type == "rfm.changed"
        found = EventOccurred.decode(one.value)
        rows.append((found.profile, found.data["from"], found.data["to"], found.data.get("quiet", False)))
    return sorted(rows, key=lambda row: row[0])
