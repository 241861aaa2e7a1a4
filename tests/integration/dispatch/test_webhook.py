"""`webhook` steps: a signed call instead of a message, without a question of consent, tried until it is too late."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from libs.contracts.messages import MessageRequested
from libs.domain import ids
from services.dispatch import store
from services.dispatch.channels import webhook
from tests.integration.dispatch.conftest import (
    SECRETS,
    START,
    Bench,
    address,
    message_id,
    profile_id,
    request,
)
from tests.support.receiver import DROP, HANG, Receiver, receiving


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


def call(who: str, url: str, data: Any = None, **changes: Any) -> MessageRequested:
    """What a webhook step of `who` asks for."""
    asked = {"url": url, "name": "crm"} | ({"data": data} if data is not None else {})
    context = {"profile": {"first_name": "Anna"}, "cart": {"value": "249.00"}, "event": {}, "key": "c-1"}
    return request(who, name="crm", channels=["webhook"], context=context | {"webhook": asked}, **changes)


async def test_a_call_is_signed_and_says_what_the_step_says(bench: Bench, receiver: Receiver) -> None:
    bench.start()
    data = {"name": "{{ profile.first_name }}", "cart": "{{ cart }}", "source": "kurant"}
    await bench.consume(call("anna", receiver.url, data))
    row = await bench.reaches("anna", "sent", channel="webhook", gateway="webhook", told=True)
    assert row["tries"] == 0
    (got,) = receiver.received
    assert (got.method, got.path) == ("POST", "/hook?x=1")
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert got.headers["content-type"] == "application/json"
    assert json.loads(got.body) == {
        "id": message_id("anna"),
        "type": "crm",
        "timestamp": START.isoformat(),
        "shop": "demo",
        "scenario": "abandoned-cart",
        "version": 1,
        "enrolment": ids.derive("enrolment", "anna"),
        "profile": profile_id("anna"),
        "key": "c-1",
        "data": {"name": "Anna", "cart": {"value": "249.00"}, "source": "kurant"},
    }
    async with bench.http() as http:
        secret = (await http.get("/v1/webhook-secret", params={"shop": "demo"})).json()["secret"]
    assert got.headers["webhook-id"] == message_id("anna")
    assert got.headers["webhook-timestamp"] == str(int(START.timestamp()))
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    mac = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256)
    assert got.headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
    (told,) = await bench.told("anna", "sent")
    assert (told.channel, told.gateway) == ("webhook", "webhook")


async def test_nobody_is_asked_for_permission_and_no_customer_hears(bench: Bench, receiver: Receiver) -> None:
    bench.permissions.away = True
    bench.start()
    await bench.consume(call("anna", receiver.url, purpose="marketing"))
    await bench.reaches("anna", "sent")
    assert bench.permissions.asked == []
    assert bench.mails.received == []


async def test_one_that_may_go_to_a_customer_too_is_a_message(bench: Bench, receiver: Receiver) -> None:
    """Consent is asked, about the mail alone, and no web address is called."""
    bench.permissions.set("anna", decision="deny", reason="no_consent")
    bench.start()
    asked = call("anna", receiver.url)
    for who, channels in (("anna", ["webhook", "email"]), ("ben", ["webhook", "webhook"])):
        changes = {"message": message_id(who), "profile": profile_id(who), "channels": channels, "name": "first"}
        await bench.consume(request(who, **changes, context=asked.context))
    await bench.reaches("anna", "suppressed", reason="no_consent")
    await bench.reaches("ben", "suppressed", reason="no_gateway")
    assert [one["channels"] for one in bench.permissions.asked] == [["email"]]
    assert receiver.received == []


@pytest.mark.parametrize("answer", [500, 503, 408, 429, 599])
async def test_not_now_is_tried_again_under_the_same_id(bench: Bench, receiver: Receiver, answer: int) -> None:
    receiver.answers = [answer]
    bench.start()
    await bench.consume(call("anna", receiver.url))
    row = await bench.reaches("anna", "pending", reason=f"webhook_{answer}", tries=1, told=True)
    assert row["not_before"] == START + timedelta(seconds=5)
    await bench.clock.move(timedelta(seconds=5))
    await bench.reaches("anna", "sent", told=True)
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) == int(first.headers["webhook-timestamp"]) + 5
    assert first.body == second.body
    await bench.told("anna", "deferred", "sent")


@pytest.mark.parametrize("answer", [301, 302, 307, 400, 401, 404, 410, 422])
async def test_no_is_no_and_redirects_are_not_followed(bench: Bench, receiver: Receiver, answer: int) -> None:
    async with receiving() as elsewhere:
        receiver.answers, receiver.location = [answer], elsewhere.url
        bench.start()
        await bench.consume(call("anna", receiver.url))
        await bench.reaches("anna", "failed", reason=f"webhook_{answer}", told=True)
        assert elsewhere.received == []
    assert len(receiver.received) == 1


async def test_trouble_is_tried_until_it_is_too_late(bench: Bench, receiver: Receiver) -> None:
    receiver.usual = 503
    bench.start()
    await bench.consume(call("anna", receiver.url, expires_at=START + timedelta(seconds=12)))
    await bench.reaches("anna", "pending", tries=1)
    await bench.clock.move(timedelta(seconds=5))
    await bench.reaches("anna", "pending", tries=2)
    await bench.clock.move(timedelta(seconds=8))
    await bench.reaches("anna", "expired", reason="webhook_503", told=True)
    assert len(receiver.received) == 2


async def test_a_connection_that_is_lost_is_tried_again(
    bench: Bench, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a mail nobody would know; whoever is called here knows a repeat by its id."""
    monkeypatch.setattr(webhook, "AWAY", (0.0,))
    receiver.answers = [DROP]
    bench.start()
    await bench.consume(call("anna", receiver.url))
    await bench.reaches("anna", "pending", reason="webhook_disconnected")
    await bench.clock.move(timedelta(seconds=5))
    assert (await bench.reaches("anna", "sent"))["tries"] == 1
    assert len(receiver.received) == 2


async def test_a_call_on_its_way_when_a_worker_died_is_made_again(bench: Bench, receiver: Receiver) -> None:
    await bench.consume(call("anna", receiver.url), request("ben"))
    database = bench.parts.database
    async with store.session(database, lambda _by: None) as session, database.connection() as connection:
        (hook,) = await store.claim(connection, session.worker, START, 5, "calls")
        (mail,) = await store.claim(connection, session.worker, START, 5, "messages")
        marks = [(hook.message, "webhook", "webhook", None), (mail.message, "email", "mail", None)]
        assert len(await store.mark_sending(connection, session.worker, marks)) == 2
    bench.start()
    await bench.reaches("anna", "sent", told=True)
    await bench.reaches("ben", "unknown", reason="worker_died")
    assert len(receiver.received) == 1


async def test_a_slow_web_address_holds_up_no_mail_and_no_other(
    bench: Bench, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More calls than there are slots hang; mails go on, and so does another host as soon as the first is known."""
    monkeypatch.setattr(webhook, "TIMEOUT", 1.0)
    bench.start()
    async with receiving() as slow:
        slow.usual = HANG
        await bench.consume(*(call(f"slow-{number}", slow.url) for number in range(150)))
        await bench.consume(request("ben"))
        await bench.reaches("ben", "sent")
        assert len(bench.mails.to(address("ben"))) == 1
        assert (await bench.row("slow-0"))["state"] != "sent"
        other = receiver.url.replace("127.0.0.1", "localhost")
        await bench.consume(call("anna", other))
        await bench.reaches("anna", "sent")
        await bench.reaches("slow-149", "pending", reason="webhook_timeout")
        assert len(slow.received) <= 2 * webhook.SIZE


async def test_a_paused_or_archived_scenario_calls_nobody(bench: Bench, receiver: Receiver) -> None:
    bench.set_state("paused")
    bench.start()
    await bench.consume(call("anna", receiver.url))
    await bench.reaches("anna", "pending", reason="paused")
    bench.set_state("archived")
    await bench.clock.move(timedelta(minutes=5))
    await bench.reaches("anna", "suppressed", reason="archived")
    assert receiver.received == []


@pytest.mark.parametrize(
    ("context", "reason"),
    [
        ({"webhook": {"url": "ftp://127.0.0.1/"}}, "webhook_bad_url"),
        ({"webhook": {"url": "http://"}}, "webhook_bad_url"),
        ({"webhook": {"url": "http://[::1"}}, "webhook_bad_url"),
        ({"webhook": {"url": 5}}, "webhook_bad_url"),
        ({"webhook": "http://x"}, "webhook_bad_url"),
        ({}, "webhook_bad_url"),
        ({"webhook": {"url": "http://127.0.0.1:9/", "data": "{{ x | nosuchfilter }}"}}, "template_error"),
        ({"webhook": {"url": "http://127.0.0.1:9/", "data": "x" * 300_000}}, "webhook_too_large"),
    ],
)
async def test_what_can_never_be_called_has_failed(bench: Bench, context: dict[str, Any], reason: str) -> None:
    bench.start()
    await bench.consume(request("anna", channels=["webhook"], context=context))
    await bench.reaches("anna", "failed", reason=reason, told=True)


async def test_the_outbox_shows_calls_and_the_secret_is_for_admins_of_the_shop(bench: Bench) -> None:
    await bench.consume(call("anna", "http://127.0.0.1:9/"), request("ben"))
    async with bench.http() as http:
        rows = (await http.get("/v1/outbox", params={"shop": "demo", "channel": "webhook"})).json()
        assert [(row["message"], row["channel"], row["end"]) for row in rows] == [("crm", "webhook", "pending")]
        assert (await http.get("/v1/status")).json()["pending"] == 2
        told = await http.get("/v1/webhook-secret", params={"shop": "demo"})
        other = await http.get("/v1/webhook-secret", params={"shop": "other"})
        assert told.headers["cache-control"] == "no-store"
        assert told.json()["secret"] != other.json()["secret"]
        assert base64.b64decode(told.json()["secret"].removeprefix("whsec_")) == SECRETS.webhook_keys("demo")[0]
        demo = {"Authorization": "Bearer kurant-demo-key"}
        assert (await http.get("/v1/webhook-secret", headers=demo)).json() == told.json()
        assert (await http.get("/v1/webhook-secret", params={"shop": "other"}, headers=demo)).status_code == 403
        assert (await http.get("/v1/webhook-secret", headers={"Authorization": ""})).status_code == 401
