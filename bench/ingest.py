"""ingest: events per second, one by one and in batches, against a bare FastAPI endpoint over aiokafka."""

import asyncio
import json
import secrets
import time
from dataclasses import dataclass

import uvloop

from bench import parts
from bench.client import Connection
from bench.incoming import Shop
from bench.report import ROUNDS, Figure, Report, ratio
from bench.rivals import endpoint
from cli.local.ports import free_port, is_open
from libs.common.bus.kafka import create_topics
from libs.contracts.topics import PARTITIONS, Topic

CUSTOMERS = 5_000
BATCH = 500
CONNECTIONS = {"single": 32, "batch": 4}
SINGLES, BATCHES = 6_000, 100
"""Requests of one measurement, prepared beforehand."""


@dataclass(frozen=True)
class Server:
    """Who is measured."""

    name: str
    port: int
    pid: int


@dataclass(frozen=True)
class Measured:
    """Events acknowledged, and the seconds and CPU seconds that this took the server."""

    events: int
    wall: float
    cpu: float


def main(rounds: int = ROUNDS) -> Report:
    """Measure and tell."""
    with parts.running() as servers, servers.database() as database:
        topic = bare_topic(endpoint.TOPIC)
        uvloop.run(_create(servers.kafka, topic))
        ours, bare = free_port(), free_port()
        environment = servers.environment(database, ours)
        log = servers.folder
        with (
            parts.process("services.ingest", log=log / "ingest.log", env=environment) as ingest,
            parts.process("bench.rivals.endpoint", servers.kafka, str(bare), log=log / "endpoint.log") as rival,
        ):
            parts.wait_until(lambda: is_open(ours), ingest)
            parts.wait_until(lambda: is_open(bare), rival)
            both = [Server("ingest", ours, ingest.pid), Server("endpoint", bare, rival.pid)]
            return _report(uvloop.run(_rounds(both, rounds)))


def bare_topic(name: str) -> Topic:
    """A topic that is no part of Kurant."""
    return Topic(name=name, key="", says="", messages=(), producers=frozenset(), consumers=frozenset())


async def _create(bootstrap: str, topic: Topic) -> None:
    await create_topics(bootstrap, [topic], partitions=PARTITIONS, replication=1)


Found = dict[tuple[str, str], list[Measured]]


async def _rounds(both: list[Server], rounds: int) -> Found:
    shop = Shop(secrets.token_hex(3), CUSTOMERS)
    for server in both:
        await _measure(server, shop.known(BATCH), 1)
        await _measure(server, [shop.single() for _ in range(SINGLES // 3)], CONNECTIONS["single"])
    found: Found = {(server.name, kind): [] for server in both for kind in CONNECTIONS}
    for number in range(rounds):
        order = both if number % 2 == 0 else both[::-1]
        for server in order:
            singles = [shop.single() for _ in range(SINGLES)]
            found[(server.name, "single")].append(await _measure(server, singles, CONNECTIONS["single"]))
            batches = [shop.batch(BATCH) for _ in range(BATCHES)]
            found[(server.name, "batch")].append(await _measure(server, batches, CONNECTIONS["batch"]))
        rates = {" ".join(key): f"{rows[-1].events / rows[-1].wall:,.0f}" for key, rows in found.items()}
        print(f"ingest, round {number + 1}: events per second {rates}", flush=True)
    return found


async def _measure(server: Server, requests: list[bytes], connections: int) -> Measured:
    """Send the requests over so many connections; every event of every one must be accepted."""
    waiting = iter(requests)

    async def work() -> int:
        connection = await Connection.open(server.port)
        sum_accepted = 0
        try:
            for request in waiting:
                status, body = await connection.send(request)
                if status != 202:
                    raise RuntimeError(f"{server.name} answers {status}: {body[:300].decode(errors='replace')}")
                sum_accepted += json.loads(body)["accepted"]
            return sum_accepted
        finally:
            connection.close()

    cpu, begun = parts.cpu(server.pid), time.perf_counter()
    total = sum(await asyncio.gather(*(work() for _ in range(connections))))
    return Measured(total, time.perf_counter() - begun, parts.cpu(server.pid) - cpu)


def _report(found: Found) -> Report:
    def rate(name: str, kind: str) -> list[float]:
        return [row.events / row.wall for row in found[(name, kind)]]

    def per_core(name: str, kind: str) -> list[float]:
        return [row.events / row.cpu for row in found[(name, kind)]]

    report = Report(
        "ingest",
        f"Events per second at POST /v1/events, all acknowledged by Kafka before the answer: one by one over "
        f"{CONNECTIONS['single']} connections, and {BATCH} to a request over {CONNECTIONS['batch']}; against a bare "
        "FastAPI endpoint that decodes the body, produces each event and awaits the acknowledgements. One worker "
        "process each.",
    )
    for kind, text in (("single", "one by one"), ("batch", f"batches of {BATCH}")):
        report.figures += [
            ratio(f"ingest / bare endpoint, {text}", rate("ingest", kind), rate("endpoint", kind)),
            Figure(f"ingest, {text}", "events/s", rate("ingest", kind)),
            Figure(f"bare endpoint, {text}", "events/s", rate("endpoint", kind)),
            Figure(f"ingest, {text}, per CPU second", "events/s", per_core("ingest", kind)),
            Figure(f"bare endpoint, {text}, per CPU second", "events/s", per_core("endpoint", kind)),
        ]
    report.notes = [
        f"{CUSTOMERS:,} customers, told by user id and introduced beforehand; new event ids throughout.",
        "The bare endpoint checks no key, no schema, no identity and no repeats, and takes out no addresses.",
    ]
    return report
