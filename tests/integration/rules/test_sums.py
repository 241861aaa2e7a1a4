"""The sums of rules by shop: what was read of it, and what became of that (the audit, I9)."""

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from libs.common.bus.records import Outgoing
from libs.common.db.engine import Database
from libs.common.db.keys import KeyStore
from libs.common.db.migrate import config
from libs.common.http import problem
from libs.common.http.auth import Gate
from services.rules import routes
from tests.integration.rules.orders import Shop, event, order

KEY = "service-key"
DEMO = "kurant-demo-key"


class Kafka:
    """Knows how far the topic goes."""

    def __init__(self) -> None:
        self.end = 0

    def lag(self) -> int:
        return 7

    async def all_ends(self, _topic: str, partitions: Iterable[int]) -> dict[int, int]:
        return dict.fromkeys(partitions, self.end)


@pytest.fixture
async def shop(database: Database) -> Shop:
    return await Shop(database).begin()


@pytest.fixture
def kafka_end() -> Kafka:
    return Kafka()


@pytest.fixture
async def http(shop: Shop, kafka_end: Kafka) -> AsyncIterator[httpx.AsyncClient]:
    gate = Gate(service_key=KEY, keys=KeyStore(shop.database), local=True)
    parts: Any = type("Parts", (), {"database": shop.database, "clock": shop.clock, "gate": gate})()
    app = FastAPI()
    problem.install(app)
    routes.install(app, parts, shop.registry, kafka_end)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://rules") as made:
        yield made


async def ask(http: httpx.AsyncClient, path: str, key: str = KEY, **params: str) -> Any:
    answer = await http.get(path, params=params, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def broken(one: Outgoing) -> Outgoing:
    return Outgoing(topic=one.topic, key=one.key, value=b"{", headers=one.headers)


def outcomes(events: dict[str, int]) -> int:
    return events["applied"] + events["duplicates"] + events["quarantined"]


async def test_each_shop_has_its_own_sums_and_together_they_are_the_platforms(
    shop: Shop, http: httpx.AsyncClient, kafka_end: Kafka
) -> None:
    twice = order("anna", 1)
    await shop.tell(twice, twice, order("bob", 2), order("anna", 1, shop="other"))
    await shop.tell(broken(order("eve", 1)), broken(order("eve", 1, shop="other")))
    nameless = order("eve", 1)
    await shop.tell(Outgoing(topic=nameless.topic, key=b"", value=b"{", headers=[]))
    kafka_end.end = 7
    demo = (await ask(http, "/v1/audit", shop="demo"))["events"]
    assert demo == {"received": 4, "applied": 2, "duplicates": 1, "quarantined": 1}
    other = (await ask(http, "/v1/audit", shop="other"))["events"]
    assert other == {"received": 2, "applied": 1, "duplicates": 0, "quarantined": 1}
    whole = await ask(http, "/v1/audit")
    assert whole["events"] == {"received": 7, "applied": 3, "duplicates": 1, "quarantined": 3}
    assert whole["lag"] == 0
    assert outcomes(demo) == demo["received"] and outcomes(whole["events"]) == 7


async def test_the_key_of_a_shop_learns_of_no_other(shop: Shop, http: httpx.AsyncClient, kafka_end: Kafka) -> None:
    await shop.tell(order("anna", 1), order("anna", 1, shop="other"))
    kafka_end.end = 9
    found = await ask(http, "/v1/audit", DEMO)
    assert (found["events"]["received"], found.keys()) == (1, {"events", "steps", "messages"})
    assert await ask(http, "/v1/status", DEMO) == {}
    assert (await ask(http, "/v1/audit"))["lag"] == 7
    for path in ("/v1/audit", "/v1/status"):
        answer = await http.get(path, params={"shop": "other"}, headers={"Authorization": f"Bearer {DEMO}"})
        assert answer.status_code == 403


WAITS = (
    "kurant: 1\nid: waits\nname: w\npurpose: marketing\ntrigger: {event: custom.go}\nkey: event.key\n"
    "exit: [{event: custom.stop}]\nsteps: [{wait: 1d}, {send: first}]\n"
)


async def test_who_waits_where_is_known_by_version(shop: Shop, http: httpx.AsyncClient) -> None:
    """What the diff of a new version says: running enrolments per step."""
    shop.publish(WAITS)
    now = shop.clock.now()
    await shop.tell(*(event("custom.go", who, now, {"key": n}) for who in ("anna", "bob") for n in range(2)))
    await shop.tell(event("custom.go", "anna", now, {"key": 0}, shop="other"))
    path = "/v1/scenarios/waits/running"
    assert await ask(http, path, shop="demo") == [{"version": 1, "step": "steps/0", "enrolments": 4}]
    await shop.tell(event("custom.stop", "bob", now + timedelta(seconds=1), {}))
    assert await ask(http, path, shop="demo") == [{"version": 1, "step": "steps/0", "enrolments": 2}]
    assert await ask(http, path, shop="other") == []
    assert await ask(http, "/v1/scenarios/wait/running", shop="demo") == []
    assert "at:waits@1:steps/0" not in (await ask(http, "/v1/audit"))["steps"]


async def test_a_record_that_breaks_the_handler_is_counted_for_its_shop(
    shop: Shop, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def bug(*_arguments: object) -> Any:
        raise RuntimeError("a bug")

    shop.applier._refused = shop.rules.refused
    monkeypatch.setattr(shop.applier, "_handle", bug)
    await shop.tell(event("custom.go", "anna", shop.clock.now(), {}))
    demo = (await ask(http, "/v1/audit", shop="demo"))["events"]
    assert demo == {"received": 1, "applied": 0, "duplicates": 0, "quarantined": 1}


@pytest.mark.parametrize("shops", [["demo"], ["demo", "other"]])
async def test_what_was_counted_before_shops_were_is_not_lost(database_url: str, shops: list[str]) -> None:
    """Of one shop it was all that shop's; of several it counts for the platform."""
    import asyncio

    from alembic import command

    made = config(database_url)
    await asyncio.to_thread(command.downgrade, made, "rules_0005@-1")
    database = await Database.connect(database_url, name="test")
    try:
        async with database.connection() as connection:
            for shop in shops:
                await connection.execute(
                    "INSERT INTO rules.profile (shop, profile, version, document) "
                    "VALUES ($1, gen_random_uuid(), 1, '')",
                    shop,
                )
            await connection.execute("INSERT INTO rules.counter VALUES ('events.applied', 0, 5), ('steps.fired', 1, 2)")
        await asyncio.to_thread(command.upgrade, made, "heads")
        from services.rules import store

        async with database.connection() as connection:
            whole = await store.counters(connection)
            demo = await store.counters(connection, "demo")
        assert (whole["events.applied"], whole["steps.fired"]) == (5, 2)
        assert demo == ({"events.applied": 5, "events.received": 5, "steps.fired": 2} if len(shops) == 1 else {})
    finally:
        await database.close()
