"""What order events say for RFM."""

from datetime import timedelta
from typing import Any

import pytest

from libs.domain.rfm.facts import ABSURD, OrderFact, blend, order_fact
from tests.unit.rfm.support import NOW


def told(type: str = "order.placed", days: float = 0, **order: Any) -> OrderFact:
    data = {"order": {"id": "o", "currency": "PLN"} | order}
    found = order_fact(type, NOW - timedelta(days=days), data)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [
        ("249.00", "PLN", 24_900),
        (249, "PLN", 24_900),
        ("0.005", "PLN", 1),
        ("0.0049", "PLN", 0),
        ("1500", "JPY", 1_500),
        ("1.2345", "KWD", 1_235),
        ("-3.00", "PLN", -300),
        ("1e12", "PLN", ABSURD),
        ("9" * 40, "PLN", ABSURD),
        ("1e400", "PLN", ABSURD),
        ("-1e400", "PLN", -ABSURD),
        ("NaN", "PLN", None),
        (True, "PLN", None),
        ({}, "PLN", None),
        (None, "PLN", None),
    ],
)
def test_money(value: Any, currency: str, minor: int | None) -> None:
    fact = told(value=value, currency=currency)
    assert (fact.value, fact.currency) == (minor, currency if minor is not None else None)
    assert fact.value_at == (NOW if minor is not None else None)


def test_the_currency_may_have_been_told_before() -> None:
    data = {"order": {"id": "o", "value": "1500"}}
    fact = order_fact("order.placed", NOW, data, "JPY")
    assert fact is not None and (fact.value, fact.currency) == (1_500, "JPY")
    fact = order_fact("order.placed", NOW, data)
    assert fact is not None and fact.currency is None
    fact = order_fact("order.placed", NOW, {"order": data["order"] | {"currency": ["PLN"]}}, "zł")
    assert fact is not None and fact.currency is None


@pytest.mark.parametrize(
    ("type", "field"),
    [
        ("order.placed", "placed_at"),
        ("order.paid", "paid_at"),
        ("order.shipped", "shipped_at"),
        ("order.delivered", "delivered_at"),
    ],
)
def test_moments(type: str, field: str) -> None:
    fact = told(type, 3)
    at = {name for name in ("placed_at", "paid_at", "shipped_at", "delivered_at") if getattr(fact, name)}
    assert at == {field}
    assert getattr(blend(fact, told(type, 5)), field) == NOW - timedelta(days=5)
    assert getattr(blend(told(type, 5), fact), field) == NOW - timedelta(days=5)


@pytest.mark.parametrize(
    ("order", "returned", "whole"),
    [
        ({}, 0, True),
        ({"value": "20.00"}, 2_000, False),
        ({"value": "-20.00"}, 0, False),
        ({"items": [{"price": "10.00", "quantity": 3}, {"price": "1.50"}]}, 3_150, False),
        ({"items": [{"name": "no price"}]}, 0, True),
        ({"items": []}, 0, True),
    ],
)
def test_what_came_back(order: dict[str, Any], returned: int, whole: bool) -> None:
    fact = told("order.returned", **order)
    assert (fact.returned, fact.whole, fact.value, fact.value_at) == (returned, whole, None, None)
    both = blend(blend(told(value="100.00"), fact), fact)
    assert (both.value, both.returned, both.whole) == (10_000, 2 * returned, whole)


def test_status() -> None:
    assert told("order.cancelled", status="anulowane").status == "cancelled"
    fact = blend(told("order.status_changed", 2, status="sent"), told("order.status_changed", 3, status="packed"))
    assert (fact.status, fact.status_at) == ("sent", NOW - timedelta(days=2))
    assert fact.statuses == {"sent": NOW - timedelta(days=2), "packed": NOW - timedelta(days=3)}
    again = blend(fact, told("order.status_changed", 1, status="packed"))
    assert (again.status, again.statuses["packed"]) == ("packed", NOW - timedelta(days=3))
    same = blend(told("order.status_changed", 1, status="a"), told("order.status_changed", 1, status="b"))
    assert same.status == "b", "of two at the same time the later to arrive"
    found = order_fact("order.status_changed", NOW, {"order": {"id": 7}, "status": "paid"})
    assert found is not None and (found.order, found.status) == ("7", "paid")


@pytest.mark.parametrize(
    ("type", "data"),
    [
        ("cart.updated", {"order": {"id": "o"}}),
        ("order.placed", {}),
        ("order.placed", {"order": "o"}),
        ("order.placed", {"order": {"id": None}}),
        ("order.placed", {"order": {"id": True}}),
        ("order.placed", {"order": {"id": ""}}),
        ("order.placed", {"order": {"id": "a\0b"}}),
        ("order.placed", {"order": {"id": "a\ud800b"}}),
        ("order.placed", {"order": {"id": "x" * 201}}),
    ],
)
def test_no_order(type: str, data: dict[str, Any]) -> None:
    assert order_fact(type, NOW, data) is None


def test_a_status_that_is_none() -> None:
    for status in ("", "a\0b", "x" * 65, 3.5, ["paid"], {}):
        assert told("order.status_changed", status=status).status is None
