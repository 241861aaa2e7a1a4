"""Does it hold, and when may that change by itself: events leave their span, `now` and `today` move on.

What time alone cannot change has no such moment. Where it can, the moment is never later than the change, so whoever
judges again then, and asks for the next moment, misses nothing.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta

from libs.domain.scenario.durations import months_on
from libs.domain.scenario.match import ORDERED, History, Scope, holds, lookup, moment, past, zone
from libs.domain.scenario.model import All, AnyOf, Compare, Condition, Happened, Not, Relative
from libs.domain.scenario.times import at_local

TICK = timedelta(microseconds=1)
AROUND = 4
"""So many days around a date minus some months may be the day on which `today` plus those months reaches it."""
Outlook = tuple[bool, datetime | None]


def outlook(condition: Condition, scope: Scope, history: History) -> Outlook:
    """Whether the condition holds, and the first moment after `history.now` at which time alone may change that."""
    if isinstance(condition, All | AnyOf):
        return _together(condition, scope, history, isinstance(condition, All))
    if isinstance(condition, Not):
        verdict, until = outlook(condition.of, scope, history)
        return not verdict, until
    if isinstance(condition, Happened):
        return _happened(condition, scope, history)
    verdict = holds(condition, scope, history)
    told = condition.value
    return verdict, _moving(condition, told, scope, history, verdict) if isinstance(told, Relative) else None


def _together(condition: All | AnyOf, scope: Scope, history: History, whole: bool) -> Outlook:
    """Of all (`whole`) or any. What holds as a whole may end with any part; what fails waits for all that fail, and
    where one of these never changes by itself the others need no look.
    """
    ends: list[datetime] = []
    failing: list[datetime] = []
    for part in condition.of:
        verdict, until = outlook(part, scope, history)
        if verdict is whole:
            ends += [until] if until is not None else []
        elif until is None:
            return not whole, None
        else:
            failing.append(until)
    return (not whole, max(failing)) if failing else (whole, min(ends, default=None))


def _happened(condition: Happened, scope: Scope, history: History) -> Outlook:
    """Events leave the span one by one, oldest first: when the count no longer gives the verdict."""
    track = history.tracks.get(condition.event)
    within = condition.since.within
    if within is None or track is None:
        return holds(condition, scope, history), None
    within = min(within, timedelta(days=36_500))
    compared, wanted = ORDERED[condition.times.op], condition.times.value
    times = [
        track.times[place]
        for place in range(track.since(history.now - within), len(track.times))
        if condition.where is None
        or holds(condition.where, {**scope, "event": past(condition.event, track, place)}, history)
    ]
    verdict = compared(len(times), wanted)
    for gone, oldest in enumerate(times, 1):
        if compared(len(times) - gone, wanted) is not verdict:
            return verdict, oldest + within + TICK
    return verdict, None


def _moving(condition: Compare, told: Relative, scope: Scope, history: History, verdict: bool) -> datetime | None:
    """When `now` or `today` has come so far that the comparison turns out otherwise."""
    found = moment(lookup(scope, condition.path), scope)
    if found is None:
        return None
    for candidate in sorted(_candidates(found, told, scope)):
        if candidate > history.now and holds(condition, scope, replace(history, now=candidate)) is not verdict:
            return candidate
    return None


def _candidates(found: datetime, told: Relative, scope: Scope) -> Iterator[datetime]:
    """Every moment at which the moving side passes what was found: its instant, or a midnight of the zone."""
    name = str(scope.get("zone") or lookup(scope, "profile.timezone") or "")
    day = found.astimezone(zone(name)).date()
    try:
        if told.word == "now":
            midnights = (at_local(day + timedelta(days=ahead), time(), name) for ahead in (0, 1))
            yield from (instant - told.shift for instant in (found, found + TICK, *midnights))
            return
        start = months_on(day, -told.months) - told.shift
        for ahead in range(-AROUND, AROUND + 1):
            yield at_local(start + timedelta(days=ahead), time(), name)
    except (OverflowError, ValueError):
        return


def cheap_first(condition: Condition) -> Condition:
    """The same condition, with what is judged at a glance before what looks through the past."""
    if isinstance(condition, Not):
        return Not(of=cheap_first(condition.of))
    if isinstance(condition, All | AnyOf):
        parts = tuple(sorted(map(cheap_first, condition.of), key=_cost))
        return All(of=parts) if isinstance(condition, All) else AnyOf(of=parts)
    return condition


def _cost(condition: Condition) -> int:
    if isinstance(condition, All | AnyOf):
        return 1 + max(map(_cost, condition.of), default=0)
    if isinstance(condition, Not):
        return _cost(condition.of)
    return 0 if isinstance(condition, Compare) else 1 + (condition.where is not None)
