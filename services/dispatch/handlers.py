"""Decides: which records become messages, what is written to whom, and what an answer of a gateway comes to."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

from libs.common.bus.records import Outgoing, Record, outgoing
from libs.common.telemetry.log import logger
from libs.contracts import topics
from libs.contracts.envelope import Envelope, MalformedRecord
from libs.contracts.events import EventOccurred
from libs.contracts.messages import WEBHOOK, Delivered, MessageRequested
from libs.contracts.scenarios import ScenarioPublished, ScenarioState
from libs.domain import ids
from libs.domain.mail import Letter, Links, Mailbox, choose_sender, track
from libs.domain.scenario.source import ScenarioError
from libs.domain.template import MAY_LACK, CompiledMessage, compile_bundle, pick, render
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
    """A claimed message. `profile` is the one that it belongs to now; `reason` why it was put off before, if it was."""

    message: str
    shop: str
    profile: str
    tries: int
    reason: str | None
    traceparent: str | None
    request: MessageRequested

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


def decode(records: Iterable[Record]) -> tuple[list[Incoming], list[tuple[Record, str]]]:
    """Those that are messages to send, and those that are not, each with its cause."""
    good: list[Incoming] = []
    poison: list[tuple[Record, str]] = []
    for record in records:
        try:
            envelope = Envelope.read(record.headers)
            request = MessageRequested.decode(record.value)
            _check(request)
            assert record.value is not None
            made = Incoming(
                shop=envelope.shop, traceparent=envelope.traceparent, request=request, body=bytes(record.value)
            )
            good.append(made)
        except (MalformedRecord, ValueError) as error:
            poison.append((record, f"malformed: {error}"))
    return good, poison


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
            shelf.set_state(envelope.shop, state.scenario, state.state)
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
    request = job.request
    state = shelf.state(job.shop, request.scenario)
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


@dataclass(frozen=True, kw_only=True)
class Style:
    """What a gateway adds to a message: the sender, the domains an author may write from (None: any), tracking."""

    sender: Mailbox
    senders: frozenset[str] | None = None
    tracking: bool = True


def write(
    job: Job,
    message: CompiledMessage,
    decision: Decision,
    style: Style,
    links: Links,
    now: datetime,
    *,
    traceparent: str | None = None,
    shop: Mapping[str, str] = MappingProxyType({}),
) -> Letter:
    """The message as this customer gets it; raises `TemplateError`. `shop` is what templates may say of the shop."""
    request = job.request
    names = ("unsubscribe_url", "preferences_url", "confirm_url")
    given = {name: getattr(decision, name) or "" for name in names}
    profile = {"timezone": request.timezone, **(request.context.get("profile") or {})}
    context = {**MAY_LACK, **request.context, **given, "profile": profile, "shop": {**shop, "id": job.shop}}
    rendered = render(message, context)
    html = rendered.html
    if html and style.tracking:
        html = track(
            html,
            link=lambda target: links.click(job.message, target),
            pixel=links.pixel(job.message),
            leave={url for url in given.values() if url},
        )
    return Letter(
        message=job.message,
        shop=job.shop,
        scenario=request.scenario,
        name=request.name,
        purpose=request.purpose,
        channel=decision.channel,
        to=decision.address,
        sender=choose_sender(rendered.sender, style.sender, style.senders),
        subject=rendered.subject,
        text=rendered.text,
        html=html,
        url=rendered.url,
        date=now,
        unsubscribe_url=decision.unsubscribe_url,
        traceparent=traceparent or job.traceparent,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """A message whose end (or whose being put off) is still to be published."""

    message: str
    shop: str
    profile: str
    scenario: str
    version: int
    enrolment: str
    path: str
    name: str
    state: State
    reason: str | None
    channel: str | None
    gateway: str | None
    ended_at: datetime | None
    not_before: datetime
    traceparent: str | None


def deliveries(rows: Sequence[Untold], now: datetime) -> list[Outgoing]:
    """The news of `rows`. The same news makes the same id, however often it is told (I3)."""
    return [_delivery(row, now) for row in rows]


def _delivery(row: Untold, now: datetime) -> Outgoing:
    put_off = row.state in ("pending", "claimed", "sending")
    status: Any = "deferred" if put_off else row.state
    at = row.ended_at or now
    told = Delivered(
        message=row.message,
        profile=row.profile,
        scenario=row.scenario,
        version=row.version,
        enrolment=row.enrolment,
        path=row.path,
        name=row.name,
        status=status,
        at=at,
        channel=row.channel,
        gateway=row.gateway,
        reason=row.reason,
        until=row.not_before if put_off else None,
    )
    id = (
        f"deferred-{row.reason}-{row.not_before.isoformat()}-{row.message}" if put_off else f"{row.state}-{row.message}"
    )
    return outgoing(
        topics.DELIVERIES,
        told,
        key=row.profile,
        id=id,
        source=SOURCE,
        shop=row.shop,
        time=at,
        traceparent=row.traceparent,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """A click or an opening, of a message that was sent."""

    id: str
    message: str
    shop: str
    profile: str
    scenario: str
    name: str
    kind: str
    url: str | None
    at: datetime
    traceparent: str | None


def touch_id(message: str, kind: str, url: str | None, at: datetime) -> str:
    """The same within one minute: a second look in the same minute is the same look."""
    return ids.derive("touch", message, kind, url or "", int(at.timestamp()) // 60)


def touched(rows: Sequence[Touch]) -> list[Outgoing]:
    """`message.clicked` and `message.opened` as events of the profile."""
    return [
        outgoing(
            topics.EVENTS,
            EventOccurred(profile=row.profile, received_at=row.at, data=_touch_data(row)),
            key=row.profile,
            id=row.id,
            source=SOURCE,
            shop=row.shop,
            time=row.at,
            type=f"message.{row.kind}",
            traceparent=row.traceparent,
        )
        for row in rows
    ]


def _touch_data(row: Touch) -> dict[str, Any]:
    data = {"message": row.message, "scenario": row.scenario, "name": row.name}
    return data | {"url": row.url} if row.url is not None else data
