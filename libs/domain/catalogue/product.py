"""A product as it was told last, and what a newer telling changes: it is back in stock, or its price has fallen."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec

from libs.domain.money import decimal

Json = dict[str, Any]
Kind = Literal["product.back_in_stock", "product.price_changed"]
BACK: Kind = "product.back_in_stock"
PRICE: Kind = "product.price_changed"
SHOWN = ("name", "url", "image", "brand", "lowest_price")
"""What is kept of a product because messages show it; `lowest_price` is a field that a shop may add."""


class Product(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of a product. `stock` None: the shop does not say. `updated_at` is the newest that the shop told."""

    product_id: str
    price: str
    currency: str
    stock: str | None = None
    shown: Json = {}
    updated_at: datetime | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to a product; `old_price` is the one before, where the price fell."""

    kind: Kind
    old_price: str | None = None


def kept(told: Callable[[str], Any], more: Mapping[str, Any], updated_at: datetime | None) -> Product:
    """What is kept of a product of which `told` gives the fields and `more` are the shop's own."""
    shown = {name: told(name) or more.get(name) for name in SHOWN} | {"category": told("categories")}
    return Product(
        product_id=told("product_id"),
        price=told("price"),
        currency=told("currency"),
        stock=in_stock(told("stock"), told("stock_by_store") or {}),
        shown={name: value for name, value in shown.items() if value},
        updated_at=updated_at,
    )


def in_stock(stock: str | None, stores: Mapping[str, str]) -> str | None:
    """How many there are: as told, else all stores together; None where nobody says."""
    if stock is not None or not stores:
        return stock
    numbers = (decimal(told) for told in stores.values())
    return format(sum((number for number in numbers if number is not None), start=Decimal(0)), "f")


def available(product: Product) -> bool | None:
    """Whether it can be had; None where nobody says."""
    stock = decimal(product.stock)
    return None if stock is None else stock > 0


def take(known: Product | None, told: Product) -> tuple[Product, list[Change]] | None:
    """The product as it is now and what has changed for customers; None where there is nothing to keep.

    Of what comes, that which the shop itself calls older is nothing; where it does not say, what comes later is newer.
    A product that is new, and a stock or a currency that was not known before, are no change.
    """
    if known is None:
        return told, []
    if told.updated_at is not None and known.updated_at is not None and told.updated_at < known.updated_at:
        return None
    now = msgspec.structs.replace(told, updated_at=told.updated_at or known.updated_at)
    if now == known:
        return None
    changes: list[Change] = []
    if available(known) is False and available(now):
        changes.append(Change(kind=BACK))
    if _fell(known, now):
        changes.append(Change(kind=PRICE, old_price=known.price))
    return now, changes


def _fell(known: Product, now: Product) -> bool:
    before, after = decimal(known.price), decimal(now.price)
    return known.currency == now.currency and before is not None and after is not None and after < before


def is_over(kind: str, old_price: str | None, now: Product) -> bool:
    """Whether a change need not be told any more: it is sold out again, or costs what it had cost."""
    if kind == BACK:
        return not available(now)
    before, after = decimal(old_price), decimal(now.price)
    return before is None or after is None or after >= before


def view(product: Product) -> Json:
    """The product as conditions and messages see it (`product.*`)."""
    said: Json = {"product_id": product.product_id, "price": product.price, "currency": product.currency}
    said |= product.shown
    if product.stock is not None:
        said["stock"] = product.stock
    if (there := available(product)) is not None:
        said["available"] = there
    return said


def event_data(product: Product, change: Change) -> Json:
    """What the event of a change says of the product."""
    said = {name: value for name, value in view(product).items() if name != "available"}
    if change.old_price is not None:
        said["old_price"] = change.old_price
    return {"product": said}
