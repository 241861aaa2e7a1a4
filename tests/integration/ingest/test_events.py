"""`POST /v1/events`: what is taken, what is refused, and in which form it goes on."""

import gzip
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from libs.contracts.contacts import ContactsTold
from libs.contracts.envelope import Envelope
from tests.integration.ingest.conftest import KEY, NOW, Door

ANNA = {"email": "Anna@Example.com"}
ONE = KEY | {"Content-Type": "application/cloudevents+json"}
PROBLEM = "application/problem+json"


async def test_an_event_is_accepted_and_published_in_canonical_form(door: Door) -> None:
    told = await door.take(door.event(**ANNA, phone="601 000 000", first_name="Anna"))
    assert told == {"accepted": 1, "duplicates": 0, "rejected": []}
    ((envelope, event),) = door.events()
    assert (envelope.shop, envelope.type, envelope.id) == ("demo", "cart.updated", "e-1")
    assert (envelope.source, envelope.time) == ("/shops/demo/web", datetime(2026, 3, 2, 10, 0, tzinfo=UTC))
    assert event.received_at == NOW
    cart = {"id": "c-1", "value": "249.00"}
    assert event.data == {"cart": cart, "first_name": "Anna", "timezone_hint": "Europe/Warsaw"}
    (contacts,) = door.contacts()
    assert isinstance(contacts, ContactsTold)
    assert [(c.channel, c.address) for c in contacts.contacts] == [
        ("email", "anna@example.com"),
        ("sms", "+48601000000"),
    ]
    assert event.contacts_at == {"0": 0}
    assert contacts.profile == event.profile


async def test_consents_go_to_contacts_with_their_evidence_and_to_events_without(door: Door) -> None:
    consent = {"channel": "email", "purpose": "marketing", "status": "granted", "clause": "n-1", "how": "checkbox"}
    evidence = {"text": "I agree", "ip": "203.0.113.9", "user_agent": "Firefox"}
    await door.take(door.event("consent.changed", **ANNA, consents=[consent | evidence]))
    (contacts,) = door.contacts()
    assert isinstance(contacts, ContactsTold)
    (told,) = contacts.consents
    assert (told.text, told.ip, told.user_agent, told.status) == ("I agree", "203.0.113.9", "Firefox", "granted")
    ((_, event),) = door.events()
    assert event.data == {"consents": [consent]}
    assert all(b"203.0.113.9" not in one.value for one in door.wire.sent[1:])


async def test_addresses_leave_data_wherever_they_are(door: Door) -> None:
    order = {"id": "o", "email": "x@y.example", "billing": {"phone": "601000000", "city": "Łódź"}}
    await door.take(door.event("order.placed", **ANNA, order=order, people=[{"email": "z@y.example", "n": 1}]))
    ((_, event),) = door.events()
    assert event.data == {"order": {"id": "o", "billing": {"city": "Łódź"}}, "people": [{"n": 1}]}


async def test_amounts_keep_their_digits(door: Door) -> None:
    raw = json.dumps(door.event(**ANNA, cart={"id": 7, "value": "VALUE", "items": [{"price": "PRICE"}]}, ratio="RATIO"))
    for name, text in (("VALUE", "1234567890123.10"), ("PRICE", "1.10"), ("RATIO", "0.1000000000000000055")):
        raw = raw.replace(f'"{name}"', text)
    answer = await door.client.post("/v1/events", content=raw, headers=ONE)
    assert answer.status_code == 202, answer.text
    value = door.wire.sent[-1].value
    assert b'"id":"7","value":"1234567890123.10","items":[{"price":"1.10"}]' in value
    assert b'"ratio":0.1000000000000000055' in value


async def test_repeats_are_duplicates_in_one_request_and_over_two(door: Door) -> None:
    event = door.event(**ANNA)
    assert (await door.take(event, event, event))["duplicates"] == 2
    assert await door.take(event) == {"accepted": 0, "duplicates": 1, "rejected": []}
    other = event | {"source": "/shops/demo/pos/1"}
    assert (await door.take(other))["accepted"] == 1, "source and id together are the identity"
    assert len(door.events()) == 2


async def test_in_a_batch_the_good_are_accepted_and_the_bad_listed(door: Door) -> None:
    bad = door.event(**ANNA, cart={"id": "c", "value": "a lot"})
    answer = await door.post(door.event(**ANNA), bad, 5, door.event(**ANNA))
    assert answer.status_code == 202
    told = answer.json()
    assert (told["accepted"], told["duplicates"]) == (2, 0)
    assert [(row["index"], row["field"]) for row in told["rejected"]] == [(1, "data.cart.value"), (2, "event")]
    assert told["rejected"][0]["error"].startswith("data.cart.value: ")


async def test_a_batch_of_bad_ones_is_422_with_the_list(door: Door) -> None:
    answer = await door.post(door.event(), {"specversion": "0.3"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert [row["field"] for row in answer.json()["rejected"]] == ["data", "specversion"]


async def test_an_empty_batch_is_nothing(door: Door) -> None:
    assert await door.take() == {"accepted": 0, "duplicates": 0, "rejected": []}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "id"),
        ({"id": 5}, "id"),
        ({"id": "x" * 257}, "id"),
        ({"id": "a\r\nX-Injected: 1"}, "id"),
        ({"source": None}, "source"),
        ({"source": "/shops/other/web"}, "source"),
        ({"source": "/shops/other"}, "source"),
        ({"type": "cart.exploded"}, "type"),
        ({"type": "message.opened"}, "type"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2026-03-02T10:00:00"}, "time"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "time"),
        ({"time": "9999-12-31T23:59:59-12:00"}, "time"),
        ({"time": 5}, "time"),
        ({"data": None}, "data"),
        ({"data": []}, "data"),
        ({"data": {"cart": {"id": "c"}}}, "data"),
        ({"data": {"email": "anna", "cart": {"id": "c"}}}, "data.email"),
        ({"data": {"phone": "call me", "cart": {"id": "c"}}}, "data.phone"),
        ({"data": {"user_id": "4", "cart": {"id": "c", "value": {}}}}, "data.cart.value"),
        ({"data": {"user_id": "4", "cart": {"id": "c"}, "note": "a\0b"}}, "data.note"),
        ({"data": {"user_id": "4", "cart": {"id": "c"}, "big": 2**64}}, "data.big"),
        ({"data": {"user_id": "4", "cart": {"id": "c"}, "note": "x" * 200_001}}, "data"),
        ({"datacontenttype": "text/xml"}, "datacontenttype"),
    ],
)
async def test_a_single_bad_event_is_422_and_names_the_field(door: Door, change: dict[str, Any], field: str) -> None:
    event = {name: value for name, value in (door.event(**ANNA) | change).items() if value is not None}
    answer = await door.client.post("/v1/events", json=event, headers=KEY)
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM), answer.text
    assert answer.json()["field"] == field
    assert answer.json()["detail"].startswith(f"{field}: ")
    assert door.wire.sent == []


async def test_the_answer_about_a_bad_address_does_not_repeat_it(door: Door) -> None:
    answer = await door.post(door.event(email="anna.nowak@"))
    assert "nowak" not in answer.text


@pytest.mark.parametrize("mode", ["binary", "structured"])
async def test_the_sdk_of_cloudevents_works_unmodified(door: Door, mode: str) -> None:
    attributes = {"id": "zażółć 1", "source": "/shops/demo/web", "type": "cart.updated", "subject": "Zażółć"}
    event = CloudEvent(attributes | {"specversion": "1.0"}, {"user_id": "42", "cart": {"id": "c"}})
    from cloudevents.core.formats.json import JSONFormat

    message = (to_binary_event if mode == "binary" else to_structured_event)(event, JSONFormat())
    answer = await door.client.post("/v1/events", content=message.body, headers=dict(message.headers) | KEY)
    assert answer.status_code == 202, answer.text
    assert door.events()[0][0].id == "zażółć 1"


async def test_binary_mode_and_a_clock_ahead_of_ours(door: Door) -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "b-1",
        "ce-source": "/shops/demo/web",
        "ce-type": "custom.x",
        "ce-time": "2026-03-02T14:00:00+01:00",
        "content-type": "application/json",
    }
    await door.client.post("/v1/events", content=b'{"user_id": "42"}', headers=headers | KEY)
    ahead = headers | {"ce-id": "b-2", "ce-time": "2030-01-01T00:00:00Z"}
    await door.client.post("/v1/events", content=b'{"user_id": "42"}', headers=ahead | KEY)
    assert [envelope.time for envelope, _ in door.events()] == [datetime(2026, 3, 2, 13, 0, tzinfo=UTC), NOW]
    answer = await door.client.post("/v1/events", content=b"{}", headers=headers | KEY | {"ce-id": "%ff"})
    assert answer.status_code == 400


async def test_half_an_emoji_costs_that_character_alone(door: Door) -> None:
    good, cut = door.event("custom.x", id="good", **ANNA), door.event("custom.x", id="cut", **ANNA, note="cut \ud83d")
    headers = KEY | {"Content-Type": "application/cloudevents-batch+json"}
    answer = await door.client.post("/v1/events", content=json.dumps([good, cut]), headers=headers)
    assert answer.json() == {"accepted": 2, "duplicates": 0, "rejected": []}
    assert [event.data.get("note") for _, event in door.events()] == [None, "cut \ufffd"]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"", {}, 400),
        (b'"\xff"', {}, 400),
        (b"[" * 100_000, {}, 400),
        (b'{"a": NaN}', {}, 400),
        (b"5", {}, 422),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"Content-Type": "application/cloudevents+avro"}, 415),
        (b"{}", {"Content-Type": "application/json; charset=utf-16"}, 415),
        (b"{}", {"Content-Encoding": "br"}, 415),
        (b"{}", {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"{}")[:-9], {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b" " * 5_000_001), {"Content-Encoding": "gzip"}, 413),
        (b" " * 5_000_001, {}, 413),
        (b"[" + b"5," * 2_500 + b"5]", {}, 413),
    ],
)
async def test_bodies_that_are_no_events(door: Door, content: bytes, headers: dict[str, str], status: int) -> None:
    answer = await door.client.post("/v1/events", content=content, headers=ONE | headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text


async def test_a_body_that_lies_about_its_length(door: Door) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 100_000

    answer = await door.client.post("/v1/events", content=endless(), headers=ONE)
    assert answer.status_code == 413
    assert sent < 60
    huge = ONE | {"Content-Length": "9" * 30}
    assert (await door.client.post("/v1/events", content=b"{}", headers=huge)).status_code == 413


async def test_gzip_in_several_members(door: Door) -> None:
    text = json.dumps(door.event(**ANNA)).encode()
    body = gzip.compress(text[:50]) + gzip.compress(text[50:])
    answer = await door.client.post("/v1/events", content=body, headers=ONE | {"Content-Encoding": "gzip"})
    assert answer.status_code == 202, answer.text


async def test_keys(door: Door) -> None:
    event = door.event(**ANNA)
    assert (await door.post(event, headers={})).status_code == 401
    assert (await door.post(event, headers={"Authorization": "Bearer nonsense"})).status_code == 401
    basic = {"Authorization": "Basic a3VyYW50LWRlbW8ta2V5Og=="}
    assert (await door.post(event, headers=basic)).status_code == 202
    assert (await door.post(event, params={"shop": "other"})).status_code == 403
    service = {"Authorization": f"Bearer {door.intake.secrets.service_key()}"}
    assert (await door.post(event, headers=service)).status_code == 422
    assert (await door.post(event, headers=service, params={"shop": "a/b"})).status_code == 422


async def test_the_trace_of_the_request_goes_on(door: Door) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await door.post(door.event(**ANNA), headers=KEY | {"traceparent": parent})
    assert {Envelope.read(one.headers).traceparent for one in door.wire.sent} == {parent}


async def test_schemas(door: Door) -> None:
    listed = (await door.client.get("/v1/schemas")).json()["types"]
    assert {"type": "cart.updated", "schema": "/v1/schemas/cart.updated"} in listed
    for row in listed:
        answer = await door.client.get(row["schema"])
        assert answer.json()["$schema"].startswith("https://json-schema.org/")
    assert (await door.client.get("/v1/schemas/cart.exploded")).status_code == 404


async def test_metrics_have_bounded_labels(door: Door) -> None:
    await door.post(door.event("custom.some_" + "x" * 50, user_id="1"), door.event("nonsense-type", user_id="1"))
    page = (await door.client.get("/metrics")).text
    assert 'kurant_events_received_total{outcome="accepted",source="http",type="custom"}' in page
    assert 'kurant_events_received_total{outcome="rejected",source="http",type="other"}' in page
    assert "nonsense-type" not in page


@pytest.mark.parametrize("asked", [{}, {"email": 5}, {"email": "x"}, {"profile": "x"}, {"user_id": True}])
async def test_questions_that_cannot_be_answered(door: Door, asked: dict[str, Any]) -> None:
    answer = await door.client.post("/v1/profiles/resolve", json={"shop": "demo"} | asked, headers=KEY)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("type", "data", "hint"),
    [
        ("cart.updated", {"phone": "+1 212 555 0123"}, "America/New_York"),
        ("profile.updated", {"country": "US", "postal_code": "94105"}, "America/Los_Angeles"),
        ("profile.updated", {"phone": "601000000", "country": "US", "postal_code": "94105"}, "Europe/Warsaw"),
        ("profile.updated", {"country": "US"}, None),
        ("custom.store_visited", {"country": "DE"}, None),
        ("profile.updated", {"country": "DE", "timezone_hint": "Europe/Paris"}, "Europe/Paris"),
        ("profile.logged_in", {}, None),
    ],
)
async def test_where_a_customer_lives_is_guessed_from_what_is_certain(
    door: Door, type: str, data: dict[str, Any], hint: str | None
) -> None:
    """The place that a custom event names need not be the customer's."""
    await door.take(door.event(type, user_id="1", **data))
    assert door.events()[-1][1].data.get("timezone_hint") == hint
