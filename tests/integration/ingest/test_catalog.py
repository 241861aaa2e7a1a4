"""POST /v1/catalog: products in pieces, all of them at the broker before the answer, or said not to be."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest

from libs.common.bus.kafka import Consumer, Producer, create_topics
from libs.common.bus.records import Outgoing, Record
from libs.common.clock import ManualClock
from libs.common.db.engine import Database
from libs.contracts import topics
from libs.contracts.catalog import ProductTold
from services.ingest.routes import catalog as routes
from tests.integration.ingest.conftest import KEY, NOW, Door, make_door

LINES = KEY | {"Content-Type": "application/x-ndjson"}


def product(number: int, **more: Any) -> dict[str, Any]:
    return {"product_id": f"p-{number}", "name": f"Sofa {number}", "price": "249.00", "currency": "PLN", **more}


def ndjson(*products: Any) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in products)


def taken(door: Door) -> list[ProductTold]:
    return [ProductTold.decode(one.value) for one in door.wire.sent if one.topic == topics.CATALOG.name]


async def send(door: Door, body: Any, **headers: str) -> httpx.Response:
    return await door.client.post("/v1/catalog", content=body, headers=LINES | headers)


async def test_lines_are_taken_and_the_bad_ones_listed(door: Door) -> None:
    body = ndjson(product(1), {"product_id": "x"}) + b"\n  \nnot json\r\n" + ndjson(product(2))[:-1]
    answer = await send(door, body)
    assert answer.status_code == 202
    told = answer.json()
    assert told["accepted"] == 2
    assert [(one["line"], one["field"]) for one in told["rejected"]] == [(2, "name"), (5, "product")]
    assert [one.product_id for one in taken(door)] == ["p-1", "p-2"]


async def test_an_array_is_taken_and_its_bad_elements_listed(door: Door) -> None:
    answer = await door.client.post("/v1/catalog", json=[product(1), 5, product(2, price="x")], headers=KEY)
    assert answer.status_code == 202
    assert [(one["index"], one["field"]) for one in answer.json()["rejected"]] == [(1, "product"), (2, "price")]
    assert [one.product_id for one in taken(door)] == ["p-1"]
    one = await door.client.post("/v1/catalog", json=product(3), headers=KEY)
    assert (one.status_code, one.json()["accepted"]) == (202, 1)


async def test_a_body_is_worked_on_while_it_comes(door: Door) -> None:
    """After the first pieces their products are published; nobody waits for the rest."""
    go_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield ndjson(*(product(number) for number in range(routes.TOGETHER + 1)))
        await go_on.wait()
        yield ndjson(product(9_999))

    sending = asyncio.ensure_future(_streamed(door, body()))
    async with asyncio.timeout(5):
        while len(taken(door)) < routes.TOGETHER:
            await asyncio.sleep(0.01)
    assert not sending.done()
    go_on.set()
    assert await sending == (202, routes.TOGETHER + 2)


async def _streamed(door: Door, body: AsyncIterator[bytes]) -> tuple[int, int]:
    """Through ASGI itself, since httpx's transport gathers a body before it sends it."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        try:
            return {"type": "http.request", "body": await anext(body), "more_body": True}
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}

    async def keep(message: Any) -> None:
        sent.append(message)

    headers = [(name.lower().encode(), value.encode()) for name, value in LINES.items()]
    scope = {"type": "http", "method": "POST", "path": "/v1/catalog", "query_string": b"", "headers": headers}
    await door.app(scope, receive, keep)
    content = b"".join(one.get("body", b"") for one in sent)
    return sent[0]["status"], json.loads(content)["accepted"]


@pytest.mark.parametrize("packed", [False, True])
async def test_twenty_megabytes_are_taken_and_more_are_not(door: Door, packed: bool) -> None:
    line = ndjson(product(1, text="x" * 100_000))
    pack = gzip.compress if packed else bytes
    headers = {"Content-Encoding": "gzip"} if packed else {}
    answer = await send(door, pack(line * (20_000_000 // len(line))), **headers)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 199)

    async def body() -> AsyncIterator[bytes]:
        whole = pack(line * 201)
        for start in range(0, len(whole), 65_536):
            yield whole[start : start + 65_536]

    answer = await send(door, body(), **headers)
    assert answer.status_code == 413
    assert answer.json()["accepted"] > 0


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"[{]", {"Content-Type": "application/json"}, 400),
        (b"\xff", {"Content-Type": "application/json"}, 400),
        (b'"x"', {"Content-Type": "application/json"}, 400),
        (b"{}", {"Content-Type": "text/csv"}, 415),
        (b"{}", {"Content-Encoding": "br"}, 415),
        (b"{}", {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"{}")[:-4], {"Content-Encoding": "gzip"}, 400),
        (b"{}\n{}\n", {}, 422),
        (b"{}", {"Authorization": "Bearer wrong"}, 401),
        (b"", {}, 202),
        (b"[]", {"Content-Type": "application/json"}, 202),
    ],
)
async def test_what_cannot_be_read(door: Door, body: bytes, headers: dict[str, str], status: int) -> None:
    answer = await send(door, body, **headers)
    assert answer.status_code == status, answer.text
    assert taken(door) == []


async def test_a_list_of_faults_has_an_end(door: Door) -> None:
    answer = await send(door, b"{}\n" * 12_000)
    assert (answer.status_code, len(answer.json()["rejected"])) == (422, routes.SHOWN)
    answer = await send(door, b"{}\n" * 5_000 + ndjson(product(1)))
    told = answer.json()
    assert (told["accepted"], len(told["rejected"]), told["rejected_total"]) == (1, routes.SHOWN, 5_000)


async def test_kafka_away_is_503_and_nothing_is_kept(door: Door) -> None:
    """A catalogue can be sent again: it is not spilled."""
    door.wire.away = True
    answer = await send(door, ndjson(product(1)))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert await door.fetchval("SELECT count(*) FROM ingest.spill") == 0
    await door.take(door.event(user_id="1"))
    assert door.intake.away
    door.wire.away = False
    assert (await send(door, ndjson(product(1)))).status_code == 503, "nobody waits for a broker known to be away"
    assert door.wire.sent == []
    while await door.drain.drain():
        pass
    await door.drain.drain()
    assert (await send(door, ndjson(product(1)))).status_code == 202


async def test_half_a_catalogue_is_said_to_be_half(door: Door) -> None:
    door.wire.fails_after = 2
    body = ndjson(*(product(number) for number in range(3 * routes.TOGETHER)))
    answer = await send(door, body)
    assert answer.status_code == 503
    assert answer.json()["accepted"] == 2 * routes.TOGETHER
    assert "send the whole again" in answer.json()["detail"]
    door.wire.fails_after, door.wire.away = None, False
    assert (await send(door, body)).json()["accepted"] == 3 * routes.TOGETHER
    assert len({one.product_id for one in taken(door)}) == 3 * routes.TOGETHER


async def test_no_answer_before_the_broker_has_it(door: Door) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(records: Sequence[Outgoing]) -> list[tuple[int, int]]:
        reached.set()
        await go_on.wait()
        return [(0, 0) for _ in records]

    door.wire.send = slow  # type: ignore[method-assign]
    sending = asyncio.ensure_future(send(door, ndjson(product(1))))
    await reached.wait()
    await asyncio.sleep(0.05)
    assert not sending.done()
    go_on.set()
    assert (await sending).status_code == 202


async def everything(bootstrap: str) -> list[Record]:
    consumer = Consumer(bootstrap, name="test", group=None)
    await consumer.start()
    try:
        ends = await consumer.ends(await consumer.assign_all(topics.CATALOG.name))
        found: list[Record] = []
        while len(found) < sum(ends.values()):
            found += await consumer.poll(timeout_ms=200)
        return found
    finally:
        await consumer.close()


async def test_on_a_real_broker_the_last_telling_of_a_product_is_the_last_of_its_key(
    database: Database, own_kafka: str
) -> None:
    await create_topics(own_kafka, [topics.CATALOG], partitions=4, replication=1)
    producer = await Producer.connect(own_kafka, name="test")
    door = make_door(database, producer, ManualClock(NOW))
    try:
        first = ndjson(*(product(number) for number in range(1_000)))
        assert (await send(door, first)).json()["accepted"] == 1_000
        again = [product(7, price="199.00"), product(7, price="99.00", more=1)]
        assert (await send(door, ndjson(*again))).json()["accepted"] == 2
        found = await everything(own_kafka)
        assert len(found) == 1_002
        assert len({one.key for one in found}) == 1_000
        assert len({one.partition for one in found}) == 4
        told = [ProductTold.decode(one.value) for one in found if one.key == b"demo/p-7"]
        assert [(one.price, one.more) for one in told] == [("249.00", {}), ("199.00", {}), ("99.00", {"more": 1})]
    finally:
        await door.client.aclose()
        await producer.close()
