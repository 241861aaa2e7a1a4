"""What goes in and out of a handler, free of any Kafka client."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from libs.common.db.engine import Connection
from libs.contracts.envelope import Envelope, Message
from libs.contracts.topics import Topic

TopicPartition = tuple[str, int]


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One record as consumed. `timestamp` is milliseconds since 1970, set by the producer."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp: int


class Outgoing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One record to publish."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def outgoing(
    topic: Topic,
    message: Message,
    *,
    key: str,
    id: str,
    source: str,
    shop: str,
    time: datetime,
    type: str | None = None,
    traceparent: str | None = None,
) -> Outgoing:
    """Wrap a payload of `libs.contracts` in its envelope (CloudEvents names) for `topic`."""
    envelope = Envelope(id=id, source=source, type=type or message.TYPE, time=time, shop=shop, traceparent=traceparent)
    return Outgoing(topic=topic.name, key=key.encode(), value=message.encode(), headers=envelope.headers())


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a handler decided.

    `outputs` are acknowledged by the broker before the transaction commits; `poison` are records it could not
    use, with the cause, for the quarantine topic; `after` runs when the commit is done (to wake somebody).
    """

    outputs: list[Outgoing] = field(default_factory=list)
    poison: list[tuple[Record, str]] = field(default_factory=list)
    after: Callable[[], None] | None = None


Handle = Callable[[Connection, Sequence[Record]], Awaitable[Outcome]]
"""Write state through the connection, return the rest. It may run again for the same records after a failure."""
