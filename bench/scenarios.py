"""Scenarios: what twenty and two hundred of them cost, for many customers whose state is in PostgreSQL.

Bounded: whatever the machine, no measurement takes longer than `PATIENCE`, and the long one tells how far it came.
`KURANT_BENCH=short` is a small form. `KURANT_BENCH_QUIX` names a Python that has quixstreams, to compare with.
"""

import asyncio
import os
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

import asyncpg
import psutil

from bench import load, many, parts
from bench.report import Figure, Report, ratio
from cli.local.ports import free_port
from cli.local.process import ROOT
from libs.contracts import topics
from libs.domain.engine.registry import Registry

ROUNDS = 1
SHORT = os.environ.get("KURANT_BENCH") == "short"
QUIX = os.environ.get("KURANT_BENCH_QUIX", "")
CUSTOMERS, EVENTS, KNOWN = (50_000, 60_000, 100_000) if SHORT else (500_000, 1_000_000, 1_000_000)
"""Customers, events of theirs, and profiles in the table when rules starts again."""
WARM, COUNT = (5_000, 20_000) if SHORT else (20_000, 60_000)
SLOW_WARM, SLOW_COUNT = 5_000, 15_000
ENGINES = ("1", "20", "200", "200 alone", "20 mute")
COUNTS = (1, 200, 20)
LONG = 20
"""With so many scenarios all events are applied, and rules starts again."""
PATIENCE = 240.0
Measured = dict[str, float]


@dataclass
class Found:
    """What the rounds have measured, by who was measured."""

    begun: float = field(default_factory=time.monotonic)
    size: float = 0.0
    rows: dict[str, list[Measured]] = field(default_factory=dict)

    def say(self, told: str) -> None:
        print(f"scenarios: {time.monotonic() - self.begun:4.0f} s: {told}", flush=True)

    def add(self, name: str, row: Measured) -> None:
        self.rows.setdefault(name, []).append(row)
        self.say(f"{name}: {', '.join(f'{what} {value:,.4g}' for what, value in row.items())}")

    def rate(self, name: str, per: str = "cpu") -> list[float]:
        return [row["events"] / row[per] for row in self.rows[name]]

    def each(self, name: str, what: str) -> list[float]:
        return [row[what] for row in self.rows[name]]


def main(rounds: int = ROUNDS) -> Report:
    """Measure and tell."""
    found = Found()
    for _ in range(rounds):
        for name in ENGINES:
            found.add(f"engine {name}", parts.answer("bench.engine", *name.split()))
        with parts.running() as servers:
            _round(servers, found)
    return _report(found)


def _round(servers: parts.Parts, found: Found) -> None:
    found.say(f"{EVENTS:,} events into Kafka")
    found.size = asyncio.run(load.fill(servers.kafka, CUSTOMERS, EVENTS))
    found.add("loop", parts.answer("bench.rivals.loop", servers.kafka, str(WARM), str(COUNT)))
    found.add("faust", parts.answer("bench.rivals.stock_faust", servers.kafka, str(SLOW_WARM), str(SLOW_COUNT)))
    if QUIX:
        found.add("quix", _quix(servers.kafka))
    known: set[str] = set()
    for count in COUNTS:
        wanted = many.texts(count)
        told = [one for id, text in wanted.items() if id not in known for one in load.scenario(text, id)]
        told += [load.state(id, "archived") for id in known - wanted.keys()]
        known |= wanted.keys()
        asyncio.run(load.publish(servers.kafka, told))
        _scenarios(servers, found, count, many.registry(wanted))


def _scenarios(servers: parts.Parts, found: Found, count: int, live: Registry) -> None:
    """The service with so many scenarios; `LONG` is measured to the end, and started again."""
    long, made = count == LONG, many.documents(live)
    with servers.database() as database:
        found.say(f"{CUSTOMERS:,} profiles into PostgreSQL")
        stored = asyncio.run(many.fill(database, live, load.customers(CUSTOMERS), made))
        environment = servers.environment(database, free_port())
        log = servers.folder / f"rules-{count}.log"
        with parts.process("services.rules", log=log, env=environment) as child:
            row = asyncio.run(_watch(found, database, child.pid, EVENTS - WARM if long else COUNT))
        found.add(f"rules {count}", row | {"stored": stored})
        if long:
            found.say(f"{KNOWN - CUSTOMERS:,} profiles more")
            more = load.customers(KNOWN)[CUSTOMERS:]
            asyncio.run(many.fill(database, live, more, made))
            found.add("restart", asyncio.run(_restart(servers, database, environment)))


def _quix(bootstrap: str) -> Measured:
    """The count of Quix, by its own Python."""
    arguments = [bootstrap, topics.EVENTS.name, str(SLOW_WARM), str(SLOW_COUNT)]
    command = [QUIX, "bench/rivals/quix.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"quix: {done.stderr.strip()[-2000:]}")
    row: Measured = parts.last_json(done.stdout)
    return row


async def _watch(found: Found, database: str, pid: int, count: int) -> Measured:
    """What rules spends on `count` events after the first `WARM`, or on those that it gets done in `PATIENCE`."""
    connection = await asyncpg.connect(database)
    process, postgres = psutil.Process(pid), parts.part("postgres")
    started = told = time.monotonic()
    begun: tuple[int, float, float, float] | None = None
    try:
        while True:
            done = await _applied(connection)
            now = (done, time.perf_counter(), parts.cpu(pid), parts.cpu(postgres))
            over = time.monotonic() - started > PATIENCE
            if begun is None and done >= WARM:
                begun = now
            elif begun is None and over:
                raise RuntimeError("rules takes too long")
            if begun is not None and done > begun[0] and (over or done >= WARM + count):
                names = ("events", "wall", "cpu", "postgres")
                spent = {name: after - before for name, after, before in zip(names, now, begun, strict=True)}
                return spent | {"resident": process.memory_info().rss / 1e9}
            if time.monotonic() - told > 15:
                told = time.monotonic()
                found.say(f"{done:,} events applied")
            await asyncio.sleep(0.05)
    finally:
        await connection.close()


async def _restart(servers: parts.Parts, database: str, environment: dict[str, str]) -> Measured:
    """Seconds from the start of the process until an event that waits for it is applied."""
    connection = await asyncpg.connect(database)
    try:
        before = await _applied(connection)
        if before >= EVENTS:  # nothing waits
            await load.publish(servers.kafka, list(islice(load.events(load.customers(1), 1, datetime.now(UTC)), 1)))
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


def _told(found: Found) -> list[float]:
    """What the engine spends on an event for `explain`, of all that the service spends on it."""
    rates = zip(found.rate("engine 20"), found.rate("engine 20 mute"), found.rate("rules 20"), strict=True)
    return [(1 / whole - 1 / mute) * service for whole, mute, service in rates]


def _report(found: Found) -> Report:
    twenty, one = found.rate("rules 20"), found.rate("rules 1")
    quix = [ratio("20 scenarios / Quix counting, per core", twenty, found.rate("quix"), 1)] if QUIX else []

    def cost(name: str, than: str, aim: float | None = None) -> Figure:
        words = f"the engine alone: cost of an event with {name} scenarios, against {than}"
        return ratio(words, found.rate(f"engine {than}"), found.rate(f"engine {name}"), aim, at_least=False)

    report = Report("scenarios", _says(found.size), repeat=_repeat())
    report.figures = [
        ratio("20 scenarios / bare loop, per core", twenty, found.rate("loop"), 0.5),
        ratio("20 scenarios / stock Faust counting, per core", twenty, found.rate("faust"), 25),
        *quix,
        cost("200 alone", "1", 2),
        cost("200", "20", 2),
        cost("20", "1"),
        Figure("share of rules' CPU that goes into what explain tells", "", _told(found), 0.1, at_least=False),
        ratio("cost of an event with 20 scenarios, against 1", one, twenty, at_least=False),
        ratio("cost of an event with 200 scenarios, against 20", twenty, found.rate("rules 200"), 2, at_least=False),
        *(Figure(f"rules, {n} scenarios, events per CPU second", "1/s", found.rate(f"rules {n}")) for n in COUNTS),
        *(Figure(f"the engine alone, {n} scenarios", "1/s", found.rate(f"engine {n}")) for n in ENGINES),
        Figure("bare loop, events per CPU second", "1/s", found.rate("loop")),
        Figure("stock Faust, events per CPU second", "1/s", found.rate("faust")),
        *([Figure("Quix, events per CPU second", "1/s", found.rate("quix"))] if QUIX else []),
        Figure("rules, 20 scenarios, events per second (wall)", "1/s", found.rate("rules 20", "wall")),
        Figure("rules, 20 scenarios, events applied", "events", found.each("rules 20", "events")),
        Figure("PostgreSQL's CPU seconds for each of rules", "s", _share(found)),
        Figure("memory of rules after them", "GB", found.each("rules 20", "resident")),
        Figure("memory of a million cached profiles, 1 scenario", "GB", _giga(found, "engine 1", "memory")),
        Figure("the same, 20 scenarios", "GB", _giga(found, "engine 20", "memory")),
        Figure("table of a million profiles, 20 scenarios", "GB", _giga(found, "rules 20", "stored")),
        Figure(f"restart with {KNOWN:,} profiles to the first event", "s", found.each("restart", "seconds"), 10,
               at_least=False),
    ]  # fmt: skip
    report.notes = [
        f"{CUSTOMERS:,} customers, each with {many.BEHIND} events behind him in a filled table; {WARM:,} events warm "
        f"up, then {COUNT:,} count, with {LONG} scenarios all of {EVENTS:,} or as many as {PATIENCE:.0f} seconds allow "
        f"(Faust and Quix: {SLOW_WARM:,} and {SLOW_COUNT:,}).",
        "Customers are drawn evenly, so hardly an event finds its customer in the cache: each is read, judged by all "
        "scenarios that it concerns, and written with the positions in one transaction.",
        "The 180 beside the twenty (and the 199 beside the one, `alone`) wait for every cart, each with a condition of "
        "its own that is not met. The rivals hold one number for each customer.",
        "The service keeps as many profiles in memory as 100 MB of their documents are, whatever their number.",
        "Why the aims are missed: the rivals add one to a number; here an event reads and writes a document "
        "of 5 kB and is judged by every scenario that it concerns, in Python: 137 us of engine, 60 us of it "
        "more than with one scenario only because 1.8 runs begin or change with each event. What is asked of "
        "the number of scenarios holds: two hundred cost what twenty do.",
    ]
    return report


def _repeat() -> str:
    """The command that measures the same again."""
    short = "KURANT_BENCH=short " if SHORT else ""
    quix = "KURANT_BENCH_QUIX=<a python with quixstreams> " if QUIX else ""
    return f"{short}{quix}make bench ARGS=scenarios"


def _says(size: float) -> str:
    return (
        f"Twenty scenarios of the library live, state in PostgreSQL, {CUSTOMERS:,} customers, {size:.0f}-byte events "
        "(the mix of `rules`), events per CPU second of the process; against the bare aiokafka loop, a stock Faust "
        "agent with a memory table and Quix Streams with RocksDB, which count. Then one scenario and two hundred."
    )


def _share(found: Found) -> list[float]:
    return [row["postgres"] / row["cpu"] for row in found.rows["rules 20"]]


def _giga(found: Found, name: str, what: str) -> list[float]:
    return [bytes * 1e6 / 1e9 for bytes in found.each(name, what)]
