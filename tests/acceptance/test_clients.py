"""Client libraries as they are: Segment for Python, the CloudEvents SDK, a plain Kafka producer, a file."""

import base64
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from cloudevents.core.bindings import http as core_http
from cloudevents.core.bindings import kafka as core_kafka
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent as CoreEvent
from cloudevents.v1.conversion import to_binary, to_structured
from cloudevents.v1.http import CloudEvent
from segment.analytics.client import Client  # type: ignore[import-untyped]

from libs.common.http.auth import DEMO_KEY
from tests.acceptance.stories import CART, HOUR
from tests.support.running import Running, eventually, kurant
from tests.support.shop import Customer, event, stamp, visit


def greeted(platform: Running, customer: Customer, times: int = 1) -> None:
    """The customer's greeting has come: the event went all the way."""
    mails = platform.await_mails(customer.email, times)
    assert [mail["subject"] for mail in mails] == [f"Hello {customer.first_name}"] * times


def introduced(platform: Running, name: str) -> Customer:
    """A customer with consent, told a platform hour ago."""
    customer = Customer(visit(name))
    now = platform.now()
    platform.tell(customer.known(now - HOUR), customer.consent(now - HOUR))
    return customer


def in_timeline(platform: Running, email: str) -> list[str]:
    profile = platform.explain(email)["profile"]
    if profile is None:
        return []
    return [one["type"] for one in platform.ask(f"/v1/profiles/{profile}/timeline", shop="demo")["events"]]


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """`requests`, on which the Segment library stands, would ask a proxy of the environment."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.mark.usefixtures("direct")
@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
def test_segment_for_python(platform: Running, gzip: bool) -> None:
    errors: list[Any] = []
    client = Client(DEMO_KEY, host=platform.url("ingest"), gzip=gzip, on_error=lambda *e: errors.append(e))
    customer = Customer(visit("segment"))
    user, now = f"u-{customer.name}", platform.now()
    client.identify(user, {"email": customer.email, "first_name": customer.first_name}, timestamp=now)
    client.alias(f"browser-{customer.name}", user, timestamp=now)
    client.track(user, "custom.hello", {"page": "home"}, timestamp=now)
    client.track(user, "Order Completed", _order(customer), timestamp=now)
    client.page(user, "shop", "Sofas", {"url": "https://demo.example/sofas"}, timestamp=now)
    client.screen(user, "app", "Sofas", {"width": 300}, timestamp=now)
    client.group(user, "wholesale", {"name": "Wholesale"}, timestamp=now)
    client.flush()
    client.join()
    assert errors == []
    eventually(
        lambda: {"custom.hello", "order.placed"} <= set(in_timeline(platform, customer.email)),
        20,
        "the tracked events arrive",
    )


@pytest.mark.usefixtures("direct")
def test_segment_with_times_of_the_platform(platform: Running) -> None:
    """`timestamp` is the caller's, `sentAt` the machine's: the cart was left now, not months ago."""
    customer = introduced(platform, "timed")
    client = Client(DEMO_KEY, host=platform.url("ingest"), sync_mode=True)
    now = platform.now()
    client.track(f"u-{customer.name}", "cart.updated", {"cart": customer.cart(now)["data"]["cart"]}, timestamp=now)
    one = eventually(lambda: platform.enrolments(customer.email, CART), 20, "the cart is known")[0]
    assert abs(datetime.fromisoformat(one["entered_at"]) - now) < HOUR
    (mail, *_) = platform.await_mails(customer.email, 1)
    assert "Sofa Oslo" in mail["html"]


def _order(customer: Customer) -> dict[str, Any]:
    """The properties of `Order Completed`, as Segment's e-commerce specification names them."""
    product = {"product_id": "sofa-1", "name": "Sofa Oslo", "price": 249, "quantity": 1}
    return {"order_id": f"o-{customer.name}", "total": 249.0, "currency": "PLN", "products": [product]}


@pytest.mark.usefixtures("direct")
def test_segment_with_the_times_that_it_makes_itself(platform: Running) -> None:
    """The library stamps events with the machine's clock, which here is not the platform's."""
    customer = introduced(platform, "stamped")
    client = Client(DEMO_KEY, host=platform.url("ingest"), sync_mode=True)
    client.identify(f"u-{customer.name}", {"first_name": customer.first_name})
    client.track(f"u-{customer.name}", "custom.hello")
    greeted(platform, customer)


@pytest.mark.usefixtures("direct")
def test_segment_joins_the_anonymous_with_the_known(platform: Running) -> None:
    """A cart left before the login counts for the customer who logs in."""
    customer = introduced(platform, "joined")
    now = platform.now()
    cart = customer.cart(now, anonymous_id=f"browser-{customer.name}")
    platform.tell(cart)
    client = Client(DEMO_KEY, host=platform.url("ingest"), sync_mode=True)
    client.identify(f"u-{customer.name}", {}, anonymous_id=f"browser-{customer.name}", timestamp=now)
    (mail, *_) = platform.await_mails(customer.email, 1)
    assert "Sofa Oslo" in mail["html"]


def test_segment_refuses_an_unknown_key(platform: Running) -> None:
    answer = platform.http.post(f"{platform.url('ingest')}/v1/track", json={}, auth=("nobody", ""))
    assert answer.status_code == 401


@pytest.mark.parametrize("credential", ["bearer", "basic"])
@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_cloudevents_sdk(platform: Running, mode: str, credential: str) -> None:
    customer = introduced(platform, f"sdk-{mode}")
    attributes = {"type": "custom.hello", "source": "/shops/demo/web", "time": stamp(platform.now())}
    made = CloudEvent(attributes, customer.who)
    headers, body = (to_binary if mode == "binary" else to_structured)(made)
    answer = platform.http.post(
        f"{platform.url('ingest')}/v1/events", content=body, headers={**headers, **_authorization(credential)}
    )
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1), answer.text
    greeted(platform, customer)


def _authorization(kind: str) -> dict[str, str]:
    if kind == "bearer":
        return {"Authorization": f"Bearer {DEMO_KEY}"}
    return {"Authorization": "Basic " + base64.b64encode(f"{DEMO_KEY}:".encode()).decode()}


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_cloudevents_sdk_with_the_new_interface(platform: Running, mode: str) -> None:
    customer = introduced(platform, f"core-{mode}")
    message = getattr(core_http, f"to_{mode}")(_core(platform, customer), JSONFormat())
    answer = platform.http.post(
        f"{platform.url('ingest')}/v1/events",
        content=message.body,
        headers={**message.headers, **_authorization("bearer")},
    )
    assert answer.status_code == 202, answer.text
    greeted(platform, customer)


def _core(platform: Running, customer: Customer) -> CoreEvent:
    return CoreEvent(
        attributes={
            "specversion": "1.0",
            "id": visit("core"),
            "source": "/shops/demo/web",
            "type": "custom.hello",
            "time": platform.now(),
            "datacontenttype": "application/json",
        },
        data=customer.who,
    )


def test_cloudevents_batch(platform: Running) -> None:
    customer = introduced(platform, "batch")
    now = platform.now()
    twice = customer.custom("hello", now)
    answer = platform.post([twice, customer.custom("hello", now), twice])
    assert (answer.status_code, answer.json()["rejected"]) == (202, [])
    assert answer.json()["accepted"] + answer.json()["duplicates"] == 3
    again = platform.post([twice]).json()
    assert (again["accepted"], again["duplicates"]) == (0, 1)
    greeted(platform, customer, 2)


async def test_a_platform_that_writes_to_kafka_itself(platform: Running) -> None:
    """`kurant.inbox.v1`: structured mode, by hand and as the SDK makes it; what is broken is put aside."""
    by_hand, by_sdk = introduced(platform, "kafka"), introduced(platform, "kafka-sdk")
    message = core_kafka.to_structured(_core(platform, by_sdk), JSONFormat())
    structured = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
    hello = json.dumps(by_hand.custom("hello", platform.now()) | {"source": "/shops/demo/erp"}).encode()
    garbage = (b"", b"{", b"\xff\xfe\x00", b"[]", b"null", b'{"specversion":"1.0"}', b"[" * 50_000)
    producer = AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{platform.ports.kafka}")
    await producer.start()
    try:
        for value in garbage:
            await producer.send_and_wait("kurant.inbox.v1", value, headers=structured)
        await producer.send_and_wait("kurant.inbox.v1", None, key=b"k")
        await producer.send_and_wait("kurant.inbox.v1", hello, headers=structured)
        await producer.send_and_wait("kurant.inbox.v1", hello, headers=[])
        headers = [(name, value) for name, value in message.headers.items()]
        await producer.send_and_wait("kurant.inbox.v1", message.value, key=b"free", headers=headers)
    finally:
        await producer.stop()
    greeted(platform, by_hand)
    greeted(platform, by_sdk)
    metrics = platform.http.get(f"{platform.url('ingest')}/metrics").text
    counted = re.findall(r'^kurant_quarantined_total\{.*topic="kurant.inbox.v1"\} (\S+)$', metrics, re.MULTILINE)
    assert sum(map(float, counted)) == len(garbage) + 1, "the record without a value is garbage too"


def test_a_file_of_events(platform: Running, tmp_path: Path) -> None:
    customer = introduced(platform, "file")
    now = platform.now()
    broken = event("cart.updated", now, **customer.who, cart={"id": 7, "value": "much"})
    rows = [json.dumps(customer.custom("hello", now)), "", "no json", json.dumps(broken), '"text"']
    rows += [json.dumps(customer.custom("browsed", now, number=number)) for number in range(600)]
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(rows) + "\n")
    said = platform.cli("events", "send", str(file), "--json")
    assert said.code == 1
    assert said.json["accepted"] == 601
    assert [row["line"] for row in said.json["rejected"]] == [3, 4, 5]
    assert "cart" in said.json["rejected"][1]["error"]
    again = platform.cli("events", "send", str(file), "--json").json
    assert (again["accepted"], again["duplicates"]) == (0, 601)
    greeted(platform, customer)


def test_a_file_by_the_command_as_a_process(platform: Running, tmp_path: Path) -> None:
    customer = introduced(platform, "process")
    file = tmp_path / "events.jsonl"
    file.write_text(json.dumps(customer.custom("hello", platform.now())) + "\n")
    said = kurant("events", "send", str(file), KURANT_DATA=str(platform.data))
    assert (said.code, said.out) == (0, "1 accepted, 0 duplicates, 0 rejected\n")
    greeted(platform, customer)


@pytest.mark.parametrize("route", ["identify", "track", "batch"])
def test_segment_by_hand_answers_as_segment_does(platform: Running, route: str) -> None:
    customer = Customer(visit("by-hand"))
    one = {"type": "track", "userId": f"u-{customer.name}", "event": "custom.hello", "messageId": visit("m")}
    bodies: dict[str, dict[str, Any]] = {
        "identify": {"userId": f"u-{customer.name}", "traits": {"email": customer.email}},
        "track": one,
        "batch": {"batch": [one], "sentAt": stamp(platform.now())},
    }
    url = f"{platform.url('ingest')}/v1/{route}"
    answer = httpx.post(url, json=bodies[route], auth=(DEMO_KEY, ""), trust_env=False)
    assert (answer.status_code, answer.json()) == (200, {"success": True})


def test_an_event_without_time_happens_now(platform: Running) -> None:
    customer = introduced(platform, "timeless")
    told = customer.cart(platform.now())
    del told["time"]
    before = platform.now()
    assert platform.post_one(told).status_code == 202
    (one,) = eventually(lambda: platform.enrolments(customer.email, CART), 20, "the cart is known")
    assert before <= datetime.fromisoformat(one["entered_at"]) <= platform.now()
