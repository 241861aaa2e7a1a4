"""A consent service on a real database, with a clock that the test moves and pages behind HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from libs.common.bus.apply import Applier
from libs.common.bus.records import Outgoing, Record, outgoing
from libs.common.clock import ManualClock
from libs.common.db.engine import Database
from libs.common.db.keys import KeyStore
from libs.common.http.auth import Gate
from libs.common.runtime import Parts
from libs.common.secrets import Secrets
from libs.common.settings import Settings
from libs.contracts import topics
from libs.contracts.consent_changes import ConsentChanged
from libs.contracts.contacts import ConsentTold, Contact, ContactsTold, ProfileMerged
from libs.domain import ids
from services.consent.app import Consents, compose
from services.consent.handlers import Answer, Asked

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
SHOP = "demo"
ADDRESS = "anna.secret@example.com"
PHONE = "+48601000000"
IP = "203.0.113.9"


def person(name: str) -> str:
    return ids.derive("profile", name)


ANNA, BEN, CECIL = person("anna"), person("ben"), person("cecil")


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def consent(status: str = "granted", channel: str = "email", purpose: str = "marketing", **more: str) -> ConsentTold:
    return ConsentTold(channel=channel, purpose=purpose, status=status, **more)  # type: ignore[arg-type]


def told(
    profile: str = ANNA, *consents: ConsentTold, email: str | None = None, phone: str | None = None
) -> ContactsTold:
    contacts = [Contact(channel="email", address=email)] if email else []
    contacts += [Contact(channel="sms", address=phone)] if phone else []
    return ContactsTold(profile=profile, received_at=at(10_000), contacts=contacts, consents=list(consents))


def record(
    offset: int,
    message: ContactsTold | ProfileMerged,
    time: datetime = START,
    *,
    id: str | None = None,
    shop: str = SHOP,
    partition: int = 0,
) -> Record:
    made = outgoing(
        topics.CONTACTS,
        message,
        key=message.profile,
        id=id or f"e-{partition}-{offset}",
        source="/shops/demo/web",
        shop=shop,
        time=time,
    )
    return Record(
        topic=made.topic,
        partition=partition,
        offset=offset,
        key=made.key,
        value=made.value,
        headers=tuple(made.headers),
        timestamp=0,
    )


def asked(
    profile: str = ANNA,
    *channels: str,
    purpose: str = "marketing",
    contacts_at: dict[str, int] | None = None,
    message: str | None = None,
    shop: str = SHOP,
) -> Asked:
    return msgspec.convert(
        {
            "message": message or ids.derive("message", profile, purpose, *channels),
            "shop": shop,
            "profile": profile,
            "channels": list(channels) or ["email"],
            "purpose": purpose,
            "scenario": "cart",
            "contacts_at": contacts_at or {},
        },
        Asked,
    )


@dataclass
class Wire:
    """Stands where the producer is; what it was given counts as acknowledged, unless it is told to fail."""

    sent: list[Outgoing] = field(default_factory=list)
    fails: Exception | None = None
    dies: Exception | None = None
    """Raised after the records were taken: a crash between the acknowledgement and the commit."""

    async def send(self, records: Sequence[Outgoing]) -> list[tuple[int, int]]:
        if self.fails:
            raise self.fails
        self.sent += records
        if self.dies:
            raise self.dies
        return [(0, 0) for _ in records]

    async def ping(self) -> None:
        return

    def changes(self) -> list[ConsentChanged]:
        return [ConsentChanged.decode(one.value) for one in self.sent if one.topic == topics.CONSENT_CHANGES.name]


@dataclass
class Bench:
    """A consent service, the loop's unit of work in front of it, and its doors."""

    database: Database
    clock: ManualClock
    wire: Wire
    secrets: Secrets
    consents: Consents
    applier: Applier
    http: httpx.AsyncClient
    parts: Parts
    offset: int = 0

    async def consume(self, *messages: tuple[ContactsTold | ProfileMerged, float], id: str | None = None) -> None:
        """One batch, each message with its event time in minutes after the start."""
        records = [record(self.offset + n, message, at(time), id=id) for n, (message, time) in enumerate(messages)]
        self.offset += len(messages)
        await self.applier.apply(records)

    async def may(self, *questions: Asked) -> list[str]:
        """Each answer as a word: the channel allowed, or the reason."""
        return [one.channel or one.reason or "?" for one in await self.answers(*questions)]

    async def answers(self, *questions: Asked) -> list[Answer]:
        return await self.consents.decide(questions or (asked(),))

    async def changes(self) -> list[ConsentChanged]:
        """What the outbox publishes now."""
        before = len(self.wire.changes())
        while await self.consents.drain():
            pass
        return self.wire.changes()[before:]

    async def get(self, path: str, **params: str) -> Any:
        answer = await self.http.get(path, params={"shop": SHOP, **params}, headers=self.service)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @property
    def service(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secrets.service_key()}"}

    async def fetch(self, query: str, *arguments: object) -> list[Any]:
        async with self.database.connection() as connection:
            return list(await connection.fetch(query, *arguments))

    async def rows(self) -> int:
        return int((await self.fetch("SELECT count(*) AS n FROM consent.register"))[0]["n"])


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database_url, name="test")
    yield opened
    await opened.close()


@pytest.fixture
async def bench(database: Database) -> AsyncIterator[Bench]:
    clock, wire = ManualClock(START + timedelta(days=1)), Wire()
    secrets = Secrets({"k1": b"1" * 32})
    settings = Settings(profile="local", public_url="https://c.example")
    parts = Parts(
        settings=settings,
        secrets=secrets,
        clock=clock,
        database=database,
        producer=wire,  # type: ignore[arg-type]
        gate=Gate(service_key=secrets.service_key(), keys=KeyStore(database), local=True),
        stop=asyncio.Event(),
    )
    app, _ = await compose(parts)
    consents = Consents(
        database=database,
        producer=wire,  # type: ignore[arg-type]
        clock=clock,
        secrets=secrets,
        public_url="https://c.example",
    )
    applier = Applier(schema="consent", database=database, producer=wire, handle=consents.handle)  # type: ignore[arg-type]
    await applier.assign({(topics.CONTACTS.name, 0): 0})
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://c.example") as http:
        yield Bench(database, clock, wire, secrets, consents, applier, http, parts)


@pytest.fixture
def link() -> Callable[[str | None], str]:
    """The path of an address that a decision gave."""

    def path(url: str | None) -> str:
        assert url is not None
        return url.removeprefix("https://c.example")

    return path
