"""Calls of the Segment API in our words."""

import copy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from libs.contracts import event_types
from libs.domain.intake import Invalid, segment
from libs.domain.intake.ecommerce import worth

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SOFA = {"product_id": "sofa-1", "name": "Sofa", "price": "249.00", "quantity": 2, "image_url": "https://x.example/i"}
ITEM = {"product_id": "sofa-1", "name": "Sofa", "price": "249.00", "quantity": 2, "image": "https://x.example/i"}


def told(**call: Any) -> tuple[str, dict[str, Any]]:
    found = segment.event({"messageId": "m", "userId": "42"} | call, "demo", NOW)
    data = dict(found["data"])
    assert data.pop("user_id") == "42"
    shape = event_types.shape(found["type"])
    assert shape is not None
    event_types.check(shape, data)
    return found["type"], data


def tracked(event: str, **properties: Any) -> tuple[str, dict[str, Any]]:
    return told(type="track", event=event, properties=properties)


def test_identify_is_a_profile_update_in_our_words() -> None:
    traits = {"firstName": "Anna", "lastName": "Nowak", "email": "anna@example.com", "birthday": "1990-03-09T00:00:00Z"}
    context = {"locale": "pl-PL", "timezone": "Europe/Warsaw"}
    kind, data = told(type="identify", traits=traits | {"address": {"postalCode": "00-001"}}, context=context)
    assert kind == "profile.updated"
    assert data == {
        "first_name": "Anna",
        "last_name": "Nowak",
        "email": "anna@example.com",
        "birthday": "1990-03-09",
        "address": {"postal_code": "00-001"},
        "postal_code": "00-001",
        "language": "pl-PL",
        "timezone": "Europe/Warsaw",
    }


def test_a_browser_with_an_odd_zone_is_no_reason_to_refuse() -> None:
    _, data = told(type="identify", context={"timezone": "Etc/Unknown", "locale": "?"})
    assert data == {}


@pytest.mark.parametrize("name", ["Order Completed", "order completed", "orderCompleted", "order_completed"])
def test_order_completed_however_it_is_written(name: str) -> None:
    total = Decimal("12.50")
    kind, data = tracked(name, order_id="o-1", total=total, currency="PLN", products=[SOFA], affiliation="web")
    order = {"id": "o-1", "value": total, "currency": "PLN", "items": [ITEM]}
    assert (kind, data) == ("order.placed", {"order": order, "affiliation": "web"})


@pytest.mark.parametrize(
    ("name", "properties", "kind", "data"),
    [
        ("Product Viewed", SOFA, "product.viewed", {"product": ITEM}),
        ("Product Added to Wishlist", SOFA, "wishlist.added", {"product": ITEM}),
        ("Order Cancelled", {"order_id": 1}, "order.cancelled", {"order": {"id": 1}}),
        ("Order Refunded", {"order_id": "1"}, "order.returned", {"order": {"id": "1"}}),
        ("Signed Up", {"plan": "x"}, "profile.registered", {"plan": "x"}),
        ("Signed In", {}, "profile.logged_in", {}),
        ("Product Added", SOFA | {"cart_id": "c"}, "cart.updated", {"cart": {"id": "c"}, "product": ITEM}),
        (
            "Cart Viewed",
            {"cart_id": "c", "products": [SOFA]},
            "cart.updated",
            {"cart": {"id": "c", "items": [ITEM], "value": "498.00"}},
        ),
        ("Cart Viewed", {"cart_id": "c", "products": []}, "cart.cleared", {"cart": {"id": "c", "items": []}}),
        ("Checkout Started", {"cart_id": "c"}, "checkout.started", {"cart": {"id": "c"}}),
        ("cart.updated", {"cart": {"id": "c"}}, "cart.updated", {"cart": {"id": "c"}}),
        ("custom.thing", {"a": 1}, "custom.thing", {"a": 1}),
        ("Sofa Sat Upon!", {"Times": 3}, "custom.sofa_sat_upon", {"Times": 3}),
    ],
)
def test_what_a_shop_tracks(name: str, properties: dict[str, Any], kind: str, data: dict[str, Any]) -> None:
    assert tracked(name, **properties) == (kind, data)


@pytest.mark.parametrize("name", ["Order Completed", "Product Viewed", "Product Added", "Order Updated", "Cart Viewed"])
def test_what_cannot_be_said_truthfully_stays_custom(name: str) -> None:
    kind, data = tracked(name, coupon="X")
    assert (kind, data) == (f"custom.{segment.snake(name)}", {"coupon": "X"})


def test_a_cart_whose_prices_are_not_all_told_has_no_value() -> None:
    _, data = tracked("Cart Viewed", cart_id="c", products=[SOFA, {"product_id": "x"}])
    assert "value" not in data["cart"]


def test_sums_of_binary_floats_are_amounts() -> None:
    line = SOFA | {"price": Decimal("33.100000000000001"), "quantity": 3}
    _, data = tracked("Cart Viewed", cart_id="c", products=[line])
    assert data["cart"]["value"] == "99.3"
    assert worth([{"price": "1e-999999999999999999"}]) == "0"


@pytest.mark.parametrize(
    ("event", "properties", "part"),
    [
        ("Order Completed", {"order_id": "o", "currency": "pln"}, "order"),
        ("Cart Viewed", {"cart_id": "c", "currency": " Pln"}, "cart"),
        ("order.placed", {"order": {"id": "o", "currency": "pln"}}, "order"),
    ],
)
def test_a_currency_is_put_in_capitals(event: str, properties: dict[str, Any], part: str) -> None:
    sent = copy.deepcopy(properties)
    _, data = tracked(event, **properties)
    assert data[part]["currency"] == "PLN"
    assert properties == sent


def test_page_group_and_alias() -> None:
    kind, data = told(type="page", name="Home", properties={"a": 1}, context={"page": {"url": "https://x.example"}})
    assert (kind, data) == ("custom.page_viewed", {"name": "Home", "a": 1, "url": "https://x.example"})
    assert told(type="screen", name="Home")[0] == "custom.screen_viewed"
    assert told(type="group", groupId="wholesale") == ("profile.updated", {"groups": ["wholesale"]})
    assert told(type="alias", previousId="anon") == (segment.ALIASED, {"previous_id": "anon"})


@pytest.mark.parametrize(
    ("call", "happened"),
    [
        ({}, "2026-03-02T12:00:00+00:00"),
        ({"timestamp": "2026-03-01T10:00:00Z"}, "2026-03-01T10:00:00+00:00"),
        ({"timestamp": "2026-03-02T14:00:00Z", "sentAt": "2026-03-02T14:00:10Z"}, "2026-03-02T11:59:50+00:00"),
        ({"timestamp": "2026-03-02T14:00:20Z", "sentAt": "2026-03-02T14:00:10Z"}, "2026-03-02T12:00:00+00:00"),
        ({"timestamp": "2026-03-02T11:00:00Z", "sentAt": "2026-11-24T20:00:00Z"}, "2026-03-02T11:00:00+00:00"),
        ({"timestamp": "2026-11-24T19:59:50Z", "sentAt": "2026-11-24T20:00:00Z"}, "2026-03-02T11:59:50+00:00"),
        ({"timestamp": "2025-03-02T12:00:00Z", "sentAt": "2026-03-02T12:00:10Z"}, "2025-03-02T11:59:50+00:00"),
        (
            {"originalTimestamp": "2026-03-02T09:00:00Z", "timestamp": "2020-01-01T00:00:00Z"},
            "2026-03-02T09:00:00+00:00",
        ),
    ],
)
def test_time_by_our_clock(call: dict[str, Any], happened: str) -> None:
    assert segment.happened(call, NOW) == happened


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ({"type": "delete"}, "type"),
        ({"type": "track"}, "event"),
        ({"type": "track", "event": "!"}, "event"),
        ({"type": "track", "event": "x", "properties": []}, "properties"),
        ({"type": "identify", "traits": "x"}, "traits"),
        ({"type": "identify", "context": 1}, "context"),
        ({"type": "identify", "timestamp": "yesterday"}, "timestamp"),
        ({"type": "identify", "timestamp": "2026-03-02T10:00:00"}, "timestamp"),
        ({"type": "identify", "sentAt": 5, "timestamp": "2026-03-02T10:00:00Z"}, "sentAt"),
        ({"type": "identify", "timestamp": "0001-01-01T00:00:00Z", "sentAt": "9999-01-01T00:00:00Z"}, "timestamp"),
        ({"type": "group"}, "groupId"),
        ({"type": "alias"}, "previousId"),
    ],
)
def test_what_cannot_be_used_names_its_field(call: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as error:
        segment.event({"userId": "42"} | call, "demo", NOW)
    assert error.value.field == field


def test_a_call_without_an_id_has_one_by_its_content() -> None:
    call = {"type": "track", "event": "x", "userId": "42", "timestamp": "2026-03-02T10:00:00Z"}
    first, again = (segment.event(call | {"sentAt": sent}, "demo", NOW) for sent in (None, "2026-03-02T10:00:01Z"))
    assert first["id"] == again["id"]
    assert segment.event(call | {"userId": "43"}, "demo", NOW)["id"] != first["id"]


@pytest.mark.parametrize("name", ["timestamp", "originalTimestamp", "sentAt"])
def test_a_call_without_an_id_is_another_at_another_time(name: str) -> None:
    call = {"type": "track", "event": "x", "userId": "42"}
    times = ("2026-03-02T10:00:00Z", "2026-03-02T10:00:00Z", "2026-03-02T10:00:01Z", None)
    first, again, later, undated = (segment.event(call | {name: told}, "demo", NOW)["id"] for told in times)
    assert first == again
    assert len({first, later, undated}) == 3
