"""A steady background of events, a process of its own. `background http PORT RATE`, `background kafka BOOTSTRAP RATE`.

Over HTTP to ingest, or straight into the bare relay's first topic: the same events in the same rhythm, `PER` at a
time. A line on standard output says when an answer is more than a second behind its time.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

import uvloop
from aiokafka import AIOKafkaProducer

from bench.client import Connection
from bench.incoming import Shop
from bench.rivals.hops import TOPICS

CUSTOMERS = 5_000
PER = 20
CONNECTIONS = 8


async def rhythm(rate: float, send: Callable[[], Awaitable[None]]) -> None:
    """Call `send` `rate / PER` times a second until stopped, catching up after a delay."""
    begun, done = time.perf_counter(), 0
    while True:
        due = begun + done * PER / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await send()
        done += 1
        behind = time.perf_counter() - due
        if behind > 1:
            print(f"background: {behind:.1f} s behind", flush=True)


async def over_http(port: int, rate: float) -> None:
    """Introduce the customers, then let them browse."""
    shop = Shop(f"bg{time.time_ns():x}", CUSTOMERS)
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await Connection.open(port))
    running: set[asyncio.Task[None]] = set()

    async def ask(connection: Connection, request: bytes) -> None:
        status, body = await connection.send(request)
        if status != 202:
            print(f"background: {status} {body[:200]!r}", flush=True)
        free.put_nowait(connection)

    async def send() -> None:
        task = asyncio.create_task(ask(await free.get(), shop.batch(PER)))
        running.add(task)
        task.add_done_callback(running.discard)

    for request in shop.known(500):
        await ask(await free.get(), request)
    print("started", flush=True)
    await rhythm(rate, send)


async def into_kafka(bootstrap: str, rate: float) -> None:
    """The same events into the relay."""
    shop = Shop(f"bg{time.time_ns():x}", CUSTOMERS)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all")
    await producer.start()

    async def send() -> None:
        told = json.loads(shop.batch(PER).partition(b"\r\n\r\n")[2])
        for event in told:
            await producer.send(TOPICS[0], json.dumps(event).encode(), key=event["data"]["user_id"].encode())

    print("started", flush=True)
    await rhythm(rate, send)


if __name__ == "__main__":
    kind, where, rate = sys.argv[1], sys.argv[2], float(sys.argv[3])
    uvloop.run(over_http(int(where), rate) if kind == "http" else into_kafka(where, rate))
