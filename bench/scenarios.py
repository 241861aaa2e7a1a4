"""Scenarios: what twenty and two hundred of them cost, for many customers whose state is in PostgreSQL.

`KURANT_BENCH=full` has 500,000 customers. `KURANT_BENCH_QUIX` names a Python that has quixstreams, to compare with.
"""

import asyncio
import os
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg
import psutil

from bench import load, many, parts
from bench.report import ROUNDS, Figure, Report, ratio
from cli.local.ports import free_port
from cli.local.process import ROOT
from libs.contracts import topics

FULL = os.environ.get("KURANT_BENCH") == "full"
QUIX = os.environ.get("KURANT_BENCH_QUIX", "")
CUSTOMERS = 500_000 if FULL else 100_000
WARM, COUNT = (100_000, 100_000) if FULL else (15_000, 30_000)
SLOW_WARM, SLOW_COUNT = 5_000, 15_000
COUNTS = (1, 20, 200)
PATIENCE = 1_200
Measured = dict[str, float]


@dataclass
class Found:
    """What the rounds have measured, by who was measured."""

    size: float = 0.0
    rows: dict[str, list[Measured]] = field(default_factory=dict)

    def add(self, name: str, row: Measured) -> None:
        self.rows.setdefault(name, []).append(row)
        print(f"scenarios: {name}: {', '.join(f'{what} {value:,.4g}' for what, value in row.items())}", flush=True)

    def rate(self, name: str, per: str = "cpu") -> list[float]:
        return [row["events"] / row[per] for row in self.rows[name]]

    def each(self, name: str, what: str) -> list[float]:
        return [row[what] for row in self.rows[name]]


def main(rounds: int = ROUNDS) -> Report:
    """Measure and tell."""
    found = Found()
    for _ in range(rounds):
        for name in ("1", "20", "200", "200 judged"):
            found.add(f"engine {name}", parts.answer("bench.engine", *name.split()))
        with parts.running() as servers:
            _round(servers, found)
    return _report(found)


def _round(servers: parts.Parts, found: Found) -> None:
    found.size = asyncio.run(load.fill(servers.kafka, CUSTOMERS, WARM + COUNT))
    found.add("loop", parts.answer("bench.rivals.loop", servers.kafka, str(WARM), str(COUNT)))
    found.add("faust", parts.answer("bench.rivals.stock_faust", servers.kafka, str(SLOW_WARM), str(SLOW_COUNT)))
    if QUIX:
        found.add("quix", _quix(servers.kafka))
    known: set[str] = set()
    for count in COUNTS:
        wanted = many.texts(count)
        told = [one for id, text in wanted.items() if id not in known for one in load.scenario(text, id)]
        known |= wanted.keys()
        asyncio.run(load.publish(servers.kafka, told))
        with servers.database() as database:
            stored = asyncio.run(many.fill(database, many.registry(wanted), load.customers(CUSTOMERS)))
            environment = servers.environment(database, free_port())
            log = servers.folder / f"rules-{count}.log"
            with parts.process("services.rules", log=log, env=environment) as child:
                found.add(f"rules {count}", asyncio.run(_watch(database, child.pid)) | {"stored": stored})
            if count == COUNTS[1]:
                found.add("restart", asyncio.run(_restart(servers, database, environment)))


def _quix(bootstrap: str) -> Measured:
    """The count of Quix, by its own Python."""
    arguments = [bootstrap, topics.EVENTS.name, str(SLOW_WARM), str(SLOW_COUNT)]
    command = [QUIX, "bench/rivals/quix.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    row: Measured = parts.last_json(done.stdout)
    return row


async def _watch(database: str, pid: int) -> Measured:
    """What rules spends on `COUNT` events after the first `WARM`, and what its memory grows by from the first on."""
    connection = await asyncpg.connect(database)
    process, deadline = psutil.Process(pid), time.monotonic() + PATIENCE
    postgres = parts.part("postgres")
    empty, begun = 0, (0, 0.0, 0.0, 0.0)
    try:
        while time.monotonic() < deadline:
            done = await _applied(connection)
            now = (done, time.perf_counter(), parts.cpu(pid), parts.cpu(postgres))
            if done == 0:
                empty = process.memory_info().rss
            if begun[0] == 0 and done >= WARM:
                begun = now
            if done >= WARM + COUNT:
                names = ("events", "wall", "cpu", "postgres")
                spent = {name: after - before for name, after, before in zip(names, now, begun, strict=True)}
                touched = await connection.fetchval("SELECT count(*) FROM rules.profile WHERE version > 1")
                return spent | {"memory": (process.memory_info().rss - empty) / min(touched, 100_000)}
            await asyncio.sleep(0.02)
        raise RuntimeError("rules takes too long")
    finally:
        await connection.close()


async def _restart(servers: parts.Parts, database: str, environment: dict[str, str]) -> Measured:
    """Seconds from the start of the process until an event that waits for it is applied."""
    told = next(iter(load.events(load.customers(CUSTOMERS)[-1:], 1, datetime.now(UTC))))
    await load.publish(servers.kafka, [told])
    connection = await asyncpg.connect(database)
    try:
        before = await _applied(connection)
        log = servers.folder / "restart.log"
        begun = time.perf_counter()
        with parts.process("services.rules", log=log, env=environment):
            while await _applied(connection) == before:
                if time.perf_counter() - begun > PATIENCE:
                    raise RuntimeError("rules does not come back")
                await asyncio.sleep(0.02)
            return {"seconds": time.perf_counter() - begun}
    finally:
        await connection.close()


async def _applied(connection: asyncpg.Connection) -> int:
    """Events behind the stored positions."""
    done: int = await connection.fetchval(
        "SELECT coalesce(sum(next_offset), 0)::bigint FROM rules.consumer_offset WHERE topic = $1", topics.EVENTS.name
    )
    return done


def _report(found: Found) -> Report:
    twenty = found.rate("rules 20")
    quix = [ratio("20 scenarios / Quix counting, per core", twenty, found.rate("quix"), 1)] if QUIX else []
    one, engine = found.rate("rules 1"), found.rate("engine 1")

    def cost(name: str, aim: float | None = None) -> Figure:
        words = f"the engine alone, {name.removeprefix('engine ')} scenarios: cost of an event against one scenario"
        return ratio(words, engine, found.rate(name), aim, at_least=False)

    report = Report("scenarios", _says(found.size))
    report.figures = [
        ratio("20 scenarios / bare loop, per core", twenty, found.rate("loop"), 0.5),
        ratio("20 scenarios / stock Faust counting, per core", twenty, found.rate("faust"), 25),
        *quix,
        ratio("cost of an event with 20 scenarios, against 1", one, twenty, at_least=False),
        ratio("cost of an event with 200 scenarios, against 1", one, found.rate("rules 200"), at_least=False),
        ratio("cost of an event with 200 scenarios, against 20", twenty, found.rate("rules 200"), 2, at_least=False),
        cost("engine 20"),
        cost("engine 200"),
        cost("engine 200 judged"),
        *(Figure(f"rules, {n} scenarios, events per CPU second", "1/s", found.rate(f"rules {n}")) for n in COUNTS),
        *(Figure(f"the engine alone, {n} scenarios", "1/s", found.rate(f"engine {n}")) for n in COUNTS),
        Figure("bare loop, events per CPU second", "1/s", found.rate("loop")),
        Figure("stock Faust, events per CPU second", "1/s", found.rate("faust")),
        Figure("rules, 20 scenarios, events per second (wall)", "1/s", found.rate("rules 20", "wall")),
        Figure("PostgreSQL's CPU seconds for each of rules", "s", _share(found)),
        Figure("memory of a million cached profiles, 20 scenarios", "GB", _giga(found.each("rules 20", "memory"))),
        Figure("table of a million profiles, 20 scenarios", "GB", _giga(found.each("rules 20", "stored"))),
        Figure(f"restart with {CUSTOMERS:,} profiles to the first event", "s", found.each("restart", "seconds"), 10,
               at_least=False),
    ]  # fmt: skip
    report.notes = [
        f"The form {'of' if FULL else 'short of'} the full one: {CUSTOMERS:,} customers"
        f"{'' if FULL else ' (`KURANT_BENCH=full`: 500,000)'}, each with {many.BEHIND} events behind him in a filled "
        f"table; {WARM:,} events warm up, {COUNT:,} count (Faust and Quix: {SLOW_WARM:,} and {SLOW_COUNT:,}).",
        "Customers are drawn evenly, so hardly an event finds its customer in the cache: each is read, judged by all "
        "scenarios that it concerns, and written with the positions in one transaction.",
        "The 180 beside the twenty are started by events that do not come; `judged` ones have each a condition of its "
        "own on every cart. The rivals hold one number for each customer.",
        "The process keeps at most 100,000 profiles in memory, whatever their number.",
    ]
    return report


def _says(size: float) -> str:
    return (
        f"Twenty scenarios of the library live, state in PostgreSQL, {CUSTOMERS:,} customers, {size:.0f}-byte events "
        "(the mix of `rules`), events per CPU second of the process; against the bare aiokafka loop, a stock Faust "
        "agent with a memory table and Quix Streams with RocksDB, which count. Then one scenario and two hundred."
    )


def _share(found: Found) -> list[float]:
    return [row["postgres"] / row["cpu"] for row in found.rows["rules 20"]]


def _giga(each: list[float]) -> list[float]:
    return [bytes * 1e6 / 1e9 for bytes in each]
