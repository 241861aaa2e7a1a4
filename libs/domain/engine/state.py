"""What rules remembers of one profile, as one document."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

Json = dict[str, Any]

HISTORY = 60
HISTORY_FOR = timedelta(days=30)
SEEN = 400
ENDED = 20
CARTS = 5
ORDERS = 5


class Happened(msgspec.Struct, omit_defaults=True):
    """One past event: `time` is when it happened (UTC)."""

    type: str
    time: datetime
    id: str
    data: Json = {}


class Dated(msgspec.Struct, omit_defaults=True):
    """A cart or an order as last told."""

    at: datetime
    data: Json


class StepTaken(msgspec.Struct, omit_defaults=True):
    """What became of one step, for `explain`. `at` is the moment it speaks of, platform time."""

    step: str
    at: datetime
    verdict: str
    because: str | None = None
    message: str | None = None


class Wait(msgspec.Struct):
    """The wake-up call that an enrolment waits for (I5): any other is stale."""

    step: str
    due_at: datetime


class Enrolment(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One run of a scenario's version for one key.

    `cursor` is the instruction to go on at, `at` the logical time there: waits count from it, not from when a
    machine got round to it. `triggered_at` moves with each restart, `round` counts them.
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
    sent: dict[str, datetime] = {}
    steps: list[StepTaken] = []
    ended_at: datetime | None = None
    because: str | None = None
    traceparent: str | None = None


class Found(msgspec.Struct, omit_defaults=True):
    """One condition with the value that was found and the verdict on it."""

    path: str
    found: Any
    verdict: bool


class Judged(msgspec.Struct, omit_defaults=True):
    """The last time a trigger of a scenario was judged for this profile."""

    at: datetime
    version: int
    entered: bool
    because: str
    conditions: list[Found] = []


class Profile(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The whole of it. `into` is set when this profile was merged into another and only forwards."""

    traits: Json = {}
    traits_at: dict[str, datetime] = {}
    carts: dict[str, Dated] = {}
    orders: dict[str, Dated] = {}
    consents: dict[str, dict[str, str]] = {}
    history: list[Happened] = []
    seen: list[int] = []
    enrolments: list[Enrolment] = []
    entered: dict[str, datetime] = {}
    judged: dict[str, Judged] = {}
    contacts_at: dict[str, int] = {}
    into: str | None = None

    def running(self) -> list[Enrolment]:
        """The enrolments that have not ended."""
        return [enrolment for enrolment in self.enrolments if enrolment.state == "waiting"]

    def remember(self, event: Happened) -> None:
        """Keep an event, in the order of its time, within bounds."""
        self.history.append(event)
        if len(self.history) > 1 and self.history[-2].time > event.time:
            self.history.sort(key=lambda past: past.time)
        if len(self.history) > HISTORY:
            newest = self.history[-1].time
            kept = [past for past in self.history if newest - past.time <= HISTORY_FOR]
            self.history = kept[-HISTORY:]

    def tidy(self) -> None:
        """Let go of what is over: the oldest ended enrolments."""
        ended = [enrolment for enrolment in self.enrolments if enrolment.state == "ended"]
        if len(ended) > ENDED:
            drop = {enrolment.id for enrolment in sorted(ended, key=_ended_at)[:-ENDED]}
            self.enrolments = [enrolment for enrolment in self.enrolments if enrolment.id not in drop]


def _ended_at(enrolment: Enrolment) -> datetime:
    return enrolment.ended_at or enrolment.at


def newest(dated: dict[str, Dated]) -> Json | None:
    """The data of the cart or order told last, by event time."""
    return max(dated.values(), key=lambda one: one.at).data if dated else None


def keep_newest(dated: dict[str, Dated], most: int) -> None:
    """Drop the oldest beyond `most`."""
    for key, _ in sorted(dated.items(), key=lambda item: item[1].at)[:-most]:
        del dated[key]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Profile)


def encode(profile: Profile) -> bytes:
    """The document (msgpack)."""
    return _encoder.encode(profile)


def decode(document: bytes) -> Profile:
    """The profile again."""
    return _decoder.decode(document)


def union(left: Iterable[int], right: Iterable[int]) -> list[int]:
    """Both rings of seen events, without repeats."""
    return list(dict.fromkeys([*left, *right]))[-SEEN:]
