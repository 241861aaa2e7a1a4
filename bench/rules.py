"""rules: events per second and core, against a bare aiokafka loop and a stock Faust agent with a table."""

import asyncio
import time

import asyncpg

from bench import load, parts
from bench.report import ROUNDS, Figure, Report, ratio
from cli.local.ports import free_port
from libs.contracts import topics

CUSTOMERS = 20_000
WARM, COUNT = 100_000, 60_000
FAUST_WARM, FAUST_COUNT = 5_000, 20_000
Measured = dict[str, float]


def main(rounds: int = ROUNDS) -> Report:
    """Measure and tell."""
    found: dict[str, list[Measured]] = {"rules": [], "loop": [], "faust": []}
    with parts.running() as servers:
        size = asyncio.run(load.preload(servers.kafka, CUSTOMERS, WARM + COUNT))
        for number in range(rounds):
            found["loop"].append(parts.answer("bench.rivals.loop", servers.kafka, str(WARM), str(COUNT)))
            found["faust"].append(
                parts.answer("bench.rivals.stock_faust", servers.kafka, str(FAUST_WARM), str(FAUST_COUNT))
            )
            found["rules"].append(_rules(servers))
            rates = {name: f"{rows[-1]['events'] / rows[-1]['cpu']:,.0f}" for name, rows in found.items()}
            print(f"rules, round {number + 1}: events per CPU second {rates}", flush=True)
    return _report(found, size)


def _rules(servers: parts.Parts) -> Measured:
    """Let the service work off the topic into a fresh database; what it did between WARM events and the end."""
    with servers.database() as database:
        environment = servers.environment(database, free_port())
        log = servers.folder / "rules.log"
        with parts.process("services.rules", log=log, env=environment) as child:
            return asyncio.run(_watch(database, child.pid))


async def _watch(database: str, pid: int) -> Measured:
    """Sample the stored positions and the CPU seconds spent until then."""
    connection = await asyncpg.connect(database)
    postgres, kafka = parts.part("postgres"), parts.part("java")
    deadline = time.monotonic() + 300
    begun: tuple[int, float, float, float, float] | None = None
    try:
        while time.monotonic() < deadline:
            done = await connection.fetchval(
                "SELECT coalesce(sum(next_offset), 0)::bigint FROM rules.consumer_offset WHERE topic = $1",
                topics.EVENTS.name,
            )
            now = (done, time.perf_counter(), parts.cpu(pid), parts.cpu(postgres), parts.cpu(kafka))
            if begun is None and done >= WARM:
                begun = now
            if begun is not None and done >= WARM + COUNT:
                names = ("events", "wall", "cpu", "postgres", "kafka")
                return {name: after - before for name, after, before in zip(names, now, begun, strict=True)}
            await asyncio.sleep(0.02)
        raise RuntimeError("rules takes too long")
    finally:
        await connection.close()


def _report(found: dict[str, list[Measured]], size: float) -> Report:
    def rate(name: str, per: str) -> list[float]:
        return [row["events"] / row[per] for row in found[name]]

    def spent(per: str) -> list[float]:
        return [row[per] / row["cpu"] for row in found["rules"]]

    report = Report(
        "rules",
        f"Events per second of one core (per CPU second of the process): the rules service with its state in "
        f"PostgreSQL, {CUSTOMERS:,} customers, {size:.0f}-byte events ({_mix()}), the abandoned-cart scenario live; "
        "against a bare aiokafka loop that decodes the same bytes into a dict, and a stock Faust agent that counts "
        "them in a memory table.",
    )
    report.figures = [
        ratio("rules / stock Faust, per core", rate("rules", "cpu"), rate("faust", "cpu"), 25),
        ratio("rules / bare loop, per core", rate("rules", "cpu"), rate("loop", "cpu"), 0.5),
        Figure("rules, events per CPU second", "1/s", rate("rules", "cpu")),
        Figure("bare loop, events per CPU second", "1/s", rate("loop", "cpu")),
        Figure("stock Faust, events per CPU second", "1/s", rate("faust", "cpu")),
        Figure("rules, events per second (wall)", "1/s", rate("rules", "wall")),
        Figure("bare loop, events per second (wall)", "1/s", rate("loop", "wall")),
        Figure("stock Faust, events per second (wall)", "1/s", rate("faust", "wall")),
        Figure("PostgreSQL's CPU seconds for each of rules", "s", spent("postgres")),
        Figure("Kafka's CPU seconds for each of rules", "s", spent("kafka")),
    ]
    report.notes = [
        f"The first {WARM:,} events (Faust: {FAUST_WARM:,}) warm up; then {COUNT:,} (Faust: {FAUST_COUNT:,}) count. "
        f"So a customer has {WARM / CUSTOMERS:.0f} to {(WARM + COUNT) / CUSTOMERS:.0f} events behind him and is in "
        "rules' cache when it counts. What rules writes per event grows with a customer's history.",
        "Customers are drawn evenly: hardly two events of a poll share one, which is the worst case for rules.",
        "The bare loop keeps nothing, answers nothing and forgets all when it ends; rules decodes, looks for repeats, "
        "judges, writes every touched customer with its offset in one transaction, and publishes steps first.",
        "Why the aims are missed: the bare loop spends 14 us of CPU on an event, nearly all of it in C, and "
        "is itself 17 times stock Faust, so 25 times Faust is beyond it too. Rules spends 88 us: reading and "
        "writing a customer's document, judging it by every scenario in Python, digests for repeats, one row "
        "per customer. Both would need the engine in another language.",
    ]
    return report


def _mix() -> str:
    return ", ".join(f"{share} % {kind}" for kind, share in load.MIX.items())
