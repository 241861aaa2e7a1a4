"""Every IANA zone at every edge of 2020 to 2030: waits, windows and dates against a wall that is looked at.

`make test` takes some zones with odd edges, `make proof` all of them.
"""

import os
from datetime import datetime, time, timedelta
from itertools import pairwise

import pytest

from libs.domain.scenario.model import DAYS, Day, Wait, Window
from libs.domain.scenario.times import moved, next_open, wait_until
from tests.reference.wall import DAY, HOUR, MINUTE, Edge, Wall, around, edges, zones

FULL = os.environ.get("KURANT_PROOF") == "full"
ODD = (
    *("Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Antarctica/Troll"),
    *("Africa/Cairo", "America/Havana", "Asia/Gaza", "Pacific/Chatham", "America/Santiago", "Europe/Dublin"),
)
NAMES = zones() if FULL else list(ODD)
SHARED: dict[Edge, Wall] = {}
"""Walls by their edge: zones that are one but for their names have one."""


def some(name: str) -> list[tuple[Edge, Wall]]:
    """The edges of a zone with what its wall shows."""
    found = edges(name) if FULL else edges(name)[8:10]
    for edge in found:
        if edge not in SHARED:
            SHARED[edge] = around(name, edge[0])
    return [(edge, SHARED[edge]) for edge in found]


def clocks(edge: Edge) -> list[time]:
    """Times of day in and around what is missing or comes twice, and one that is neither."""
    moment, before, after = edge
    low, high = sorted((moment + before, moment + after))
    inside = low + (high - low) / 2
    local = [low - MINUTE, low, inside, high - MINUTE, high]
    return sorted({one.time().replace(second=0) for one in local} | {time(0, 0), time(10, 0)})


def starts(edge: Edge) -> list[datetime]:
    """Moments around an edge."""
    minutes = (-49 * 60, -25 * 60, -60, -1, 0, 1, 20, 50, 180)
    return [edge[0] + number * MINUTE for number in minutes]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", NAMES)
def test_until_a_local_time(name: str) -> None:
    for edge, wall in some(name):
        for clock in clocks(edge):
            for start in starts(edge):
                for days in ((), DAYS[:1], ("sat", "sun")):
                    wait = Wait(path="", until=clock, days=days)
                    assert wait_until(wait, start, name, {}) == wall.next(start, clock, days), (edge, start, clock)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", NAMES)
def test_days_count_by_the_calendar_and_hours_by_the_clock(name: str) -> None:
    for edge, wall in some(name):
        for clock in clocks(edge):
            for count in (1, 2, 7):
                start = wall.comes((wall.at(edge[0]) - count * DAY).date(), clock)  # so that it ends at the edge
                for begun in (start, start + 11 * MINUTE, *starts(edge)):
                    shown = wall.at(begun)
                    end = wall.comes(shown.date() + count * DAY, shown.time())
                    assert wait_until(Wait(path="", whole_days=count), begun, name, {}) == end, (edge, begun, count)
                    then = Wait(path="", whole_days=count, at=clock)
                    assert wait_until(then, begun, name, {}) == wall.next(end, clock), (edge, begun, count, clock)
                    hours = Wait(path="", for_=count * 24 * HOUR, at=clock)
                    assert wait_until(hours, begun, name, {}) == wall.next(begun + count * 24 * HOUR, clock)
                    assert wait_until(Wait(path="", for_=count * HOUR), begun, name, {}) == begun + count * HOUR


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", NAMES)
def test_windows(name: str) -> None:
    for edge, wall in some(name):
        times = clocks(edge)
        for opens, closes in [*pairwise(times), (times[-1], times[1]), (times[2], None)]:
            day = wall.at(edge[0]).date()
            if closes and any(wall.comes(one, opens) == wall.comes(one, closes) for one in (day, day - DAY)):
                continue  # all of it is jumped over: test_known.py
            for days in (DAYS, _day_of(wall, edge)):
                window = Window(opens=opens, closes=closes, days=days)
                for start in starts(edge)[2:8]:
                    found = next_open(window, start, name)
                    assert found == wall.open(start, opens, closes, days), (edge, start, opens, closes, days)


def _day_of(wall: Wall, edge: Edge) -> tuple[Day, ...]:
    """The day of the edge alone."""
    return (DAYS[wall.at(edge[0]).weekday()],)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", NAMES)
def test_days_around_a_date(name: str) -> None:
    for edge, wall in some(name):
        day = wall.at(edge[0]).date()
        for clock in clocks(edge):
            for count in (-2, -1, 0, 1):
                told = (day - count * DAY).isoformat()
                shift = timedelta(days=count)
                assert moved(told, name, shift=shift, at=clock) == wall.comes(day, clock), (edge, told, clock)
                exact = datetime.combine(day - count * DAY, clock).isoformat()
                assert moved(exact, name, shift=shift) == wall.comes(day, clock), (edge, exact)
            waits = Wait(path="", until_path="event.at", before=DAY)
            scope = {"event": {"at": datetime.combine(day + DAY, clock).isoformat()}}
            assert wait_until(waits, edge[0] - 40 * HOUR, name, scope) == wall.comes(day, clock)
