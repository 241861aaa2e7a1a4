"""What rules remembers of one profile, as one document (msgpack). Small things are arrays in it, to keep it small.

A document is a tree: no part of it leads back to itself, so the garbage collector need not look (`gc=False`).
"""

from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from libs.domain.engine import legacy
from libs.domain.engine.tracks import Track, remember
from libs.domain.scenario.match import Found

Json = dict[str, Any]

HISTORY = 400
"""Of a type that a scenario asks about: so many of the newest events are remembered (with a where, as many)."""
HISTORY_FOR = timedelta(days=400)
"""So long a condition may look back and be told of all, unless there were more than `HISTORY` of the type."""
UNASKED = 20
"""The same for types that nobody asks about yet: a scenario published later begins with these."""
TYPES = 80
"""Of so many types of event something is remembered."""
SEEN = 400
"""So many of the newest events are known again when they are repeated."""
DIGEST = 8
"""Bytes by which an event is known again."""
ENDED = 20
"""So many ended enrolments stay in the document, and of those that ended long ago fewer: all of it is written again
with every event of the profile."""
ENDED_LONG_AGO = 3
NEWS_FOR = timedelta(days=7)
"""So long after its end something may still be heard of a message."""
STEPS = 100
"""Of the trace of one enrolment."""
CARTS = 5
ORDERS = 5
"""The newest, as they are now."""
WANTS = 50
"""Products that matter to the profile."""
MARKS = 200
"""Tags, on or off, and segments that were left."""


class Happened(msgspec.Struct, array_like=True, gc=False):
    """One event: `time` is when it happened (UTC)."""

    type: str
    time: datetime
    id: str
    data: Json = {}


class Dated(msgspec.Struct, array_like=True, gc=False):
    """A cart, an order, an RFM as last told. `older` are the fields that were told before `at`, and when."""

    at: datetime
    data: Json
    older: dict[str, datetime] = {}


class Mark(msgspec.Struct, array_like=True, gc=False):
    """Whether a tag is on, and since when."""

    at: datetime
    on: bool


class Member(msgspec.Struct, array_like=True, gc=False):
    """Whether the profile is in a segment, and since when.

    `next` is the first moment at which time alone may change that. `version` is the one by which it was judged, 0
    where nobody judged it but an event said so.
    """

    at: datetime
    on: bool
    next: datetime | None = None
    version: int = 0


class Want(msgspec.Struct, array_like=True, gc=False):
    """Why a product matters to the profile: letters of `asked`, `wished`, `viewed`; none where it does not.

    `price` is the one that the customer saw last, with its currency, at `seen` (None: at `at`). `bought` is when it
    was bought last: what was before that does not count.
    """

    at: datetime
    how: str
    price: str | None = None
    seen: datetime | None = None
    bought: datetime | None = None


class Count(msgspec.Struct, array_like=True, gc=False):
    """How many events met a trigger with `nth`; `latest` of them by time, until that many have come."""

    seen: int = 0
    latest: Happened | None = None


class StepTaken(msgspec.Struct, array_like=True, gc=False):
    """What became of one step, for `explain`. `at` is the moment it speaks of, platform time."""

    step: str
    at: datetime
    verdict: str
    because: str | None = None
    message: str | None = None


class Wait(msgspec.Struct, array_like=True, gc=False):
    """The wake-up call that an enrolment (or the segments) waits for (I5): any other is stale.

    `kind` is `wait`, `until`, `window`, `held` or `segments`; `began` is kept where the zone or a date may move it.
    """

    step: str
    due_at: datetime
    kind: str = ""
    began: datetime | None = None


class Enrolment(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """One run of a scenario's version for one key.

    `cursor` is the instruction to go on at, `at` the logical time there: waits count from it, not from when a
    machine got round to it. `triggered_at` moves with each restart, `round` counts them. `arms` are the lots drawn.
    `asked_at` is when it asked for its last message that was not too late already, until it has waited since. `out` are
    the messages to the customer that can still be taken back: no end of theirs has been heard.
    """

    id: str
    scenario: str
    version: int
    key: str
    state: Literal["waiting", "ended"] = "waiting"
    entered_at: datetime
    triggered_at: datetime
    trigger: Happened
    round: int = 0
    cursor: int = 0
    calls: int = 0
    at: datetime
    wait: Wait | None = None
    asked_at: datetime | None = None
    out: list[str] = []
    sent: dict[str, datetime] = {}
    steps: list[StepTaken] = []
    arms: dict[str, str] = {}
    ended_at: datetime | None = None
    because: str | None = None
    traceparent: str | None = None


class Watch(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """A date, or the end of a silence, that a scenario waits for before anybody has entered it.

    `due_at` is when the profile would enter; then `step` is the one call that is out. `trigger` is the event that
    brought the date. `done` is the occurrence that was judged last, so that none is judged twice; `because` says
    why nothing is awaited.
    """

    scenario: str
    key: str
    version: int
    due_at: datetime | None = None
    step: str = ""
    date: str = ""
    trigger: Happened | None = None
    done: str = ""
    because: str = ""


class Judged(msgspec.Struct, array_like=True, gc=False):
    """The last time a trigger of a scenario was met by this profile; of one that is not, `Considered` tells."""

    at: datetime
    version: int
    entered: bool
    because: str
    conditions: list[Found] = []


class Considered(msgspec.Struct, array_like=True, gc=False):
    """The last event of a type that scenarios were asked about, for those that it does not start.

    `at` is when it happened, `now` when they were asked, `by` which versions of them these were. `kept` are the
    values at all paths that they look at.
    """

    at: datetime
    now: datetime
    by: int
    kept: Json = {}


class Profile(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """The whole of it. `into` is set when this profile was merged into another and only forwards.

    `seen` has the digests of the newest events, oldest first, eight bytes each (a list of numbers, once).
    """

    traits: Json = {}
    traits_at: dict[str, datetime] = {}
    carts: dict[str, Dated] = {}
    orders: dict[str, Dated] = {}
    rfm: Dated | None = None
    tags: dict[str, Mark] = {}
    segments: dict[str, Member] = {}
    segments_wait: Wait | None = None
    consents: dict[str, dict[str, str]] = {}
    wants: dict[str, Want] = {}
    first: datetime | None = None
    tracks: dict[str, Track] = {}
    counts: dict[str, Count] = {}
    seen: list[int] | bytes = b""
    enrolments: list[Enrolment] = []
    entered: dict[str, datetime] = {}
    judged: dict[str, Judged] = {}
    considered: dict[str, Considered] = {}
    watches: dict[str, Watch] = {}
    looked: str = ""
    contacts_at: dict[str, int] = {}
    into: str | None = None

    def saw(self, digest: int) -> bool:
        """Whether this event was applied before."""
        seen, mark = self._digests(), digest.to_bytes(DIGEST)
        place = seen.find(mark)
        while place > 0 and place % DIGEST:  # across the border of two others
            place = seen.find(mark, place + 1)
        return place >= 0

    def see(self, digest: int) -> None:
        """Remember the event."""
        self.seen = (self._digests() + digest.to_bytes(DIGEST))[-SEEN * DIGEST :]

    def see_all(self, other: "Profile") -> None:
        """Remember what another has seen, as older than what this one has."""
        mine = self._digests()
        own = {mine[place : place + DIGEST] for place in range(0, len(mine), DIGEST)}
        theirs = other._digests()
        parts = (theirs[place : place + DIGEST] for place in range(0, len(theirs), DIGEST))
        self.seen = (b"".join(one for one in parts if one not in own) + mine)[-SEEN * DIGEST :]

    def _digests(self) -> bytes:
        if isinstance(self.seen, list):
            self.seen = b"".join(digest.to_bytes(DIGEST) for digest in self.seen)
        return self.seen

    def running(self) -> list[Enrolment]:
        """The enrolments that have not ended."""
        return [enrolment for enrolment in self.enrolments if enrolment.state == "waiting"]

    def remember(self, type: str, time: datetime, data: Json | None, keep: int) -> None:
        """Note an event in the track of its type."""
        remember(self.tracks, type, time, data, keep)
        if self.first is None or time < self.first:
            self.first = time
        if len(self.tracks) > TYPES:
            del self.tracks[min(self.tracks, key=lambda name: self.tracks[name].times[-1])]

    def tidy(self, now: datetime) -> list[Enrolment]:
        """Let go of the oldest ended enrolments, and give them to be kept elsewhere.

        Those stay that have not heard what became of a message, those for a while that may hear more, and a few of the
        others.
        """
        if len(self.enrolments) <= ENDED_LONG_AGO:
            return []
        ended = sorted((one for one in self.enrolments if one.state == "ended"), key=_to_be_kept)
        old = sum(not one.out and _ended_at(one) < now - NEWS_FOR for one in ended)
        gone = ended[: max(0, len(ended) - ENDED, min(old, len(ended) - ENDED_LONG_AGO))]
        if not gone:
            return []
        drop = {enrolment.id for enrolment in gone}
        self.enrolments = [enrolment for enrolment in self.enrolments if enrolment.id not in drop]
        return gone


def _ended_at(enrolment: Enrolment) -> datetime:
    return enrolment.ended_at or enrolment.at


def _to_be_kept(enrolment: Enrolment) -> tuple[bool, datetime]:
    return bool(enrolment.out), _ended_at(enrolment)


def newest(dated: dict[str, Dated]) -> Json | None:
    """The data of the cart or order told last, by event time."""
    return max(dated.values(), key=lambda one: one.at).data if dated else None


def keep_newest(dated: dict[str, Dated], most: int) -> None:
    """Drop the oldest beyond `most`."""
    if len(dated) > most:
        for key, _ in sorted(dated.items(), key=lambda item: item[1].at)[:-most]:
            del dated[key]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Profile)
_enrolment_decoder = msgspec.msgpack.Decoder(Enrolment)


def encode(profile: Profile) -> bytes:
    """The document (msgpack)."""
    return _encoder.encode(profile)


def decode(document: bytes) -> Profile:
    """The profile again; one of the first form is brought to this one."""
    try:
        return _decoder.decode(document)
    except msgspec.ValidationError:
        return _decoder.decode(_encoder.encode(legacy.renew(msgspec.msgpack.decode(document))))


def from_builtins(value: Any) -> Profile:
    """A profile out of plain values, as it travels when two become one."""
    try:
        return msgspec.convert(value, Profile)
    except msgspec.ValidationError:
        return msgspec.convert(legacy.renew(value), Profile)


def encode_enrolment(enrolment: Enrolment) -> bytes:
    """An ended enrolment by itself."""
    return _encoder.encode(enrolment)


def decode_enrolment(document: bytes) -> Enrolment:
    """The enrolment again."""
    return _enrolment_decoder.decode(document)
