"""Local times by looking at a wall clock minute by minute: no formula, no search, every minute around an edge.

A local time of a day is the first minute at which the wall has come to it: in a gap that is the first minute after
the gap, and of two that show it the first. A window is open from the one such minute until before the other.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from libs.domain.scenario.model import DAYS

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
FIRST, LAST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
Edge = tuple[datetime, timedelta, timedelta]


def zones() -> list[str]:
    """Every zone of the IANA database."""
    return sorted(name for name in available_timezones() if name not in ("localtime", "Factory"))


def edges(name: str) -> list[Edge]:
    """Every minute of 2020 to 2030 at which the offset changes, with the offsets before and after."""
    zone, found = ZoneInfo(name), []
    moment, before = FIRST, FIRST.astimezone(zone).utcoffset()
    while moment < LAST:
        after = (moment + DAY).astimezone(zone).utcoffset()
        if after != before:
            edge = next(one for n in range(1441) if _offset(one := moment + n * MINUTE, zone) != before)
            found.append((edge, before or timedelta(), after or timedelta()))
        moment, before = moment + DAY, after
    return found


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()


class Wall:
    """What the wall shows at every minute from `start` on."""

    def __init__(self, start: datetime, shows: list[datetime]) -> None:
        self._start = start
        self._shows = shows
        self._first: dict[datetime, datetime] = {}
        for number, shown in enumerate(shows):
            self._first.setdefault(shown, start + number * MINUTE)
        self.next = cache(self._next)
        self.open = cache(self._open)

    def comes(self, day: date, clock: time) -> datetime:
        """The first minute at which it has come to that time of that day; what is jumped over comes after it."""
        wanted = datetime.combine(day, clock)
        while wanted not in self._first:
            wanted += MINUTE
        return self._first[wanted]

    def at(self, moment: datetime) -> datetime:
        """What it shows."""
        return self._shows[int((moment - self._start) / MINUTE)]

    def _next(self, start: datetime, clock: time, days: tuple[str, ...] = ()) -> datetime:
        """The first time at or after `start` that it comes to `clock`, on one of `days`."""
        today = self.at(start).date()
        ahead = (today + n * DAY for n in range(-1, 9))
        return min(
            came
            for day in ahead
            if (not days or DAYS[day.weekday()] in days) and (came := self.comes(day, clock)) >= start
        )

    def _open(self, start: datetime, opens: time, closes: time | None, days: tuple[str, ...]) -> datetime:
        """The first minute at or after `start` in which a window is open: every minute is asked."""
        spans = []
        for n in range(-2, 9):
            day = self.at(start).date() + n * DAY
            last = day if closes and closes > opens else day + DAY
            if DAYS[day.weekday()] in days:
                spans.append((self.comes(day, opens), self.comes(last, closes or time(0, 0))))
        minutes = (start + n * MINUTE for n in range(12 * 1440))
        return next(one for one in minutes if any(begin <= one < end for begin, end in spans))


def around(name: str, edge: datetime) -> Wall:
    """The wall of a zone for some days before an edge and two weeks after it."""
    zone, start = ZoneInfo(name), edge - 12 * DAY
    shows = [(start + n * MINUTE).astimezone(zone).replace(tzinfo=None) for n in range(36 * 1440)]
    return Wall(start, shows)
