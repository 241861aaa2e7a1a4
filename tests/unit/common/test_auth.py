"""Credentials: what a key opens, for which shop (I9), and how long a revoked one lives."""

import base64
from datetime import UTC, datetime
from uuid import UUID

import pytest
from fastapi import Request

from libs.common.db.keys import SCOPES, ApiKey
from libs.common.http.auth import DEMO_KEY, Caller, Gate, credential
from libs.common.http.problem import Problem

ID = UUID("00000000-0000-4000-8000-000000000001")


class Store:
    """Keys in memory; counts the questions."""

    def __init__(self) -> None:
        self.keys: dict[str, ApiKey] = {}
        self.asked = 0

    async def find(self, text: str) -> ApiKey | None:
        self.asked += 1
        return self.keys.get(text)


@pytest.fixture
def store() -> Store:
    made = Store()
    made.keys["k"] = ApiKey(id=ID, shop="s1", scopes=("ingest",), created_at=datetime(2026, 3, 2, tzinfo=UTC))
    return made


def gate(store: Store, *, local: bool = False) -> Gate:
    return Gate(service_key="the-service-key", keys=store, local=local)


def request(header: str | None) -> Request:
    headers = [(b"authorization", header.encode())] if header is not None else []
    return Request({"type": "http", "headers": headers})


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("Bearer k", "k"),
        ("bearer  k ", "k"),
        (basic("k:"), "k"),
        (basic("k:ignored"), "k"),
        (basic("k"), "k"),
        (basic(":k"), None),
        ("Basic not base64", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Digest k", None),
        ("k", None),
        ("", None),
        (None, None),
    ],
)
def test_where_the_key_stands(header: str | None, key: str | None) -> None:
    assert credential(header) == key


async def test_a_key_speaks_for_its_shop_alone(store: Store) -> None:
    caller = await gate(store).caller(request("Bearer k"), "ingest")
    assert caller.for_shop(None) == caller.for_shop("s1") == "s1"
    with pytest.raises(Problem) as refused:
        caller.for_shop("s2")
    assert refused.value.status == 403


def test_a_service_has_to_say_for_which_shop_it_speaks() -> None:
    service = Caller(shop=None, scopes=frozenset(SCOPES))
    assert service.for_shop("s2") == "s2"
    with pytest.raises(Problem) as refused:
        service.for_shop(None)
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("header", "scope", "status"),
    [
        (None, "ingest", 401),
        ("Bearer unknown", "ingest", 401),
        (f"Bearer {DEMO_KEY}", "ingest", 401),
        ("Bearer k", "read", 403),
        ("Bearer k", "admin", 403),
    ],
)
async def test_who_is_refused(store: Store, header: str | None, scope: str, status: int) -> None:
    with pytest.raises(Problem) as refused:
        await gate(store).caller(request(header), scope)
    assert refused.value.status == status
    assert ("WWW-Authenticate" in refused.value.headers) == (status == 401)


async def test_the_demo_key_opens_only_what_is_local(store: Store) -> None:
    caller = await gate(store, local=True).caller(request(f"Bearer {DEMO_KEY}"), "admin")
    assert caller.shop == "demo"


async def test_the_service_key_may_everything(store: Store) -> None:
    caller = await gate(store).caller(request("Bearer the-service-key"), "admin")
    assert (caller.shop, caller.scopes) == (None, frozenset(SCOPES))


async def test_a_revoked_key_lives_ten_seconds_at_most(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("libs.common.http.auth.time.monotonic", lambda: now)
    door = gate(store)
    await door.caller(request("Bearer k"), "ingest")
    await door.caller(request("Bearer k"), "ingest")
    assert store.asked == 1
    del store.keys["k"]
    now += 9.9
    await door.caller(request("Bearer k"), "ingest")
    now += 0.2
    with pytest.raises(Problem):
        await door.caller(request("Bearer k"), "ingest")
