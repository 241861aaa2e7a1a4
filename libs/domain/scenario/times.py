"""Waits and windows in the customer's zone, safe over daylight saving.

A local time that does not exist moves to the next that does; one that comes twice is used once, the first time
(PEP 495, fold=0).
"""

from collections.abc import Set
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from libs.domain.scenario.durations import days_in, months_on
from libs.domain.scenario.match import lookup, zone
from libs.domain.scenario.model import DAYS, Wait, Window


def at_local(day: date, clock: time, zone_name: str) -> datetime:
    """The instant (UTC) at which the wall clock of the zone shows `clock` on `day`."""
    local = datetime.combine(day, clock, tzinfo=zone(zone_name))
    back = local.astimezone(UTC).astimezone(local.tzinfo)
    if back.replace(tzinfo=None) != local.replace(tzinfo=None):  # in the gap: the first moment after it
        return _after_gap(local)
    return local.astimezone(UTC)


def _after_gap(local: datetime) -> datetime:
    """The instant at which the clocks jumped over this local time: where the offset changes."""
    low = local.replace(tzinfo=None) - timedelta(hours=26)
    start = low.replace(tzinfo=local.tzinfo).astimezone(UTC)
    end = start + timedelta(hours=52)
    before = start.astimezone(local.tzinfo).utcoffset()
    while end - start > timedelta(seconds=1):
        middle = start + (end - start) / 2
        if middle.astimezone(local.tzinfo).utcoffset() == before:
            start = middle
        else:
            end = middle
    return end.replace(microsecond=0)


def wait_until(wait: Wait, start: datetime, zone_name: str, scope: dict[str, Any]) -> datetime:
    """When a wait that begins at `start` (UTC) is over (UTC): before `start` where its date is past already.

    A path without a date does not wait.
    """
    if wait.until_path is not None:
        shift = (wait.after or timedelta()) - (wait.before or timedelta())
        told = moved(lookup(scope, wait.until_path), zone_name, shift=shift, months=wait.months, by_clock=wait.by_clock)
        return start if told is None else told
    end = _later(start, wait, zone_name)
    clock = wait.at or wait.until
    return end if clock is None else _next(end, clock, wait.days, zone_name)


def is_local(wait: Wait) -> bool:
    """Whether its end depends on the customer's zone."""
    return bool(wait.months or wait.whole_days or wait.at or wait.until or wait.until_path)


def moved(
    value: Any,
    zone_name: str,
    *,
    shift: timedelta = timedelta(),
    months: int = 0,
    by_clock: bool = False,
    at: time | None = None,
) -> datetime | None:
    """The instant (UTC) some days and months from a date or time that an event or a profile holds, at `at` if given.

    Days and months count on the wall of the zone, hours (with `by_clock` all of `shift`) by the clock. A date alone is
    its midnight.
    """
    told = value if isinstance(value, datetime) else _read(value)
    if told is None:
        return None
    try:
        days = 0 if by_clock else int(shift / timedelta(days=1))
        rest = shift - timedelta(days=days)
        if told.tzinfo is not None:
            if not days and not months and at is None:
                return told.astimezone(UTC) + rest
            told = told.astimezone(zone(zone_name))
        day = months_on(told.date(), months) + timedelta(days=days)
        return at_local(day, at or told.time(), zone_name) + rest
    except (OverflowError, ValueError):
        return None


def _read(value: Any) -> datetime | None:
    if not isinstance(value, str) or len(value) < 10 or value[4:5] != "-":
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def yearly(value: Any, year: int, zone_name: str) -> date | None:
    """The day in `year` on which a date (`1990-03-09`, `--03-09`) comes round.

    29 February comes round on 28 February in a year that has none. None before the year of the date itself.
    """
    if isinstance(value, str) and value.startswith("--"):
        value = f"1904-{value[2:]}"
    told = value if isinstance(value, datetime) else _read(value)
    if told is None:
        return None
    if told.tzinfo is not None:
        told = told.astimezone(zone(zone_name))
    if year < told.year:
        return None
    return date(year, told.month, min(told.day, days_in(year, told.month)))


def _later(start: datetime, wait: Wait, zone_name: str) -> datetime:
    """`for` in days, weeks or months counts by the calendar of the zone, in hours and less by the clock."""
    if not wait.months and not wait.whole_days:
        return start + (wait.for_ or timedelta())
    local = start.astimezone(zone(zone_name))
    day = months_on(local.date(), wait.months) + timedelta(days=wait.whole_days)
    return at_local(day, local.time(), zone_name)


def _next(start: datetime, clock: time, days: tuple[str, ...], zone_name: str) -> datetime:
    """The first moment not before `start` at which the wall shows `clock`, on one of `days` (none: any)."""
    day = start.astimezone(zone(zone_name)).date()
    for ahead in range(-1, 9):
        candidate = day + timedelta(days=ahead)
        if days and DAYS[candidate.weekday()] not in days:
            continue
        found = at_local(candidate, clock, zone_name)
        if found >= start:
            return found
    return start


def next_open(window: Window, at: datetime, zone_name: str, holidays: Set[date] = frozenset()) -> datetime:
    """`at` when the window is open then, else when it opens next (UTC). Never open within 400 days: `at`."""
    day = at.astimezone(zone(zone_name)).date()
    for ahead in range(-1, 400):
        candidate = day + timedelta(days=ahead)
        if DAYS[candidate.weekday()] not in window.days or (window.skip_holidays and candidate in holidays):
            continue
        opens = at_local(candidate, window.opens, zone_name)
        last = candidate if window.closes and window.closes > window.opens else candidate + timedelta(days=1)
        closes = at_local(last, window.closes or time(0, 0), zone_name)
        if at < closes:
            return max(at, opens)
    return at
