"""A shop's events, as rules sees them: canonical, about 500 bytes, of many customers."""

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.common.bus.kafka import Producer
from libs.common.bus.records import Outgoing, outgoing
from libs.contracts import topics
from libs.contracts.events import EventOccurred
from libs.contracts.scenarios import ScenarioPublished, ScenarioState, State

SHOP = "demo"
SOURCE = "/shops/demo/web"
MIX = {"product.viewed": 60, "cart.updated": 28, "order.placed": 7, "cart.cleared": 5}
"""What a hundred events are."""
CHUNK = 5_000
SCENARIO = """\
kurant: 1
id: abandoned-cart
name: Abandoned cart
purpose: marketing
trigger:
  event: cart.updated
  where: {event.cart.value: {gte: 50}}
key: event.cart.id
again: always
restart: true
exit:
  - event: order.placed
  - event: cart.cleared
    where: {event.cart.id: {eq: key}}
steps:
  - wait: 1h
  - send: first
    channels: [email]
  - wait: 23h
  - send: second
    channels: [email]
"""
ADDRESS = "https://demo.example"


def customers(count: int) -> list[str]:
    """Profile ids, the same in every run."""
    source = random.Random(1)
    return [str(uuid.UUID(int=source.getrandbits(128), version=4)) for _ in range(count)]


def events(profiles: list[str], count: int, begin: datetime) -> Iterator[Outgoing]:
    """`count` events of random customers, a millisecond apart, the last ones an hour before they are read at most."""
    source = random.Random(2)
    types = source.choices(list(MIX), list(MIX.values()), k=count)
    for number, kind in enumerate(types):
        profile = source.choice(profiles)
        time = begin + timedelta(milliseconds=number)
        told = data(kind, profile[:8], number, source)
        yield outgoing(
            topics.EVENTS,
            EventOccurred(profile=profile, received_at=time, data=told),
            key=profile,
            id=f"e-{number}",
            source=SOURCE,
            shop=SHOP,
            time=time,
            type=kind,
            traceparent=f"00-{source.getrandbits(128):032x}-{source.getrandbits(64):016x}-01",
        )


def data(kind: str, customer: str, number: int, source: random.Random) -> dict[str, Any]:
    """The type's own fields; a customer has one cart until it is ordered or cleared."""
    cart = f"c-{customer}"
    item = _item(source)
    if kind == "product.viewed":
        page = {"url": f"{ADDRESS}/p/{item['product_id']}", "referrer": f"{ADDRESS}/c/{source.randrange(40)}"}
        about = {"brand": "Nordli", "category": ["living room", "sofas", "corner sofas"], "stock": source.randrange(30)}
        return {"product": item | about, "page": page, "session": f"s-{source.getrandbits(40):010x}"}
    if kind == "cart.cleared":
        return {"cart": {"id": cart, "value": "0.00", "currency": "PLN", "items": []}, "by": "customer"}
    whole = {"value": item["price"], "currency": "PLN", "items": [item, _item(source)]}
    if kind == "order.placed":
        return {"order": {"id": f"o-{number}", "status": "new", "channel": "web", "cart_id": cart} | whole}
    return {"cart": {"id": cart, "url": f"{ADDRESS}/cart/{cart}"} | whole}


def _item(source: random.Random) -> dict[str, Any]:
    number = source.randrange(5_000)
    return {
        "product_id": f"sofa-{number}",
        "name": f"Sofa Oslo, three seats, model {number}",
        "quantity": 1,
        "price": f"{source.randrange(20, 3_000)}.00",
        "image": f"{ADDRESS}/i/sofa-{number}.jpg",
    }


async def preload(bootstrap: str, customers_count: int, count: int) -> float:
    """Fill the events topic and publish the scenario; the mean size of an event in bytes."""
    await publish(bootstrap, scenario(SCENARIO))
    return await fill(bootstrap, customers_count, count)


async def publish(bootstrap: str, told: list[Outgoing]) -> None:
    """Send records."""
    producer = await Producer.connect(bootstrap, name="bench")
    try:
        await producer.send(told)
    finally:
        await producer.close()


async def fill(bootstrap: str, customers_count: int, count: int) -> float:
    """Fill the events topic; the mean size of an event in bytes."""
    producer = await Producer.connect(bootstrap, name="bench")
    try:
        size, chunk = 0, []
        for record in events(customers(customers_count), count, datetime.now(UTC)):
            size += len(record.value)
            chunk.append(record)
            if len(chunk) == CHUNK:
                await producer.send(chunk)
                chunk = []
        if chunk:
            await producer.send(chunk)
        return size / count
    finally:
        await producer.close()


def scenario(text: str, id: str = "abandoned-cart") -> list[Outgoing]:
    """The records that make a scenario live."""
    now = datetime.now(UTC)
    told = ScenarioPublished(scenario=id, version=1, published_at=now, files={"scenario.yaml": text})
    key = f"{SHOP}/{id}@1"
    return [outgoing(topics.SCENARIOS, told, key=key, id=key, source="/bench", shop=SHOP, time=now), state(id, "live")]


def state(id: str, now: State) -> Outgoing:
    """The record that says how a scenario stands."""
    key, at = f"{SHOP}/{id}", datetime.now(UTC)
    told = ScenarioState(scenario=id, version=1, state=now, changed_at=at)
    return outgoing(topics.SCENARIOS, told, key=key, id=key, source="/bench", shop=SHOP, time=at)
