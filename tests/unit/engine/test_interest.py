"""Which products matter to a profile, and what that means for the index and for prices."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.domain.engine import interest
from libs.domain.engine.interest import KEPT_FOR, VIEWED_FOR
from libs.domain.engine.learn import learn
from libs.domain.engine.state import WANTS, Happened, Profile, Want, decode, encode

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def event(type: str, at: datetime = NOON, id: str = "sofa", **more: Any) -> Happened:
    return Happened(type, at, "", {"product": {"product_id": id, **more}})


def cart(*ids: str, at: datetime = NOON, type: str = "cart.updated", id: str = "c1", **more: Any) -> Happened:
    items = {"items": [{"product_id": one, **more} for one in ids]} if ids or type == "cart.updated" else {}
    return Happened(type, at, "", {"cart": {"id": id, "currency": "PLN", **items}})


def order(*ids: str, at: datetime = NOON) -> Happened:
    return Happened("order.placed", at, "", {"order": {"id": "o1", "items": [{"product_id": one} for one in ids]}})


def after(*events: Happened, profile: Profile | None = None) -> Profile:
    found = profile or Profile()
    for one in events:
        learn(found, one, views=True)
    return decode(encode(found))


def why(profile: Profile, at: datetime = NOON, product: str = "sofa") -> str | None:
    return interest.interest(profile, product, at)


def rows(profile: Profile, *events: Happened) -> dict[str, str | None]:
    """What the index is told of the events, in letters."""
    told: dict[str, str | None] = {}
    for one in events:
        then = interest.before(profile, one)
        learn(profile, one, views=True)
        found = interest.changed(profile, then) if then is not None else {}
        told |= {product: row and row.how for product, row in found.items()}
    return told


def test_all_reasons() -> None:
    told = [event(type) for type in ("stock_alert.requested", "wishlist.added", "product.viewed")]
    assert why(after(*told, cart("sofa"))) == "asked for, viewed, wished, in a cart"
    assert why(after(*told), product="lamp") is None


def test_only_viewed_matters_for_a_month_and_the_rest_for_more_than_a_year() -> None:
    viewed = after(event("product.viewed"))
    assert why(viewed, NOON + VIEWED_FOR) == "viewed"
    assert why(viewed, NOON + VIEWED_FOR + HOUR) is None
    for one in (event("wishlist.added"), event("stock_alert.requested"), cart("sofa")):
        assert why(after(one), NOON + KEPT_FOR)
        assert why(after(one), NOON + KEPT_FOR + HOUR) is None


def test_a_purchase_ends_it_in_carts_too_and_news_of_before_do_not_bring_it_back() -> None:
    bought = after(event("wishlist.added"), cart("sofa", "lamp"), order("sofa", at=NOON + HOUR))
    assert why(bought) is None
    assert why(bought, product="lamp") == "in a cart"
    assert why(after(event("product.viewed", NOON + HOUR / 2), profile=bought)) is None
    assert why(after(event("product.viewed", NOON + 2 * HOUR), profile=bought)) == "viewed"


def test_a_purchase_that_comes_late_changes_nothing_that_is_newer() -> None:
    assert why(after(event("wishlist.added", NOON + HOUR), order("sofa"))) == "wished"


def test_a_purchase_told_first() -> None:
    assert why(after(order("sofa"), event("wishlist.added", NOON - HOUR), cart("sofa", at=NOON - HOUR))) is None


def test_a_cart_that_is_cleared_holds_nothing_whether_or_not_it_says_so() -> None:
    assert why(after(cart("sofa"), cart(at=NOON + HOUR, type="cart.cleared"))) is None
    assert why(after(cart(at=NOON + HOUR, type="cart.cleared"), cart("sofa"))) is None


def test_fifty_at_most_what_was_bought_goes_first_then_what_was_viewed() -> None:
    profile = after(event("wishlist.added", id="wished"), event("product.viewed", NOON + HOUR, id="viewed"))
    learn(profile, order("bought", at=NOON + DAY), views=True)
    for number in range(WANTS):
        learn(profile, event("stock_alert.requested", NOON + 2 * DAY, id=f"p-{number}"), views=True)
        rest = {"bought", "viewed", "wished"} & profile.wants.keys()
        gone = {WANTS - 3: {"bought"}, WANTS - 2: {"bought", "viewed"}, WANTS - 1: {"bought", "viewed", "wished"}}
        assert rest == {"bought", "viewed", "wished"} - gone.get(number, set())
    assert len(profile.wants) == WANTS


def test_who_asks_nothing_of_products_has_no_note_of_what_was_bought() -> None:
    profile = Profile()
    learn(profile, order("sofa"), views=False)
    assert profile.wants == {}


def test_foundare_written_when_something_changes_and_once_a_day() -> None:
    profile = Profile()
    assert rows(profile, event("product.viewed")) == {"sofa": "v"}
    assert rows(profile, event("product.viewed", NOON + HOUR)) == {}
    assert rows(profile, event("product.viewed", NOON + DAY)) == {"sofa": "v"}
    assert rows(profile, event("wishlist.added", NOON + DAY)) == {"sofa": "vw"}
    assert rows(profile, event("wishlist.removed", NOON + DAY)) == {"sofa": "v"}
    assert rows(profile, cart("sofa", "lamp", at=NOON + DAY)) == {"sofa": "vc", "lamp": "c"}
    assert rows(profile, cart("lamp", at=NOON + DAY)) == {"sofa": "v"}
    assert rows(profile, order("sofa", "lamp", at=NOON + DAY)) == {"sofa": None, "lamp": None}


def test_what_makes_room_leaves_the_index() -> None:
    profile = Profile()
    for number in range(WANTS):
        rows(profile, event("product.viewed", NOON + number * HOUR / 60, id=f"p-{number}"))
    assert rows(profile, event("product.viewed", NOON + DAY, id="new")) == {"new": "v", "p-0": None}
    for number in range(5):
        rows(profile, cart(f"c-{number}", at=NOON + number * HOUR, id=f"cart-{number}"))
    assert rows(profile, cart("c-9", at=NOON + DAY, id="cart-9")) == {"c-9": "c", "c-0": None}


def test_everything_is_what_the_foundwould_be() -> None:
    told = [event("product.viewed"), event("wishlist.added", id="lamp"), cart("sofa", "desk"), order("lamp")]
    profile = Profile()
    kept = {product: how for product, how in rows(profile, *told).items() if how}
    assert {product: row.how for product, row in interest.everything(profile).items() if row} == kept


def test_a_profile_that_leaves_is_found_for_a_day_more() -> None:
    found = interest.leaving(after(event("wishlist.added")), NOON + HOUR)
    assert found["sofa"] is not None and found["sofa"].until == NOON + HOUR + DAY


@pytest.mark.parametrize("first", [True, False])
def test_of_two_that_become_one_the_later_of_purchase_and_wish_stands(first: bool) -> None:
    wished, bought = {"sofa": Want(NOON, "w")}, {"sofa": Want(NOON + HOUR, "", bought=NOON + HOUR)}
    mine, other = (wished, bought) if first else (bought, wished)
    interest.join(mine, other)
    assert (mine["sofa"].how, mine["sofa"].bought) == ("", NOON + HOUR)


def test_two_that_become_one_have_the_reasons_and_the_newest_price_of_both() -> None:
    mine = {"sofa": Want(NOON, "w", "200.00 PLN")}
    interest.join(mine, {"sofa": Want(NOON + HOUR, "v"), "lamp": Want(NOON, "v")})
    assert mine["sofa"] == Want(NOON + HOUR, "vw", "200.00 PLN", NOON)
    assert mine["lamp"].how == "v"


def price(profile: Profile, currency: str | None = "PLN") -> Decimal | None:
    return interest.seen_price(profile, "sofa", currency)


def test_the_price_that_was_seen_last_counts() -> None:
    profile = after(event("wishlist.added", price="200.00", currency="PLN"))
    assert price(profile) == Decimal("200.00")
    assert price(after(event("product.viewed", NOON - HOUR, price="90.00"), profile=profile)) == Decimal("200.00")
    assert price(after(event("product.viewed", NOON + HOUR, price="150.00"), profile=profile)) == Decimal("150.00")
    assert price(after(cart("sofa", at=NOON + 2 * HOUR, price="140.00"), profile=profile)) == Decimal("140.00")
    interest.saw(profile, event("product.price_changed", NOON + 3 * HOUR, price="130.00", currency="PLN"))
    assert price(profile) == Decimal("130.00")


def test_another_currency_is_not_compared_and_no_price_is_none() -> None:
    assert price(after(event("wishlist.added", price="200.00", currency="EUR"))) is None
    assert price(after(event("wishlist.added", price="200.00"))) == Decimal("200.00")
    assert price(after(event("wishlist.added"))) is None
