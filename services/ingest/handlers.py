"""Decides: what an event says, in canonical form, or which field of it cannot be used; and the records to publish."""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, cast

import msgspec

from libs.common.bus.records import Outgoing, outgoing
from libs.contracts import catalog, event_types, topics
from libs.contracts.contacts import ConsentTold, Contact, ContactsTold, ProfileMerged
from libs.contracts.envelope import Json
from libs.contracts.event_types.events import Consent, Event, ProfileEvent
from libs.contracts.events import MERGED, EventOccurred
from libs.domain import ids
from libs.domain.intake import Invalid, zones
from libs.domain.intake.clean import LARGEST, clean, encoded, parse
from libs.domain.intake.identifiers import KINDS, RANK, normalise
from libs.domain.intake.identity import Claim, Identifier
from libs.domain.intake.segment import ALIASED
from libs.domain.vocabulary import CUSTOM, OWN_EVENTS, SHOP_EVENTS

SOURCE = "/kurant/ingest"
Digest = Callable[[str, str, str], bytes]
"""Keyed hash of an identifier: shop, kind, comparable form."""
LENGTHS = {"id": 256, "source": 512, "type": 120}
TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
NAMED_SHOP = re.compile(r"/shops/([^/]+)(?:/.*)?")
AHEAD = timedelta(days=1)
"""How far in the future the time of an event is believed. Later ones would be the newest news for years."""
YEARS = range(1970, 9000)
PADDED = 5
"""How many times its largest size a product may take with blanks and escapes."""
CHANNELS = {"email": "email", "phone": "sms"}
TAKEN_OUT = frozenset((*KINDS, "push_token", "consents"))
EVIDENCE = ("channel", "purpose", "status", "clause", "how", "page")
"""What of a consent is told to those who may not see addresses."""
TELLS_CONTACTS = ("profile.", "newsletter.", "consent.")
"""Events after which a contact point is told again, though it is known: it is the one that counts now."""


class Canonical(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An event as it goes to Kafka, or into the spill while Kafka is away."""

    shop: str
    source: str
    id: str
    type: str
    time: datetime
    received_at: datetime
    data: msgspec.Raw
    profile: str = ""
    contacts: list[Contact] = []
    consents: list[ConsentTold] = []
    traceparent: str | None = None


@dataclass(slots=True, kw_only=True)
class Told:
    """An event that can be used. `unique` is the same for every repeat of it."""

    event: Canonical
    unique: str
    claim: Claim
    addresses: dict[bytes, Contact]
    """Contact points by the hash of the identifier they are."""
    always: bool
    """Whether its contact points are told even if they were before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """One profile turned out to be another."""

    shop: str
    profile: str
    into: str
    at: datetime
    traceparent: str | None


def read(event: Any, *, shop: str, now: datetime, digest: Digest, traceparent: str | None = None) -> Told:
    """A CloudEvent (JSON event format, decoded) in canonical form; raises `Invalid` naming the field."""
    if not isinstance(event, dict):
        raise Invalid("event", "must be an object")
    if event.get("specversion") != "1.0":
        raise Invalid("specversion", 'must be "1.0"')
    id, source, type = (_attribute(event, name) for name in LENGTHS)
    shape = event_types.shape(type)
    if shape is None:
        raise Invalid("type", "is Kurant's own" if type in OWN_EVENTS else "is not known; GET /v1/schemas lists them")
    named = NAMED_SHOP.fullmatch(source)
    if named and named[1] != shop:
        raise Invalid("source", "names another shop than the credential's")
    data = _data(event)
    try:
        told = event_types.check(shape, data)
    except event_types.Misfit as error:
        raise Invalid(error.field, error.text) from None
    known = _identifiers(data, shop, digest)
    kept = clean(data, TAKEN_OUT)
    event_types.plain(kept)
    if zone := _zone(told, known):
        kept.setdefault("timezone_hint", zone)
    consents = [_consent(consent) for consent in told.consents or ()]
    if consents:
        kept["consents"] = [_evident(consent) for consent in consents]
        encoded({"consents": consents})
    if told.push_token and not told.push_token.isprintable():
        raise Invalid("data.push_token", "holds a control character")
    own = event.get("traceparent")
    canonical = Canonical(
        shop=shop,
        source=source,
        id=id,
        type=type,
        time=_time(event, now),
        received_at=now,
        data=msgspec.Raw(encoded(kept)),
        contacts=[Contact(channel="push", address=told.push_token)] if told.push_token else [],
        consents=consents,
        traceparent=own if isinstance(own, str) and TRACEPARENT.fullmatch(own) else traceparent,
    )
    return Told(
        event=canonical,
        unique=ids.derive("event", shop, source, id),
        claim=_claim(shop, type, data, known, digest),
        addresses={one.digest: contact for one, contact in known if contact},
        always=type.startswith(TELLS_CONTACTS) or bool(consents),
    )


def _zone(told: Event, known: list[tuple[Identifier, Contact | None]]) -> str | None:
    """Where the customer probably lives: by the telephone, else by the traits of a person that tell a place."""
    phone = next((contact.address for _, contact in known if contact and contact.channel == "sms"), None)
    if isinstance(told, ProfileEvent):
        return zones.hint(phone=phone, country=told.country, postal_code=told.postal_code)
    return zones.hint(phone=phone) if phone else None


def _attribute(event: Json, name: str) -> str:
    value = event.get(name)
    if value is None:
        raise Invalid(name, "is required")
    if not isinstance(value, str):
        raise Invalid(name, "must be text")
    if not value.strip():
        raise Invalid(name, "is empty")
    if len(value) > LENGTHS[name]:
        raise Invalid(name, f"is longer than {LENGTHS[name]} characters")
    if not value.isprintable():
        raise Invalid(name, "holds a control character")
    return value


def _time(event: Json, now: datetime) -> datetime:
    """When it happened, UTC. A clock may be ahead of ours; one that is out by more than `AHEAD` tells nothing."""
    value = event.get("time")
    if value is None:
        return now
    try:
        told = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Invalid("time", "is not an RFC 3339 time") from None
    if told.tzinfo is None:
        raise Invalid("time", "has no offset from UTC: end it with Z or +01:00")
    if told.year not in YEARS:
        raise Invalid("time", f"must lie between {YEARS.start} and {YEARS.stop}")
    return now if told - now > AHEAD else told.astimezone(UTC)


def _data(event: Json) -> Json:
    kind = event.get("datacontenttype")
    if kind is not None and not (isinstance(kind, str) and "json" in kind.lower()):
        raise Invalid("datacontenttype", "must be application/json")
    data = event.get("data")
    if data is None and event.get("data_base64") is not None:
        data = _decoded(event["data_base64"])
    if not isinstance(data, dict):
        raise Invalid("data", "is required" if data is None else "must be an object")
    return data


def _decoded(value: Any) -> Any:
    try:
        return parse(base64.b64decode(value, validate=True))
    except (TypeError, ValueError, binascii.Error):
        raise Invalid("data_base64", "is not JSON in base64") from None


def _identifiers(data: Json, shop: str, digest: Digest) -> list[tuple[Identifier, Contact | None]]:
    """Every identifier of the event, strongest first, with the contact point it is."""
    found: list[tuple[Identifier, Contact | None]] = []
    for rank, kind in enumerate(KINDS):
        value = data.get(kind)
        if value is None:
            continue
        try:
            text = normalise(kind, str(value))
        except ValueError as error:
            raise Invalid(f"data.{kind}", str(error)) from None
        if text is None:
            continue
        channel = CHANNELS.get(kind)
        contact = Contact(channel=channel, address=text) if channel else None  # type: ignore[arg-type]
        found.append((Identifier(rank, digest(shop, kind, text)), contact))
    if not found:
        raise Invalid("data", f"needs an identifier: one of {', '.join(KINDS)}")
    return found


def _claim(shop: str, type: str, data: Json, known: list[tuple[Identifier, Contact | None]], digest: Digest) -> Claim:
    """That the identifiers are one customer's. An alias says so of an older id too, account or browser."""
    identifiers = [identifier for identifier, _ in known]
    previous = data.get("previous_id")
    if type != ALIASED or not isinstance(previous, str) or not previous.strip():
        return Claim(shop=shop, identifiers=tuple(identifiers))
    for kind in ("user_id", "anonymous_id"):
        try:
            text = normalise(kind, previous)
        except ValueError as error:
            raise Invalid("data.previous_id", str(error)) from None
        identifiers.append(Identifier(RANK[kind], digest(shop, kind, str(text))))
    return Claim(shop=shop, identifiers=tuple(identifiers), forced=True)


def _consent(told: Consent) -> ConsentTold:
    consent = ConsentTold(**msgspec.structs.asdict(told))
    for name, value in msgspec.structs.asdict(consent).items():
        if isinstance(value, str) and "\0" in value:
            raise Invalid(f"data.consents.{name}", "holds a null character")
    return consent


def _evident(consent: ConsentTold) -> Json:
    return {name: value for name in EVIDENCE if (value := getattr(consent, name)) is not None}


def contacts(event: Canonical) -> Outgoing | None:
    """What the event told of addresses and consents, if anything: for the topic that alone may carry them (I1)."""
    if not event.contacts and not event.consents:
        return None
    message = ContactsTold(
        profile=event.profile,
        received_at=event.received_at,
        contacts=event.contacts,
        consents=event.consents,
    )
    unique = ids.derive("event", event.shop, event.source, event.id)
    return outgoing(
        topics.CONTACTS,
        message,
        key=event.profile,
        id=f"told-{unique}",
        source=SOURCE,
        shop=event.shop,
        time=event.time,
        traceparent=event.traceparent,
    )


def occurred(event: Canonical, contacts_at: dict[str, int]) -> Outgoing:
    """The event itself."""
    message = EventOccurred(
        profile=event.profile,
        received_at=event.received_at,
        data=cast(Json, event.data),  # encoded already
        contacts_at=contacts_at,
    )
    return outgoing(
        topics.EVENTS,
        message,
        key=event.profile,
        id=event.id,
        source=event.source,
        shop=event.shop,
        time=event.time,
        type=event.type,
        traceparent=event.traceparent,
    )


def merged(merge: Merge) -> Outgoing:
    """For consent: the addresses and permissions of one profile are now the other's."""
    message = ProfileMerged(profile=merge.profile, into=merge.into)
    return outgoing(
        topics.CONTACTS,
        message,
        key=merge.profile,
        id=f"merged-{merge.profile}",
        source=SOURCE,
        shop=merge.shop,
        time=merge.at,
        traceparent=merge.traceparent,
    )


def merge_occurred(merge: Merge, contacts_at: dict[str, int]) -> Outgoing:
    """For rules: the same, on the key of the profile that ends."""
    message = EventOccurred(
        profile=merge.profile, received_at=merge.at, data={"into": merge.into}, contacts_at=contacts_at
    )
    return outgoing(
        topics.EVENTS,
        message,
        key=merge.profile,
        id=f"merged-{merge.profile}",
        source=SOURCE,
        shop=merge.shop,
        time=merge.at,
        type=MERGED,
        traceparent=merge.traceparent,
    )


def product(raw: bytes | msgspec.Raw, *, shop: str, now: datetime, traceparent: str | None = None) -> Outgoing:
    """A product of a catalogue, to publish; raises `Invalid` naming the field."""
    if len(raw) > PADDED * LARGEST:
        raise Invalid("product", f"is larger than {LARGEST} bytes")
    try:
        value = parse(raw)
    except ValueError as error:
        raise Invalid("product", str(error)) from None
    if not isinstance(value, dict):
        raise Invalid("product", "must be an object")
    try:
        told = catalog.told(clean(value, root="product"), now)
    except event_types.Misfit as error:
        raise Invalid(error.field, error.text) from None
    if told.more:  # encoded here, so that a number stays a number
        told = msgspec.structs.replace(told, more=cast(Json, msgspec.Raw(encoded(told.more, root="product"))))
    changed = told.updated_at or now
    made = outgoing(
        topics.CATALOG,
        told,
        key=catalog.key(shop, told.product_id),
        id=ids.derive("product", shop, told.product_id, blake2b(raw, digest_size=16).hexdigest()),
        source=SOURCE,
        shop=shop,
        time=now if changed - now > AHEAD else changed,
        traceparent=traceparent,
    )
    if len(made.value) > LARGEST:
        raise Invalid("product", f"is larger than {LARGEST} bytes")
    return made


def label(type: Any) -> str:
    """An event type as a metric's label: bounded, whatever is sent."""
    if not isinstance(type, str):
        return "other"
    if type in SHOP_EVENTS:
        return type
    return "custom" if type.startswith(CUSTOM) else "other"


def shop_of(event: Any) -> str:
    """The shop that an event's `source` names; raises `Invalid`."""
    if not isinstance(event, dict):
        raise Invalid("event", "must be an object")
    source = event.get("source")
    named = NAMED_SHOP.fullmatch(source) if isinstance(source, str) else None
    if named is None or not named[1].isprintable() or len(named[1]) > 100:
        raise Invalid("source", "must be /shops/<shop>/...")
    return named[1]


def claimed_shop(event: Any) -> str:
    """The shop that an event which cannot be used says it is of; empty when that cannot be read either."""
    try:
        return shop_of(event)
    except Invalid:
        return ""
