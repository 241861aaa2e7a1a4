"""Decides over products: what a telling changes, and the events by which customers are told of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from libs.common.bus.records import Outgoing, Record, outgoing
from libs.contracts import topics
from libs.contracts.catalog import ProductTold
from libs.contracts.envelope import Envelope, MalformedRecord
from libs.contracts.events import EventOccurred
from libs.domain import ids
from libs.domain.catalogue import product as catalogue
from libs.domain.catalogue.product import Product
from libs.domain.engine import products
from libs.domain.engine.acts import SOURCE
from libs.domain.engine.registry import Registry

ProductKey = tuple[str, str]
"""Shop and product id."""
ANNOUNCED = frozenset((catalogue.BACK, catalogue.PRICE))


@dataclass(frozen=True, kw_only=True)
class Told:
    """A product as a record tells it; `place` is where the record stands, `at` when the shop told it."""

    shop: str
    product: Product
    at: datetime
    place: str
    traceparent: str | None


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """A change of a product that is told to those whom it matters to: the event, all but the profile."""

    change: str
    shop: str
    product: str
    kind: str
    old_price: str | None
    at: datetime
    data: dict[str, Any]
    traceparent: str | None


@dataclass(slots=True)
class Taken:
    """What tellings lead to: the products as they are now, and what is to be told."""

    products: dict[ProductKey, Product] = field(default_factory=dict)
    announcements: list[Announcement] = field(default_factory=list)


def decode(records: Iterable[Record]) -> tuple[list[Told], list[tuple[Record, str]]]:
    """Those that can be understood, and those that cannot, each with its cause."""
    good: list[Told] = []
    poison: list[tuple[Record, str]] = []
    for record in records:
        try:
            told, envelope = ProductTold.decode(record.value), Envelope.read(record.headers)
        except MalformedRecord as error:
            poison.append((record, f"malformed: {error}"))
            continue
        changed_at = envelope.time if told.updated_at is not None else None  # the shop's time, never one far ahead
        good.append(
            Told(
                shop=envelope.shop,
                product=catalogue.kept(partial(_field, told), told.more, changed_at),
                at=told.received_at,
                place=f"{record.partition}/{record.offset}",
                traceparent=envelope.traceparent,
            )
        )
    return good, poison


def _field(told: ProductTold, name: str) -> Any:
    return getattr(told, name, None)


def take(batch: Sequence[Told], known: Mapping[ProductKey, Product], programs: Registry) -> Taken:
    """Take up tellings in order. A change that no scenario of the shop asks for is not told to anybody."""
    taken = Taken()
    for told in batch:
        key = (told.shop, told.product.product_id)
        found = catalogue.take(taken.products.get(key, known.get(key)), told.product)
        if found is None:
            continue
        now, changes = found
        taken.products[key] = now
        index = programs.shop(told.shop)
        for change in changes:
            if products.announces(index, change.kind):
                taken.announcements.append(
                    Announcement(
                        change=ids.derive("change", *key, change.kind, told.place, told.at.isoformat()),
                        shop=told.shop,
                        product=now.product_id,
                        kind=change.kind,
                        old_price=change.old_price,
                        at=told.at,
                        data=catalogue.event_data(now, change),
                        traceparent=told.traceparent,
                    )
                )
    return taken


def is_over(told: Announcement, document: bytes) -> bool:
    """Whether it need not be told any more, the product being as it is now."""
    return catalogue.is_over(told.kind, told.old_price, read(document))


def announced(told: Announcement, profiles: Iterable[str]) -> list[Outgoing]:
    """The change as an event of each profile; the same ones whenever they are made (I3)."""
    data = {**told.data, "change": told.change}
    return [
        outgoing(
            topics.EVENTS,
            EventOccurred(profile=profile, received_at=told.at, data=data),
            key=profile,
            id=event_id(told.change, profile),
            source=SOURCE,
            shop=told.shop,
            time=told.at,
            type=told.kind,
            traceparent=told.traceparent,
        )
        for profile in profiles
    ]


def event_id(change: str, profile: str) -> str:
    """The event of a change for a profile. It is the same when the change was told to one that was merged into it."""
    return ids.derive("product", change, profile)


def forwarded(envelope: Envelope, payload: EventOccurred, into: str) -> Envelope:
    """The envelope of an event that goes on to the profile that its own was merged into."""
    change = payload.data.get("change")
    if envelope.source != SOURCE or envelope.type not in ANNOUNCED or change is None:
        return envelope
    return msgspec.structs.replace(envelope, id=event_id(str(change), into))


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Product)


def read(document: bytes) -> Product:
    """A stored document as a product."""
    return _decoder.decode(document)


def write(product: Product) -> bytes:
    """A product as a document to store."""
    return _encoder.encode(product)
