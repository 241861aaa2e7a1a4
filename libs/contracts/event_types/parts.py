"""What events are made of: carts, orders, products, appointments and the rest. Other fields are kept too."""

from typing import Annotated, Any

import msgspec

from libs.contracts.event_types.values import Moment, Money, Number, Zone

Text = Annotated[str, msgspec.Meta(max_length=2_000)]
Long = Annotated[str, msgspec.Meta(max_length=20_000)]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | int
Url = Annotated[str, msgspec.Meta(max_length=2_000)]
Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$", description="ISO 4217")]


class Part(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Base of every part."""


class Item(Part):
    """A line of a cart, an order or a quote."""

    product_id: Id | None = None
    variant_id: Id | None = None
    sku: Text | None = None
    name: Text | None = None
    quantity: Number | None = None
    price: Money | None = None
    value: Money | None = None
    image: Url | None = None
    url: Url | None = None
    category: Text | list[Text] | None = None


class Cart(Part):
    """A cart as it now is. A field that is missing is as it was."""

    id: Id
    value: Money | None = None
    currency: Currency | None = None
    url: Url | None = None
    items: list[Item] | None = None


class Order(Part):
    """An order, wherever it was placed (`channel`: web, pos, telephone ...)."""

    id: Id
    number: Id | None = None
    value: Money | None = None
    currency: Currency | None = None
    status: Text | None = None
    channel: Text | None = None
    cart_id: Id | None = None
    items: list[Item] | None = None
    url: Url | None = None
    payment: Text | None = None
    shipping: Money | None = None
    tax: Money | None = None
    discount: Money | None = None
    coupon: Text | None = None
    carrier: Text | None = None
    tracking_number: Text | None = None
    tracking_url: Url | None = None
    planned_delivery: Moment | None = None
    placed_at: Moment | None = None
    shipped_at: Moment | None = None
    delivered_at: Moment | None = None


class Product(Part):
    """A product that was looked at, wished for, or has changed."""

    product_id: Id
    variant_id: Id | None = None
    sku: Text | None = None
    name: Text | None = None
    brand: Text | None = None
    category: Text | list[Text] | None = None
    price: Money | None = None
    old_price: Money | None = None
    currency: Currency | None = None
    stock: Number | None = None
    image: Url | None = None
    url: Url | None = None


class Review(Part):
    """An opinion on a product, an order or the shop."""

    id: Id | None = None
    product_id: Id | None = None
    order_id: Id | None = None
    rating: Number | None = None
    title: Text | None = None
    body: Long | None = None
    url: Url | None = None


class Quote(Part):
    """An offer to a business customer."""

    id: Id
    value: Money | None = None
    currency: Currency | None = None
    status: Text | None = None
    valid_until: Moment | None = None
    planned_delivery: Moment | None = None
    url: Url | None = None
    items: list[Item] | None = None


class Appointment(Part):
    """A visit, a call, a delivery: `at` is when it begins."""

    id: Id
    at: Moment | None = None
    ends_at: Moment | None = None
    timezone: Zone | None = None
    kind: Text | None = None
    place: Text | None = None
    with_whom: Text | None = None
    url: Url | None = None


class Survey(Part):
    """Answers to a questionnaire, of any shape."""

    id: Id
    score: Number | None = None
    answers: dict[str, Any] | list[Any] | None = None
