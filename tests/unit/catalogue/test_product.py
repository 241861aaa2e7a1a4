"""What a telling of a product changes."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from libs.domain.catalogue.product import BACK, PRICE, Change, Product, available, in_stock, is_over, take, view

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SOFA = Product(product_id="sofa-1", price="200.00", currency="PLN", stock="0", shown={"name": "Sofa"})


def but(product: Product = SOFA, **fields: object) -> Product:
    return msgspec.structs.replace(product, **fields)


def test_a_product_that_is_new_has_not_changed() -> None:
    assert take(None, but(stock="5")) == (but(stock="5"), [])


def test_the_same_again_is_nothing() -> None:
    assert take(SOFA, but()) is None


@pytest.mark.parametrize(
    ("was", "now", "back"),
    [
        ("0", "5", True),
        ("-2", "1", True),
        ("0.0", "0.5", True),
        ("5", "7", False),
        ("5", "0", False),
        ("0", "-1", False),
        (None, "5", False),
        ("0", None, False),
    ],
)
def test_back_is_from_none_to_some(was: str | None, now: str | None, back: bool) -> None:
    found = take(but(stock=was), but(stock=now))
    assert found is not None
    assert found[1] == ([Change(kind=BACK)] if back else [])


@pytest.mark.parametrize(
    ("price", "currency", "fell"),
    [("199.99", "PLN", True), ("200", "PLN", False), ("201.00", "PLN", False), ("100.00", "EUR", False)],
)
def test_a_price_that_falls(price: str, currency: str, fell: bool) -> None:
    found = take(SOFA, but(price=price, currency=currency))
    assert found is not None
    assert found[1] == ([Change(kind=PRICE, old_price="200.00")] if fell else [])


def test_both_at_once() -> None:
    found = take(SOFA, but(stock="3", price="150.00"))
    assert found is not None
    assert [one.kind for one in found[1]] == [BACK, PRICE]


def test_what_the_shop_calls_older_is_nothing() -> None:
    known = but(updated_at=NOON)
    assert take(known, but(stock="5", updated_at=NOON - timedelta(seconds=1))) is None
    assert take(known, but(stock="5", updated_at=NOON)) is not None


def test_without_a_time_what_comes_later_is_newer_and_the_time_that_was_told_stays() -> None:
    found = take(but(updated_at=NOON), but(stock="5"))
    assert found is not None
    assert found[0].updated_at == NOON
    assert take(found[0], but(stock="0", updated_at=NOON - timedelta(hours=1))) is None


def test_what_only_looks_different_is_kept_and_not_told() -> None:
    found = take(SOFA, but(shown={"name": "Sofa Oslo"}))
    assert found == (but(shown={"name": "Sofa Oslo"}), [])


def test_over() -> None:
    assert is_over(BACK, None, SOFA)
    assert not is_over(BACK, None, but(stock="1"))
    assert is_over(BACK, None, but(stock=None))
    assert is_over(PRICE, "200.00", SOFA)
    assert not is_over(PRICE, "200.00", but(price="199"))


def test_stores_together() -> None:
    assert in_stock("2", {"waw": "5"}) == "2"
    assert in_stock(None, {"waw": "5", "krk": "1.5"}) == "6.5"
    assert in_stock(None, {}) is None


def test_what_conditions_see() -> None:
    assert view(SOFA) == {
        "product_id": "sofa-1", "price": "200.00", "currency": "PLN", "name": "Sofa", "stock": "0", "available": False
    }  # fmt: skip
    assert "available" not in view(but(stock=None))
    assert available(but(stock="one")) is None
