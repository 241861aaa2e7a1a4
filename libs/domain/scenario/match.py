"""Conditions: does it hold, and what was found. A missing path is unknown, and a comparison with it is false."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import msgspec
from msgspec import structs

from libs.domain.money import decimal
from libs.domain.scenario.durations import months_on
from libs.domain.scenario.model import All, AnyOf, Compare, Condition, Happened, Not, Relative

Scope = Mapping[str, Any]
ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
}


NUMERIC = (str, int, float, Decimal)


class Track(Protocol):
    """What is remembered of the events of one type, oldest first."""

    @property
    def total(self) -> int:
        """How many there ever were."""
        ...

    @property
    def times(self) -> Sequence[datetime]:
        """When those that are remembered happened."""
        ...

    @property
    def dropped(self) -> datetime | None:
        """When the newest of those that are not remembered any more happened."""
        ...

    def since(self, start: datetime | None) -> int:
        """The index of the first not before `start`."""
        ...

    def fields(self, index: int) -> dict[str, Any]:
        """What is remembered of the one at `index`."""
        ...


@dataclass(frozen=True, kw_only=True)
class History:
    """What `happened` is judged over: a track for each type, and the moments that `since` may name."""

    now: datetime
    tracks: Mapping[str, Track] = field(default_factory=dict)
    enrolled_at: datetime | None = None
    sent: Mapping[str, datetime] = field(default_factory=dict)


class Found(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One comparison: the value at the path, and the verdict."""

    path: str
    found: Any
    verdict: bool


def lookup(scope: Scope, path: str) -> Any:
    """The value at a dotted path, None where it is missing."""
    value: Any = scope
    for part in path.split("."):
        if isinstance(value, (dict, Mapping)):
            value = value.get(part)
        elif isinstance(value, Sequence) and not isinstance(value, str) and part.isdigit():
            value = value[int(part)] if int(part) < len(value) else None
        else:
            return None
    return value


def holds(condition: Condition, scope: Scope, history: History | None = None) -> bool:
    """Whether the condition is true of the scope (and, for `happened`, of the history)."""
    return _holds(condition, scope, history, None)


def judge(condition: Condition, scope: Scope, history: History | None = None) -> tuple[bool, list[Found]]:
    """The same, with every comparison and what was found, in the order written, in one walk."""
    found: list[Found] = []
    return _holds(condition, scope, history, found), found


def explain(condition: Condition, scope: Scope, history: History | None = None) -> list[Found]:
    """Every comparison within the condition with what was found."""
    return judge(condition, scope, history)[1]


def _holds(condition: Condition, scope: Scope, history: History | None, out: list[Found] | None) -> bool:
    """Parts are all looked at when somebody wants to know, else only as far as the verdict needs."""
    if isinstance(condition, Compare):
        found = lookup(scope, condition.path)
        verdict = _compare(condition, found, scope, history)
        if out is not None:
            out.append(Found(condition.path, _short(found), verdict))
        return verdict
    if isinstance(condition, All | AnyOf):
        parts: Iterable[bool] = (_holds(part, scope, history, out) for part in condition.of)
        if out is not None:
            parts = list(parts)
        return all(parts) if isinstance(condition, All) else any(parts)
    if isinstance(condition, Not):
        return not _holds(condition.of, scope, history, out)
    count, certain = _count(condition, scope, history)
    verdict = ORDERED[condition.times.op](count, condition.times.value)
    if out is not None:
        out.append(Found(f"happened({condition.event})", count if certain else f"at least {count}", verdict))
    return verdict


def _short(found: Any) -> Any:
    """A value as it is worth keeping with the verdict."""
    if isinstance(found, str):
        return found if len(found) <= 200 else f"{found[:200]}…"
    if isinstance(found, Mapping) or (isinstance(found, list) and len(found) > 20):
        return f"({len(found)} entries)"
    return found


def _compare(condition: Compare, found: Any, scope: Scope, history: History | None) -> bool:
    if condition.op == "exists":
        return (found is not None) is bool(condition.value)
    wanted = scope.get("key") if condition.own_key else condition.value
    if isinstance(wanted, Relative):
        wanted = _reached(wanted, scope, history)
    if found is None or wanted is None:
        return condition.op == "ne" and found is not None
    if condition.op in ("in", "nin"):
        values = found if isinstance(found, list) else [found]
        among = any(_ordered("eq", value, one, scope) for value in values for one in wanted)
        return among is (condition.op == "in")
    if condition.op == "contains":
        if isinstance(found, str):
            return str(wanted).casefold() in found.casefold()
        if isinstance(found, Mapping):
            return wanted in found
        return isinstance(found, Sequence) and any(_ordered("eq", one, wanted, scope) for one in found)
    if condition.op == "starts_with":
        return isinstance(found, str) and found.casefold().startswith(str(wanted).casefold())
    return _ordered(condition.op, found, wanted, scope)


def _reached(told: Relative, scope: Scope, history: History | None) -> Any:
    """What `now` or `today` stands for at the moment of judging; None where that is not known."""
    try:
        if history is None or told.word == "now":
            return None if history is None else history.now + told.shift
        today = history.now.astimezone(_zone_of(scope)).date()
        return (months_on(today, told.months) + told.shift).isoformat()
    except (OverflowError, ValueError):
        return None


@lru_cache(maxsize=8192)
def _number(value: str | int | float | Decimal) -> Decimal | None:
    return decimal(value)


def _ordered(op: str, found: Any, wanted: Any, scope: Scope) -> bool:
    """Compare as numbers where both are, else as times, else as text; lists are equal item by item."""
    compared = ORDERED[op]
    if isinstance(found, bool) or isinstance(wanted, bool):  # a flag is no number, though Python says so
        same = type(found) is type(wanted) and found == wanted
        return same if op == "eq" else op == "ne" and not same
    if isinstance(found, NUMERIC) and isinstance(wanted, NUMERIC):
        left, right = _number(found), _number(wanted)
        if left is not None and right is not None:
            return compared(left, right)
    if _is_date(found) or _is_date(wanted):  # a day is compared with days
        days = _day(found, scope), _day(wanted, scope)
        if days[0] is not None and days[1] is not None:
            return compared(days[0], days[1])
    times = moment(found, scope), moment(wanted, scope)
    if times[0] is not None and times[1] is not None:
        return compared(times[0], times[1])
    if isinstance(found, str) and isinstance(wanted, str):
        return compared(found, wanted)
    return op in ("eq", "ne") and compared(found, wanted)


def _is_date(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 10 and value[4] == "-" == value[7]


def _day(value: Any, scope: Scope) -> date | None:
    """The day that a date, or a time in the customer's zone, is on."""
    told = moment(value, scope)
    return None if told is None else told.astimezone(_zone_of(scope)).date()


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
        told = told.replace(tzinfo=_zone_of(scope))
    try:
        return told.astimezone(UTC)
    except OverflowError:
        return None


def _zone_of(scope: Scope) -> ZoneInfo:
    """The customer's zone: as the engine has found it, else the trait."""
    return zone(scope.get("zone") or lookup(scope, "profile.timezone"))


@lru_cache(maxsize=1024)
def known_zone(name: str) -> ZoneInfo | None:
    """The IANA zone of that name, or None."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return None


def zone(name: Any) -> ZoneInfo:
    """The IANA zone of that name, UTC where there is none."""
    return (known_zone(str(name)) if name else None) or ZoneInfo("UTC")


def is_dated(value: Any) -> bool:
    """Whether comparing with it may ask for the customer's zone."""
    return isinstance(value, Relative) or (isinstance(value, str) and value[4:5] == "-")


def renamed(condition: Condition, joint: str) -> Condition:
    """The same condition of a scope that has each value under its whole path, `joint` for every dot.

    Past events stay as they are.
    """
    if isinstance(condition, Compare):
        return structs.replace(condition, path=condition.path.replace(".", joint))
    if isinstance(condition, Not):
        return Not(of=renamed(condition.of, joint))
    if isinstance(condition, All | AnyOf):
        return structs.replace(condition, of=tuple(renamed(part, joint) for part in condition.of))
    where = condition.where
    return condition if where is None else structs.replace(condition, where=_renamed_past(where, joint))


def _renamed_past(where: Condition, joint: str) -> Condition:
    """Within `happened`, where `event` is the one of the past."""
    if isinstance(where, Compare) and where.path.partition(".")[0] == "event":
        return where
    if isinstance(where, Not):
        return Not(of=_renamed_past(where.of, joint))
    if isinstance(where, All | AnyOf):
        return structs.replace(where, of=tuple(_renamed_past(part, joint) for part in where.of))
    return renamed(where, joint)


def _count(condition: Happened, scope: Scope, history: History | None) -> tuple[int, bool]:
    """How often, and whether that is all: more may have happened than is remembered."""
    track = history.tracks.get(condition.event) if history else None
    if history is None or track is None:
        return 0, True
    since = condition.since
    start: datetime | None = None
    if since.within is not None:
        start = history.now - min(since.within, timedelta(days=36_500))
    elif since.enrolled:
        start = history.enrolled_at
    elif since.sent is not None:
        start = history.sent.get(since.sent)
        if start is None:
            return 0, True
    if start is None and condition.where is None:
        return track.total, True
    certain = track.dropped is None or (start is not None and track.dropped < start)
    first, last = track.since(start), len(track.times)
    if condition.where is None:
        return last - first, certain
    count = sum(
        _holds(condition.where, {**scope, "event": past(condition.event, track, place)}, history, None)
        for place in range(first, last)
    )
    return count, certain


def past(type: str, track: Track, place: int) -> dict[str, Any]:
    """A remembered event, as `event` of a condition."""
    return {"type": type, "time": track.times[place].isoformat(), **track.fields(place)}
