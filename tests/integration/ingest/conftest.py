"""ingest on a real database, with a wire that the test can cut and a clock that it moves."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from libs.common.bus.records import Outgoing
from libs.common.clock import ManualClock
from libs.common.db.engine import Database
from libs.common.db.keys import KeyStore
from libs.common.errors import Unavailable
from libs.common.http.auth import Gate
from libs.common.http.server import build
from libs.common.runtime import Parts
from libs.common.secrets import Secrets
from libs.common.settings import Settings
from libs.contracts import topics
from libs.contracts.contacts import ContactsTold, ProfileMerged
from libs.contracts.envelope import Envelope
from libs.contracts.events import EventOccurred
from services.ingest import routes
from services.ingest.stream import Intake
from services.ingest.ticker import Drain

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
KEY = {"Authorization": "Bearer kurant-demo-key"}
SECRETS = Secrets({"k1": b"0123456789abcdef0123456789abcdef"})


@dataclass
class Wire:
    """Stands where the producer is: keeps what is published, gives offsets, and is away when told."""

    sent: list[Outgoing] = field(default_factory=list)
    away: bool = False
    fails_after: int | None = None

    async def send(self, records: Sequence[Outgoing]) -> list[tuple[int, int]]:
        if self.fails_after is not None:
            self.fails_after -= 1
            self.away = self.fails_after < 0
        if self.away:
            raise Unavailable("kafka: away")
        first = len(self.sent)
        self.sent += records
        return [(0, first + place) for place in range(len(records))]

    async def ping(self) -> None:
        if self.away:
            raise Unavailable("kafka: away")


@dataclass
class Door:
    """The service as a client sees it, and what came out behind."""

    app: FastAPI
    client: httpx.AsyncClient
    database: Database
    wire: Wire
    clock: ManualClock
    intake: Intake
    drain: Drain
    numbers: int = 0

    def event(self, type: str = "cart.updated", id: str | None = None, **data: Any) -> dict[str, Any]:
        self.numbers += 1
        if type == "cart.updated":
            data.setdefault("cart", {"id": "c-1", "value": "249.00"})
        return {
            "specversion": "1.0",
            "id": id or f"e-{self.numbers}",
            "source": "/shops/demo/web",
            "type": type,
            "time": "2026-03-02T10:00:00Z",
            "data": data,
        }

    async def post(self, *events: Any, **options: Any) -> httpx.Response:
        options.setdefault("headers", KEY)
        return await self.client.post("/v1/events", json=list(events), **options)

    async def take(self, *events: Any) -> dict[str, Any]:
        answer = await self.post(*events)
        assert answer.status_code == 202, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def say(self, type: str = "profile.logged_in", **data: Any) -> str:
        """Send one event; the profile that it went to."""
        await self.take(self.event(type, **data))
        return self.events()[-1][1].profile

    def events(self) -> list[tuple[Envelope, EventOccurred]]:
        return [
            (Envelope.read(one.headers), EventOccurred.decode(one.value))
            for one in self.wire.sent
            if one.topic == topics.EVENTS.name
        ]

    def contacts(self) -> list[ContactsTold | ProfileMerged]:
        kinds: dict[str, type[ContactsTold | ProfileMerged]] = {one.TYPE: one for one in (ContactsTold, ProfileMerged)}
        return [
            kinds[Envelope.read(one.headers).type].decode(one.value)
            for one in self.wire.sent
            if one.topic == topics.CONTACTS.name
        ]

    def merges(self) -> list[tuple[str, str]]:
        return [(one.profile, one.into) for one in self.contacts() if isinstance(one, ProfileMerged)]

    async def resolve(self, **asked: str) -> str | None:
        answer = await self.client.post("/v1/profiles/resolve", json={"shop": "demo"} | asked, headers=KEY)
        return answer.json()["profile"] if answer.status_code == 200 else None

    async def fetchval(self, query: str, *arguments: object) -> Any:
        async with self.database.connection() as connection:
            return await connection.fetchval(query, *arguments)


def make_parts(database: Database, wire: Any, clock: ManualClock) -> Parts:
    import asyncio

    return Parts(
        settings=Settings(profile="local"),
        secrets=SECRETS,
        clock=clock,
        database=database,
        producer=wire,
        gate=Gate(service_key=SECRETS.service_key(), keys=KeyStore(database), local=True),
        stop=asyncio.Event(),
    )


async def nothing_unread() -> int:
    return 0


def make_door(database: Database, wire: Any, clock: ManualClock) -> Door:
    """One replica."""
    parts = make_parts(database, wire, clock)
    intake = Intake(database=database, producer=wire, clock=clock, secrets=SECRETS)
    app = build("ingest", clock=clock, checks={})
    routes.install(app, parts, intake, lambda: 0, nothing_unread)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    client = httpx.AsyncClient(transport=transport, base_url="http://ingest")
    return Door(app, client, database, wire, clock, intake, Drain(database=database, intake=intake, clock=clock))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database_url, name="test")
    yield opened
    await opened.close()


@pytest.fixture
async def door(database: Database) -> AsyncIterator[Door]:
    made = make_door(database, Wire(), ManualClock(NOW))
    yield made
    await made.client.aclose()
