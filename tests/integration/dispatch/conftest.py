"""A dispatch on a real database, a real mail server that plays a part, and a consent that answers as it is told."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.common.bus.apply import Applier
from libs.common.bus.records import Outgoing, Record, outgoing
from libs.common.clock import ManualClock
from libs.common.db.engine import Database
from libs.common.db.keys import KeyStore
from libs.common.http.auth import Gate
from libs.common.http.client import Client
from libs.common.http.server import build
from libs.common.runtime import Parts
from libs.common.secrets import Secrets
from libs.common.settings import Settings
from libs.contracts import topics
from libs.contracts.envelope import Envelope
from libs.contracts.events import EventOccurred
from libs.contracts.messages import Delivered, MessageCancelled, MessageRequested
from libs.contracts.scenarios import ScenarioPublished, ScenarioState
from libs.domain import ids
from services.dispatch import channels, routes, settings
from services.dispatch.app import Dispatch
from services.dispatch.clients import Consent
from tests.support.mailserver import MailServer
from tests.support.web import Asked, Web, serving

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
PATIENCE = 10.0
SECRETS = Secrets({"k1": b"x" * 32})
FILES = {
    "scenario.yaml": "irrelevant here",
    "messages/first.email.html": (
        "---\nsubject: Your cart, {{ profile.first_name }}\npreheader: It waits\nsender: Sofas\n---\n"
        '<html><body><p>{{ cart.value | money("PLN") }}</p><a href="https://demo.example/cart?a=1&amp;b=2">Cart</a>'
        '<a href="{{ unsubscribe_url }}">Leave</a></body></html>'
    ),
    "messages/broken.email.html": "---\nsubject: x\n---\n{{ cart.value | nosuchfilter }}",
    "messages/first.sms.txt": "Hello {{ profile.first_name }}",
}


async def until(look: Callable[[], Any], what: str = "") -> Any:
    """The first true answer of `look`."""
    async with asyncio.timeout(PATIENCE):
        while not (found := look()):
            await asyncio.sleep(0.005)
    return found


def message_id(name: str) -> str:
    return ids.derive("message", name)


def profile_id(name: str) -> str:
    return ids.derive("profile", name)


def request(who: str, **changes: Any) -> MessageRequested:
    """A message for the customer `who`, by mail."""
    given: dict[str, Any] = {
        "message": message_id(who),
        "profile": profile_id(who),
        "scenario": "abandoned-cart",
        "version": 1,
        "enrolment": ids.derive("enrolment", who),
        "path": "steps/1",
        "name": "first",
        "channels": ["email"],
        "purpose": "marketing",
        "requested_at": START,
        "due_at": START,
        "expires_at": START + timedelta(hours=72),
        "cause_at": START,
        "context": {"profile": {"first_name": "Anna"}, "cart": {"value": "249.00"}, "event": {}, "key": "c-1"},
    }
    return MessageRequested(**(given | changes))


def as_record(told: Outgoing, offset: int) -> Record:
    return Record(
        topic=told.topic,
        partition=0,
        offset=offset,
        key=told.key,
        value=told.value,
        headers=tuple(told.headers),
        timestamp=0,
    )


def _scenario_record(told: ScenarioPublished | ScenarioState) -> Record:
    made = outgoing(topics.SCENARIOS, told, key="k", id="i", source="/test", shop="demo", time=START)
    return as_record(made, 0)


def _published(version: int, files: dict[str, str]) -> Record:
    return _scenario_record(
        ScenarioPublished(scenario="abandoned-cart", version=version, published_at=START, files=files)
    )


@dataclass
class Wire:
    """Stands where the producer is; what it was given counts as acknowledged, unless it is told to fail."""

    sent: list[Outgoing] = field(default_factory=list)
    fails: Exception | None = None

    async def send(self, records: Sequence[Outgoing]) -> list[tuple[int, int]]:
        if self.fails:
            raise self.fails
        self.sent += records
        return [(0, 0) for _ in records]

    def deliveries(self, name: str) -> list[Delivered]:
        told = [Delivered.decode(one.value) for one in self.sent if one.topic == topics.DELIVERIES.name]
        return [one for one in told if one.message == message_id(name)]

    def events(self) -> list[tuple[Envelope, EventOccurred]]:
        return [
            (Envelope.read(one.headers), EventOccurred.decode(one.value))
            for one in self.sent
            if one.topic == topics.EVENTS.name
        ]


@dataclass
class Permissions:
    """What consent answers, by customer; `allow` unless told otherwise."""

    told: dict[str, dict[str, Any]] = field(default_factory=dict)
    away: bool = False
    garbled: Any = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)
    """Cleared: questions are heard, and have no answer until it is set."""

    def __post_init__(self) -> None:
        self.open.set()

    def set(self, name: str, **answer: Any) -> None:
        self.told[message_id(name)] = answer

    def answer(self, asked: Asked) -> tuple[int, Any]:
        if self.away:
            return 503, {}
        if self.garbled is not None:
            return 200, self.garbled
        self.asked += asked.body["requests"]
        self.open.wait(PATIENCE)
        return 200, {"decisions": [self._one(one) for one in asked.body["requests"]]}

    def _one(self, one: dict[str, Any]) -> dict[str, Any]:
        allowed = {
            "decision": "allow",
            "channel": one["channels"][0],
            "address": f"c-{one['profile'][:8]}@example.com",
            "profile": one["profile"],
            "unsubscribe_url": "https://shop.example/u/token",
            "preferences_url": "https://shop.example/p/token",
        }
        return {"message": one["message"]} | (self.told.get(one["message"]) or allowed)


def address(name: str) -> str:
    """Where consent lets a mail to this customer go."""
    return f"c-{profile_id(name)[:8]}@example.com"


@dataclass
class Bench:
    """A dispatch, what it talks to, and the loop's unit of work in front of it."""

    parts: Parts
    clock: ManualClock
    wire: Wire
    mails: MailServer
    permissions: Permissions
    dispatch: Dispatch
    applier: Applier
    gateways: str
    web: Web
    offset: int = 0
    running: list["asyncio.Task[None]"] = field(default_factory=list)

    async def consume(self, *requests: MessageRequested | MessageCancelled, shop: str = "demo") -> None:
        """One batch, as the loop would apply it."""
        records = []
        for one in requests:
            id = f"{one.TYPE}-{one.message}"
            told = outgoing(topics.MESSAGES, one, key=one.profile, id=id, source="/test", shop=shop, time=START)
            records.append(as_record(told, self.offset))
            self.offset += 1
        await self.applier.apply(records)

    def publish(self, version: int = 1, files: dict[str, str] | None = None) -> None:
        told = ScenarioPublished(scenario="abandoned-cart", version=version, published_at=START, files=files or FILES)
        self._learn(told)

    def set_state(self, state: str) -> None:
        self._learn(ScenarioState(scenario="abandoned-cart", version=1, state=state, changed_at=START))  # type: ignore[arg-type]

    def _learn(self, told: ScenarioPublished | ScenarioState) -> None:
        made = outgoing(topics.SCENARIOS, told, key="k", id="i", source="/test", shop="demo", time=START)
        self.dispatch.learn(as_record(made, 0))

    def start(self) -> None:
        """Let it send and tell."""
        self.running.append(asyncio.create_task(self.dispatch.run(self.parts.stop)))

    async def end(self) -> None:
        self.parts.stop.set()
        for task in self.running:
            await task
        self.running = []

    async def row(self, name: str) -> dict[str, Any]:
        async with self.parts.database.connection() as connection:
            found = await connection.fetchrow("SELECT * FROM dispatch.message WHERE message = $1", message_id(name))
        assert found is not None
        return dict(found)

    async def reaches(self, name: str, state: str, **more: Any) -> dict[str, Any]:
        """Wait until a message is in `state`, with these columns."""
        row: dict[str, Any] = {}
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    row = await self.row(name)
                    if row["state"] == state and all(row[key] == value for key, value in more.items()):
                        return row
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"{name} is {row}, not {state} {more}") from None

    async def told(self, name: str, *statuses: str) -> list[Delivered]:
        """Wait until this was told of a message, in this order, and nothing else."""
        await until(lambda: len(self.wire.deliveries(name)) >= len(statuses))
        found = self.wire.deliveries(name)
        assert tuple(one.status for one in found) == statuses
        return found

    async def execute(self, query: str, *arguments: Any) -> Any:
        async with self.parts.database.connection() as connection:
            return await connection.fetchval(query, *arguments)

    def another(self) -> Dispatch:
        """A second process on the same database, mail server and consent."""
        made = _dispatch(self.parts, self.gateways, self.web.url)
        made.learn(_published(1, FILES))
        self.running.append(asyncio.create_task(made.run(self.parts.stop)))
        return made

    def http(self) -> httpx.AsyncClient:
        app = build("dispatch", clock=self.clock, checks={})
        routes.install(app, self.parts, _NoLag(), self.dispatch.teller.wake_for_touch)  # type: ignore[arg-type]
        transport = httpx.ASGITransport(app=app)
        key = {"Authorization": f"Bearer {SECRETS.service_key()}"}
        return httpx.AsyncClient(transport=transport, base_url="http://dispatch", headers=key)


class _NoLag:
    def lag(self) -> dict[tuple[str, int], int]:
        return {("kurant.messages.v1", 0): 0}


def _dispatch(parts: Parts, gateways: str, consent_url: str) -> Dispatch:
    consent = Consent(Client(consent_url, SECRETS.service_key(), timeout=2.0))
    return Dispatch(parts, channels.build(settings.read(gateways, {}), "no-reply@kurant.localhost"), consent)


@pytest.fixture
async def mails() -> AsyncIterator[MailServer]:
    server = MailServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def permissions() -> Permissions:
    return Permissions()


@pytest.fixture
def web(permissions: Permissions) -> Iterator[Web]:
    with serving(permissions.answer) as running:
        yield running


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database_url, name="test", size=12)
    yield opened
    await opened.close()


@pytest.fixture
async def bench(
    database: Database, mails: MailServer, permissions: Permissions, web: Web, tmp_path: Path
) -> AsyncIterator[Bench]:
    """Scenario version 1 is published; nothing runs until `start`."""
    clock, wire = ManualClock(START), Wire()
    parts = Parts(
        settings=Settings(profile="local", public_url="https://go.shop.example", consent_url=web.url),  # type: ignore[call-arg]
        secrets=SECRETS,
        clock=clock,
        database=database,
        producer=wire,  # type: ignore[arg-type]
        gate=Gate(service_key=SECRETS.service_key(), keys=KeyStore(database), local=True),
        stop=asyncio.Event(),
    )
    gateways = f"""gateways:
      - {{name: mail, kind: smtp, url: "smtp://127.0.0.1:{mails.port}", sender: "Shop <news@shop.example>", timeout: 2}}
      - {{name: texts, kind: file, channel: sms, path: "{tmp_path}/sms.jsonl"}}
    """
    dispatch = _dispatch(parts, gateways, web.url)
    applier = Applier(schema="dispatch", database=database, producer=wire, handle=dispatch.handle)  # type: ignore[arg-type]
    await applier.assign({(topics.MESSAGES.name, 0): 0})
    made = Bench(parts, clock, wire, mails, permissions, dispatch, applier, gateways, web)
    made.publish()
    yield made
    with contextlib.suppress(Exception):
        await made.end()
