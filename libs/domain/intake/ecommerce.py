"""Segment's e-commerce events (spec V2) in our words, where that can be said truthfully."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from libs.domain.money import decimal, rounded

Json = dict[str, Any]
ITEM = {"image_url": "image", "variant": "variant_id"}
PRODUCT = ("product_id", "sku", "category", "name", "brand", "variant", "price", "quantity", "url", "image_url")
ORDERS = {
    **dict.fromkeys(("order_completed", "order_placed", "order_created", "completed_order"), "order.placed"),
    **dict.fromkeys(("order_cancelled", "order_canceled"), "order.cancelled"),
    **dict.fromkeys(("order_refunded", "order_returned"), "order.returned"),
    **dict.fromkeys(("order_shipped", "order_fulfilled"), "order.shipped"),
    **dict.fromkeys(("order_paid", "payment_completed"), "order.paid"),
    "order_delivered": "order.delivered",
    "order_updated": "order.status_changed",
}
PRODUCTS = {
    "product_viewed": "product.viewed",
    "viewed_product": "product.viewed",
    "product_added_to_wishlist": "wishlist.added",
    "product_removed_from_wishlist": "wishlist.removed",
}
CARTS = ("cart_viewed", "cart_updated", "product_added", "product_removed", "added_to_cart", "removed_from_cart")
PEOPLE = {
    **dict.fromkeys(("signed_up", "account_created", "user_signed_up"), "profile.registered"),
    **dict.fromkeys(("signed_in", "logged_in", "user_signed_in"), "profile.logged_in"),
    **dict.fromkeys(("newsletter_subscribed", "subscribed_to_newsletter"), "newsletter.subscribed"),
}


def translate(name: str, properties: Json) -> tuple[str, Json] | None:
    """Our type and data of a track call by the name in snake case; None where we have no word for it.

    An order without `order_id`, a product without `product_id`, a cart without `cart_id` are none of ours: they
    stay custom events.
    """
    if name in ORDERS:
        return _order(ORDERS[name], name, properties)
    if name in PRODUCTS:
        product = item(properties)
        return (PRODUCTS[name], _rest(properties, PRODUCT) | {"product": product}) if _has(product) else None
    if name in CARTS:
        return _cart(properties)
    if name in PEOPLE:
        return PEOPLE[name], properties
    maker = OTHERS.get(name)
    return maker(properties) if maker else None


def item(properties: Json) -> Json:
    """A product's fields under our names."""
    found = {ITEM.get(name, name): properties[name] for name in PRODUCT if properties.get(name) is not None}
    if "product_id" not in found and isinstance(properties.get("id"), str | int):
        found["product_id"] = properties["id"]
    return found


def _has(product: Json) -> bool:
    return product.get("product_id") not in (None, "")


def items(properties: Json) -> list[Any] | None:
    """All lines, if the call tells them: `products`."""
    told = properties.get("products")
    if not isinstance(told, list):
        return None
    known = set(PRODUCT)
    return [
        item(line) | {k: v for k, v in line.items() if k not in known} if isinstance(line, dict) else line
        for line in told
    ]


def worth(lines: list[Any]) -> str | None:
    """The sum of the lines, if each says its price."""
    total = Decimal(0)
    for line in lines:
        price = decimal(line.get("price")) if isinstance(line, dict) else None
        count = decimal(line.get("quantity", 1)) if isinstance(line, dict) else None
        if price is None or count is None or max(abs(price), abs(count)) >= 10**15:
            return None
        total += price * count
    return format(rounded(total), "f")


def _value(properties: Json, *names: str) -> Any:
    return next((properties[name] for name in names if properties.get(name) is not None), None)


def _rest(properties: Json, taken: tuple[str, ...]) -> Json:
    return {name: value for name, value in properties.items() if name not in taken}


def _told(**fields: Any) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def _order(type: str, name: str, properties: Json) -> tuple[str, Json] | None:
    """`total` is what the customer pays, `revenue` what is left without shipping and tax."""
    identity = properties.get("order_id")
    if identity in (None, "") or (name == "order_updated" and not properties.get("status")):
        return None
    order = _told(
        id=identity,
        value=_value(properties, "total", "value", "revenue"),
        currency=properties.get("currency"),
        items=items(properties),
        status=properties.get("status"),
        cart_id=properties.get("cart_id"),
        shipping=properties.get("shipping"),
        tax=properties.get("tax"),
        discount=properties.get("discount"),
        coupon=properties.get("coupon"),
        channel=properties.get("channel"),
    )
    taken = ("order_id", "total", "value", "currency", "products", *order)
    return type, _rest(properties, taken) | {"order": order}


def _cart(properties: Json) -> tuple[str, Json] | None:
    """A cart whose content is told as a whole; of one product added we know the cart, but not what is in it."""
    whole = properties.get("cart")
    if isinstance(whole, dict) and whole.get("id") not in (None, ""):
        return "cart.updated", properties
    identity = properties.get("cart_id")
    if identity in (None, ""):
        return None
    lines = items(properties)
    value = _value(properties, "total", "cart_total", "value") if lines is not None else None
    if lines and value is None:
        value = worth(lines)
    url = properties.get("cart_url")
    cart = _told(id=identity, items=lines, value=value, currency=properties.get("currency"), url=url)
    data = {"cart": cart}
    if lines is None and _has(item(properties)):
        data["product"] = item(properties)
    taken = ("cart_id", "products", "total", "cart_total", "value", "currency", "cart_url", *PRODUCT)
    if lines == []:
        return "cart.cleared", _rest(properties, taken) | data
    return "cart.updated", _rest(properties, taken) | data


def _checkout(properties: Json) -> tuple[str, Json] | None:
    data: Json = {}
    lines = items(properties)
    value = _value(properties, "total", "value", "revenue")
    whole = _told(value=value, currency=properties.get("currency"), items=lines)
    if properties.get("cart_id") not in (None, ""):
        data["cart"] = {"id": properties["cart_id"]} | whole
    if properties.get("order_id") not in (None, ""):
        data["order"] = {"id": properties["order_id"]} | whole
    taken = ("cart_id", "order_id", "products", "total", "value", "currency") if data else ()
    return "checkout.started", _rest(properties, taken) | data


def _cleared(properties: Json) -> tuple[str, Json] | None:
    identity = properties.get("cart_id")
    return None if identity in (None, "") else ("cart.cleared", {"cart": {"id": identity}})


def _review(properties: Json) -> tuple[str, Json] | None:
    if properties.get("product_id") in (None, ""):
        return None
    review = _told(
        id=properties.get("review_id"),
        product_id=properties["product_id"],
        rating=properties.get("rating"),
        body=properties.get("review_body"),
    )
    return "review.submitted", _rest(properties, ("review_id", "product_id", "rating", "review_body")) | {
        "review": review
    }


OTHERS: dict[str, Callable[[Json], tuple[str, Json] | None]] = {
    "checkout_started": _checkout,
    "cart_cleared": _cleared,
    "cart_emptied": _cleared,
    "product_reviewed": _review,
}
