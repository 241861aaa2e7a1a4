"""From an event to its mail under 1,000 events a second, against a bare relay of three hops through Kafka."""

import asyncio
import itertools
import json
import re
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiosmtpd.smtp import SMTP

from bench import background, parts, platform
from bench.client import Connection, post
from bench.incoming import MANY, ONE, PATH, event
from bench.ingest import bare_topic
from bench.report import ROUNDS, Figure, Report, ratio
from bench.rivals.hops import TOPICS
from cli.local.ports import HOST, Ports, free_port
from libs.common.bus.kafka import create_topics
from libs.contracts.topics import PARTITIONS

RATE = 1_000
PER_SECOND, PROBES = 20, 200
"""Probes per second, and in one measurement."""
SETTLE = 8.0
"""Seconds of background before the first probe."""
PATIENCE = 15.0
CUSTOMERS = 200
ID = re.compile(rb"probe-[0-9a-f]+-\d+")


class Sink:
    """Where probes arrive: a mail server, and the end of the relay."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[float, asyncio.Future[float]]] = {}

    def expect(self, probe: str) -> "asyncio.Future[float]":
        """The seconds from now until `probe` arrives."""
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[probe] = (time.perf_counter(), future)
        return future

    def arrived(self, content: bytes) -> None:
        """Take a message; what is no probe is background."""
        now = time.perf_counter()
        found = ID.search(content)
        sent, future = self._waiting.pop(found[0].decode(), (now, None)) if found else (now, None)
        if future is not None and not future.done():
            future.set_result(now - sent)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        self.arrived(envelope.content)
        return "250 OK"


Send = Callable[[str, int], Awaitable[None]]
"""Send a probe: its id, its number."""


def main(rounds: int = ROUNDS) -> Report:
    """Measure and tell."""
    smtp = free_port()
    with tempfile.TemporaryDirectory(prefix="kurant-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with platform.running(folder, smtp) as ports:
            bootstrap = f"{HOST}:{ports.kafka}"
            uvloop.run(_topics(bootstrap))
            with ExitStack() as held:
                for source, target in itertools.pairwise(TOPICS):
                    log = folder / f"{target}.log"
                    held.enter_context(parts.process("bench.rivals.hops", bootstrap, source, target, log=log))
                return _report(uvloop.run(_rounds(folder, ports, smtp, rounds)))


async def _topics(bootstrap: str) -> None:
    await create_topics(bootstrap, [bare_topic(name) for name in TOPICS], partitions=PARTITIONS, replication=1)


Found = dict[str, list[list[float]]]


async def _rounds(folder: Path, ports: Ports, smtp: int, rounds: int) -> Found:
    """In each round: both ways while the platform carries the background, then the relay carrying its own."""
    sink, bootstrap = Sink(), f"{HOST}:{ports.kafka}"
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(sink, hostname="sink"), HOST, smtp)
    run = secrets.token_hex(4)
    connection = await Connection.open(ports.service("ingest"))
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all")
    consumer = AIOKafkaConsumer(TOPICS[-1], bootstrap_servers=bootstrap)
    await producer.start()
    await consumer.start()
    reading = asyncio.create_task(_read(consumer, sink))

    async def over_http(probe: str, number: int) -> None:
        told = event(probe, platform.PROBE_EVENT, {"user_id": f"{run}-{number % CUSTOMERS}", "probe": probe})
        await _ask(connection, post(PATH, ONE, json.dumps(told).encode()))

    async def over_hops(probe: str, number: int) -> None:
        told = event(probe, platform.PROBE_EVENT, {"user_id": f"{run}-{number % CUSTOMERS}", "probe": probe})
        await producer.send_and_wait(TOPICS[0], json.dumps(told).encode(), key=f"{run}-{number}".encode())

    found: Found = {"kurant": [], "relay": [], "relay alone": []}
    try:
        await _introduce(connection, run)
        for number in range(rounds):
            with _background(folder, "http", str(ports.service("ingest"))) as started:
                await started()
                both = await asyncio.gather(_probe(sink, run, over_http, 0.0), _probe(sink, run, over_hops, 0.5))
            with _background(folder, "kafka", bootstrap) as started:
                await started()
                alone = await _probe(sink, run, over_hops, 0.0)
            for name, values in zip(found, [*both, alone], strict=True):
                found[name].append(values)
            seen = {name: f"{_at(rows[-1], 50):.1f}/{_at(rows[-1], 99):.1f}" for name, rows in found.items()}
            print(f"relay, round {number + 1}: ms p50/p99 {seen}", flush=True)
        return found
    finally:
        reading.cancel()
        connection.close()
        await consumer.stop()
        await producer.stop()
        server.close()


async def _ask(connection: Connection, request: bytes) -> None:
    status, body = await connection.send(request)
    if status != 202 or json.loads(body)["accepted"] == 0:
        raise RuntimeError(f"ingest answers {status}: {body[:300].decode(errors='replace')}")


async def _read(consumer: AIOKafkaConsumer, sink: Sink) -> None:
    async for record in consumer:
        sink.arrived(record.value)


async def _introduce(connection: Connection, run: str) -> None:
    """The customers who will be written to."""
    told = [
        event(
            f"{run}-known-{number}",
            "profile.updated",
            {"user_id": f"{run}-{number}", "email": f"customer-{run}-{number}@shop.example", "first_name": "Anna"},
        )
        for number in range(CUSTOMERS)
    ]
    await _ask(connection, post(PATH, MANY, json.dumps(told).encode()))


@contextmanager
def _background(folder: Path, *arguments: str) -> Iterator[Callable[[], Awaitable[None]]]:
    """The background process; what is yielded waits until it has run for a while, and refuses one that lags."""
    log = folder / f"background-{time.time_ns()}.log"
    with parts.process("bench.background", *arguments, str(RATE), log=log) as child:

        async def started() -> None:
            await asyncio.to_thread(parts.wait_until, lambda: "started" in log.read_text(), child)
            await asyncio.sleep(SETTLE)

        yield started
    trouble = [line for line in log.read_text().splitlines() if line.startswith("background:")]
    if trouble:
        print(f"relay: {len(trouble)} complaints of the background, the last: {trouble[-1]}", flush=True)


async def _probe(sink: Sink, run: str, send: Send, phase: float) -> list[float]:
    """Send probes at their steady rate, `phase` of an interval later; milliseconds of each, start to arrival."""
    begun, arriving = time.perf_counter() + phase / PER_SECOND, []
    for number in range(PROBES):
        await asyncio.sleep(max(0.0, begun + number / PER_SECOND - time.perf_counter()))
        probe = f"probe-{run}{secrets.token_hex(4)}-{number}"
        arriving.append(sink.expect(probe))
        await send(probe, number)
    async with asyncio.timeout(PATIENCE):
        return [1_000 * seconds for seconds in await asyncio.gather(*arriving)]


def _at(values: list[float], percentile: int) -> float:
    """The nearest-rank percentile."""
    return sorted(values)[max(0, -(-len(values) * percentile // 100) - 1)]


def _report(found: Found) -> Report:
    def at(name: str, percentile: int) -> list[float]:
        return [_at(row, percentile) for row in found[name]]

    report = Report(
        "relay",
        f"Milliseconds from the start of the HTTP request with the event to the mail being accepted by the SMTP "
        f"sink (a scenario with one send), on a platform started by `kurant up` that takes in {RATE:,} other events a "
        "second; against a bare relay on the same broker at the same time: produce, two processes that pass on, "
        "consume.",
    )
    report.figures = [
        Figure("event to mail, p99", "ms", at("kurant", 99), 250, at_least=False),
        ratio("event to mail / relay, p99", at("kurant", 99), at("relay", 99), 2.5, at_least=False),
        Figure("event to mail, p50", "ms", at("kurant", 50)),
        ratio("event to mail / relay, p50", at("kurant", 50), at("relay", 50)),
        Figure("relay, p50", "ms", at("relay", 50)),
        Figure("relay, p99", "ms", at("relay", 99)),
        Figure("relay carrying the background itself, platform idle, p50", "ms", at("relay alone", 50)),
        Figure("relay carrying the background itself, platform idle, p99", "ms", at("relay alone", 99)),
    ]
    report.notes = [
        f"{PROBES} probes in a round, {PER_SECOND} a second, one at a time; p99 is the nearest rank.",
        f"The background comes {background.PER} events to a request, of {background.CUSTOMERS:,} customers, with the "
        "abandoned-cart scenario live; its carts wait an hour, so it makes steps and no mail.",
        "An event passes Kafka twice on its way (events, messages), PostgreSQL four times (identity, profile, message "
        "and its end), asks consent over HTTP, is rendered and sent by SMTP; the relay passes Kafka three times.",
        "Everything shares the machine: six services, Kafka, PostgreSQL, the relay, the background and the sink.",
        "Why 2.5 times the relay is missed: the relay writes nothing down. A mail waits here for four commits "
        "of PostgreSQL one after the other (identity, the message, permission with its proof, on its way), "
        "for a question over HTTP and for the poll that rules is at under the background.",
    ]
    return report
