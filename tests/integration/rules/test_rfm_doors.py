"""What rules answers about RFM, and the way over a real Kafka."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from libs.common.bus.kafka import Consumer, Producer, create_topics
from libs.common.bus.records import Record
from libs.common.db.engine import Database
from libs.common.db.keys import KeyStore
from libs.common.http import problem
from libs.common.http.auth import Gate
from libs.contracts import topics
from libs.contracts.messages import MessageRequested
from services.rules import routes
from tests.integration.rules.orders import DAY, NOW, Shop, event, order, profile
from tests.unit.engine.world import scenario

KEY = "service-key"


class Doors:
    """The routes of RFM over a shop."""

    def __init__(self, shop: Shop) -> None:
        gate = Gate(service_key=KEY, keys=KeyStore(shop.database), local=True)
        parts: Any = type("Parts", (), {"database": shop.database, "clock": shop.clock, "gate": gate})()
        app = FastAPI()
        problem.install(app)
        self.scorer = shop.scorer()
        routes.install_rfm(app, parts, shop.registry, self.scorer)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://rules")

    async def ask(self, method: str, path: str, status: int = 200, key: str = KEY) -> Any:
        answer = await self.http.request(method, path, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
async def shop(database: Database) -> Shop:
    return await Shop(database).begin()


@pytest.fixture
async def doors(shop: Shop) -> AsyncIterator[Doors]:
    made = Doors(shop)
    yield made
    await made.http.aclose()


async def test_before_there_is_anything(doors: Doors, shop: Shop) -> None:
    found = await doors.ask("GET", "/v1/rfm?shop=demo")
    assert (found["run"], found["known_version"], found["customers"], found["next_at"]) == (0, 1, 0, None)
    await doors.ask("GET", "/v1/rfm/customers?shop=demo", 404)
    await doors.ask("POST", "/v1/rfm/runs?shop=demo", 409)
    await shop.tell(order("anna", 1))
    found = await doors.ask("GET", "/v1/rfm?shop=demo")
    assert found["next_at"] == (NOW + DAY).isoformat()


async def test_how_a_shop_stands(doors: Doors, shop: Shop) -> None:
    await shop.tell(order("anna", 1, "120.50"), order("bob", 70, "99.99"), order("eve", 1, currency="USD"))
    ran = await doors.ask("POST", "/v1/rfm/runs?shop=demo")
    assert (ran["done"], ran["kind"], ran["customers"], ran["changed"], ran["quiet"]) == (True, "full", 2, 2, True)
    found = await doors.ask("GET", "/v1/rfm?shop=demo")
    assert found["segments"] == [
        {"segment": "good", "customers": 1, "orders": 1, "monetary": "120.50"},
        {"segment": "rest", "customers": 1, "orders": 1, "monetary": "99.99"},
    ]
    assert (found["run"], found["version"], found["customers"], found["day"]) == (1, 1, 2, "2026-03-02")
    assert (found["cuts"]["recency"], found["excluded"], found["currency"]) == ([60, 30, 10], {"currency": 1}, "PLN")
    (row,) = await doors.ask("GET", "/v1/rfm/customers?shop=demo&segment=rest")
    assert row == {
        "profile": profile("bob"),
        "segment": "rest",
        "r": 1,
        "f": 1,
        "m": 1,
        "recency_days": 70,
        "orders": 1,
        "frequency": 1,
        "monetary": "99.99",
        "last_day": "2025-12-22",
    }
    everybody = [profile("anna"), profile("bob")]
    first = await doors.ask("GET", "/v1/rfm/customers?shop=demo&limit=1")
    second = await doors.ask("GET", f"/v1/rfm/customers?shop=demo&limit=1&after={first[0]['profile']}")
    assert [one["profile"] for one in first + second] == sorted(everybody)
    again = await doors.ask("POST", "/v1/rfm/runs?shop=demo")
    assert (again["kind"], again["customers"], again["changed"]) == ("incremental", 0, 0)
    assert (await doors.ask("POST", "/v1/rfm/runs?shop=demo&now=true"))["kind"] == "full"


async def test_why_a_customer_is_where_he_is(doors: Doors, shop: Shop) -> None:
    await shop.tell(order("anna", 9), event("profile.updated", "bob", NOW, {"first_name": "Bob"}))
    await doors.ask("POST", "/v1/rfm/runs?shop=demo")
    await shop.clock.move(2 * DAY)
    await doors.ask("POST", "/v1/rfm/runs?shop=demo&quiet=true")
    found = await doors.ask("GET", f"/v1/rfm/explain?shop=demo&profile={profile('anna')}")
    assert found["text"].startswith("segment: good (line 2 of the map: r 3-4)\nrecency: 11 days, score 3;")
    assert [(one["from"], one["to"], one["r"]) for one in found["history"]] == [("good", "good", 3), (None, "good", 4)]
    assert (found["day"], found["recency_days"], found["monetary"]) == ("2026-03-04", 11, "100.00")
    await doors.ask("GET", f"/v1/rfm/explain?shop=demo&profile={profile('bob')}", 404)
    await shop.tell(event("profile.merged", "anna", NOW, {"into": profile("bob")}))
    await doors.ask("POST", "/v1/rfm/runs?shop=demo")
    found = await doors.ask("GET", f"/v1/rfm/explain?shop=demo&profile={profile('anna')}")
    assert found["profile"] == profile("bob"), "the loser's id leads to who he is now"


async def test_a_long_run_goes_on_without_who_asked(doors: Doors, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.tell(order("anna", 1))
    monkeypatch.setattr(routes, "PATIENCE", 0.0)
    assert await doors.ask("POST", "/v1/rfm/runs?shop=demo", 202) == {"done": False, "run": 1}
    async with asyncio.timeout(10):
        while (await doors.ask("GET", "/v1/rfm?shop=demo"))["run"] < 1:
            await asyncio.sleep(0.02)


async def test_a_key_sees_its_own_shop(doors: Doors, shop: Shop) -> None:
    _, text = await KeyStore(shop.database).create("other", ("admin",), NOW)
    for method, path in (("GET", "/v1/rfm"), ("GET", "/v1/rfm/customers"), ("POST", "/v1/rfm/runs")):
        await doors.ask(method, f"{path}?shop=demo", 403, text)
    await doors.ask("GET", f"/v1/rfm/explain?shop=demo&profile={profile('anna')}", 403, text)


async def test_over_kafka(kafka: str, shop: Shop) -> None:
    """The task publishes on a real Kafka what rules then reads there: one event a change, one message a customer."""
    await create_topics(kafka, [topics.EVENTS], partitions=2, replication=1)
    shop.publish(scenario("{rfm: {from: [good], to: [rest]}}", "  - send: come-back\n", id="back"))
    names = [f"c{number}" for number in range(25)]
    await shop.tell(*(order(name, 29) for name in names))
    producer = await Producer.connect(kafka, name="test")
    stop = asyncio.Event()
    scorers = [shop.scorer(producer=producer, chunk=10) for _ in range(2)]
    tasks = [asyncio.create_task(one.run(stop)) for one in scorers]
    try:
        await shop.clock.move(DAY)
        first = await read(kafka, 25)
        await shop.clock.move(DAY)
        both = await read(kafka, 50)
    finally:
        stop.set()
        await asyncio.gather(*tasks)
        await producer.close()
    assert len({dict(one.headers)["ce_id"] for one in both}) == 50
    sent = await apply(shop, [*first, *both])
    asked = [MessageRequested.decode(one.value).profile for one in sent if one.topic == topics.MESSAGES.name]
    assert sorted(asked) == sorted(profile(name) for name in names)


async def read(kafka: str, count: int) -> list[Record]:
    """The first `count` records of the events topic."""
    consumer = Consumer(kafka, name="test", group=None)
    await consumer.start()
    found: list[Record] = []
    try:
        await consumer.assign_all(topics.EVENTS.name)
        async with asyncio.timeout(30):
            while len(found) < count:
                found += await consumer.poll(timeout_ms=200)
    finally:
        await consumer.close()
    return found


async def apply(shop: Shop, records: list[Record]) -> list[Any]:
    """Let rules apply them as if they came from one partition."""
    before = len(shop.wire.sent)
    numbered = [
        Record(
            topic=one.topic,
            partition=0,
            offset=shop.offset + place,
            key=one.key,
            value=one.value,
            headers=one.headers,
            timestamp=one.timestamp,
        )
        for place, one in enumerate(records)
    ]
    await shop.applier.apply(numbered)
    return shop.wire.sent[before:]
