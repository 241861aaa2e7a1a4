"""The words that people outside use: event types, identifiers, channels (interface.md, section 5)."""

SHOP_EVENTS = (
    *("profile.registered", "profile.registration_started", "profile.updated", "profile.logged_in"),
    *("profile.tagged", "profile.untagged", "newsletter.subscribed", "consent.changed"),
    *("product.viewed", "product.back_in_stock", "product.price_changed"),
    *("wishlist.added", "wishlist.removed", "stock_alert.requested"),
    *("cart.updated", "cart.cleared", "checkout.started"),
    *("order.placed", "order.paid", "order.status_changed", "order.shipped", "order.delivered"),
    *("order.cancelled", "order.returned", "review.submitted"),
    *("quote.requested", "quote.sent", "quote.accepted"),
    *("appointment.booked", "appointment.rescheduled", "appointment.cancelled", "appointment.attended"),
    "survey.answered",
)
"""What a shop, CRM or till may tell; and any `custom.*` beside them."""

OWN_EVENTS = (
    *("message.sent", "message.delivered", "message.opened", "message.clicked", "message.bounced"),
    *("message.complained", "message.replied", "rfm.changed", "segment.entered", "segment.left"),
)
"""What Kurant itself adds. A shop cannot send them."""

CUSTOM = "custom."
IDENTIFIERS = ("user_id", "anonymous_id", "email", "phone", "crm_id", "loyalty_card")
"""By what a customer is known, in the `data` of an event."""


def is_event_type(name: str) -> bool:
    """Whether an event of this type can ever come."""
    return name in SHOP_EVENTS or name in OWN_EVENTS or (name.startswith(CUSTOM) and len(name) > len(CUSTOM))
