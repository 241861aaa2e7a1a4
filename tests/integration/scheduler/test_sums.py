"""How many steps wait, of all shops or of one (I9)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from libs.common.db.keys import KeyStore
from libs.common.http import problem
from libs.common.http.auth import Gate
from services.scheduler import routes, store
from tests.integration.scheduler.conftest import Bench, at, record, scheduled

KEY, DEMO = "service-key", "kurant-demo-key"


class Behind:
    """A loop that is behind."""

    def lag(self) -> dict[tuple[str, int], int]:
        return {("kurant.steps.v1", 0): 4}


@pytest.fixture
async def http(bench: Bench) -> AsyncIterator[httpx.AsyncClient]:
    gate = Gate(service_key=KEY, keys=KeyStore(bench.database), local=True)
    parts: Any = type("Parts", (), {"database": bench.database, "gate": gate})()
    app, loop = FastAPI(), Behind()
    problem.install(app)
    routes.install(app, parts, loop)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://scheduler") as made:
        yield made


async def ask(http: httpx.AsyncClient, path: str, key: str = KEY, **params: str) -> Any:
    answer = await http.get(path, params=params, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def filled(bench: Bench) -> None:
    """Two steps of demo, one of other that is due first."""
    steps = [("one", 60, "demo"), ("two", 90, "demo"), ("three", 30, "other")]
    await bench.applier.apply(
        [record(n, scheduled(name, at(minute)), shop) for n, (name, minute, shop) in enumerate(steps)]
    )


async def test_a_shop_is_told_of_its_own_steps(bench: Bench, http: httpx.AsyncClient) -> None:
    await filled(bench)
    assert await ask(http, "/v1/audit") == {"pending": 3, "lag": 4}
    assert await ask(http, "/v1/audit", shop="demo") == {"pending": 2, "lag": 4}
    assert await ask(http, "/v1/audit", DEMO) == {"pending": 2}
    assert await ask(http, "/v1/status") == {"pending": 3, "oldest_due": at(30).isoformat(), "lag": 4}
    assert await ask(http, "/v1/status", DEMO) == {"pending": 2, "oldest_due": at(60).isoformat()}
    for path in ("/v1/audit", "/v1/status"):
        answer = await http.get(path, params={"shop": "other"}, headers={"Authorization": f"Bearer {DEMO}"})
        assert answer.status_code == 403


async def test_a_count_that_takes_too_long_is_left_out(
    bench: Bench, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(bench)
    monkeypatch.setattr(store, "IMPATIENCE", 0.05)
    monkeypatch.setattr(store, "OF_SHOP", "SELECT $1::text, pg_sleep(5)")
    started = asyncio.get_running_loop().time()
    assert await ask(http, "/v1/status", DEMO) == {"pending": None, "oldest_due": None}
    assert asyncio.get_running_loop().time() - started < 3
