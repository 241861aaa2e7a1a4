"""The shapes of all event types: what `data` of an event may hold, and their JSON Schemas.

Strict about the fields named here, silent about others, which are kept as they came. Null means: not told.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from libs.contracts.event_types import events
from libs.contracts.event_types.events import Event
from libs.contracts.event_types.values import amount, decode, schema_of
from libs.contracts.known import fault
from libs.domain.money import rounded
from libs.domain.vocabulary import CUSTOM, IDENTIFIERS, SHOP_EVENTS

TYPES: Mapping[str, type[Event]] = events.TYPES
"""The shape of every event type that a shop may send; `custom.*` have `Event` itself."""
CUSTOM_TYPE = re.compile(r"custom\.[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
PARTS = ("cart", "order", "product", "review", "quote", "appointment", "survey")
AMOUNTS = frozenset({"value", "price", "old_price", "shipping", "tax", "discount"})
QUANTITIES = frozenset({"quantity", "stock", "rating", "score"})
IDS = frozenset({"id", "number", "product_id", "variant_id", "cart_id", "order_id"})


class Misfit(ValueError):
    """A field of `data` does not fit its type. The text never repeats what was sent."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field = field
        self.text = text


def shape(type: str) -> type[Event] | None:
    """The shape of an event type, None when a shop cannot send it."""
    found = TYPES.get(type)
    if found is None and CUSTOM_TYPE.fullmatch(type):
        return Event
    return found


def check(shape: type[Event], data: Any) -> Event:
    """`data` as its shape; raises `Misfit` with the first field that does not fit."""
    try:
        return msgspec.convert(data, shape, dec_hook=decode)
    except msgspec.ValidationError as error:
        raise misfit(error, shape, "data") from None


def plain(data: dict[str, Any]) -> None:
    """Put amounts as decimal text and ids as text, in place, in the parts that a checked `data` has.

    Quantities stay what they are; those that are numbers are rounded as amounts are.
    """
    for name in PARTS:
        part = data.get(name)
        if part.__class__ is dict:
            _plain(part)
            lines = part.get("items")
            if lines.__class__ is list:
                for line in lines:
                    if line.__class__ is dict:
                        _plain(line)


def _plain(part: dict[str, Any]) -> None:
    for name, value in part.items():
        if value.__class__ is str or value is None:
            continue
        if name in AMOUNTS:
            part[name] = amount(value) or value
        elif name in QUANTITIES and value.__class__ is Decimal:
            part[name] = rounded(value)
        elif name in IDS and value.__class__ is int:
            part[name] = str(value)


def misfit(error: msgspec.ValidationError, shape: Any, root: str) -> Misfit:
    """msgspec's words as ours: the path from `root`, and what is wrong there."""
    path, said = fault(error, shape)
    return Misfit(f"{root}{path}".lstrip("."), said)


@lru_cache(maxsize=256)
def schema(type: str) -> dict[str, Any] | None:
    """The JSON Schema (2020-12) of an event type's `data`, None when there is no such type."""
    found = shape(type)
    if found is None:
        return None
    told = msgspec.json.schema(found, schema_hook=schema_of)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": type}
    anyone = {"anyOf": [{"required": [kind]} for kind in IDENTIFIERS]}
    return head | told | {"allOf": [anyone]}


def names() -> list[str]:
    """Every type that has a schema of its own, and the word for all others."""
    return [*SHOP_EVENTS, f"{CUSTOM}*"]
