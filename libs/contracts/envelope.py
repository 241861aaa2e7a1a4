"""CloudEvents 1.0 over Kafka in binary content mode.

Attributes travel as `ce_*` headers, the payload as the record value (JSON), the trace context as the plain
`traceparent` header of W3C Trace Context. Source: CloudEvents 1.0.2, Kafka Protocol Binding, section 3.2.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

import msgspec

CONTENT_TYPE = b"application/json; charset=utf-8"

Headers = list[tuple[str, bytes]]


class MalformedRecord(ValueError):
    """A record that is not one of ours: a header is missing, or the value does not have the declared shape."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The context attributes of one record.

    `time` is when the thing happened (UTC); `shop` the tenant (extension `shop`); `traceparent` the W3C context.
    """

    id: str
    source: str
    type: str
    time: datetime
    shop: str
    traceparent: str | None = None

    def headers(self) -> Headers:
        """The record headers of the Kafka binding, header names as promised to consumers outside."""
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", self.id.encode()),
            ("ce_source", self.source.encode()),
            ("ce_type", self.type.encode()),
            ("ce_time", self.time.isoformat().encode()),
            ("ce_shop", self.shop.encode()),
            ("content-type", CONTENT_TYPE),
        ]
        if self.traceparent:
            headers.append(("traceparent", self.traceparent.encode()))
        return headers

    @classmethod
    def read(cls, headers: Iterable[tuple[str, bytes]]) -> Self:
        """The attributes of a record; raises `MalformedRecord` naming the header that is missing or wrong."""
        found = dict(headers)
        try:
            if found["ce_specversion"] != b"1.0":
                raise MalformedRecord("ce_specversion is not 1.0")
            time = datetime.fromisoformat(found["ce_time"].decode())
            traceparent = found.get("traceparent")
            return cls(
                id=found["ce_id"].decode(),
                source=found["ce_source"].decode(),
                type=found["ce_type"].decode(),
                time=time if time.tzinfo is UTC else time.astimezone(UTC),
                shop=found["ce_shop"].decode(),
                traceparent=traceparent.decode() if traceparent else None,
            )
        except KeyError as missing:
            raise MalformedRecord(f"header {missing.args[0]} is missing") from None
        except ValueError as error:
            raise MalformedRecord(f"a header is unreadable: {error}") from None


def shop_of(headers: Iterable[tuple[str, bytes]]) -> str:
    """The shop that a record is of, as far as it can be told; empty when it cannot."""
    return next((value.decode("utf-8", "replace") for name, value in headers if name == "ce_shop"), "").replace(
        "\0", ""
    )


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every payload. `TYPE` is its CloudEvents type (empty where the type varies, as for events)."""

    TYPE: ClassVar[str] = ""

    @classmethod
    def decode(cls, value: bytes | None) -> Self:
        """The payload in `value` (JSON); raises `MalformedRecord` saying what does not fit."""
        if value is None:
            raise MalformedRecord("the record has no value")
        try:
            return msgspec.json.decode(value, type=cls)
        except (msgspec.DecodeError, ValueError) as error:
            raise MalformedRecord(str(error)) from None

    def encode(self) -> bytes:
        """The payload as JSON, UTF-8."""
        return msgspec.json.encode(self)


Json = dict[str, Any]
