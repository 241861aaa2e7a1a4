"""One shape per kind of event, and which type has which."""

from typing import Annotated, Any

import msgspec

from libs.contracts.contacts import Channel, Status
from libs.contracts.event_types.parts import (
    Appointment,
    Cart,
    Order,
    Part,
    Product,
    Quote,
    Review,
    Survey,
    Text,
)
from libs.contracts.event_types.values import Day, Language, Moment, Zone

Known = Annotated[str, msgspec.Meta(max_length=2_000)] | int
Purpose = Annotated[
    str,
    msgspec.Meta(
        pattern="^[a-z0-9][a-z0-9_-]{0,49}$",
        description="marketing, transactional, or a name of the shop's own: a-z, 0-9, _ and -, at most 50",
    ),
]


class Consent(Part):
    """One consent as the shop recorded it, with its evidence."""

    channel: Channel
    purpose: Purpose
    status: Status
    clause: Text | None = None
    text: Annotated[str, msgspec.Meta(max_length=20_000)] | None = None
    ip: Annotated[str, msgspec.Meta(max_length=100)] | None = None
    user_agent: Text | None = None
    how: Text | None = None
    page: Text | None = None


Consents = Annotated[list[Consent], msgspec.Meta(min_length=1, max_length=50)]
Tags = Annotated[list[Text], msgspec.Meta(min_length=1, max_length=200)]


class Event(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Who did it, by at least one identifier; `consents` may come with any event."""

    user_id: Known | None = None
    anonymous_id: Known | None = None
    email: Annotated[str, msgspec.Meta(max_length=2_000)] | None = None
    phone: Annotated[str, msgspec.Meta(max_length=2_000)] | None = None
    crm_id: Known | None = None
    loyalty_card: Known | None = None
    push_token: Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)] | None = None
    consents: Consents | None = None


class ProfileEvent(Event):
    """Traits of a person lie beside the identifiers."""

    first_name: Text | None = None
    last_name: Text | None = None
    name: Text | None = None
    language: Language | None = None
    timezone: Zone | None = None
    customer_type: Text | None = None
    tags: list[Text] | None = None
    groups: list[Text] | None = None
    company: Text | dict[str, Any] | None = None
    city: Text | None = None
    postal_code: Text | None = None
    country: Text | None = None
    birthday: Day | None = None


class TagEvent(Event):
    """Tags given or taken."""

    tags: Tags


class ConsentEvent(Event):
    """Consents given, refused or taken back."""

    consents: Consents


class ProductEvent(Event):
    """About a product."""

    product: Product


class CartEvent(Event):
    """About a cart."""

    cart: Cart


class CheckoutEvent(Event):
    """A check-out was begun, of a cart if the shop knows which."""

    cart: Cart | None = None
    order: Order | None = None


class OrderEvent(Event):
    """About an order."""

    order: Order


class ReviewEvent(Event):
    """A review was written."""

    review: Review


class QuoteEvent(Event):
    """About a quote."""

    quote: Quote


class AppointmentEvent(Event):
    """About an appointment."""

    appointment: Appointment


class Booked(Appointment):
    """An appointment whose time is known."""

    at: Moment


class BookingEvent(Event):
    """An appointment with its time: booked or moved."""

    appointment: Booked


class SurveyEvent(Event):
    """A survey was answered."""

    survey: Survey


TYPES: dict[str, type[Event]] = {
    **dict.fromkeys(
        (
            *("profile.registered", "profile.registration_started", "profile.updated", "profile.logged_in"),
            "newsletter.subscribed",
        ),
        ProfileEvent,
    ),
    **dict.fromkeys(("profile.tagged", "profile.untagged"), TagEvent),
    "consent.changed": ConsentEvent,
    **dict.fromkeys(
        (
            *("product.viewed", "product.back_in_stock", "product.price_changed"),
            *("wishlist.added", "wishlist.removed", "stock_alert.requested"),
        ),
        ProductEvent,
    ),
    **dict.fromkeys(("cart.updated", "cart.cleared"), CartEvent),
    "checkout.started": CheckoutEvent,
    **dict.fromkeys(
        (
            *("order.placed", "order.paid", "order.status_changed", "order.shipped", "order.delivered"),
            *("order.cancelled", "order.returned"),
        ),
        OrderEvent,
    ),
    "review.submitted": ReviewEvent,
    **dict.fromkeys(("quote.requested", "quote.sent", "quote.accepted"), QuoteEvent),
    **dict.fromkeys(("appointment.booked", "appointment.rescheduled"), BookingEvent),
    **dict.fromkeys(("appointment.cancelled", "appointment.attended"), AppointmentEvent),
    "survey.answered": SurveyEvent,
}
"""Which shape each type has."""
