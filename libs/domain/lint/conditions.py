"""Lint of conditions, as they are written: paths that do not exist, comparisons never true, what nobody can answer."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from libs.domain.consent.state import STATUSES
from libs.domain.engine.state import HISTORY, HISTORY_FOR
from libs.domain.lint.fields import LISTS, NUMBERS, Shape, look, near, shape
from libs.domain.money import decimal
from libs.domain.rfm.model import SEGMENTS
from libs.domain.scenario.conditions import SENT
from libs.domain.scenario.durations import duration
from libs.domain.scenario.parse import CHANNELS
from libs.domain.scenario.source import Finding, Severity, Source

SEGMENT_NAMES = tuple(line.segment for line in SEGMENTS)
SEVERAL = ("in", "nin")
ORDERED = ("gt", "gte", "lt", "lte")
WITHOUT_PURPOSE = ("profile.consents", *(f"profile.consents.{channel}" for channel in CHANNELS))
OF_LISTS = ("contains", *SEVERAL, "exists")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a condition stands: what `event.` means there, whether a run has begun, whether runs have a key.

    `product` says whether there is a product to ask for: that of the event which begins the run.
    """

    event: Shape
    running: bool
    keyed: bool
    entering: bool = False
    product: bool = True


def check_condition(source: Source, path: str, told: Any, place: Place) -> Iterator[Finding]:
    """Findings of a condition and all that is in it."""
    for name, value in told.items() if isinstance(told, dict) else ():
        below = f"{path}/{name}"
        if name in ("all", "any"):
            for index, item in enumerate(value if isinstance(value, list) else [value]):
                yield from check_condition(source, f"{below}/{index}", item, place)
        elif name == "not":
            yield from check_condition(source, below, value, place)
        elif name == "happened":
            yield from _happened(source, below, value, place)
        else:
            yield from _path(source, below, name, place)
            compared = value if isinstance(value, dict) else {"eq": value}
            for op, wanted in compared.items():
                at = f"{below}/{op}" if isinstance(value, dict) else below
                yield from _compared(source, at, (name, op, wanted), place)


def _path(source: Source, at: str, name: str, place: Place) -> Iterator[Finding]:
    if name == "key":
        yield from _key(source, at, place)
        return
    if name.startswith("product.") and not place.product:
        message = f"{name} is of the product that a trigger tells of, and there is none here"
        yield source.finding(at, message, "ask in a step of a scenario that an event of a product starts")
        return
    word = look(name, place.event)
    if word is not None:
        yield source.finding(at, word[1], word[2], word[0])


def _key(source: Source, at: str, place: Place) -> Iterator[Finding]:
    if place.entering:
        yield source.finding(at, "there is no key yet when the trigger is judged", "compare with a value")
    elif not place.keyed:
        message = "without `key:` the key is the profile's id, and nothing an event says is equal to it"
        yield source.finding(at, message, "add `key: event.cart.id` (or another path) to the scenario")


def _compared(source: Source, at: str, told: tuple[str, str, Any], place: Place) -> Iterator[Finding]:
    """One comparison: path, operator, value."""
    name, op, wanted = told
    if wanted == "key":
        yield from _key(source, at, place)
    elif op == "exists":
        if not isinstance(wanted, bool):
            yield source.finding(at, "exists is `true` or `false`", f"`{{{name}: {{exists: true}}}}`")
    elif name in WITHOUT_PURPOSE and op != "contains":
        message = f"{name} is no status: each purpose has one of its own"
        channel = name.split(".")[2] if name.count(".") == 2 else "email"
        yield source.finding(at, message, f"`profile.consents.{channel}.marketing`")
    elif wanted is None:
        yield source.finding(at, f"{name} is compared with nothing", f"`{{{name}: {{exists: false}}}}` asks for that")
    elif isinstance(wanted, dict):
        yield source.finding(at, "this compares with one value", "gt gte lt lte eq ne in nin contains starts_with")
    elif name in LISTS and op not in OF_LISTS:
        yield source.finding(at, f"{name} is a list", f"`{{{name}: {{contains: {_first(wanted)}}}}}`")
    elif isinstance(wanted, list) and op not in SEVERAL:
        severity: Severity = "error" if op in ORDERED else "warning"
        message = f"{op} compares with one value, not with each of a list"
        yield source.finding(at, message, f"`{{{name}: {{in: [...]}}}}`", severity)
    elif op in SEVERAL and wanted == []:
        yield source.finding(at, f"{op} of an empty list", "name at least one value")
    else:
        for one in wanted if isinstance(wanted, list) else [wanted]:
            yield from _value(source, at, (name, op, one))


def _first(wanted: Any) -> Any:
    return wanted[0] if isinstance(wanted, list) and wanted else wanted


def _value(source: Source, at: str, told: tuple[str, str, Any]) -> Iterator[Finding]:
    """One value that a field can never have."""
    name, op, wanted = told
    parts = name.split(".")
    if name.startswith("profile.consents.") and len(parts) == 4 and op in ("eq", "ne", *SEVERAL):
        if wanted not in STATUSES:
            hint = near(str(wanted), STATUSES) or f"one of: {', '.join(STATUSES)}"
            yield source.finding(at, f"{wanted} is no status of a consent", hint)
    elif name in ("rfm.segment", "rfm.previous"):
        yield from check_ready_made(source, at, wanted)
    elif name in ("product.available", "product.dearer") and not isinstance(wanted, bool):
        yield source.finding(at, f"{name} is `true` or `false`", f"`{{{name}: true}}`")
    elif parts[-1] in NUMBERS and parts[0] in ("event", "cart", "order", "product") and op in ("eq", *ORDERED):
        number = None if isinstance(wanted, bool) else decimal(wanted)
        if number is None:
            yield source.finding(at, f"{name} is a number, and {wanted} is none: this is never true", "", "warning")


def check_ready_made(source: Source, at: str, wanted: Any) -> Iterator[Finding]:
    """The name of an RFM segment, where it looks like one of the ready-made map written wrong."""
    if isinstance(wanted, str) and wanted not in SEGMENT_NAMES and (hint := near(wanted, SEGMENT_NAMES, 0.8)):
        yield source.finding(at, f"{wanted} is no segment of the ready-made map", hint, "warning")


def _happened(source: Source, path: str, told: Any, place: Place) -> Iterator[Finding]:
    if not isinstance(told, dict):
        return
    event = told.get("event")
    of = place.event if not isinstance(event, str) else shape(event.strip())
    yield from check_condition(source, f"{path}/where", told.get("where"), replace(place, event=of))
    within = duration(told.get("within"))
    if within is not None and within > HISTORY_FOR:
        message = f"the past is remembered for {HISTORY_FOR.days} days: this cannot be answered"
        yield source.finding(f"{path}/within", message, f"`within: {HISTORY_FOR.days}d` at most")
    elif within is not None and not within:
        yield source.finding(f"{path}/within", "within must be longer than nothing", "`within: 30d`")
    since = told.get("since")
    if since is not None and "within" in told:
        yield source.finding(f"{path}/since", "`since` and `within` exclude each other", "keep one of them")
    if isinstance(since, str) and not place.running and (since == "enrolled" or SENT.fullmatch(since)):
        message = f"`since: {since}` has no meaning here: nothing is known of a run where triggers and exits are judged"
        yield source.finding(f"{path}/since", message, "use `within`, or ask in a step")
    yield from _times(source, path, told)


def _times(source: Source, path: str, told: dict[str, Any]) -> Iterator[Finding]:
    times = told.get("times", {"gte": 1})
    op, count = ("eq", times) if not isinstance(times, dict) else next(iter(times.items()), ("eq", None))
    if isinstance(count, bool) or not isinstance(count, int):
        return
    at = f"{path}/times"
    needed = count + 1 if op in ("gt", "lte", "eq", "ne") else count
    if count < 0 or (op, count) == ("lt", 0):
        yield source.finding(at, "nothing happens less often than never", "`times: {gte: 1}`")
    elif (op, count) == ("gte", 0):
        yield source.finding(at, "this is always true", "`times: {gte: 1}`, or `times: 0` for never", "warning")
    elif needed > HISTORY and any(told.get(name) is not None for name in ("where", "within", "since")):
        message = f"of a customer's past {HISTORY} events of a type are remembered: {count} cannot be told from more"
        hint = f"up to {HISTORY - 1}; without `where`, `within` and `since` all are counted for ever"
        yield source.finding(at, message, hint)
