"""Durations, times of day and moving dates as authors write them: `30m 1h 3d 2w 6mo 1y`, `"09:00"`, `today-30d`."""

import re
from datetime import date, time, timedelta
from typing import Any, cast

from libs.domain.scenario.model import Relative

UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
SHOWN = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
FORM = re.compile(r"(\d{1,6})\s*(s|m|min|h|d|w)")
MONTHS = re.compile(r"(\d{1,3})\s*(mo|y)")
RELATIVE = re.compile(r"(now|today)(?:\s*([+-])\s*(\d+\s*[a-z]+))?")
CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def duration(value: Any) -> timedelta | None:
    """The duration, or None when it is none. A month is 30 days and a year 365 here.

    A wait counts days, weeks and months by the calendar instead, hours and minutes by the clock (RFC 5545, 3.3.6).
    """
    text = str(value).strip() if isinstance(value, str) else ""
    if found := FORM.fullmatch(text):
        return timedelta(seconds=int(found[1]) * UNITS[found[2]])
    if found := MONTHS.fullmatch(text):
        return timedelta(days=int(found[1]) * (30 if found[2] == "mo" else 365))
    return None


def shown(length: timedelta) -> str:
    """A length as authors write it: in the largest unit that it is whole in, `1d` or `36h`."""
    seconds = int(length.total_seconds())
    unit, size = next((unit, size) for unit, size in SHOWN if seconds % size == 0)
    return f"{seconds // size}{unit}"


def days(value: Any) -> int:
    """The calendar days in `3d` or `2w`, else 0."""
    found = FORM.fullmatch(value.strip()) if isinstance(value, str) else None
    return 0 if found is None or found[2] not in ("d", "w") else int(found[1]) * (7 if found[2] == "w" else 1)


def months(value: Any) -> int:
    """The calendar months in `6mo` or `1y`, else 0."""
    found = MONTHS.fullmatch(value.strip()) if isinstance(value, str) else None
    return 0 if found is None else int(found[1]) * (1 if found[2] == "mo" else 12)


def months_on(day: date, count: int) -> date:
    """So many months on (or back), on the last day where the month is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + count, 12)
    return date(year, month + 1, min(day.day, days_in(year, month + 1)))


def days_in(year: int, month: int) -> int:
    """How many days a month has."""
    following = date(year + month // 12, month % 12 + 1, 1)
    return (following - timedelta(days=1)).day


def clock(value: Any) -> time | None:
    """The time of day in `HH:MM`, or None."""
    found = CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    return time(int(found[1]), int(found[2])) if found else None


def relative(value: Any) -> Relative | None:
    """`now`, `now-2h`, `today`, `today+30d`, `today-1mo`; None for anything else."""
    found = RELATIVE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return None
    word, sign, length = found.groups()
    shift, by_calendar = timedelta(), 0
    if length:
        told = duration(length)
        if told is None or (word == "today" and told % timedelta(days=1)):
            return None
        by_calendar = months(length) if word == "today" else 0
        shift = timedelta() if by_calendar else told
    if sign == "-":
        shift, by_calendar = -shift, -by_calendar
    return Relative(text=value.strip(), word=cast(Any, word), shift=shift, months=by_calendar)
