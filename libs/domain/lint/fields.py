"""What is known of the fields that a path may name: of the profile, of carts and orders, of each type of event.

A shop may send others, so a field that is not known is worth a word only where it looks like one written wrong, or
where another type of event has it.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from libs.domain.scenario.parse import CHANNELS
from libs.domain.vocabulary import CUSTOM, IDENTIFIERS, OWN_EVENTS, SHOP_EVENTS

ITEM = (
    *("product_id", "variant_id", "sku", "name", "quantity", "price", "value", "image", "url", "category"),
    *("currency", "old_price"),
)
PARTS: dict[str, tuple[str, ...]] = {
    "cart": ("id", "value", "currency", "url", "items"),
    "order": (
        *("id", "number", "value", "currency", "status", "channel", "cart_id", "items", "url", "payment", "shipping"),
        *("tax", "discount", "coupon", "carrier", "tracking_number", "tracking_url", "planned_delivery", "placed_at"),
        *("shipped_at", "delivered_at"),
    ),
    "product": (
        *("product_id", "variant_id", "sku", "name", "brand", "category", "price", "old_price", "currency", "stock"),
        *("image", "url"),
    ),
    "review": ("id", "product_id", "order_id", "rating", "title", "body", "url"),
    "quote": ("id", "value", "currency", "status", "valid_until", "planned_delivery", "url", "items"),
    "appointment": ("id", "at", "ends_at", "timezone", "kind", "place", "with_whom", "url"),
    "survey": ("id", "score", "answers"),
}
"""What events are made of, with the fields that have a meaning of their own (libs/contracts/event_types)."""
PROFILE = (
    *("first_name", "last_name", "name", "language", "timezone", "birthday", "customer_type", "tags", "groups"),
    *("company", "city", "postal_code", "country"),
)
OF_PROFILE = (*PROFILE, "consents", "segments", "timezone_hint")
OF_PRODUCT = (
    *("product_id", "name", "brand", "category", "price", "currency", "lowest_price", "stock", "available", "dearer"),
    *("url", "image"),
)
"""Of a product as it is now: what is kept of the catalogue, and what follows from it."""
OF_RFM = ("segment", "previous", "since", "r", "f", "m")
DATES = frozenset(
    {
        *("order.planned_delivery", "order.placed_at", "order.shipped_at", "order.delivered_at", "profile.birthday"),
        *("quote.valid_until", "quote.planned_delivery", "appointment.at", "appointment.ends_at"),
    }
)
NUMBERS = frozenset(
    {"value", "price", "old_price", "quantity", "stock", "rating", "score", "shipping", "tax", "discount"}
)
LISTS = ("profile.tags", "profile.groups", "profile.segments")
KEPT_OUT = (*IDENTIFIERS, "push_token")
"""Addresses and identifiers: no scenario and no template sees them (I1)."""
ALWAYS = ("type", "time", "id")
OF_MESSAGE = ("message", "scenario", "name")
OWN: dict[str, tuple[str, ...]] = {
    "rfm.changed": ("from", "to", "scores"),
    "segment.entered": ("segment",),
    "segment.left": ("segment",),
    "consent.changed": ("channel", "purpose", "status", "because"),
    **dict.fromkeys(("message.sent", "message.delivered", "message.bounced"), (*OF_MESSAGE, "channel")),
    **dict.fromkeys(("message.opened", "message.complained", "message.replied"), OF_MESSAGE),
    "message.clicked": (*OF_MESSAGE, "url"),
}
"""The fields of what Kurant itself tells."""
BY_PREFIX: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in ("cart", "order", "product", "review", "quote", "appointment", "survey")},
    "checkout": ("cart", "order"),
    "wishlist": ("product",),
    "stock_alert": ("product",),
    "newsletter": PROFILE,
}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The fields of an event, by the words that people know it by. An `open` one may have any."""

    name: str
    fields: frozenset[str] = field(default_factory=frozenset)
    open: bool = False


ANY = Shape(name="event", open=True)
"""An event of which nothing is known."""
Word = tuple[Literal["error", "warning"], str, str]
"""How bad it is, what it is, what to do."""


def closest(word: str, words: Iterable[str], cutoff: float) -> str:
    """The word that was meant, or nothing: one that looks alike, or that has the same letters."""
    known = sorted(words)
    same = [one for one in known if sorted(one) == sorted(word)]
    found = same or difflib.get_close_matches(word, known, 1, cutoff)
    return found[0] if found and found[0] != word else ""


def near(word: str, words: Iterable[str], cutoff: float = 0.7) -> str:
    """`did you mean …?`, or nothing."""
    close = closest(word, words, cutoff)
    return f"did you mean `{close}`?" if close else ""


def near_miss(path: str) -> str:
    """A hint for a dotted path that looks like a well-known field written wrong, or nothing."""
    word = look(path, ANY)
    return word[2] if word is not None and word[2].startswith("did you mean") else ""


def shape(type: str) -> Shape:
    """The fields that an event of this type has."""
    if type in OWN:
        return Shape(name=type, fields=frozenset(OWN[type]))
    if type not in SHOP_EVENTS:
        return Shape(name=type, open=True)
    prefix = type.partition(".")[0]
    if prefix == "profile":
        return Shape(name=type, fields=frozenset(("tags", "by") if "tagged" in type else (*PROFILE, "by")))
    return Shape(name=type, fields=frozenset(BY_PREFIX[prefix]))


def trigger_shape(trigger: Any) -> Shape:
    """The fields of the event that a run has, by the trigger as it is written."""
    told = trigger if isinstance(trigger, Mapping) else {}
    if isinstance(told.get("event"), str):
        return shape(told["event"].strip())
    if isinstance(told.get("date"), str):
        return _dated(told["date"])
    if "inactive" in told:
        return Shape(name="trigger `inactive`", fields=frozenset({"inactive"}))
    if "tag" in told:  # a tag comes with `profile.tagged`, or with all traits of a profile
        return Shape(name="trigger `tag`", fields=frozenset((*PROFILE, "by")))
    for word, type in (("rfm", "rfm.changed"), ("segment", "segment.entered"), ("stock", "product.back_in_stock")):
        if word in told:
            return shape(type)
    return shape("product.price_changed") if "price" in told else ANY


def _dated(path: str) -> Shape:
    """The event of a date: whichever brought it, or none."""
    root, _, rest = path.partition(".")
    part = rest.partition(".")[0]
    if root != "event":
        return Shape(name=f"trigger `date: {path}`", fields=frozenset({"date"}))
    if part not in PARTS:
        return ANY
    both = ("cart", "order") if part in ("cart", "order") else (part,)
    return Shape(name=f"trigger `date: {path}`", fields=frozenset(both))


def shape_of(value: Any) -> Shape:
    """The shape of `event.` in the steps and the messages of a scenario, by what was read of it."""
    return trigger_shape(value.get("trigger")) if isinstance(value, Mapping) else ANY


def has_product(event: Shape) -> bool:
    """Whether a run that such an event began has a product to ask for."""
    return event.open or "product" in event.fields


def look(path: str, event: Shape) -> Word | None:
    """What there is to say of a dotted path, where `event.` means an event of this shape."""
    root, *rest = path.split(".")
    if root == "key":
        return ("error", "key is one value, and has no fields", "`key`") if rest else None
    if not rest:
        return None
    if root in ("profile", "event") and rest[0] in KEPT_OUT:
        hint = "`channels` sees to it that somebody can be reached"
        return "error", f"{path} is never seen here: addresses and identifiers stay at the door", hint
    if root == "profile":
        return _of_profile(path, rest)
    if root == "rfm":
        if rest[0] in OF_RFM:
            return None
        return "warning", f"{path} is not known", near(rest[0], OF_RFM, 0.6) or f"rfm has: {', '.join(OF_RFM)}"
    if root == "event":
        return _of_event(path, rest, event)
    if root == "product":
        known = f"a product as it is now has: {', '.join(OF_PRODUCT)}"
        return None if rest[0] in OF_PRODUCT else ("error", f"{path} is not kept", near(rest[0], OF_PRODUCT) or known)
    return _of_part(path, root, PARTS.get(root, ()), rest)


def _of_profile(path: str, rest: list[str]) -> Word | None:
    if rest[0] == "consents" and len(rest) > 1 and rest[1] not in CHANNELS:
        hint = near(rest[1], CHANNELS) or "such as `profile.consents.email.marketing`"
        return "error", f"{path}: {rest[1]} is no channel", hint
    return _of_part(path, "profile", OF_PROFILE, rest)


def _of_event(path: str, rest: list[str], event: Shape) -> Word | None:
    name = rest[0]
    if name in ALWAYS:
        return None
    if event.open or name in event.fields:
        return _of_part(path, f"event.{name}", PARTS.get(name, ()), rest[1:])
    if name in PARTS:
        hint = f"it has: {', '.join(sorted(event.fields))}"
        if name in ("cart", "order"):
            hint = f"`{path.removeprefix('event.')}` is of the {name} that the customer had last"
        return "warning", f"no {event.name} has `{name}`", hint
    if name in PROFILE:
        return "warning", f"no {event.name} has `{name}`", f"`profile.{'.'.join(rest)}`"
    close = closest(name, event.fields, 0.75)
    return ("warning", f"{path} is not a field that is known", f"did you mean `event.{close}`?") if close else None


def _of_part(path: str, above: str, known: tuple[str, ...], rest: list[str]) -> Word | None:
    """A field of a part (or of a line of it) that looks like one that is known."""
    if not rest or not known:
        return None
    name, below = rest[0], rest[1:]
    if name == "items" and below:
        if not below[0].isdigit():
            return "warning", f"{path}: items are a list", f"`{above}.items.0.{below[0]}` is of the first"
        return _of_part(path, f"{above}.items.{below[0]}", ITEM, below[1:])
    close = "" if name in known else closest(name, known, 0.75)
    return ("warning", f"{path} is not a field that is known", f"did you mean `{above}.{close}`?") if close else None


def no_date(path: str) -> Word | None:
    """What there is to say of a path where a date is needed."""
    root, *rest = path.split(".")
    short = ".".join(rest if root == "event" else (root, *rest))
    part, *fields = short.split(".")
    if part == "key" or short in ("type", "time", "id"):
        return "error", f"{path} is no date that an event brings", "`event.order.planned_delivery`"
    if not fields and part in ("", "profile", "rfm", *PARTS):
        return "error", f"{path} is no date", "`event.order.planned_delivery`"
    known = OF_PROFILE if part == "profile" else PARTS.get(part)
    if known is not None and fields and fields[0] in known and short not in DATES:
        there = ", ".join(sorted(one.partition(".")[2] for one in DATES if one.startswith(f"{part}.")))
        return "error", f"{path} is no date", f"dates of {part}: {there}" if there else f"{part} has none by itself"
    word = look(path, ANY)
    if word is None and root == "event" and part not in PARTS and (hint := near(part, PARTS, 0.75)):
        return "warning", f"no event that is known has `{part}`", hint
    return word


EVENTS = (*SHOP_EVENTS, *OWN_EVENTS)


def no_event(type: str) -> str:
    """What to do about an event type that does not exist."""
    return near(type, EVENTS) or f"an event of your own begins with `{CUSTOM}`"
