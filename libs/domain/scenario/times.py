"""Waits and windows in the customer's zone, safe over daylight saving.

A local time that does not exist moves to the next that does; one that comes twice is used once, the first time
(PEP 495, fold=0).
"""

from collections.abc import Set
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from libs.domain.scenario.match import lookup, moment, zone
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
    """When a wait that begins at `start` (UTC) is over (UTC). A path without a date does not wait."""
    if wait.until_path is not None:
        told = moment(lookup(scope, wait.until_path), {"profile": {"timezone": zone_name}})
        if told is None:
            return start
        return max(start, told - (wait.before or timedelta()) + (wait.after or timedelta()))
    end = _later(start, wait, zone_name)
    clock = wait.at or wait.until
    return end if clock is None else _next(end, clock, wait.days, zone_name)


def _later(start: datetime, wait: Wait, zone_name: str) -> datetime:
    """`for` counts whole days on the wall when an hour of the day is asked for, else seconds."""
    if not wait.months:
        return start + (wait.for_ or timedelta())
    local = start.astimezone(zone(zone_name))
    count = local.year * 12 + local.month - 1 + wait.months
    year, month = divmod(count, 12)
    day = min(local.day, _days_in(year, month + 1))
    moved = at_local(date(year, month + 1, day), local.time(), zone_name)
    return moved + (wait.for_ or timedelta())


def _days_in(year: int, month: int) -> int:
    following = date(year + month // 12, month % 12 + 1, 1)
    return (following - timedelta(days=1)).day


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
