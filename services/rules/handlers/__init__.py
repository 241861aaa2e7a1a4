"""Decides: a batch of records and the profiles they are about in, the profiles after them and messages out."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from libs.common.bus.records import Outgoing, Record, outgoing
from libs.common.telemetry.log import logger
from libs.contracts import topics
from libs.contracts.consent_changes import ConsentChanged
from libs.contracts.envelope import Envelope, MalformedRecord
from libs.contracts.events import ABSORBED, MERGED, RFM_CHANGED, EventOccurred
from libs.contracts.messages import Delivered
from libs.contracts.scenarios import RfmPublished, ScenarioPublished, ScenarioState, SegmentPublished, SegmentState
from libs.contracts.steps import StepDue
from libs.domain import ids
from libs.domain.engine import due, events, interest, merge, products, state
from libs.domain.engine.acts import SOURCE
from libs.domain.engine.interest import Interest
from libs.domain.engine.named import compile_segment
from libs.domain.engine.program import CannotRun, compile_program
from libs.domain.engine.registry import Registry
from libs.domain.engine.state import Enrolment, Happened, Profile
from libs.domain.engine.turn import Turn
from libs.domain.rfm import changes, facts
from libs.domain.rfm.parse import parse as parse_rfm
from libs.domain.scenario.parse import ScenarioError, parse_published
from libs.domain.scenario.segment import parse_published_segment
from services.rules.handlers import catalogue, records

log = logger(__name__)
FOUND = frozenset({"segment.entered", "segment.left"})
"""Events that rules itself finds out, and tells everybody of."""
CHANGED = "consent.changed"
"""A change of permission, told by consent, as an event of the profile."""
ProfileKey = tuple[str, str]
NOTHING: Mapping[str, Any] = {}
Payload = EventOccurred | StepDue | Delivered | ConsentChanged
PAYLOADS: dict[str, type[Payload]] = {
    topics.EVENTS.name: EventOccurred,
    topics.DUE.name: StepDue,
    topics.DELIVERIES.name: Delivered,
    topics.CONSENT_CHANGES.name: ConsentChanged,
}


@dataclass(slots=True)
class Decoded:
    """A record that can be understood."""

    record: Record
    envelope: Envelope
    payload: Payload
    key: ProfileKey

    @property
    def echo(self) -> bool:
        """Whether rules hears what it has told: the turn that found it out has acted on it already."""
        return self.envelope.type in FOUND and self.envelope.source == SOURCE


@dataclass(slots=True)
class Decision:
    """What a batch leads to. `messages` with their priorities: the highest goes out first, whatever came first; those
    taken back come last. `sums` are each shop's for the audit, `gone` ended enrolments that documents let go of,
    `orders` what was told of orders (by profile and order), `merged` the profiles with orders that are others now,
    `interests` the products that matter to a profile from now on, or no more."""

    outputs: list[Outgoing] = field(default_factory=list)
    messages: list[tuple[int, Outgoing]] = field(default_factory=list)
    cancellations: list[Outgoing] = field(default_factory=list)
    orders: dict[ProfileKey, dict[str, facts.OrderFact]] = field(default_factory=dict)
    merged: list[tuple[ProfileKey, str]] = field(default_factory=list)
    interests: dict[ProfileKey, dict[str, Interest | None]] = field(default_factory=dict)
    gone: list[tuple[ProfileKey, Enrolment]] = field(default_factory=list)
    sums: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


def decode(polled: Iterable[Record]) -> tuple[list[Decoded], list[tuple[Record, str]]]:
    """Those that are ours to apply, and those that are not, each with its cause."""
    good: list[Decoded] = []
    poison: list[tuple[Record, str]] = []
    for record in polled:
        try:
            payload, envelope = PAYLOADS[record.topic].decode(record.value), Envelope.read(record.headers)
            good.append(Decoded(record, envelope, payload, (envelope.shop, payload.profile)))
        except MalformedRecord as error:
            poison.append((record, f"malformed: {error}"))
    return good, poison


def about(batch: Iterable[Decoded]) -> set[ProfileKey]:
    """The profiles that a batch may change."""
    return {item.key for item in batch if not item.echo}


def wanted(
    batch: Iterable[Decoded], profiles: Mapping[ProfileKey, Profile], programs: Registry
) -> set[catalogue.ProductKey]:
    """The products that scenarios may ask for as they are now: of runs that may begin, and of those that run."""
    found: set[catalogue.ProductKey] = set()
    asking: dict[str, set[str] | None] = {}
    for item in batch:
        shop = item.envelope.shop
        if shop not in asking:
            index = programs.shop(shop)
            asking[shop] = products.starting(index) if products.asked(index) else None
        starting = asking[shop]
        if starting and item.envelope.type in starting and isinstance(item.payload, EventOccurred):
            id = interest.product_id(Happened(item.envelope.type, item.envelope.time, "", item.payload.data))
            found |= {(shop, id)} if id is not None else set()
    for (shop, _), profile in profiles.items():
        if asking.get(shop) is not None and profile.enrolments:
            found |= {(shop, id) for id in products.of_runs(shop, profile, programs)}
    return found


def decide(
    batch: Sequence[Decoded],
    profiles: dict[ProfileKey, Profile],
    programs: Registry,
    now: Callable[[], datetime],
    known: Mapping[str, Mapping[str, dict[str, Any]]] = NOTHING,
) -> Decision:
    """Apply the batch in order. `profiles` holds those of the batch (`about`) and is changed in place; `known` are
    the products that are `wanted`, by shop."""
    decision = Decision()
    moment = now()
    for item in batch:
        if item.echo:
            decision.sums[item.envelope.shop]["events.duplicates"] += 1
            continue
        turn = Turn(
            shop=item.envelope.shop,
            profile_id=item.payload.profile,
            profile=profiles[item.key],
            programs=programs,
            now=moment,
            sums=decision.sums[item.envelope.shop],
            products=known.get(item.envelope.shop, NOTHING),
        )
        if turn.profile.into is not None:
            _forward(decision, turn, item)
        else:
            _apply(decision, turn, item)
        profiles[item.key] = turn.profile
        decision.gone += [(item.key, enrolment) for enrolment in turn.gone]
        decision.outputs += records.effects(turn)
        decision.messages += records.messages(turn)
        decision.cancellations += records.cancellations(turn)
    decision.outputs += [message for _, message in sorted(decision.messages, key=lambda one: -one[0])]
    decision.outputs += decision.cancellations
    return decision


def _apply(decision: Decision, turn: Turn, item: Decoded) -> None:
    payload = item.payload
    if isinstance(payload, EventOccurred):
        _apply_event(decision, turn, item, payload)
    elif isinstance(payload, StepDue):
        if payload.enrolment:
            due.on_due(turn, payload.step)
        else:
            due.look(turn, payload.due_at)
            if turn.index.products:
                _note(decision, item, interest.everything(turn.profile))
    elif isinstance(payload, Delivered):
        due.on_delivery(
            turn,
            message=payload.message,
            enrolment=payload.enrolment,
            scenario=payload.scenario,
            name=payload.name,
            status=payload.status,
            reason=payload.reason,
            at=payload.at,
            until=payload.until,
            channel=payload.channel,
        )
    else:
        told = {name: getattr(payload, name) for name in ("channel", "purpose", "status", "because")}
        happened, digest = _happened(item, told)
        due.on_permission(turn, happened, digest, {channel: dict(told) for channel, told in payload.consents.items()})


def _apply_event(decision: Decision, turn: Turn, item: Decoded, payload: EventOccurred) -> None:
    envelope = item.envelope
    turn.cause_at = payload.received_at
    for partition, offset in payload.contacts_at.items():
        turn.profile.contacts_at[partition] = max(offset, turn.profile.contacts_at.get(partition, -1))
    if envelope.type == MERGED:
        _merge(decision, turn, item, str(payload.data["into"]))
        turn.sums["events.applied"] += 1
        return
    happened, digest = _happened(item, payload.data)
    if envelope.type == ABSORBED:
        fresh = not turn.profile.saw(digest)
        if fresh:
            turn.profile.see(digest)
            merge.absorb(turn, state.from_builtins(payload.data["profile"]), envelope.time)
            if turn.index.products:
                _note(decision, item, interest.everything(turn.profile))
    else:
        then = interest.before(turn.profile, happened) if turn.index.products and interest.touches(happened) else None
        fresh = events.on_event(turn, happened, digest, envelope.traceparent)
        if fresh and then is not None:
            _note(decision, item, interest.changed(turn.profile, then))
        if fresh and envelope.type in facts.EVENTS:
            _order(decision, turn, item.key, happened)
    turn.sums["events.applied" if fresh else "events.duplicates"] += 1


def _note(decision: Decision, item: Decoded, rows: Mapping[str, Interest | None]) -> None:
    """What the index of products is to hold of the profile; the last word of a batch stands."""
    if rows:
        decision.interests.setdefault(item.key, {}).update(rows)


def _order(decision: Decision, turn: Turn, key: ProfileKey, event: Happened) -> None:
    """What the event says of its order, for RFM; the currency may have been told by another event of it."""
    told = event.data.get("order")
    known = turn.profile.orders.get(str(told.get("id"))) if isinstance(told, dict) else None
    fact = facts.order_fact(event.type, event.time, event.data, known.data.get("currency") if known else None)
    if fact is not None:
        facts.add(decision.orders.setdefault(key, {}), fact)


def _happened(item: Decoded, data: dict[str, Any]) -> tuple[Happened, int]:
    """The event that a record tells of, and its digest."""
    envelope = item.envelope
    digest = ids.event_digest(envelope.shop, envelope.source, envelope.id)
    type = CHANGED if isinstance(item.payload, ConsentChanged) else envelope.type
    return Happened(type, envelope.time, f"{digest:015x}", data), digest


def _merge(decision: Decision, turn: Turn, item: Decoded, into: str) -> None:
    """Hand everything to `into`, in a record on its own key, where its own consumer takes it up."""
    if turn.index.products:
        _note(decision, item, interest.leaving(turn.profile, turn.now))
    leaving = merge.hand_over(turn, into)
    if leaving.orders or leaving.rfm:
        decision.merged.append((item.key, into))
    assert isinstance(item.payload, EventOccurred)
    told = {"profile": msgspec.to_builtins(leaving)}
    cause, received_at = item.envelope, item.payload.received_at
    decision.outputs.append(records.event(cause, received_at, into, ABSORBED, f"absorbed-{cause.id}", told))


def _forward(decision: Decision, turn: Turn, item: Decoded) -> None:
    """What still comes for a merged profile goes on to the one that it is now."""
    into = turn.profile.into
    assert into is not None
    key, headers = into.encode(), item.envelope.headers()
    if isinstance(item.payload, Delivered):
        told = msgspec.structs.replace(item.payload, profile=into).encode()
        decision.outputs.append(Outgoing(topic=topics.DELIVERIES.name, key=key, value=told, headers=headers))
    elif isinstance(item.payload, EventOccurred):
        turn.sums["events.applied"] += 1
        if item.envelope.type == ABSORBED and item.payload.data["profile"].get("orders"):  # they may have come here
            decision.merged.append((item.key, into))
        if item.envelope.type not in (MERGED, RFM_CHANGED):  # what the scores of one profile were says nothing now
            headers = catalogue.forwarded(item.envelope, item.payload, into).headers()
            happened = msgspec.structs.replace(item.payload, profile=into).encode()
            decision.outputs.append(Outgoing(topic=topics.EVENTS.name, key=key, value=happened, headers=headers))


def learn(registry: Registry, record: Record) -> None:
    """Take up a record of the scenarios topic. What this version cannot read is told, and left out."""
    try:
        envelope = Envelope.read(record.headers)
        if envelope.type == ScenarioPublished.TYPE:
            told = ScenarioPublished.decode(record.value)
            registry.publish(envelope.shop, compile_program(parse_published(told.files["scenario.yaml"]), told.version))
        elif envelope.type == ScenarioState.TYPE:
            state_told = ScenarioState.decode(record.value)
            registry.set_state(
                envelope.shop, state_told.scenario, state_told.version, state_told.state, state_told.over
            )
        elif envelope.type == SegmentPublished.TYPE:
            version = SegmentPublished.decode(record.value)
            segment = compile_segment(parse_published_segment(version.files["segment.yaml"]), version.version)
            registry.publish_segment(envelope.shop, segment)
        elif envelope.type == SegmentState.TYPE:
            standing = SegmentState.decode(record.value)
            registry.set_segment_state(envelope.shop, standing.segment, standing.version, standing.state)
        elif envelope.type == RfmPublished.TYPE:
            rfm_told = RfmPublished.decode(record.value)
            registry.set_rfm(envelope.shop, rfm_told.version, parse_rfm(rfm_told.text))
    except (MalformedRecord, ScenarioError, CannotRun, KeyError) as error:
        log.error("what was published cannot be read", offset=record.offset, cause=type(error).__name__)


def looks(profiles: Iterable[str], *, shop: str, fingerprint: str, now: datetime) -> list[Outgoing]:
    """For each profile the word to look at the scenarios that wait for a moment, and the segments, of a fingerprint."""
    return [
        outgoing(
            topics.DUE,
            StepDue(
                step=ids.derive("look", shop, profile, fingerprint),
                profile=profile,
                due_at=now,
                fired_at=now,
                scenario="",
                enrolment="",
            ),
            key=profile,
            id=f"look-{fingerprint}-{profile}",
            source=SOURCE,
            shop=shop,
            time=now,
        )
        for profile in profiles
    ]


def rfm_changed(rows: Iterable[dict[str, Any]], *, shop: str) -> list[Outgoing]:
    """Rows of the history as events; the same ones whenever they are made (I3)."""
    return [
        outgoing(
            topics.EVENTS,
            EventOccurred(
                profile=str(row["origin"]), received_at=row["at"], data=changes.data(row, quiet=row["quiet"])
            ),
            key=str(row["origin"]),
            id=ids.derive("rfm", shop, row["origin"], row["run"]),
            source=SOURCE,
            shop=shop,
            time=row["at"],
            type=RFM_CHANGED,
        )
        for row in rows
    ]


def read(document: bytes) -> Profile:
    """A stored document as a profile."""
    return state.decode(document)


def write(profile: Profile) -> bytes:
    """A profile as a document to store."""
    return state.encode(profile)


def write_ended(enrolment: Enrolment) -> bytes:
    """An ended enrolment as a document to keep."""
    return state.encode_enrolment(enrolment)


def read_ended(document: bytes) -> Enrolment:
    """The enrolment again."""
    return state.decode_enrolment(document)


def running(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Enrolments that wait, by version and step, from the counts of them (`run.place`)."""
    found = []
    for name, count in counts.items():
        version, _, step = name.rpartition("@")[2].partition(":")
        if count > 0:
            found.append({"version": int(version), "step": step, "enrolments": count})
    return sorted(found, key=lambda row: (row["version"], row["step"]))
