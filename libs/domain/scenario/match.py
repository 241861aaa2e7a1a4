"""Conditions: does it hold, and what was found. A missing path is unknown, and a comparison with it is false."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from libs.domain.money import decimal
from libs.domain.scenario.model import All, AnyOf, Compare, Condition, Happened, Not

Scope = Mapping[str, Any]
ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
}


class Past(Protocol):
    """One remembered event."""

    @property
    def type(self) -> str: ...
    @property
    def time(self) -> datetime: ...
    @property
    def data(self) -> dict[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class History:
    """What `happened` is judged over: events oldest first, and the moments that `since` may name."""

    now: datetime
    events: Sequence[Past] = ()
    enrolled_at: datetime | None = None
    sent: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Found:
    """One comparison: the value at the path, and the verdict."""

    path: str
    found: Any
    verdict: bool


def lookup(scope: Scope, path: str) -> Any:
    """The value at a dotted path, None where it is missing."""
    value: Any = scope
    for part in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, Sequence) and not isinstance(value, str) and part.isdigit():
            value = value[int(part)] if int(part) < len(value) else None
        else:
            return None
    return value


def holds(condition: Condition, scope: Scope, history: History | None = None) -> bool:
    """Whether the condition is true of the scope (and, for `happened`, of the history)."""
    if isinstance(condition, Compare):
        return _compare(condition, scope)
    if isinstance(condition, All):
        return all(holds(part, scope, history) for part in condition.of)
    if isinstance(condition, AnyOf):
        return any(holds(part, scope, history) for part in condition.of)
    if isinstance(condition, Not):
        return not holds(condition.of, scope, history)
    return _happened(condition, scope, history)


def explain(condition: Condition, scope: Scope, history: History | None = None) -> list[Found]:
    """Every comparison within the condition with what was found, in the order written."""
    if isinstance(condition, Compare):
        found = lookup(scope, condition.path)
        return [Found(path=condition.path, found=found, verdict=_compare(condition, scope))]
    if isinstance(condition, All | AnyOf):
        return [found for part in condition.of for found in explain(part, scope, history)]
    if isinstance(condition, Not):
        return explain(condition.of, scope, history)
    count = _count(condition, scope, history)
    return [Found(path=f"happened({condition.event})", found=count, verdict=_happened(condition, scope, history))]


def _compare(condition: Compare, scope: Scope) -> bool:
    found = lookup(scope, condition.path)
    if condition.op == "exists":
        return (found is not None) is bool(condition.value)
    wanted = scope.get("key") if condition.own_key else condition.value
    if found is None or wanted is None:
        return condition.op == "ne" and found is not None
    if condition.op in ("in", "nin"):
        among = any(_ordered("eq", found, one, scope) for one in wanted)
        return among is (condition.op == "in")
    if condition.op == "contains":
        if isinstance(found, str):
            return str(wanted).casefold() in found.casefold()
        return isinstance(found, Sequence | Mapping) and wanted in found
    if condition.op == "starts_with":
        return isinstance(found, str) and found.casefold().startswith(str(wanted).casefold())
    return _ordered(condition.op, found, wanted, scope)


def _ordered(op: str, found: Any, wanted: Any, scope: Scope) -> bool:
    """Compare as numbers where both are, else as times, else as text; lists are equal item by item."""
    judge = ORDERED[op]
    if isinstance(found, bool) or isinstance(wanted, bool):
        return op in ("eq", "ne") and judge(found, wanted)
    numbers = decimal(found), decimal(wanted)
    if numbers[0] is not None and numbers[1] is not None:
        return judge(numbers[0], numbers[1])
    times = moment(found, scope), moment(wanted, scope)
    if times[0] is not None and times[1] is not None:
        return judge(times[0], times[1])
    if isinstance(found, str) and isinstance(wanted, str):
        return judge(found, wanted)
    return op in ("eq", "ne") and judge(found, wanted)


def moment(value: Any, scope: Scope) -> datetime | None:
    """The instant that an ISO 8601 text stands for (UTC); without an offset it is in the customer's zone."""
    if isinstance(value, datetime):
        told = value
    elif isinstance(value, str) and len(value) >= 10 and value[4:5] == "-":
        try:
            told = datetime.fromisoformat(value)
        except ValueError:
            return None
    else:
        return None
    if told.tzinfo is None:
        told = told.replace(tzinfo=zone(lookup(scope, "profile.timezone")))
    return told.astimezone(UTC)


def zone(name: Any) -> ZoneInfo:
    """The IANA zone of that name, UTC where there is none."""
    try:
        return ZoneInfo(str(name or "UTC"))
    except (ValueError, OSError, KeyError):
        return ZoneInfo("UTC")


def _happened(condition: Happened, scope: Scope, history: History | None) -> bool:
    return ORDERED[condition.times.op](_count(condition, scope, history), condition.times.value)


def _count(condition: Happened, scope: Scope, history: History | None) -> int:
    if history is None:
        return 0
    since = condition.since
    start: datetime | None = None
    if since.within is not None:
        start = history.now - since.within
    elif since.enrolled:
        start = history.enrolled_at
    elif since.sent is not None:
        start = history.sent.get(since.sent)
        if start is None:
            return 0
    return sum(
        past.type == condition.event
        and (start is None or past.time >= start)
        and (condition.where is None or holds(condition.where, {**scope, "event": past.data}, history))
        for past in history.events
    )
