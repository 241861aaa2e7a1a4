"""The shapes of events: agreed with the vocabulary, strict where they speak, and told as JSON Schemas."""

import json
from decimal import Decimal
from typing import Any

import jsonschema
import pytest

from libs.contracts import event_types
from libs.domain.vocabulary import OWN_EVENTS, SHOP_EVENTS
from services.ingest.handlers import parse

GOOD: dict[str, dict[str, Any]] = {
    "profile.updated": {"language": "pl", "timezone": "Europe/Warsaw", "birthday": "1990-03-09", "tags": ["vip"]},
    "profile.tagged": {"tags": ["vip"]},
    "consent.changed": {"consents": [{"channel": "email", "purpose": "marketing", "status": "granted"}]},
    "product.viewed": {"product": {"product_id": "sofa-1", "price": "249.00"}},
    "cart.updated": {"cart": {"id": "c", "value": 249, "items": [{"product_id": 1, "quantity": 2, "price": "1.10"}]}},
    "order.placed": {"order": {"id": 9, "value": "249.00", "planned_delivery": "2026-03-05", "anything": [1]}},
    "review.submitted": {"review": {"rating": 5}},
    "quote.sent": {"quote": {"id": "q"}},
    "appointment.booked": {"appointment": {"id": "a", "at": "2026-03-05T10:00"}},
    "survey.answered": {"survey": {"id": "s", "answers": {"q1": 5}}},
    "custom.anything": {"free": {"form": None}},
}
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("cart.updated", {}, "data.cart"),
    ("cart.updated", {"cart": {}}, "data.cart.id"),
    ("cart.updated", {"cart": {"id": ""}}, "data.cart.id"),
    ("cart.updated", {"cart": {"id": "c", "value": "a lot"}}, "data.cart.value"),
    ("cart.updated", {"cart": {"id": "c", "value": True}}, "data.cart.value"),
    ("cart.updated", {"cart": {"id": "c", "value": "NaN"}}, "data.cart.value"),
    ("cart.updated", {"cart": {"id": "c", "value": "1e9"}}, "data.cart.value"),
    ("cart.updated", {"cart": {"id": "c", "items": [{}, {"price": []}]}}, "data.cart.items[1].price"),
    ("cart.updated", {"cart": {"id": "c", "currency": "zł"}}, "data.cart.currency"),
    ("order.placed", {"order": {"value": 1}}, "data.order.id"),
    ("order.placed", {"order": {"id": "o", "planned_delivery": "soon"}}, "data.order.planned_delivery"),
    ("profile.updated", {"timezone": "Europe/Warschau"}, "data.timezone"),
    ("profile.updated", {"language": "Polish!"}, "data.language"),
    ("profile.updated", {"birthday": "09.03.1990"}, "data.birthday"),
    ("profile.updated", {"tags": "vip"}, "data.tags"),
    ("consent.changed", {"consents": []}, "data.consents"),
    (
        "consent.changed",
        {"consents": [{"channel": "pigeon", "purpose": "x", "status": "granted"}]},
        "data.consents[0].channel",
    ),
    ("appointment.booked", {"appointment": {"id": "a"}}, "data.appointment.at"),
    ("custom.x", {"email": 5}, "data.email"),
]


def test_shapes_and_vocabulary_agree() -> None:
    assert set(event_types.TYPES) == set(SHOP_EVENTS)
    assert all(event_types.shape(name) is None for name in OWN_EVENTS)
    assert event_types.shape("custom.") is None
    assert event_types.shape("custom.a b") is None


@pytest.mark.parametrize("name", GOOD)
def test_good_data_fits_shape_and_schema(name: str) -> None:
    shape = event_types.shape(name)
    assert shape is not None
    data = {"user_id": "42"} | GOOD[name]
    event_types.check(shape, data)
    jsonschema.validate(data, event_types.schema(name))


@pytest.mark.parametrize(("name", "data", "field"), BAD)
def test_bad_data_is_refused_with_its_field(name: str, data: dict[str, Any], field: str) -> None:
    shape = event_types.shape(name)
    assert shape is not None
    with pytest.raises(event_types.Misfit) as error:
        event_types.check(shape, {"user_id": "42"} | data)
    assert error.value.field == field
    assert "pigeon" not in str(error.value)


@pytest.mark.parametrize("name", [*SHOP_EVENTS, "custom.x"])
def test_every_schema_is_one_and_wants_an_identifier(name: str) -> None:
    schema = event_types.schema(name)
    assert schema is not None
    jsonschema.Draft202012Validator.check_schema(schema)
    json.dumps(schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"cart": {"id": 1}, "order": {"id": 1}}, schema)


def test_amounts_stay_exact() -> None:
    data = parse(b'{"cart": {"id": 7, "value": 0.10000000000000000, "items": [{"price": 1.10, "quantity": 3}]}}')
    assert data["cart"]["value"] == Decimal("0.10000000000000000")
    data = parse(b'{"cart": {"id": 7, "value": 1234567890123.10, "items": [{"price": 1.10}]}}')
    event_types.plain(data)
    assert data["cart"] == {"id": "7", "value": "1234567890123.10", "items": [{"price": "1.10"}]}


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("99.30000000000001", "99.3"),
        ("0.10000000000000000", "0.1"),
        ("100.00000000000001", "100"),
        ("-0.00000000000000001", "0"),
        ("1e-999999999999999999", "0"),
        ("249.00", "249.00"),
        ("0.123456789", "0.123456789"),
        ("0.1234567885", "0.123456788"),
    ],
)
def test_of_a_binary_float_nine_places_are_kept(written: str, kept: str) -> None:
    raw = f'{{"order": {{"id": "o", "value": {written}, "items": [{{"quantity": {written}, "price": {written}}}]}}}}'
    data = parse(raw.encode())
    event_types.check(event_types.TYPES["order.placed"], data)
    event_types.plain(data)
    assert data["order"] == {"id": "o", "value": kept, "items": [{"quantity": Decimal(kept), "price": kept}]}


@pytest.mark.parametrize("written", ['"99.30000000000001"', "1234567890123456.5", "999999999999999.9999999999"])
def test_a_text_means_what_it_says_and_too_much_is_too_much(written: str) -> None:
    data = parse(f'{{"order": {{"id": "o", "value": {written}}}}}'.encode())
    with pytest.raises(event_types.Misfit, match=r"data\.order\.value"):
        event_types.check(event_types.TYPES["order.placed"], data)
