"""The doors: clicks and openings of customers, and what other services ask."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from libs.common.errors import Unavailable
from tests.integration.dispatch.conftest import SECRETS, START, Bench, address, message_id, profile_id, request, until

TARGET = "https://demo.example/cart?a=1&b=2"


@pytest.fixture
async def http(bench: Bench) -> AsyncIterator[httpx.AsyncClient]:
    async with bench.http() as client:
        yield client


async def links(bench: Bench, name: str = "anna") -> tuple[str, str]:
    """The paths of the tracked link and of the pixel in the mail that was sent."""
    bench.start()
    await bench.consume(request(name))
    await bench.reaches(name, "sent")
    html = bench.mails.to(address(name))[0].part("html")
    assert "https://shop.example/u/token" in html.replace("&#x2f;", "/")
    click = re.search(r'href="https://go\.shop\.example(/r/[^"]+)"', html)
    pixel = re.search(r'src="https://go\.shop\.example(/o/[^"]+)"', html)
    assert click and pixel
    return click[1], pixel[1]


async def test_a_click_leads_to_its_target_and_is_told(bench: Bench, http: httpx.AsyncClient) -> None:
    click, _ = await links(bench)
    answer = await http.get(click)
    assert (answer.status_code, answer.headers["location"]) == (302, TARGET)
    await until(bench.wire.events)
    ((envelope, event),) = bench.wire.events()
    assert (envelope.type, envelope.shop, event.profile) == ("message.clicked", "demo", profile_id("anna"))
    told = {"message": message_id("anna"), "scenario": "abandoned-cart", "name": "first", "url": TARGET}
    assert event.data == told
    row = await bench.row("anna")
    assert (row["clicked_at"], row["opened_at"]) == (START, None)


async def test_an_opening_is_told(bench: Bench, http: httpx.AsyncClient) -> None:
    _, pixel = await links(bench)
    answer = await http.get(pixel)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/gif")
    assert answer.content.startswith(b"GIF89a")
    assert answer.headers["cache-control"] == "no-store"
    await until(bench.wire.events)
    ((envelope, event),) = bench.wire.events()
    assert envelope.type == "message.opened"
    assert event.data == {"message": message_id("anna"), "scenario": "abandoned-cart", "name": "first"}
    assert (await bench.row("anna"))["opened_at"] == START


async def test_a_second_look_in_the_same_minute_is_the_same_event(bench: Bench, http: httpx.AsyncClient) -> None:
    click, _ = await links(bench)
    for _ in range(3):
        await http.get(click)
    await bench.clock.move(timedelta(minutes=1))
    await http.get(click)
    await until(lambda: len({envelope.id for envelope, _ in bench.wire.events()}) == 2)
    assert (await bench.row("anna"))["clicked_at"] == START


@pytest.mark.parametrize(
    "headers", [{"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}, {"X-Purpose": "preview"}]
)
async def test_programs_that_look_ahead_count_nothing(
    bench: Bench, http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    click, pixel = await links(bench)
    assert (await http.get(click, headers=headers)).status_code == 302
    assert (await http.head(click)).status_code == 302
    assert (await http.head(pixel)).status_code == 200
    row = await bench.row("anna")
    assert (row["clicked_at"], row["opened_at"]) == (None, None)
    assert bench.wire.events() == []


@pytest.mark.parametrize(
    "token",
    [
        "nonsense",
        SECRETS.sign("open", message_id("anna")),
        SECRETS.sign("click", message_id("anna")),
        SECRETS.sign("click", ["no-uuid", TARGET]),
        SECRETS.sign("click", [message_id("anna"), "javascript:alert(1)"]),
        SECRETS.sign("click", [message_id("anna"), "//evil.example"]),
        SECRETS.sign("click", {"a": 1}),
        SECRETS.sign("unsubscribe", [message_id("anna"), TARGET]),
    ],
)
async def test_a_forged_link_leads_nowhere(http: httpx.AsyncClient, token: str) -> None:
    answer = await http.get(f"/r/{token}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "location" not in answer.headers


async def test_a_link_that_was_tampered_with_leads_nowhere(bench: Bench, http: httpx.AsyncClient) -> None:
    click, pixel = await links(bench)
    other = SECRETS.sign("click", [message_id("anna"), "https://evil.example/"]).split(".")[0]
    mixed = f"/r/{other}.{click.rpartition('.')[2]}"
    assert (await http.get(mixed)).status_code == 404
    assert (await http.get(pixel[:-1] + ("A" if pixel[-1] != "A" else "B"))).status_code == 404
    assert bench.wire.events() == []


async def test_kafka_away_the_customer_still_gets_there_and_it_is_told_later(
    bench: Bench, http: httpx.AsyncClient
) -> None:
    click, _ = await links(bench)
    await bench.reaches("anna", "sent", told=True)
    bench.wire.fails = Unavailable("kafka: away")
    assert (await http.get(click)).headers["location"] == TARGET
    bench.wire.fails = None
    await until(bench.wire.events)
    async with asyncio.timeout(10):  # published first, gone with the commit after it
        while await bench.execute("SELECT count(*) FROM dispatch.touch"):
            await asyncio.sleep(0.01)


async def test_the_database_away_the_customer_still_gets_there(bench: Bench, http: httpx.AsyncClient) -> None:
    click, pixel = await links(bench)
    await bench.end()
    await bench.parts.database.close()
    assert (await http.get(click)).headers["location"] == TARGET
    assert (await http.get(pixel)).status_code == 200


async def test_the_outbox_shows_what_was_promised_oldest_first(bench: Bench, http: httpx.AsyncClient) -> None:
    bench.permissions.set("ben", decision="deny", reason="no_consent")
    bench.start()
    await bench.consume(request("ben", requested_at=START - timedelta(hours=1)), request("anna"))
    await bench.consume(request("other"), shop="elsewhere")
    await bench.reaches("anna", "sent")
    await bench.reaches("ben", "suppressed")
    rows = (await http.get("/v1/outbox", params={"shop": "demo"})).json()
    assert [row["message_id"] for row in rows] == [message_id("ben"), message_id("anna")]
    start = START.isoformat().replace("+00:00", "Z")
    assert rows[1] == {
        "message_id": message_id("anna"),
        "shop": "demo",
        "profile": profile_id("anna"),
        "scenario": "abandoned-cart",
        "version": 1,
        "message": "first",
        "channel": "email",
        "gateway": "mail",
        "requested_at": start,
        "end": "sent",
        "reason": None,
        "ended_at": start,
        "until": None,
        "delivered_at": None,
        "opened_at": None,
        "clicked_at": None,
        "bounced_at": None,
    }
    assert (rows[0]["end"], rows[0]["reason"], rows[0]["channel"]) == ("suppressed", "no_consent", "email")


async def test_the_outbox_by_profile_channel_and_number(bench: Bench, http: httpx.AsyncClient) -> None:
    for number, name in enumerate(("a", "b", "c")):
        moment = START + timedelta(minutes=number)
        await bench.consume(request(name, requested_at=moment, channels=["sms"] if name == "c" else ["email"]))

    async def shown(**params: str) -> list[str]:
        answer = await http.get("/v1/outbox", params={"shop": "demo", **params})
        return [row["message_id"] for row in answer.json()]

    assert await shown(profile=profile_id("b")) == [message_id("b")]
    assert await shown(channel="sms") == [message_id("c")]
    assert await shown(limit="2") == [message_id("b"), message_id("c")]
    pending = (await http.get("/v1/outbox", params={"shop": "demo"})).json()
    assert {row["end"] for row in pending} == {"pending"}


async def test_who_may_ask(bench: Bench, http: httpx.AsyncClient) -> None:
    """I9: a key of one shop sees that shop alone; without a key nobody sees anything."""
    await bench.consume(request("other"), shop="elsewhere")
    demo = {"Authorization": "Bearer kurant-demo-key"}
    assert (await http.get("/v1/outbox", headers=demo)).json() == []
    assert (await http.get("/v1/outbox", params={"shop": "elsewhere"}, headers=demo)).status_code == 403
    assert (await http.get("/v1/outbox")).status_code == 422
    for path in ("/v1/outbox?shop=demo", "/v1/audit", "/v1/status"):
        assert (await http.get(path, headers={"Authorization": ""})).status_code == 401


async def test_the_key_of_a_shop_counts_its_own_messages_alone(bench: Bench, http: httpx.AsyncClient) -> None:
    """I9: also no lag, which is of all shops together."""
    await bench.consume(request("other"), request("another"), shop="elsewhere")
    await bench.consume(request("anna"))
    demo = {"Authorization": "Bearer kurant-demo-key"}
    ends = {"sent": 0, "suppressed": 0, "failed": 0, "expired": 0, "unknown": 0}
    assert (await http.get("/v1/audit", headers=demo)).json() == {"messages": ends | {"pending": 1}}
    assert (await http.get("/v1/status", headers=demo)).json() == {"pending": 1}
    assert (await http.get("/v1/audit")).json() == {"messages": ends | {"pending": 3}, "lag": 0}
    assert (await http.get("/v1/audit", params={"shop": "elsewhere"})).json()["messages"]["pending"] == 2
    assert (await http.get("/v1/status", params={"shop": "elsewhere"})).json() == {"pending": 2, "lag": 0}
    for path in ("/v1/audit", "/v1/status"):
        assert (await http.get(path, params={"shop": "elsewhere"}, headers=demo)).status_code == 403


async def test_status_and_reports(bench: Bench, http: httpx.AsyncClient) -> None:
    await bench.consume(request("anna"))
    assert (await http.get("/v1/status")).json() == {"lag": 0, "pending": 1}
    answer = await http.post("/v1/reports/mail", content=b"MsgId=1")
    assert answer.status_code == 404
    assert "no delivery reports" in answer.json()["detail"]
