"""How often may we write? Pure: places in rolling windows, given to messages and kept by them.

A cap lets `most` messages through in any stretch of time as long as `per`. A message that may go out takes a place
at that moment; the place is free again `per` later. What is no marketing is never capped and never counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.domain.consent.state import TRANSACTIONAL

REASON = "cap"
"""Why a message is put off that finds no place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """At most so many messages in any stretch of `per`, by one `channel` or (None) by all together."""

    most: int
    per: timedelta
    channel: str | None = None

    def covers(self, channel: str) -> bool:
        """Whether messages by this channel count."""
        return self.channel in (None, channel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """That a message was let through, by which channel and when for the last time."""

    channel: str
    at: datetime


def counts(purpose: str) -> bool:
    """Whether messages of this purpose are capped, and count."""
    return purpose != TRANSACTIONAL


def longest(caps: Iterable[Cap]) -> timedelta:
    """How far back places matter."""
    return max((cap.per for cap in caps), default=timedelta())


def take(
    caps: Sequence[Cap], places: Mapping[str, Place], message: str, channel: str, now: datetime
) -> Place | datetime:
    """The place that `message` has from now on, or the moment at which it may ask again.

    `places` are the customer's, by message; its own counts for nothing against it. A message keeps the place that it
    has, also when more are taken than there are (two customers turned out to be one, a cap was lowered), and the
    place moves with each answer, since the message goes out after the last one. Places that are later than now (a
    clock of another replica is ahead) count too.
    """
    mine = places.get(message)
    until, room = now, True
    for cap in caps:
        if not cap.covers(channel):
            continue
        begin = now - cap.per
        taken = sorted(
            one.at for id, one in places.items() if id != message and cap.covers(one.channel) and one.at > begin
        )
        if len(taken) < cap.most:
            continue
        room = False
        if mine is None or not cap.covers(mine.channel) or mine.at <= begin:
            until = max(until, taken[-cap.most] + cap.per)
    if until > now:
        return until
    if mine is not None and (not room or mine.at > now):
        return Place(channel=channel, at=mine.at)
    return Place(channel=channel, at=now)
