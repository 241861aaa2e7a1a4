"""A console on a real database, a real Kafka or one that fails on request, and scripted far sides."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from libs.common.bus.records import Outgoing
from libs.common.clock import ManualClock
from libs.common.db.engine import Database
from libs.common.db.keys import KeyStore
from libs.common.errors import Unavailable
from libs.common.http.auth import Gate
from libs.common.runtime import Parts
from libs.common.secrets import Secrets
from libs.common.settings import Settings
from libs.contracts.envelope import Envelope
from libs.contracts.scenarios import ScenarioPublished, ScenarioState, SegmentPublished, SegmentState
from services.console.app import compose
from tests.support.web import Asked, Web, serving

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
SERVICES = ("ingest", "consent", "dispatch", "rules", "scheduler")
SECRETS = Secrets({"k1": base64.b64decode("a2V5IG9mIDMyIGJ5dGVzIGZvciB0aGUgdGVzdHMgLi4u")})
SCENARIO = """\
kurant: 1
id: {id}
name: {name}
purpose: marketing
trigger: {{event: cart.updated}}
steps:
  - wait: 1h
  - send: first
"""
MAIL = """\
---
subject: Your cart
---
<mjml><mj-body><mj-section><mj-column>
<mj-text>Hello <a href="{{ unsubscribe_url }}">unsubscribe</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
"""


def bundle(id: str = "cart", name: str = "Cart") -> dict[str, str]:
    """A scenario without a fault."""
    return {"scenario.yaml": SCENARIO.format(id=id, name=name), "messages/first.email.mjml": MAIL}


@dataclass
class Wire:
    """Stands where the producer is; what it was given counts as acknowledged, unless it is told to fail."""

    sent: list[Outgoing] = field(default_factory=list)
    fails: Exception | None = None
    gate: asyncio.Event | None = None
    """When it is there: nothing is acknowledged before it is set."""

    async def send(self, records: Sequence[Outgoing]) -> list[tuple[int, int]]:
        if self.gate is not None:
            await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        self.sent += records
        return [(0, 0) for _ in records]

    async def ping(self) -> None:
        if self.fails is not None:
            raise self.fails

    def told(self) -> list[str]:
        """What Kafka holds: `demo/cart@1` for a version, `demo/cart=1 live` for a state."""
        return [told(one.key, one.value, one.headers) for one in self.sent]


def told(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> str:
    """One record of the scenarios topic in short."""
    assert key is not None
    type = Envelope.read(headers).type
    if type == SegmentPublished.TYPE:
        version = SegmentPublished.decode(value)
        assert key.decode().endswith(f"/segments/{version.segment}@{version.version}")
        return key.decode()
    if type == SegmentState.TYPE:
        standing = SegmentState.decode(value)
        return f"{key.decode()}={standing.version} {standing.state}"
    if type == ScenarioPublished.TYPE:
        published = ScenarioPublished.decode(value)
        assert key.decode().endswith(f"/{published.scenario}@{published.version}")
        return key.decode()
    state = ScenarioState.decode(value)
    return f"{key.decode()}={state.version} {state.state}"


@dataclass
class Peers:
    """The other services: answers by service and path, and whatever they were asked."""

    web: Web
    answers: dict[tuple[str, str], Any] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)

    def asked(self, service: str) -> list[Asked]:
        return [one for one in self.web.asked if one.path.startswith(f"/{service}/")]


@pytest.fixture
def peers() -> Iterator[Peers]:
    def answer(asked: Asked) -> tuple[int, Any]:
        service, _, path = asked.path.lstrip("/").partition("/")
        if service in found.away:
            return 503, {"detail": "away"}
        told = found.answers.get((service, f"/{path}"), (404, {"detail": f"{service} knows no /{path}"}))
        status, body = told(asked) if callable(told) else told
        return status, body

    with serving(answer) as web:
        found = Peers(web)
        yield found


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database_url, name="test")
    yield opened
    await opened.close()


@dataclass
class Console:
    """The service, asked without a socket. `key` is the caller's."""

    http: httpx.AsyncClient
    database: Database
    clock: ManualClock
    wire: Wire
    keys: KeyStore

    async def ask(self, method: str, path: str, *, key: str | None = None, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key or SECRETS.service_key()}"}
        return await self.http.request(method, path, headers=headers, **options)

    async def publish(
        self, files: dict[str, str] | None = None, *, shop: str | None = "demo", key: str | None = None
    ) -> httpx.Response:
        body = {"shop": shop, "files": bundle() if files is None else files}
        return await self.ask("POST", "/v1/scenarios", key=key, json=body)

    async def key(self, shop: str, *scopes: str) -> str:
        _, text = await self.keys.create(shop, scopes, START)
        return text


def parts(database: Database, producer: Any, peers: Peers, stop: asyncio.Event) -> Parts:
    """What the composition root begins with."""
    urls = {f"{name}_url": f"{peers.web.url}/{name}" for name in SERVICES}
    return Parts(
        settings=Settings(profile="local", **urls),  # type: ignore[arg-type]
        secrets=SECRETS,
        clock=ManualClock(START),
        database=database,
        producer=producer,
        gate=Gate(service_key=SECRETS.service_key(), keys=KeyStore(database), local=True),
        stop=stop,
    )


async def opened(database: Database, producer: Any, peers: Peers) -> Console:
    """A console whose regular task does not run."""
    made = parts(database, producer, peers, asyncio.Event())
    app, _ = await compose(made)
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://console")
    assert isinstance(made.clock, ManualClock)
    return Console(http, database, made.clock, producer, KeyStore(database))


@pytest.fixture
async def console(database: Database, peers: Peers) -> AsyncIterator[Console]:
    made = await opened(database, Wire(), peers)
    yield made
    await made.http.aclose()


AWAY = Unavailable("kafka: NodeNotReadyError")
