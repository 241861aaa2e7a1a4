"""What an order's events say that counts for RFM: one fact per order, each part of it as told last."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

from libs.domain import money
from libs.domain.intake.ecommerce import worth
from libs.domain.rfm import currencies
from libs.domain.rfm.figures import MOST
from libs.domain.rfm.parse import CURRENCY

CANCELLED = "cancelled"
MOMENTS = {
    "order.placed": "placed_at",
    "order.paid": "paid_at",
    "order.shipped": "shipped_at",
    "order.delivered": "delivered_at",
}
"""The events that rules may count from, and where a fact keeps their moment."""
EVENTS = frozenset({*MOMENTS, "order.status_changed", "order.cancelled", "order.returned"})
LONGEST_ID, LONGEST_STATUS = 200, 64
ABSURD = MOST + 1
"""What stands for an amount beyond belief, so that it is counted as one."""


class OrderFact(msgspec.Struct, kw_only=True):
    """One order. `statuses` are the words told and when first; `value` and `returned` are in minor units, `whole` says
    that all of it came back."""

    order: str
    placed_at: datetime | None = None
    paid_at: datetime | None = None
    shipped_at: datetime | None = None
    delivered_at: datetime | None = None
    statuses: dict[str, datetime] = {}
    status: str | None = None
    status_at: datetime | None = None
    value: int | None = None
    currency: str | None = None
    value_at: datetime | None = None
    returned: int = 0
    whole: bool = False


def order_fact(type: str, at: datetime, data: Mapping[str, Any], currency: str | None = None) -> OrderFact | None:
    """What one event says of its order; None when that is nothing. `currency` is the order's as known before.

    Of `order.returned` value and lines are what came back; without either it was the whole order.
    """
    told = data.get("order")
    if type not in EVENTS or not isinstance(told, dict):
        return None
    key = _text(told.get("id"), LONGEST_ID)
    if key is None:
        return None
    fact = OrderFact(order=key)
    if type in MOMENTS:
        setattr(fact, MOMENTS[type], at)
    status = CANCELLED if type == "order.cancelled" else told.get("status") or data.get("status")
    fact.status = _text(status, LONGEST_STATUS)
    if fact.status is not None:
        fact.status_at, fact.statuses = at, {fact.status: at}
    named = (one for one in (told.get("currency"), currency) if isinstance(one, str) and CURRENCY.fullmatch(one))
    known = next(named, None)
    if type == "order.returned":
        back = _minor(told.get("value"), known)
        if back is None and isinstance(told.get("items"), list) and told["items"]:
            back = _minor(worth(told["items"]), known)
        fact.returned, fact.whole = max(back or 0, 0), back is None
    else:
        fact.value = _minor(told.get("value"), known)
        if fact.value is not None:
            fact.currency, fact.value_at = known, at
    return fact


def add(orders: dict[str, OrderFact], fact: OrderFact) -> None:
    """To what was told of orders already, by order."""
    known = orders.get(fact.order)
    orders[fact.order] = blend(known, fact) if known is not None else fact


def blend(known: OrderFact, later: OrderFact) -> OrderFact:
    """Both together, as the store does it: moments the earliest, status and value as told last, returns added up."""
    found = msgspec.structs.replace(
        known,
        statuses=_earliest(known.statuses, later.statuses),
        returned=min(known.returned + later.returned, ABSURD),
        whole=known.whole or later.whole,
    )
    for name in MOMENTS.values():
        moments = [at for at in (getattr(known, name), getattr(later, name)) if at is not None]
        setattr(found, name, min(moments, default=None))
    if later.status_at is not None and (known.status_at is None or later.status_at >= known.status_at):
        found.status, found.status_at = later.status, later.status_at
    if later.value_at is not None and (known.value_at is None or later.value_at >= known.value_at):
        found.value, found.value_at = later.value, later.value_at
        found.currency = later.currency or known.currency
    return found


def _earliest(known: dict[str, datetime], later: dict[str, datetime]) -> dict[str, datetime]:
    pairs: Iterable[tuple[str, datetime]] = [*known.items(), *later.items()]
    found: dict[str, datetime] = {}
    for word, at in pairs:
        found[word] = min(at, found.get(word, at))
    return found


def _text(value: Any, longest: int) -> str | None:
    """An id or a word; None when it is none, or holds what no id does: control characters, half of a surrogate pair."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).replace("\u00a0", " ").strip()
    return text if 0 < len(text) <= longest and text.isprintable() else None


def _minor(value: Any, currency: str | None) -> int | None:
    """An amount in minor units, halves up; None when it is none."""
    amount = money.decimal(value)
    if amount is None:
        return None
    if abs(amount) > MOST:
        return ABSURD if amount > 0 else -ABSURD
    scaled = amount.scaleb(currencies.digits(currency or "")).quantize(Decimal(1), ROUND_HALF_UP)
    return max(-ABSURD, min(int(scaled), ABSURD))
