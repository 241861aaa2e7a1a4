"""`kurant.catalog.v1`: products as a shop offers them. The last record of a product is the product."""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

import msgspec

from libs.contracts.envelope import Json, Message
from libs.contracts.event_types import Misfit, misfit
from libs.contracts.event_types.parts import Currency, Id, Part, Text, Url
from libs.contracts.event_types.values import Moment, Money, Number, amount, decode

Stores = Annotated[dict[Text, Number], msgspec.Meta(max_length=5_000)]
Categories = Annotated[list[Text], msgspec.Meta(max_length=200)]


class Product(Part):
    """A product as a shop sends it, whole: a field that is missing is gone. Other fields are kept too."""

    product_id: Id
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
    price: Money
    currency: Currency
    old_price: Money | None = None
    stock: Number | None = None
    stock_by_store: Stores | None = None
    url: Url | None = None
    image: Url | None = None
    categories: Categories | None = None
    brand: Text | None = None
    updated_at: Moment | None = None


class ProductTold(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A product, whole. Amounts and quantities are decimals as text (`"249.00"`), digits as the shop wrote them.

    `more` holds the shop's other fields. `updated_at` is when the shop says that it changed.
    """

    TYPE: ClassVar[str] = "kurant.product.told"

    product_id: str
    name: str
    price: str
    currency: str
    received_at: datetime
    old_price: str | None = None
    stock: str | None = None
    stock_by_store: dict[str, str] = {}
    url: str | None = None
    image: str | None = None
    categories: list[str] = []
    brand: str | None = None
    updated_at: datetime | None = None
    more: Json = {}


FIELDS = frozenset(Product.__struct_fields__)


def key(shop: str, product_id: str) -> str:
    """The record's key: products of two shops never meet, since a shop's id has no slash."""
    return f"{shop}/{product_id}"


def told(data: Json, received_at: datetime) -> ProductTold:
    """A decoded and cleaned product as a message; raises `Misfit` with the first field that does not fit."""
    try:
        shape = msgspec.convert(data, Product, dec_hook=decode)
    except msgspec.ValidationError as error:
        raise misfit(error, Product, "") from None
    product_id = str(shape.product_id)
    if not product_id.isprintable() or not product_id.strip():
        raise Misfit("product_id", "is empty or holds a control character")
    for name in ("price", "old_price"):
        if (_amount(data.get(name)) or "").startswith("-"):
            raise Misfit(name, "is less than nothing")
    return ProductTold(
        product_id=product_id,
        name=shape.name,
        price=_amount(data["price"]) or "",
        currency=shape.currency,
        received_at=received_at,
        old_price=_amount(data.get("old_price")),
        stock=_amount(data.get("stock")),
        stock_by_store={store: _amount(count) or "" for store, count in (data.get("stock_by_store") or {}).items()},
        url=shape.url,
        image=shape.image,
        categories=shape.categories or [],
        brand=shape.brand,
        updated_at=_moment(data.get("updated_at")),
        more={name: value for name, value in data.items() if name not in FIELDS},
    )


def _amount(value: Any) -> str | None:
    return None if value is None else amount(value)


def _moment(value: str | None) -> datetime | None:
    """A time without an offset is UTC."""
    if value is None:
        return None
    found = datetime.fromisoformat(value)
    try:
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except OverflowError:
        raise Misfit("updated_at", "is out of range") from None
