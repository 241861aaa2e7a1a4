"""Parts of a scenario in a few words, for people: conditions, waits, triggers."""

from datetime import timedelta
from typing import Any

from libs.domain.scenario import model
from libs.domain.scenario.model import Condition, Trigger, Wait

SIGNS = {"eq": "=", "ne": "≠", "gt": ">", "gte": "≥", "lt": "<", "lte": "≤"}
UNITS = (("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def condition(told: Condition) -> str:
    """`cart.value ≥ 300 and rfm.segment in champion, loyal`."""
    if isinstance(told, model.Compare):
        value = "key" if told.own_key else _value(told.value)
        if told.op == "exists":
            return f"{told.path} {'is there' if told.value else 'is not there'}"
        return f"{told.path} {SIGNS.get(told.op, told.op.replace('_', ' '))} {value}"
    if isinstance(told, model.All | model.AnyOf):
        word = " and " if isinstance(told, model.All) else " or "
        return word.join(_inner(part) for part in told.of)
    if isinstance(told, model.Not):
        return f"not ({condition(told.of)})"
    return _happened(told)


def _inner(told: Condition) -> str:
    words = condition(told)
    return f"({words})" if isinstance(told, model.All | model.AnyOf) and len(told.of) > 1 else words


def _happened(told: model.Happened) -> str:
    words = told.event + (f" where {condition(told.where)}" if told.where else "")
    times = told.times
    if (times.op, times.value) != ("gte", 1):
        words += f" {SIGNS.get(times.op, times.op)} {times.value} times"
    since = told.since
    if since.within is not None:
        words += f" within {duration(since.within)}"
    elif since.enrolled:
        words += " since entering"
    elif since.sent is not None:
        words += f" since {since.sent} was sent"
    return f"{words} happened"


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def duration(length: timedelta) -> str:
    """`1h`, `3d`, `1d 12h`; in the largest units that fit."""
    seconds, words = int(length.total_seconds()), []
    if seconds and not seconds % 604_800:
        return f"{seconds // 604_800}w"
    for unit, size in UNITS[1:]:
        count, seconds = divmod(seconds, size)
        if count:
            words.append(f"{count}{unit}")
    return " ".join(words) or "0s"


def wait(told: Wait) -> str:
    """`wait 3d`, `wait 2d, then until 10:00`, `wait until 09:00 on mon`."""
    if told.until_path is not None:
        return f"wait until {told.until_path}{_around(told.before, told.after, told.months)}"
    if told.until is not None:
        return f"wait until {told.until:%H:%M}" + (f" on {', '.join(told.days)}" if told.days else "")
    length = _months(told.months) if told.months else duration(told.for_ or timedelta())
    return f"wait {length}" + (f", then until {told.at:%H:%M}" if told.at else "")


def _months(count: int) -> str:
    return f"{count // 12}y" if not count % 12 else f"{count}mo"


def _around(before: timedelta | None, after: timedelta | None, months: int = 0) -> str:
    words = f", {duration(before)} before" if before else ""
    words += f", {duration(after)} after" if after else ""
    return words + (f", {_months(abs(months))} {'before' if months < 0 else 'after'}" if months else "")


def trigger(told: Trigger) -> str:
    """What begins a scenario."""
    if isinstance(told, model.EventTrigger):
        words = f"the {told.nth}. {told.event}" if told.nth else told.event
        words += f" ({', '.join(told.statuses)})" if told.statuses else ""
        return words + (f" where {condition(told.where)}" if told.where else "")
    if isinstance(told, model.DateTrigger):
        words = told.date + _around(told.before, told.after, getattr(told, "months", 0))
        words += f", at {told.at:%H:%M}" if told.at else ""
        return words + (", every year" if told.every else "")
    if isinstance(told, model.InactiveTrigger):
        return f"no {' or '.join(told.events)} for {duration(told.lasting)}"
    if isinstance(told, model.RfmTrigger):
        return f"RFM from {', '.join(told.left) or 'any'} to {', '.join(told.to) or 'any'}"
    if isinstance(told, model.SegmentTrigger):
        return f"enters segment {told.enters}" if told.enters else f"leaves segment {told.leaves}"
    if isinstance(told, model.TagTrigger):
        return f"tag {told.added} added" if told.added else f"tag {told.removed} removed"
    return "back in stock" if isinstance(told, model.StockTrigger) else f"price drops by {told.drops}"
