"""Decides: which records become messages, which are taken back, and what an answer of consent or a gateway comes to."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from libs.common.bus.records import Record
from libs.common.telemetry.log import logger
from libs.contracts.envelope import Envelope, MalformedRecord
from libs.contracts.messages import WEBHOOK, MessageCancelled, MessageRequested
from libs.contracts.scenarios import ScenarioPublished, ScenarioState
from libs.domain.scenario.source import ScenarioError
from libs.domain.template import compile_bundle, pick
from libs.domain.template.shelf import Bundle, Shelf

log = logger(__name__)

SOURCE = "/kurant/dispatch"
BACKOFF = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 60, 300, 900, 1800, 3600))
"""Platform time until a message is tried again that the gateway did not want now."""
TROUBLE = 5
"""So often a message is tried again after a fault of our own."""
GIVE_UP = timedelta(days=5)
"""After this long a message that has no `expires_at` is tried no more (the usual age in mail queues)."""
PAUSED = timedelta(minutes=5)
"""How soon a message of a paused scenario is looked at again."""
UNKNOWN_VERSION = timedelta(minutes=1)
"""How soon a message is looked at again whose scenario version is not known here."""
UNSAID = timedelta(minutes=1)
"""How soon consent is asked again when it defers without saying until when."""
Held = Literal["held"]
"""Claimed or sending, whichever it is: for what is certain not to have been sent."""
Cancelled = tuple[str, MessageCancelled]
"""With the shop whose message it is."""
State = Literal["pending", "claimed", "sending", "sent", "suppressed", "failed", "expired", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A message as requested; `body` is the request as it came."""

    shop: str
    traceparent: str | None
    request: MessageRequested
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A claimed message. `profile` is the one that it belongs to now; `reason` why it was put off before, if it was;
    `cancelled` why it shall not go out any more, if it shall not.
    """

    message: str
    shop: str
    profile: str
    tries: int
    reason: str | None
    traceparent: str | None
    request: MessageRequested
    cancelled: str | None = None

    def expired(self, now: datetime) -> bool:
        """Whether it is too late to send it."""
        expires_at = self.request.expires_at
        return expires_at is not None and expires_at < now


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What consent answered. The address lives here, in memory, and nowhere else in this service (I1)."""

    decision: Literal["allow", "deny", "defer"]
    reason: str | None = None
    until: datetime | None = None
    channel: str = ""
    address: str = field(default="", repr=False)
    profile: str | None = None
    unsubscribe_url: str | None = field(default=None, repr=False)
    preferences_url: str | None = field(default=None, repr=False)
    confirm_url: str | None = field(default=None, repr=False)


CALL = Decision(decision="allow", channel=WEBHOOK)
"""Nobody is asked about a call of a web address: nothing goes to a customer, and no address of his is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a gateway made of a message: accepted, refused for good, certainly not taken (try again), or who knows."""

    kind: Literal["sent", "refused", "not_now", "unknown"]
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A transition: from `was` to `state`. `pending` with a reason: put off until `not_before`; without: given back."""

    message: str
    was: State | Held
    state: State
    reason: str | None = None
    not_before: datetime | None = None
    tried: bool = False
    profile: str | None = None


def decode(records: Iterable[Record]) -> tuple[list[Incoming], list[Cancelled], list[tuple[Record, str]]]:
    """Messages to send, messages to take back, and records that are neither, each with its cause."""
    asked: list[Incoming] = []
    cancelled: list[Cancelled] = []
    poison: list[tuple[Record, str]] = []
    for record in records:
        try:
            envelope = Envelope.read(record.headers)
            if envelope.type == MessageCancelled.TYPE:
                told = MessageCancelled.decode(record.value)
                UUID(told.message)
                cancelled.append((envelope.shop, told))
            else:
                asked.append(_asked(envelope, record.value))
        except (MalformedRecord, ValueError) as error:
            poison.append((record, f"malformed: {error}"))
    return asked, cancelled, poison


def _asked(envelope: Envelope, value: bytes | None) -> Incoming:
    request = MessageRequested.decode(value)
    _check(request)
    assert value is not None
    return Incoming(shop=envelope.shop, traceparent=envelope.traceparent, request=request, body=bytes(value))


def traced(one: Incoming, traceparent: str) -> Incoming:
    """The message under a span of ours."""
    return replace(one, traceparent=traceparent)


def _check(request: MessageRequested) -> None:
    for id in (request.message, request.profile, request.enrolment):
        UUID(id)
    times = (request.requested_at, request.due_at, request.expires_at, request.cause_at)
    if any(time is not None and time.tzinfo is None for time in times):
        raise MalformedRecord("a time has no offset")


def learn(shelf: Shelf, record: Record) -> None:
    """Take up a record of the scenarios topic. What cannot be compiled is told; its messages have no template."""
    try:
        envelope = Envelope.read(record.headers)
        if envelope.type == ScenarioPublished.TYPE:
            told = ScenarioPublished.decode(record.value)
            if not shelf.knows(envelope.shop, told.scenario, told.version):
                shelf.publish(envelope.shop, told.scenario, told.version, _compiled(told))
        elif envelope.type == ScenarioState.TYPE:
            state = ScenarioState.decode(record.value)
            shelf.set_state(envelope.shop, state.scenario, state.state, state.over)
    except MalformedRecord as error:
        log.error("a record of the scenarios topic cannot be read", offset=record.offset, cause=str(error))


def _compiled(told: ScenarioPublished) -> Bundle:
    try:
        return compile_bundle(told.files)
    except ScenarioError as error:
        log.error("messages cannot be compiled", scenario=told.scenario, version=told.version, cause=str(error))
        return {}


def before_asking(job: Job, shelf: Shelf, reachable: Collection[str], now: datetime) -> tuple[list[str], Change | None]:
    """The channels to ask consent about; or, with none of them, what becomes of the message at once."""
    if job.expired(now):
        return [], expire(job, "claimed")
    if job.cancelled is not None:
        return [], end(job, "claimed", "suppressed", job.cancelled)
    request = job.request
    state = shelf.state(job.shop, request.scenario, request.version)
    if state == "paused":
        return [], put_off(job, "claimed", "paused", now + PAUSED)
    if state == "archived":
        return [], end(job, "claimed", "suppressed", "archived")
    if request.is_call:
        return [WEBHOOK], None
    bundle = shelf.find(job.shop, request.scenario, request.version)
    if bundle is None:
        return [], put_off(job, "claimed", "version_unknown", now + UNKNOWN_VERSION)
    ways = [channel for channel in request.channels if channel in reachable]
    if not ways:
        return [], end(job, "claimed", "suppressed", "no_gateway")
    written = [channel for channel in ways if pick(bundle, request.name, channel, request.language)]
    if not written:
        return [], end(job, "claimed", "failed", "no_template")
    return written, None


def after_asking(job: Job, decision: Decision, now: datetime) -> Change | None:
    """What a deny or a defer comes to; None for an allow."""
    if decision.decision == "deny":
        return end(job, "claimed", "suppressed", decision.reason or "denied", profile=decision.profile)
    if decision.decision == "defer":
        until = max(decision.until or now + UNSAID, now + timedelta(seconds=1))
        return replace(put_off(job, "claimed", decision.reason or "deferred", until), profile=decision.profile)
    return None


def after_sending(job: Job, outcome: Outcome, now: datetime) -> Change:
    """What a gateway's answer comes to."""
    if outcome.kind == "sent":
        return end(job, "sending", "sent", None)
    if outcome.kind == "unknown":
        return end(job, "sending", "unknown", outcome.reason)
    if outcome.kind == "refused":
        return end(job, "sending", "failed", outcome.reason)
    if job.request.expires_at is None and now - job.request.requested_at > GIVE_UP:
        return end(job, "sending", "failed", outcome.reason)
    again = now + BACKOFF[min(job.tries, len(BACKOFF) - 1)]
    return put_off(job, "sending", outcome.reason or "gateway", again, tried=True)


def after_trouble(job: Job, now: datetime) -> Change:
    """Something of ours went wrong before the message was given to anybody: try again, a few times."""
    if job.tries >= TROUBLE:
        return end(job, "held", "failed", "internal_error")
    return put_off(job, "held", "internal_error", now + BACKOFF[min(job.tries, len(BACKOFF) - 1)], tried=True)


def end(job: Job, was: State | Held, state: State, reason: str | None, profile: str | None = None) -> Change:
    """One of the ends of I6."""
    return Change(message=job.message, was=was, state=state, reason=reason, profile=profile)


def expire(job: Job, was: State | Held) -> Change:
    """Too late; the reason is what had put it off, if anything had."""
    return end(job, was, "expired", job.reason or "late")


def put_off(job: Job, was: State | Held, reason: str, until: datetime, *, tried: bool = False) -> Change:
    """Try again at `until`, or when it expires if that is earlier, so that its end is not told late."""
    expires_at = job.request.expires_at
    moment = until if expires_at is None else min(until, expires_at + timedelta(milliseconds=1))
    return Change(message=job.message, was=was, state="pending", reason=reason, not_before=moment, tried=tried)


def give_back(job: Job) -> Change:
    """As if it had never been claimed. For a message that certainly was not sent."""
    return Change(message=job.message, was="held", state="pending")
