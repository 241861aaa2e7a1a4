"""Decides: what a batch of records comes to, what was asked and is answered, what is told of a change."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from libs.common.bus.records import Outgoing, Record, outgoing
from libs.contracts import topics
from libs.contracts.consent_changes import ConsentChanged
from libs.contracts.contacts import Channel, ConsentTold, Contact, ContactsTold, ProfileMerged
from libs.contracts.envelope import Envelope, MalformedRecord
from libs.contracts.event_types.events import Purpose
from libs.contracts.messages import Delivered
from libs.domain import ids
from libs.domain.consent import caps as capping
from libs.domain.consent.address import tidy
from libs.domain.consent.caps import Cap, Place
from libs.domain.consent.decision import judge
from libs.domain.consent.state import ProfileKey, State, Status, Told, Who
from libs.domain.consent.words import bounded, clean, known_status

SOURCE = "/kurant/consent"
CAME_TO_NOTHING = frozenset({"suppressed", "failed", "expired"})
"""The ends of a message that reached nobody: it gives its place back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A contact point that somebody told us; `address` in the form in which it is sent to."""

    shop: str
    profile: str
    channel: str
    address: str
    at: datetime
    source: str


@dataclass(slots=True, kw_only=True)
class Batch:
    """What a batch comes to; `poison` cannot be used, with the cause. `unusable` counts addresses that are none."""

    told: list[Told] = field(default_factory=list)
    addresses: list[Address] = field(default_factory=list)
    merges: list[tuple[str, str, str]] = field(default_factory=list)
    poison: list[tuple[Record, str]] = field(default_factory=list)
    unusable: int = 0

    def profiles(self) -> set[ProfileKey]:
        """Every profile that is named."""
        named = {(one.shop, one.profile) for one in self.told} | {(one.shop, one.profile) for one in self.addresses}
        for shop, profile, into in self.merges:
            named |= {(shop, profile), (shop, into)}
        return named


def read(records: Iterable[Record]) -> Batch:
    """What the records say. Their order does not matter: times decide, and a merge holds for what came before too."""
    batch = Batch()
    for record in records:
        try:
            _take(batch, record)
        except (MalformedRecord, ValueError, OverflowError) as error:
            batch.poison.append((record, f"malformed: {error}"))
    return batch


def _take(batch: Batch, record: Record) -> None:
    envelope = Envelope.read(record.headers)
    if envelope.type == ContactsTold.TYPE:
        told = ContactsTold.decode(record.value)
        profile = str(UUID(told.profile))
        at = bounded(envelope.time, told.received_at)
        source = clean(f"{envelope.source}#{envelope.id}") or ""
        _add_addresses(batch, envelope.shop, profile, at, source, told.contacts)
        batch.told += [
            word(
                shop=envelope.shop,
                profile=profile,
                at=at,
                who="shop",
                source=source,
                place=place,
                consent=consent,
                traceparent=envelope.traceparent,
            )
            for place, consent in enumerate(told.consents)
        ]
    elif envelope.type == ProfileMerged.TYPE:
        merged = ProfileMerged.decode(record.value)
        batch.merges.append((envelope.shop, str(UUID(merged.profile)), str(UUID(merged.into))))
    else:
        raise MalformedRecord(f"{envelope.type} is not for this topic")


def _add_addresses(
    batch: Batch, shop: str, profile: str, at: datetime, source: str, contacts: Iterable[Contact]
) -> None:
    for contact in contacts:
        address = tidy(contact.channel, contact.address)
        if address is None:
            batch.unusable += 1
            continue
        batch.addresses.append(
            Address(shop=shop, profile=profile, channel=contact.channel, address=address, at=at, source=source)
        )


def freed(records: Iterable[Record]) -> tuple[set[tuple[str, str]], list[tuple[Record, str]]]:
    """The messages (shop and id) that came to nothing, of a batch of deliveries; and what cannot be read."""
    messages: set[tuple[str, str]] = set()
    poison: list[tuple[Record, str]] = []
    for record in records:
        try:
            envelope, told = Envelope.read(record.headers), Delivered.decode(record.value)
            if told.status in CAME_TO_NOTHING:
                messages.add((envelope.shop, str(UUID(told.message))))
        except (MalformedRecord, ValueError) as error:
            poison.append((record, f"malformed: {error}"))
    return messages, poison


class ConsentSaid(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One consent as a door takes it: the shape of `ConsentTold`, with a purpose that may be one."""

    channel: Channel
    purpose: Purpose
    status: Status
    clause: str | None = None
    text: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    how: str | None = None
    page: str | None = None


def word(
    *,
    shop: str,
    profile: str,
    at: datetime,
    who: Who,
    source: str,
    consent: ConsentSaid | ConsentTold,
    place: int = 0,
    traceparent: str | None = None,
) -> Told:
    """A word about a permission. The same word of the same event has the same record id (I3).

    The id covers what is said, not the event's id alone: a shop that numbers all its events alike must not lose a
    withdrawal by it.
    """
    said: dict[str, str | None] = {
        name: clean(value) for name, value in msgspec.to_builtins(consent).items() if value is not None
    }
    channel, purpose, status = said["channel"] or "", said["purpose"] or "", said["status"]
    return Told(
        record=ids.derive("consent", shop, source, place, channel, purpose, status, at.isoformat()),
        shop=shop,
        profile=profile,
        channel=channel,
        purpose=purpose,
        status=known_status(status),
        at=at,
        who=who,
        source=source,
        clause=said.get("clause"),
        text=said.get("text"),
        how=said.get("how"),
        ip=said.get("ip"),
        user_agent=said.get("user_agent"),
        page=said.get("page"),
        traceparent=traceparent,
    )


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """May this message be sent? One item of `POST /v1/decisions`."""

    message: UUID
    shop: str
    profile: UUID
    channels: list[str]
    purpose: str
    scenario: str | None = None
    contacts_at: dict[str, int] = {}
    priority: int = 50


class Questions(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/decisions`."""

    requests: list[Asked]


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer. An address is there when `decision` is `allow`, and only then (I1)."""

    message: str
    decision: Literal["allow", "deny", "defer"]
    profile: str | None = None
    channel: str | None = None
    address: str | None = None
    unsubscribe_url: str | None = None
    preferences_url: str | None = None
    confirm_url: str | None = None
    reason: str | None = None
    until: datetime | None = None


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as recorded: what was decided, for which address (hashed), and the consent that it rested on."""

    message: str
    shop: str
    profile: str
    purpose: str
    scenario: str | None
    decision: str
    reason: str
    channel: str | None
    digest: bytes | None
    rested: State | None


def behind(asked: Asked, positions: dict[int, int]) -> bool:
    """Whether contacts that the question rests on have not been applied yet, as far as that can be known."""
    return any(
        not partition.isdecimal() or positions.get(int(partition), 0) <= offset
        for partition, offset in asked.contacts_at.items()
    )


@dataclass(frozen=True, slots=True)
class Known:
    """What is known, under locks, of the profiles that were asked about.

    `roots` says which profile each is now; `points` by channel the hashed address, the encrypted one, and whether
    it is suppressed; `places` by message what counts against the caps of its shop.
    """

    roots: Mapping[ProfileKey, str]
    states: Mapping[ProfileKey, Mapping[tuple[str, str], State]]
    points: Mapping[ProfileKey, Mapping[str, tuple[bytes, bytes, bool]]]
    places: Mapping[ProfileKey, Mapping[str, Place]] = field(default_factory=dict)


def defer(one: Asked, reason: str, until: datetime) -> Answer:
    """Ask again at `until`."""
    return Answer(message=str(one.message), decision="defer", until=until, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What an answer is made with: `caps` by shop, the moment `now`, and `later`, when to ask again what is in doubt.

    `open` decrypts an address (None when it cannot: then there is no allow), `link` makes a signed address of a page.
    """

    caps: Mapping[str, Sequence[Cap]]
    now: datetime
    later: datetime
    open: Callable[[bytes], str | None]
    link: Callable[[str, list[str]], str]


@dataclass(slots=True, kw_only=True)
class Judgement:
    """The answers in the order of the questions, what is recorded of them, and the places that were taken: by shop and
    message the profile, and the place."""

    answers: list[Answer] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    taken: dict[tuple[str, str], tuple[str, Place]] = field(default_factory=dict)


def capped(one: Asked, caps: Mapping[str, Sequence[Cap]]) -> bool:
    """Whether a question is about a message that counts."""
    return capping.counts(one.purpose) and bool(caps.get(one.shop))


def judge_all(asked: Sequence[Asked], known: Known, means: Means, *, all_known: bool = True) -> Judgement:
    """Answer a batch: of the messages to one customer the more important first, then as they were asked.

    Without `all_known` a profile that is not known is one that somebody is changing.
    """
    made = Judgement()
    answers: dict[int, Answer] = {}
    places = {key: dict(held) for key, held in known.places.items()}
    for number, one in sorted(enumerate(asked), key=lambda item: -item[1].priority):
        profile = known.roots.get((one.shop, str(one.profile)))
        if profile is None and not all_known:
            answers[number] = defer(one, "busy", means.later)
            continue
        held = places.setdefault((one.shop, profile or str(one.profile)), {})
        answers[number], judged = answer(one, known, held, means)
        made.judged.append(judged)
        if answers[number].decision == "allow" and capped(one, means.caps):
            made.taken[one.shop, str(one.message)] = judged.profile, held[str(one.message)]
    made.answers = [answers[number] for number in range(len(asked))]
    return made


def answer(one: Asked, known: Known, places: dict[str, Place], means: Means) -> tuple[Answer, Judged]:
    """The answer to one question, and how it is recorded; a place that is taken is added to the customer's `places`."""
    message, profile = str(one.message), known.roots.get((one.shop, str(one.profile)), str(one.profile))
    states = known.states.get((one.shop, profile), {})
    points = known.points.get((one.shop, profile), {})
    verdict = judge(one.channels, one.purpose, states, {channel: not gone for channel, (_, _, gone) in points.items()})
    channel, point = verdict.channel or "", points.get(verdict.channel or "")
    given = Answer(message=message, decision="deny", profile=profile, reason=verdict.reason)
    if verdict.allowed and point:
        asking = [purpose for (way, purpose), state in states.items() if way == channel and state.status == "requested"]
        address = means.open(point[1])
        full = _place(one, channel, places, means) if address is not None else None
        if address is None:
            given = defer(one, "address_unreadable", means.later)
        elif full is not None:
            given = msgspec.structs.replace(defer(one, capping.REASON, full), profile=profile)
        else:
            given = Answer(
                message=message,
                decision="allow",
                channel=channel,
                address=address,
                profile=profile,
                unsubscribe_url=means.link("unsubscribe", [one.shop, profile, channel, one.purpose, message]),
                preferences_url=means.link("preferences", [one.shop, profile, message]),
                confirm_url=means.link("confirm", [one.shop, profile, channel, asking[0], message, point[0].hex()])
                if asking
                else None,
            )
    judged = Judged(
        message=message,
        shop=one.shop,
        profile=profile,
        purpose=clean(one.purpose) or "",
        scenario=clean(one.scenario),
        decision=given.decision,
        reason=given.reason or "allowed",
        channel=clean(verdict.channel),
        digest=point[0] if point else None,
        rested=verdict.rested,
    )
    return given, judged


def _place(one: Asked, channel: str, places: dict[str, Place], means: Means) -> datetime | None:
    """Take a place; where there is none, the moment at which to ask again."""
    if not capped(one, means.caps):
        return None
    found = capping.take(means.caps[one.shop], places, str(one.message), channel, means.now)
    if isinstance(found, datetime):
        return found
    places[str(one.message)] = found
    return None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the outbox: a permission that changed, under the profile that it belongs to now."""

    id: int
    shop: str
    profile: str
    channel: str
    purpose: str
    status: Status
    because: str
    at: datetime
    seq: int
    traceparent: str | None


def changed(changes: Sequence[Change], pictures: dict[ProfileKey, dict[str, dict[str, Status]]]) -> list[Outgoing]:
    """The records that tell of `changes`, each with its profile's whole picture as it stands now."""
    return [
        outgoing(
            topics.CONSENT_CHANGES,
            ConsentChanged(
                profile=change.profile,
                channel=change.channel,
                purpose=change.purpose,
                status=change.status,
                because=change.because,
                consents=pictures.get((change.shop, change.profile), {}),
            ),
            key=change.profile,
            id=f"consent-{change.seq}-{change.profile}",
            source=SOURCE,
            shop=change.shop,
            time=change.at,
            traceparent=change.traceparent,
        )
        for change in changes
    ]
