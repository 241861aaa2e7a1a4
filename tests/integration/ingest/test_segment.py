"""The Segment API, with Segment's own client library against a running server."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn
from segment.analytics.client import Client

from libs.contracts.contacts import ContactsTold
from tests.integration.ingest.conftest import KEY, NOW, Door

BASIC = {"Authorization": "Basic a3VyYW50LWRlbW8ta2V5Og=="}


async def call(door: Door, kind: str, **body: Any) -> httpx.Response:
    return await door.client.post(f"/v1/{kind}", json=body, headers=BASIC)


@pytest.fixture
async def host(door: Door) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(door.app, port=0, log_config=None, lifespan="off"))
    serving = asyncio.ensure_future(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.mark.parametrize("gzip", [False, True])
async def test_the_client_library_works_unmodified(door: Door, host: str, gzip: bool) -> None:
    failed: list[object] = []

    def work() -> None:
        client = Client("kurant-demo-key", host=host, gzip=gzip, on_error=lambda error, _items: failed.append(error))
        traits = {"email": "anna@example.com", "firstName": "Anna"}
        client.identify("42", traits)
        client.track("42", "Order Completed", {"order_id": "o-1", "total": 12.5, "products": [{"product_id": "s"}]})
        client.page("42", "Shop", "Home")
        client.group("42", "wholesale")
        client.alias("old-anonymous", "42")
        client.screen("42", "App", "Home")
        client.shutdown()

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        await asyncio.sleep(0.02)
    assert failed == []
    events = door.events()
    assert [envelope.type for envelope, _ in events] == [
        "profile.updated",
        "order.placed",
        "custom.page_viewed",
        "profile.updated",
        "custom.aliased",
        "custom.screen_viewed",
    ]
    assert len({event.profile for _, event in events}) == 1
    assert events[0][1].data["first_name"] == "Anna"
    assert events[1][1].data["order"]["value"] == "12.5"
    assert all(abs((envelope.time - NOW).total_seconds()) < 60 for envelope, _ in events), "by our clock"
    (told,) = [one for one in door.contacts() if isinstance(one, ContactsTold)][:1]
    assert told.contacts[0].address == "anna@example.com"


async def test_single_calls_answer_as_segment_does(door: Door) -> None:
    answer = await call(door, "identify", userId="42", traits={"email": "anna@example.com"})
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert (await call(door, "track", userId="42")).status_code == 422
    assert (await call(door, "track", event="x")).status_code == 422, "no identifier"
    assert (await call(door, "identify", userId="42", traits={"email": "anna"})).json()["field"] == "data.email"
    assert (await call(door, "nothing", userId="42")).status_code == 404
    for content in (b"{", b"[]", b"5", b'"x"', b"\xff"):
        assert (await door.client.post("/v1/track", content=content, headers=BASIC)).status_code == 400


async def test_a_batch_keeps_the_good_calls(door: Door) -> None:
    calls = [
        {"type": "track", "event": "x", "userId": "42", "messageId": "m-1"},
        {"type": "track", "userId": "42"},
        "nonsense",
        {"type": "identify", "userId": "42", "traits": {"email": "anna"}},
        {"type": "track", "event": "x", "userId": "42", "messageId": "m-1"},
        {"type": "track", "event": "y", "anonymousId": "a", "userId": None},
    ]
    answer = await call(door, "batch", batch=calls)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert [envelope.type for envelope, _ in door.events()] == ["custom.x", "custom.y"]
    page = (await door.client.get("/metrics")).text
    assert 'outcome="rejected",source="segment"' in page
    for broken in ({}, {"batch": None}, {"batch": {}}):
        assert (await call(door, "batch", **broken)).status_code == 422
    assert (await call(door, "import", batch=[])).status_code == 200


async def test_the_write_key_may_be_in_the_body(door: Door) -> None:
    body = {"writeKey": "kurant-demo-key", "userId": "42", "event": "x", "type": "track"}
    assert (await door.client.post("/v1/t", json=body)).status_code == 200
    assert (await door.client.post("/v1/track", json=body | {"writeKey": "other"})).status_code == 401
    assert (await door.client.post("/v1/track", json=body | {"writeKey": None})).status_code == 401
    assert (
        await door.client.post("/v1/batch", json={"batch": [body], "writeKey": "kurant-demo-key"})
    ).status_code == 200


async def test_alias_joins_an_old_account_with_the_new(door: Door) -> None:
    old, new = await door.say(user_id="old"), await door.say(user_id="new")
    assert old != new
    await call(door, "alias", previousId="old", userId="new")
    assert await door.resolve(user_id="old") == new
    assert door.merges() == [(old, new)]


async def test_a_repeated_message_is_one_event(door: Door) -> None:
    for _ in range(2):
        await call(door, "track", event="x", userId="42", messageId="m-1")
    assert len(door.events()) == 1
    answer = await door.client.get("/v1/status", headers=KEY)
    assert answer.json() == {"spilled": 0}, "the lag is of all shops"


async def test_a_total_that_javascript_has_added_up_is_an_order(door: Door) -> None:
    properties = {"order_id": "o", "total": 3 * 33.1, "currency": "pln"}
    order = {"type": "track", "event": "Order Completed", "userId": "42", "properties": properties}
    await call(door, "batch", batch=[order])
    ((envelope, event),) = door.events()
    assert (envelope.type, event.data["order"]) == ("order.placed", {"id": "o", "value": "99.3", "currency": "PLN"})


async def test_half_an_emoji_costs_that_character_alone(door: Door) -> None:
    call_ = {"type": "track", "event": "x", "userId": "42"}
    calls = [call_ | {"messageId": "a"}, call_ | {"properties": {"note": "cut \ud83d"}}]
    answer = await door.client.post("/v1/batch", content=json.dumps({"batch": calls}), headers=BASIC)
    assert answer.json() == {"success": True}
    assert [event.data.get("note") for _, event in door.events()] == [None, "cut \ufffd"]
