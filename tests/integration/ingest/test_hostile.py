"""Hostile bodies: whatever comes, no 5xx, and what is good beside it is not lost."""

import base64
import gzip
import json
import random
from collections.abc import Callable
from typing import Any

import msgspec

from tests.integration.ingest.conftest import KEY, Door

ROUNDS = 2_400
GOOD_EVERY = 20
NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**31, 2**63, -(2**64), 10**40, 1e308, 5e-324, 0.1, -0.0),
    *(
        "",
        " ",
        "\0",
        "a\0b",
        "\r\nSet-Cookie: x",
        "\u202e",
        "\ufeff",
        "😀" * 50,
        "x" * 70_000,
        "NaN",
        "1e999",
        "-Infinity",
    ),
    *("'; DROP TABLE ingest.seen; --", "{{7*7}}", "%00", "%ff", "../../etc/passwd", "/shops/other/x", "/shops//x"),
    *([], {}, [[]], [None], {"": ""}, {"\0": 1}, {"a" * 5_000: 1}, [[[[[[]]]]]], {"email": {"email": []}}),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z", "2026-03-02T25:00:00Z"),
    *("a@b", "a@b..c", "@", '"a b"@x.pl', "a@xn--.example", "ü@ü.example", "+", "+48", "٣٤٥٦٧٨٩", "1" * 300),
)
RAW = (
    *(b"", b" ", b"{", b"}", b"[", b"[" * 200_000, b'{"a":' * 50_000, b'"', b"\xff\xfe", b"\xef\xbb\xbf{}", b"\x00"),
    *(b'{"id":"\\ud800"}', b'"\\udc00"', b"NaN", b"[NaN]", b'{"a":Infinity}', b"-", b"1e400", b"1" * 5_000, b"nul"),
    *(b'{"specversion":"1.0","specversion":"1.0"}', b"[]", b"{}", b"[{},[],5,null]", b"<xml/>", b"a=b&c=d", b"[1,]"),
)
TYPES = ("application/json", "application/cloudevents+json", "application/cloudevents-batch+json", "")
ODD_TYPES = (
    "text/plain",
    "application/cloudevents+xml",
    "multipart/form-data",
    "application/json; charset=latin-1",
    ";;",
)
PATHS = ("events", "events", "events", "track", "identify", "batch", "page", "alias", "group", "import")


class Hostile:
    """Makes requests, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def event(self, number: int) -> dict[str, Any]:
        kind, data = self.random.choice(
            (
                ("cart.updated", {"cart": {"id": "c", "value": "249.00", "items": [{"product_id": "s", "price": 1}]}}),
                ("order.placed", {"order": {"id": "o", "value": 1, "items": []}}),
                ("profile.updated", {"timezone": "Europe/Warsaw", "birthday": "1990-03-09", "tags": ["a"]}),
                ("consent.changed", {"consents": [{"channel": "email", "purpose": "m", "status": "granted"}]}),
                ("appointment.booked", {"appointment": {"id": "a", "at": "2026-03-05T10:00"}}),
                ("custom.x", {"free": {"form": [1, {"a": "b"}]}}),
            )
        )
        who = {"user_id": str(number % 50), "email": f"c{number % 50}@example.com"}
        return {
            "specversion": "1.0",
            "id": f"h-{number}",
            "source": "/shops/demo/web",
            "type": kind,
            "time": "2026-03-02T10:00:00Z",
            "data": who | data,
        }

    def call(self, number: int) -> dict[str, Any]:
        kinds = ("identify", "track", "page", "alias", "group")
        return {
            "type": self.random.choice(kinds),
            "userId": str(number % 50),
            "previousId": "p",
            "groupId": "g",
            "event": self.random.choice(("Order Completed", "Cart Viewed", "Product Viewed", "Signed Up", "x")),
            "traits": {"email": "a@example.com", "firstName": "A", "address": {"city": "x"}},
            "properties": {"order_id": "o", "cart_id": "c", "products": [{"product_id": "s", "price": 1}], "total": 5},
            "timestamp": "2026-03-02T10:00:00Z",
            "sentAt": "2026-03-02T10:00:01Z",
            "messageId": f"m-{number}",
            "context": {
                "locale": "pl",
                "timezone": "Europe/Warsaw",
                "page": {"url": "u"},
                "traits": {"email": "b@example.com"},
            },
        }

    def spoil(self, value: Any) -> Any:
        """Somewhere in it, something nasty: in place of a value, under a name, or beside it."""
        if isinstance(value, dict) and value and self.random.random() < 0.8:
            name = self.random.choice(list(value))
            ways: tuple[Callable[[], dict[str, Any]], ...] = (
                lambda: value | {name: self.spoil(value[name])},
                lambda: value | {name: self.spoil(value[name])},
                lambda: {key: inner for key, inner in value.items() if key != name},
                lambda: value | {str(self.nasty()): self.nasty()},
            )
            return self.random.choice(ways)()
        if isinstance(value, list) and value and self.random.random() < 0.5:
            place = self.random.randrange(len(value))
            return [*value[:place], self.spoil(value[place]), *value[place + 1 :]]
        return self.nasty()

    def nasty(self) -> Any:
        return self.random.choice(NASTY)

    def body(self, number: int, path: str) -> bytes:
        if self.random.random() < 0.2:
            return self.random.choice(RAW)
        make = self.event if path == "events" else self.call
        told: Any = make(number)
        for _ in range(self.random.randint(1, 3)):
            told = self.spoil(told)
        if path in ("batch", "import"):
            told = {"batch": [told, self.nasty()], "context": self.nasty(), "sentAt": self.nasty()}
        elif self.random.random() < 0.3:
            told = [told, self.event(number)]
        text = json.dumps(told, ensure_ascii=self.random.random() < 0.5).encode(errors="replace")
        if self.random.random() < 0.15:
            place = self.random.randrange(len(text))
            text = text[:place] + bytes([self.random.randrange(256)]) + text[place + 1 :]
        return text

    def headers(self, body: bytes) -> tuple[dict[str, str], bytes]:
        headers = dict(KEY)
        kind = self.random.choice(TYPES if self.random.random() < 0.8 else ODD_TYPES)
        if kind:
            headers["Content-Type"] = kind
        if self.random.random() < 0.1:
            headers["Content-Encoding"] = self.random.choice(("gzip", "gzip", "br", "identity"))
            body = gzip.compress(body)[: self.random.choice((None, 15, -4))] if self.random.random() < 0.7 else body
        if self.random.random() < 0.1:
            names = ("specversion", "id", "source", "type", "time", "data_base64", "datacontenttype", "x" * 300)
            for name in names:
                if self.random.random() < 0.7:
                    headers[f"ce-{name}"] = self.random.choice(
                        ("1.0", "%", "%00", "%ff", "%0d%0aX: y", "/shops/demo", "x" * 600)
                    )
        if self.random.random() < 0.05:
            headers["traceparent"] = self.random.choice(
                ("00-zz", "x" * 5_000, "00-" + "0" * 32 + "-" + "0" * 16 + "-00")
            )
        return headers, body


async def test_no_body_causes_a_5xx_and_nothing_good_is_lost(door: Door) -> None:
    hostile = Hostile(20260302)
    counts: dict[int, int] = {}
    good = 0
    for number in range(ROUNDS):
        path = hostile.random.choice(PATHS)
        headers, body = hostile.headers(hostile.body(number, path))
        answer = await door.client.post(f"/v1/{path}", content=body, headers=headers)
        counts[answer.status_code] = counts.get(answer.status_code, 0) + 1
        assert answer.status_code < 500, (path, headers, body[:500], answer.text)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
        if number % GOOD_EVERY == 0:
            good += 1
            bad = hostile.spoil(hostile.event(number))
            told = await door.take(bad, door.event("custom.good", id=f"good-{number}", user_id=str(number % 50)))
            assert told["accepted"] >= 1
    published = [envelope.id for envelope, _ in door.events() if envelope.type == "custom.good"]
    assert len(published) == len(set(published)) == good
    assert set(counts) <= {200, 202, 400, 413, 415, 422}, counts
    assert all(counts.get(status, 0) > 20 for status in (200, 202, 400, 415, 422)), f"one-sided: {counts}"


async def test_what_is_published_can_be_read_by_everyone(door: Door) -> None:
    """Whatever passed the door decodes on the other side, and rules can keep it (msgpack)."""
    hostile = Hostile(7)
    for number in range(400):
        event = hostile.event(number)
        encoded = base64.b64encode(json.dumps(event["data"]).encode()).decode()
        answer = await door.post(
            hostile.spoil(event), event | {"id": f"b64-{number}", "data_base64": encoded, "data": None}
        )
        assert answer.status_code == 202, answer.text
    assert len(door.events()) > 400
    for _, occurred in door.events():
        msgspec.msgpack.encode(occurred.data)
        assert "\0" not in json.dumps(occurred.data, ensure_ascii=False)
