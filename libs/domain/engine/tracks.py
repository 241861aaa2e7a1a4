"""What is remembered of past events: a track for each type, compact enough for more than a year of them.

A track has the times of the newest events of its type, and of each only those fields that a condition of a published
scenario looks at. How many there ever were is counted for ever.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

Json = dict[str, Any]


class Track(msgspec.Struct, array_like=True, gc=False):
    """Events of one type, oldest first. `data` is empty or as long as `times`.

    `dropped` is the time of the newest event that is no longer remembered: a count from before it is `at least`.
    """

    total: int = 0
    times: list[datetime] = []
    data: list[Json] = []
    dropped: datetime | None = None

    def since(self, start: datetime | None) -> int:
        """The index of the first event not before `start`."""
        return 0 if start is None else bisect_left(self.times, start)

    def after(self, start: datetime) -> int:
        """The index of the first event later than `start`."""
        return bisect_right(self.times, start)

    def fields(self, index: int) -> Json:
        """What is remembered of the event at `index`."""
        return self.data[index] if index < len(self.data) else {}


def remember(tracks: dict[str, Track], type: str, time: datetime, data: Json | None, keep: int) -> None:
    """Add an event, in the order of its time; `data` None: only that it was."""
    track = tracks.get(type)
    if track is None:
        tracks[type] = Track(1, [time], [data] if data else [])
        return
    track.total += 1
    times = track.times
    place = len(times)
    if place and time < times[-1]:
        place = bisect_right(times, time)
        times.insert(place, time)
    else:
        times.append(time)
    if data or track.data:
        fields = track.data
        fields.extend({} for _ in range(len(times) - 1 - len(fields)))
        fields.insert(place, data or {})
    if len(times) > keep:
        _trim(track, keep)


def _trim(track: Track, keep: int) -> None:
    excess = len(track.times) - keep
    newest = track.times[excess - 1]
    track.dropped = newest if track.dropped is None else max(newest, track.dropped)
    del track.times[:excess]
    if track.data:
        del track.data[:excess]


def join(mine: dict[str, Track], other: dict[str, Track], keep: int) -> None:
    """Add the tracks of another profile; no event is in both, since each is remembered by one profile alone."""
    for type, theirs in other.items():
        own = mine.setdefault(type, Track())
        total = own.total + theirs.total
        dropped = [one for one in (own.dropped, theirs.dropped) if one is not None]
        for index, time in enumerate(theirs.times):
            remember(mine, type, time, theirs.fields(index) or None, keep)
        own.total = total
        if dropped:
            own.dropped = max([*dropped, *([own.dropped] if own.dropped else [])])


def until(track: Track, moment: datetime) -> Track:
    """The track as if what happened later than `moment` had not come."""
    place = track.after(moment)
    return Track(track.total - len(track.times) + place, track.times[:place], track.data[:place], track.dropped)


def project(data: Json, paths: Iterable[tuple[str, ...]]) -> Json:
    """Only the fields at `paths`, nested as they were; a path may lead through a list by an index."""
    kept: Json = {}
    for path in paths:
        value: Any = data
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and part.isdigit():
                value = value[int(part)] if int(part) < len(value) else None
            else:
                value = None
                break
        if value is None:
            continue
        into = kept
        for part in path[:-1]:
            below = into.get(part)
            if not isinstance(below, dict):
                below = into[part] = {}
            into = below
        into[path[-1]] = value
    return kept
