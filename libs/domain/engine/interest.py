"""Which products matter to a profile: asked for, wished, viewed, or left in a cart, and not bought since.

The document of the profile is what counts (`interest`). Rules keeps an index from products to profiles beside it, of
which `standing` gives the rows, so that a product finds its customers; a row that is there in vain does no harm.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from libs.domain.engine.state import CARTS, WANTS, Happened, Json, Profile, Want
from libs.domain.money import decimal

VIEWED_FOR = timedelta(days=30)
"""So long a product matters that was only looked at."""
KEPT_FOR = timedelta(days=400)
"""So long one that was asked for, wished, or left in a cart."""
SLACK = timedelta(days=1)
"""A row is written anew once a day at most, and so stays a day longer than what it says."""
LINES = 50
"""So many lines of a cart or an order are looked at."""
WANT_EVENTS = {"stock_alert.requested": "a", "wishlist.added": "w", "product.viewed": "v"}
VIEWED, WISHED, CART = "v", "w", "c"
HOW = {"a": "asked for", WISHED: "wished", VIEWED: "viewed", CART: "in a cart"}
ORDER = "order.placed"


class Interest(NamedTuple):
    """That a product matters: why (letters of `HOW`), since when at the latest, and until when it is looked for."""

    how: str
    at: datetime
    until: datetime


class Before(NamedTuple):
    """How things stood before an event: of each product that it may change, and which ones were wanted at all."""

    rows: dict[str, Interest | None]
    wanted: frozenset[str]


def product_of(event: Happened) -> Json:
    """What the event says of its product."""
    told = event.data.get("product")
    return told if isinstance(told, dict) else event.data


def product_id(event: Happened) -> str | None:
    """The product that the event is about."""
    told = product_of(event).get("product_id")
    return None if told is None else str(told)


def want(profile: Profile, event: Happened, how: str) -> None:
    """The product was asked for, wished or viewed; the price that the customer saw is kept with it."""
    told = product_of(event)
    if told.get("product_id") is None:
        return
    product, at = str(told["product_id"]), event.time
    known = profile.wants.get(product)
    if known is None:
        known = _note(profile, product, Want(at, how))
    elif known.bought is not None and at <= known.bought:
        return
    else:
        known.at = max(known.at, at)
        if how not in known.how:
            known.how = "".join(sorted(known.how + how))
    if told.get("price") is not None:
        _saw(known, told["price"], told.get("currency"), at)


def unwish(profile: Profile, event: Happened) -> None:
    """It was taken off the wish list."""
    product = product_id(event)
    known = profile.wants.get(product) if product else None
    if product and known is not None and known.at <= event.time and WISHED in known.how:
        known.how = known.how.replace(WISHED, "")
        if not known.how and known.bought is None:
            del profile.wants[product]


def buy(profile: Profile, event: Happened, views: bool) -> None:
    """What was bought does not matter any more, in no cart either; what comes late of before changes nothing.

    `views` whether anybody asks for products; else only what is known to matter is noted.
    """
    for product in _lines(event.data.get("order")):
        known = profile.wants.get(product)
        if known is None:
            if views or _cart(profile, product) is not None:
                _note(profile, product, Want(event.time, "", bought=event.time))
            continue
        known.bought = event.time if known.bought is None else max(known.bought, event.time)
        if known.at <= event.time:
            known.at, known.how = event.time, ""


def saw(profile: Profile, event: Happened) -> None:
    """The customer is told of a price: the next one is compared with it."""
    product, told = product_id(event), product_of(event)
    if product is not None and told.get("price") is not None:
        known = profile.wants.get(product) or _note(profile, product, Want(event.time, ""))
        _saw(known, told["price"], told.get("currency"), event.time)


def interest(profile: Profile, product: str, at: datetime) -> str | None:
    """Why the product matters to the profile at a moment, in words; None when it does not."""
    found = standing(profile, product)
    if found is None or found.until - SLACK < at:
        return None
    return ", ".join(HOW[letter] for letter in found.how)


def standing(profile: Profile, product: str) -> Interest | None:
    """The row of a product in the index."""
    return _row(profile.wants.get(product), _cart(profile, product))


def seen_price(profile: Profile, product: str, currency: Any) -> Decimal | None:
    """The price that the customer saw last, in that currency: with the product, in a cart, or in a message of ours."""
    found: list[tuple[datetime, Decimal]] = []
    known = profile.wants.get(product)
    price = decimal(known.price) if known is not None and _alike(known.currency, currency) else None
    if known is not None and known.seen is not None and price is not None:
        found.append((known.seen, price))
    for cart in profile.carts.values():
        if not _alike(cart.data.get("currency"), currency):
            continue
        for item in _items(cart.data):
            if str(item.get("product_id")) == product and (price := decimal(item.get("price"))) is not None:
                found.append((cart.at, price))
    return max(found)[1] if found else None


def _alike(one: Any, other: Any) -> bool:
    return one is None or other is None or one == other


def touches(event: Happened) -> bool:
    """Whether the event may change which products matter."""
    return event.type in WANT_EVENTS or event.type in ("wishlist.removed", ORDER) or "cart" in event.data


def before(profile: Profile, event: Happened) -> Before:
    """How the products stand that the event may change."""
    products: Iterable[str]
    if event.type == ORDER or "cart" in event.data:
        told = event.data.get("cart")
        id = told.get("id") if isinstance(told, dict) else None
        cart = profile.carts.get(str(id)) if id is not None else None
        goes = cart is None and len(profile.carts) >= CARTS  # the oldest makes room for it
        others = [line for one in profile.carts.values() for line in _lines(one.data)] if goes else []
        kept = _lines(cart.data) if cart is not None else []
        products = dict.fromkeys((*_lines(told), *_lines(event.data.get("order")), *kept, *others))
    else:
        id = product_id(event)
        products = () if id is None else (id,)
    rows = {product: standing(profile, product) for product in products}
    return Before(rows, frozenset(profile.wants) if len(profile.wants) >= WANTS else frozenset())


def changed(profile: Profile, then: Before) -> dict[str, Interest | None]:
    """The rows that are others now, by product; None where it does not matter any more."""
    gone = then.wanted - profile.wants.keys()
    found: dict[str, Interest | None] = {}
    for product in (*then.rows, *(one for one in gone if one not in then.rows)):
        was, now = then.rows.get(product), standing(profile, product)
        if product in gone or _day(was) != _day(now):
            found[product] = now
    return found


def everything(profile: Profile) -> dict[str, Interest | None]:
    """All rows of a profile."""
    products = dict.fromkeys((*profile.wants, *(line for cart in profile.carts.values() for line in _lines(cart.data))))
    rows = {product: standing(profile, product) for product in products}
    return {product: row for product, row in rows.items() if row is not None}


def leaving(profile: Profile, at: datetime) -> dict[str, Interest | None]:
    """The rows of a profile that becomes another: a day longer, until the other's are surely there."""
    return {
        product: row._replace(until=min(row.until, at + SLACK))
        for product, row in everything(profile).items()
        if row is not None
    }


def join(mine: dict[str, Want], other: dict[str, Want]) -> None:
    """What matters to either of two that become one; of a purchase and a wish the later stands."""
    for product, one in other.items():
        known = mine.get(product)
        if known is None:
            mine[product] = one
            continue
        bought = max((at for at in (known.bought, one.bought) if at is not None), default=None)
        letters = {letter for want in (known, one) if bought is None or want.at > bought for letter in want.how}
        price = max(known, one, key=lambda want: (want.seen is not None, want.seen or want.at))
        at, how = max(one.at, known.at), "".join(sorted(letters))
        mine[product] = Want(at, how, price.price, price.currency, price.seen, bought)
    for product in sorted(mine, key=lambda one: _worth(mine[one]))[:-WANTS]:
        del mine[product]


def _note(profile: Profile, product: str, want: Want) -> Want:
    profile.wants[product] = want
    if len(profile.wants) > WANTS:
        del profile.wants[min(profile.wants, key=lambda one: _worth(profile.wants[one]))]
    return want


def _saw(want: Want, price: Any, currency: Any, at: datetime) -> None:
    if want.seen is None or want.seen <= at:
        want.price, want.seen = str(price), at
        want.currency = None if currency is None else str(currency)


def _worth(want: Want) -> tuple[int, datetime]:
    """What was bought is forgotten first, then what was only viewed, the oldest first."""
    return (0 if not want.how else 1 if want.how == VIEWED else 2), want.at


def _row(want: Want | None, cart: datetime | None) -> Interest | None:
    if want is not None and want.bought is not None and cart is not None and cart <= want.bought:
        cart = None  # what was in a cart before it was bought
    ends: list[datetime] = []
    signs: list[datetime] = []
    how = "" if want is None else want.how
    if want is not None and how:
        signs.append(want.at)
        ends.append(want.at + (VIEWED_FOR if how == VIEWED else KEPT_FOR))
    if cart is not None:
        signs.append(cart)
        ends.append(cart + KEPT_FOR)
        how += CART
    return Interest(how, max(signs), max(ends) + SLACK) if signs else None


def _day(row: Interest | None) -> tuple[str, date] | None:
    """What a row is worth writing anew for: other reasons, or another day."""
    return None if row is None else (row.how, row.at.date())


def _cart(profile: Profile, product: str) -> datetime | None:
    """When a cart was told last that holds the product."""
    found: datetime | None = None
    for cart in profile.carts.values():
        if (found is None or found < cart.at) and product in _lines(cart.data):
            found = cart.at
    return found


def _items(told: Json) -> list[Json]:
    items = told.get("items")
    return [item for item in items[:LINES] if isinstance(item, dict)] if isinstance(items, list) else []


def _lines(told: Any) -> list[str]:
    """The products in the lines of a cart or an order."""
    if not isinstance(told, dict):
        return []
    return [str(item["product_id"]) for item in _items(told) if item.get("product_id") is not None]
