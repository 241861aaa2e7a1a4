"""Which products matter to a profile: asked for, wished, viewed, or left in a cart, and not bought since.

The document of the profile is what counts (`interest`). Rules keeps an index from products to profiles beside it, of
which `standing` gives the rows, so that a product finds its customers; a row that is there in vain does no harm.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from libs.domain.engine.state import CARTS, WANTS, Dated, Happened, Json, Profile, Want
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
TOUCHING = frozenset((*WANT_EVENTS, "wishlist.removed", ORDER))
Mark = tuple[str, date]
NOTHING: frozenset[str] = frozenset()
NO_CARTS: Mapping[str, Dated] = {}


class Interest(NamedTuple):
    """That a product matters: why (letters of `HOW`), since when at the latest, and until when it is looked for.

    `until` None: `SLACK` longer than such an interest lasts.
    """

    how: str
    at: datetime
    until: datetime | None = None


class Before(NamedTuple):
    """How things stood before an event, as far as it may change them.

    `wants` are of its products, `cart` is the cart that it is of; `all` are all wants, and `carts` all carts, where one
    may have to make room.
    """

    wants: dict[str, Mark | None]
    order: bool
    all: frozenset[str]
    cart: str | None
    lines: frozenset[str]
    day: date | None
    carts: Mapping[str, Dated]


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
        _move(known, at)
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
            _move(known, event.time)
            known.how = ""


def saw(profile: Profile, event: Happened) -> None:
    """The customer is told of a price: the next one is compared with it."""
    product, told = product_id(event), product_of(event)
    if product is not None and told.get("price") is not None:
        known = profile.wants.get(product) or _note(profile, product, Want(event.time, ""))
        _saw(known, told["price"], told.get("currency"), event.time)


def interest(profile: Profile, product: str, at: datetime) -> str | None:
    """Why the product matters to the profile at a moment, in words; None when it does not."""
    want, cart = profile.wants.get(product), _cart(profile, product)
    found = [] if want is None or want.at + (VIEWED_FOR if want.how == VIEWED else KEPT_FOR) < at else [*want.how]
    found += [] if cart is None or cart + KEPT_FOR < at else [CART]
    return ", ".join(HOW[letter] for letter in found) or None


def standing(profile: Profile, product: str) -> Interest | None:
    """The row of a product in the index."""
    want, cart = profile.wants.get(product), _cart(profile, product)
    if want is None or not want.how:
        return None if cart is None else Interest(CART, cart)
    return Interest(want.how, want.at) if cart is None else Interest(want.how + CART, max(want.at, cart))


def seen_price(profile: Profile, product: str, currency: Any) -> Decimal | None:
    """The price that the customer saw last, in that currency: with the product, in a cart, or in a message of ours."""
    found: list[tuple[datetime, Decimal]] = []
    known = profile.wants.get(product)
    if known is not None and known.price is not None:
        text, _, other = known.price.partition(" ")
        if _alike(other or None, currency) and (price := decimal(text)) is not None:
            found.append((known.seen or known.at, price))
    for cart in profile.carts.values():
        if not _alike(cart.data.get("currency"), currency):
            continue
        items = cart.data.get("items")
        for item in items[:LINES] if isinstance(items, list) else ():
            if isinstance(item, dict) and str(item.get("product_id")) == product:
                price = decimal(item.get("price"))
                found += [] if price is None else [(cart.at, price)]
    return max(found)[1] if found else None


def price_before(profile: Profile, event: Happened) -> Any:
    """What a new price is compared with: the one that the customer saw last, else the one before it."""
    product, told = product_id(event), product_of(event)
    seen = seen_price(profile, product, told.get("currency")) if product else None
    return told.get("old_price") if seen is None else str(seen)


def _alike(one: Any, other: Any) -> bool:
    return one is None or other is None or one == other


def touches(event: Happened) -> bool:
    """Whether the event may change which products matter."""
    return event.type in TOUCHING or "cart" in event.data


def before(profile: Profile, event: Happened) -> Before | None:
    """How things stand that the event may change; None where it will change nothing."""
    wants, data = profile.wants, event.data
    every = frozenset(wants) if len(wants) >= WANTS else NOTHING
    if event.type == ORDER:
        marks = {product: _mark(wants.get(product)) for product in _lines(data.get("order"))}
    elif (product := None if "cart" in data else product_id(event)) is None:
        marks = {}
    else:
        mark = _mark(wants.get(product))
        if mark and mark[1] >= event.time.date() and WANT_EVENTS.get(event.type, "-") in mark[0]:
            return None
        marks = {product: mark}
    told = data.get("cart")
    id = told.get("id") if isinstance(told, dict) else None
    if id is None:
        return Before(marks, event.type == ORDER, every, None, NOTHING, None, NO_CARTS)
    key = str(id)
    cart = profile.carts.get(key)
    if cart is not None:
        return Before(marks, False, every, key, frozenset(_lines(cart.data)), cart.at.date(), NO_CARTS)
    others = dict(profile.carts) if len(profile.carts) >= CARTS else NO_CARTS
    return Before(marks, False, every, key, NOTHING, None, others)


def changed(profile: Profile, then: Before) -> dict[str, Interest | None]:
    """The rows of the index that are others now, by product; None where it does not matter any more.

    A row is worth writing anew for other reasons, or for another day.
    """
    wants = profile.wants
    found = {product for product, mark in then.wants.items() if mark != _mark(wants.get(product))}
    if then.order:  # what was of no interest before it was bought has no row
        found = {product for product in found if then.wants[product] is not None or _held(profile, product)}
    if then.all:
        found |= then.all - wants.keys()
    if then.cart is not None:
        cart = profile.carts.get(then.cart)
        lines, day = (frozenset(_lines(cart.data)), cart.at.date()) if cart is not None else (NOTHING, None)
        found |= then.lines ^ lines if day == then.day else then.lines | lines
        for id, gone in then.carts.items():
            if id not in profile.carts:
                found.update(_lines(gone.data))
    return {product: standing(profile, product) for product in found}


def everything(profile: Profile) -> dict[str, Interest | None]:
    """All rows of a profile."""
    products = dict.fromkeys((*profile.wants, *(line for cart in profile.carts.values() for line in _lines(cart.data))))
    rows = {product: standing(profile, product) for product in products}
    return {product: row for product, row in rows.items() if row is not None}


def leaving(profile: Profile, at: datetime) -> dict[str, Interest | None]:
    """The rows of a profile that becomes another: a day longer, until the other's are surely there."""
    return {product: row and row._replace(until=at + SLACK) for product, row in everything(profile).items()}


def join(mine: dict[str, Want], other: dict[str, Want]) -> None:
    """What matters to either of two that become one; of a purchase and a wish the later stands."""
    for product, one in other.items():
        known = mine.get(product)
        if known is None:
            mine[product] = one
            continue
        bought = max((at for at in (known.bought, one.bought) if at is not None), default=None)
        letters = {letter for want in (known, one) if bought is None or want.at > bought for letter in want.how}
        price = max(known, one, key=lambda want: (want.price is not None, want.seen or want.at))
        at, how = max(one.at, known.at), "".join(sorted(letters))
        seen = None if price.price is None else price.seen or price.at
        mine[product] = Want(at, how, price.price, seen, bought)
    for product in sorted(mine, key=lambda one: _worth(mine[one]))[:-WANTS]:
        del mine[product]


def _note(profile: Profile, product: str, want: Want) -> Want:
    profile.wants[product] = want
    if len(profile.wants) > WANTS:
        del profile.wants[min(profile.wants, key=lambda one: _worth(profile.wants[one]))]
    return want


def _move(want: Want, at: datetime) -> None:
    """A newer sign of it; the price that was seen with an older one keeps its time."""
    if at > want.at:
        if want.price is not None and want.seen is None:
            want.seen = want.at
        want.at = at


def _saw(want: Want, price: Any, currency: Any, at: datetime) -> None:
    if want.price is None or (want.seen or want.at) <= at:
        want.price = str(price) if currency is None else f"{price} {currency}"
        want.seen = None if at == want.at else at


def _worth(want: Want) -> tuple[int, datetime]:
    """What was bought is forgotten first, then what was only viewed, the oldest first."""
    return (0 if not want.how else 1 if want.how == VIEWED else 2), want.at


def _mark(want: Want | None) -> Mark | None:
    """What of a want the index shows."""
    return None if want is None else (want.how, want.at.date())


def _cart(profile: Profile, product: str) -> datetime | None:
    """When a cart was told last that holds the product, if it was not bought since."""
    found = _held(profile, product)
    if found is not None and (want := profile.wants.get(product)) and want.bought and found <= want.bought:
        return None
    return found


def _held(profile: Profile, product: str) -> datetime | None:
    """When a cart was told last that holds the product."""
    found: datetime | None = None
    for cart in profile.carts.values():
        if (found is None or found < cart.at) and product in _lines(cart.data):
            found = cart.at
    return found


def _lines(told: Any) -> list[str]:
    """The products in the lines of a cart or an order."""
    try:
        found = [item["product_id"] for item in told["items"][:LINES]]
    except (KeyError, TypeError, AttributeError):  # lines without a product, or none at all
        items = told.get("items") if isinstance(told, dict) else None
        lines = items[:LINES] if isinstance(items, list) else ()
        found = [item.get("product_id") for item in lines if isinstance(item, dict)]
    return found if None not in found else [id for id in found if id is not None]
