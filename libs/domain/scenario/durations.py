"""Durations and times of day as authors write them: `30m 1h 3d 2w 6mo 1y`, `"09:00"`."""

import re
from datetime import time, timedelta
from typing import Any

UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
FORM = re.compile(r"(\d{1,6})\s*(s|m|min|h|d|w)")
MONTHS = re.compile(r"(\d{1,3})\s*(mo|y)")
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


def days(value: Any) -> int:
    """The calendar days in `3d` or `2w`, else 0."""
    found = FORM.fullmatch(value.strip()) if isinstance(value, str) else None
    return 0 if found is None or found[2] not in ("d", "w") else int(found[1]) * (7 if found[2] == "w" else 1)


def months(value: Any) -> int:
    """The calendar months in `6mo` or `1y`, else 0."""
    found = MONTHS.fullmatch(value.strip()) if isinstance(value, str) else None
    return 0 if found is None else int(found[1]) * (1 if found[2] == "mo" else 12)


def clock(value: Any) -> time | None:
    """The time of day in `HH:MM`, or None."""
    found = CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    return time(int(found[1]), int(found[2])) if found else None
