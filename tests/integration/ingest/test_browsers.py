"""What browsers ask before they send, and after: CORS on the routes that take events, nowhere else."""

from dataclasses import replace

import httpx
import pytest

from libs.common.http.server import build
from services.ingest import routes
from tests.integration.ingest.conftest import KEY, Door, make_parts

SHOP = "https://shop.example"
ROUTES = ["events", "identify", "track", "page", "screen", "group", "alias", "batch", "import", "i", "t", "b"]


async def nothing() -> int:
    return 0


def asking(origin: str = SHOP, method: str = "POST", headers: str = "authorization,content-type") -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }


@pytest.mark.parametrize("route", ROUTES)
async def test_a_preflight_is_answered_where_events_are_taken(door: Door, route: str) -> None:
    answer = await door.client.options(f"/v1/{route}", headers=asking())
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert {"authorization", "content-type"} <= set(answer.headers["access-control-allow-headers"].lower().split(","))
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("route", ["profiles/resolve", "status", "catalog", "schemas", "events/x"])
async def test_nowhere_else(door: Door, route: str) -> None:
    answer = await door.client.options(f"/v1/{route}", headers=asking())
    assert answer.status_code in (404, 405)
    told = await door.client.get(f"/v1/{route}", headers=KEY | {"Origin": SHOP})
    for one in (answer, told):
        assert not any(name.startswith("access-control") for name in one.headers)


async def test_only_posting_is_allowed(door: Door) -> None:
    assert (await door.client.options("/v1/track", headers=asking(method="DELETE"))).status_code == 400


async def test_a_page_sends_with_its_write_key_and_may_read_the_answer(door: Door) -> None:
    """As Segment's browser library does: the key in the body, text/plain, so that nothing is asked before."""
    call = b'{"writeKey": "kurant-demo-key", "type": "track", "event": "Signed In", "anonymousId": "b-1"}'
    answer = await door.client.post("/v1/t", content=call, headers={"Origin": SHOP, "Content-Type": "text/plain"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
    assert [envelope.type for envelope, _ in door.events()] == ["profile.logged_in"]
    told = await door.post(door.event(user_id="1"), headers=KEY | {"Origin": SHOP})
    assert (told.status_code, told.headers["access-control-allow-origin"]) == (202, "*")


async def test_a_page_may_read_what_was_wrong(door: Door) -> None:
    for headers, body in ((KEY, "{"), ({}, "{}"), (KEY, '{"event": ""}')):
        answer = await door.client.post("/v1/track", content=body, headers=headers | {"Origin": SHOP})
        assert answer.status_code in (400, 401, 422)
        assert answer.headers["access-control-allow-origin"] == "*"
    await door.database.pool.close()
    door.wire.away = True
    away = await door.post(door.event(user_id="1"), headers=KEY | {"Origin": SHOP})
    assert (away.status_code, away.headers["access-control-allow-origin"]) == (503, "*")
    assert "Retry-After" in away.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ("https://shop.example, https://other.example/", SHOP, SHOP),
        ("https://shop.example, https://other.example/", "https://other.example", "https://other.example"),
        ("https://shop.example", "https://shop.example.evil.example", None),
        ("", SHOP, None),
    ],
)
async def test_the_setting_names_who_may(door: Door, origins: str, origin: str, allowed: str | None) -> None:
    parts = make_parts(door.database, door.wire, door.clock)
    app = build("ingest", clock=door.clock, checks={})
    named = replace(parts, settings=parts.settings.model_copy(update={"cors_origins": origins}))
    routes.install(app, named, door.intake, lambda: 0, nothing)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://ingest") as client:
        before = await client.options("/v1/track", headers=asking(origin))
        call = {"event": "Signed In", "anonymousId": "b-1"}
        after = await client.post("/v1/track", json=call, headers=KEY | {"Origin": origin})
    assert after.status_code == 200
    assert before.headers.get("access-control-allow-origin") == allowed
    assert after.headers.get("access-control-allow-origin") == allowed
