"""Local times in every zone of the IANA data base, around every change of its clocks in the years ahead."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest

from libs.domain.scenario.model import DateTrigger, Wait, Window
from libs.domain.scenario.parse import parse
from libs.domain.scenario.times import at_local, moved, next_open, wait_until, yearly

ZONES = sorted(
    name for name in available_timezones() if not name.startswith(("posix/", "right/")) and name != "localtime"
)
YEARS = (datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 7, 1, tzinfo=UTC))


@cache
def edges(name: str) -> list[datetime]:
    """Every moment at which the offset of the zone changes, to the second."""
    zone, found = ZoneInfo(name), []
    moment = YEARS[0]
    while moment < YEARS[1]:
        later = moment + timedelta(days=5)
        if moment.astimezone(zone).utcoffset() != later.astimezone(zone).utcoffset():
            low, high = moment, later
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                same = middle.astimezone(zone).utcoffset() == low.astimezone(zone).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            found.append(high.replace(microsecond=0))
        moment = later
    return found


CHANGING = [name for name in ZONES if edges(name)]


def slow(day: date, clock: time, name: str) -> datetime:
    """The first minute at or after the one before midnight at which a clock on the wall shows `clock` or later."""
    zone = ZoneInfo(name)
    wanted = datetime.combine(day, clock)
    moment = datetime.combine(day, time(0), tzinfo=UTC) - timedelta(hours=15)
    while moment.astimezone(zone).replace(tzinfo=None) < wanted:
        moment += timedelta(minutes=1)
    return moment


def test_there_are_zones_that_change() -> None:
    assert len(CHANGING) > 150
    assert {"Europe/Warsaw", "America/New_York", "Australia/Lord_Howe"} <= set(CHANGING)


@pytest.mark.parametrize("part", range(8))
def test_around_every_change_a_local_time_is_the_first_moment_that_shows_it_or_what_follows_it(part: int) -> None:
    for name in CHANGING[part::8]:
        for edge in edges(name)[:3]:
            local = edge.astimezone(ZoneInfo(name))
            for minutes in (-90, -60, -30, -1, 0, 1, 30, 59):
                wanted = local.replace(tzinfo=None) + timedelta(minutes=minutes)
                found = at_local(wanted.date(), wanted.time(), name)
                assert found == slow(wanted.date(), wanted.time(), name), (name, wanted)


@pytest.mark.parametrize("name", ["Pacific/Apia"])
def test_a_day_that_was_left_out(name: str) -> None:
    """Samoa had no 30 December 2011."""
    assert at_local(date(2011, 12, 30), time(10), name) == at_local(date(2011, 12, 31), time(0), name)


def test_a_wait_until_an_hour_is_never_early_and_never_more_than_a_day_and_a_bit() -> None:
    for name in CHANGING[::3]:
        for edge in edges(name)[:2]:
            for minutes in (-1500, -61, -1, 0, 1, 61, 121):
                start = edge + timedelta(minutes=minutes)
                for clock in (time(0), time(1, 30), time(2, 30), time(9), time(23, 30)):
                    found = wait_until(Wait(path="s", until=clock), start, name, {})
                    assert start <= found <= start + timedelta(hours=25, minutes=1), (name, start, clock)
                    shown = found.astimezone(ZoneInfo(name)).time()
                    assert shown >= clock, (name, start, clock)


def test_a_window_opens_inside_itself_in_every_zone() -> None:
    window = Window(opens=time(9), closes=time(20), days=("mon", "tue", "wed", "thu", "fri"))
    for name in CHANGING[::3]:
        for edge in edges(name)[:2]:
            for hours in range(-30, 30, 5):
                start = edge + timedelta(hours=hours)
                local = next_open(window, start, name).astimezone(ZoneInfo(name))
                assert time(9) <= local.time() < time(20)
                assert local.weekday() < 5


def test_a_window_over_midnight() -> None:
    window = Window(opens=time(22), closes=time(2))
    for clock, expected in (("21:00", "22:00"), ("23:00", "23:00"), ("01:00", "01:00"), ("02:00", "22:00")):
        start = datetime.fromisoformat(f"2026-03-03T{clock}Z")
        assert next_open(window, start, "UTC").strftime("%H:%M") == expected


@pytest.mark.parametrize(
    ("value", "shift", "months", "at", "expected"),
    [
        ("2026-03-30", timedelta(days=-1), 0, None, "2026-03-28T23:00:00+00:00"),  # 29 March has 23 hours
        ("2026-03-30", timedelta(days=-1), 0, time(10), "2026-03-29T08:00:00+00:00"),
        ("2026-03-30T10:00:00", timedelta(days=-1), 0, None, "2026-03-29T08:00:00+00:00"),
        ("2026-03-30T08:00:00Z", timedelta(days=-1), 0, None, "2026-03-29T08:00:00+00:00"),
        ("2026-03-30T08:00:00Z", timedelta(hours=-3), 0, None, "2026-03-30T05:00:00+00:00"),
        ("2026-10-25T10:00:00+01:00", timedelta(days=-1), 0, None, "2026-10-24T08:00:00+00:00"),
        ("2026-01-31", timedelta(), 1, time(9), "2026-02-28T08:00:00+00:00"),
        ("2024-02-29", timedelta(), 12, time(9), "2025-02-28T08:00:00+00:00"),
        ("2026-03-31", timedelta(days=1), -1, time(9), "2026-03-01T08:00:00+00:00"),
        ("tomorrow", timedelta(), 0, None, None),
        ("9999-12-31", timedelta(days=9), 0, None, None),
        (20260330, timedelta(), 0, None, None),
    ],
)
def test_days_before_and_after_a_date(
    value: object, shift: timedelta, months: int, at: time | None, expected: str | None
) -> None:
    found = moved(value, "Europe/Warsaw", shift=shift, months=months, at=at)
    assert (found.isoformat() if found else None) == expected


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        ("1d", "2026-03-28T12:00:00+01:00"),
        ("24h", "2026-03-28T11:00:00+01:00"),
        ("36h", "2026-03-27T23:00:00+01:00"),
        ("1440m", "2026-03-28T11:00:00+01:00"),
        ("1w", "2026-03-22T12:00:00+01:00"),
        ("1mo", "2026-02-28T12:00:00+01:00"),
    ],
)
def test_before_a_date_hours_count_by_the_clock_and_days_by_the_calendar(length: str, expected: str) -> None:
    """Noon of the day in which Warsaw's clocks have gone forward."""
    event = {"day": "2026-03-29T12:00:00"}
    text = (
        f"kurant: 1\nid: x\nname: x\npurpose: marketing\ntrigger: {{date: event.day, before: {length}}}\n"
        f"steps: [{{wait: {{until: event.day, before: {length}}}}}, {{send: m}}]\n"
    )
    scenario = parse(text)
    (wait, _), trigger = scenario.steps, scenario.trigger
    assert isinstance(wait, Wait) and isinstance(trigger, DateTrigger)
    assert wait_until(
        wait, datetime(2026, 3, 1, tzinfo=UTC), "Europe/Warsaw", {"event": event}
    ) == datetime.fromisoformat(expected)
    around = {"before": trigger.before, "months": trigger.months, "by_clock": trigger.by_clock}
    assert around == {"before": wait.before, "months": wait.months, "by_clock": wait.by_clock}


def test_every_year() -> None:
    assert yearly("1992-02-29", 2027, "UTC") == date(2027, 2, 28)
    assert yearly("1992-02-29", 2028, "UTC") == date(2028, 2, 29)
    assert yearly("--02-29", 2028, "UTC") == date(2028, 2, 29)
    assert yearly("2030-01-01", 2029, "UTC") is None
    assert yearly("1990-03-09T23:30:00Z", 2026, "Europe/Warsaw") == date(2026, 3, 10)
    assert yearly("x", 2026, "UTC") is None


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        (Wait(path="s", whole_days=1), "2026-03-29T10:00:00+02:00"),
        (Wait(path="s", for_=timedelta(hours=24)), "2026-03-29T11:00:00+02:00"),
        (Wait(path="s", whole_days=1, at=time(10)), "2026-03-29T10:00:00+02:00"),
        (Wait(path="s", whole_days=1, at=time(9)), "2026-03-30T09:00:00+02:00"),
        (Wait(path="s", whole_days=7), "2026-04-04T10:00:00+02:00"),
    ],
)
def test_days_count_by_the_calendar_and_hours_by_the_clock(wait: Wait, expected: str) -> None:
    """RFC 5545, 3.3.6: the night to 29 March has 23 hours in Warsaw."""
    start = datetime.fromisoformat("2026-03-28T10:00:00+01:00").astimezone(UTC)
    assert wait_until(wait, start, "Europe/Warsaw", {}) == datetime.fromisoformat(expected)
