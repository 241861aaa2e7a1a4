"""One run: sink, platform, generator, killer, then the oracle's verdict."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cli.local.process import LAUNCH, ROOT
from libs.common.secrets import Secrets
from tests.faults import facts as journals
from tests.faults import platform as platforms
from tests.faults import scenarios, stories
from tests.faults.facts import Facts, Row
from tests.faults.generator import Generator, Unsubscriber, sleep_until
from tests.faults.journal import Journal, read
from tests.faults.killer import Killer, plan
from tests.faults.oracle import Rules
from tests.faults.platform import SERVICES, Platform
from tests.faults.report import Figures
from tests.faults.sink import Moods
from tests.faults.verdict import Judge, Verdict

UNKIND = Moods(busy=0.02, slow=0.1, cut=0.01)
LOOKS = 3
"""Equal looks, a second apart, after which the platform counts as quiet."""


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """How a run goes. `margin` and `patience` are real seconds, `carts_over` hours of the platform."""

    name: str
    customers: int
    speed: float
    carts_over: float
    receipts: int
    kills: int
    victims: Sequence[str] = SERVICES
    servers: Sequence[str] = ()
    calm: bool = False
    told: Sequence[str] = tuple(stories.STORIES)
    moods: Moods = UNKIND
    margin: float = 2.0
    patience: float = 120.0
    seed: int = 20260302


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a run."""

    facts: Facts
    verdict: Verdict
    figures: Figures


def run(campaign: Campaign, folder: Path, tree: Path) -> Outcome:
    """Run a campaign on the platform of a source tree; the journals stay in `folder`."""
    began = time.monotonic()
    scenarios.write(folder / "scenarios")
    with _sink(folder, campaign.moods) as port:
        scenarios.write_gateways(folder / "gateways.yaml", port)
        starting = platforms.running(
            folder,
            tree=tree,
            speed=campaign.speed,
            scenarios=folder / "scenarios",
            gateways=folder / "gateways.yaml",
        )
        with starting as platform:
            started = time.monotonic()
            generator, killer = asyncio.run(_play(campaign, folder, platform))
            quiet = time.monotonic()
            outbox = asyncio.run(_outbox(platform, folder))
            code, audit = platform.verb("audit")
            looked = time.monotonic()
    (folder / "outbox.json").write_text(json.dumps(outbox, indent=1))
    facts = journals.load(folder, outbox)
    verdict = Judge(facts, _rules(campaign)).judge()
    seconds = {"start": started - began, "run": quiet - started, "look": looked - quiet}
    seconds["stop"] = time.monotonic() - looked
    events = sum(len(told) for told in facts.told.values())
    figures = Figures(
        name=campaign.name,
        events=events,
        repeats=generator.told - events,
        requests=generator.tries,
        kills=killer.done,
        seconds=seconds,
        audit=audit,
        audit_code=code,
    )
    return Outcome(facts=facts, verdict=verdict, figures=figures)


def _rules(campaign: Campaign) -> Rules:
    """The scenario, as the oracle is told it."""
    hours = 0.0
    dues: list[tuple[str, float]] = []
    for name, wait in zip(stories.MESSAGES, stories.WAITS, strict=True):
        hours += wait
        dues.append((name, hours))
    return Rules(dues=tuple(dues), margin=campaign.margin)


async def _play(campaign: Campaign, folder: Path, platform: Platform) -> tuple[Generator, Killer]:
    """Tell the play while the killer kills; return when the platform is quiet."""
    pace = platform.pace(campaign.speed)
    began = time.time() + 0.5
    play = stories.make(
        pace.at(began),
        customers=campaign.customers,
        seed=campaign.seed,
        carts_over=campaign.carts_over,
        receipts=campaign.receipts,
        stories=campaign.told,
    )
    told = Journal(folder / "told.jsonl")
    customers = [
        {"name": customer.name, "email": customer.email, "story": customer.story} for customer in play.customers
    ]
    told.write({"kind": "play", "pace": pace.entry(), "customers": customers})
    ingest = platform.ports.url("ingest")
    generator = Generator(play=play, ingest=ingest, key=platforms.KEY, journal=told, pace=pace, began=began)
    kills = plan(
        services=campaign.victims,
        kills=campaign.kills,
        servers=campaign.servers,
        span=(generator.moment(stories.LEAD), generator.moment(play.over)),
        dues=[generator.moment(due) for due in play.dues],
        seed=campaign.seed,
    )
    killer = Killer(platform=platform, plan=kills, journal=Journal(folder / "kills.jsonl"), calm=campaign.calm)
    unsubscriber = Unsubscriber(customers=play.customers, mails=folder / "mails.jsonl", journal=told)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        clicking = group.create_task(unsubscriber.run(stop))
        async with asyncio.TaskGroup() as both:
            both.create_task(generator.run())
            both.create_task(killer.run())
        await sleep_until(generator.moment(play.over))
        await _quiet(platform, campaign.patience)
        stop.set()
        await clicking
    _same_clock(told, platform, pace.when, campaign.speed)
    return generator, killer


async def _quiet(platform: Platform, patience: float) -> None:
    """Return when nothing is pending and nothing moves any more, or when patience ends."""
    deadline = time.monotonic() + patience
    last: Any = None
    equal = 0
    while time.monotonic() < deadline and equal < LOOKS:
        await asyncio.sleep(1)
        try:
            found = await asyncio.to_thread(platform.ask, "/v1/audit")
        except httpx.HTTPError:
            equal = 0
            continue
        rest = (found["steps"]["pending"], found["messages"]["pending"])
        equal = equal + 1 if found == last and rest == (0, 0) else 0
        last = found


def _same_clock(told: Journal, platform: Platform, when: Any, speed: float) -> None:
    """The clock must have gone on along the line it began on, whoever was killed."""
    end = platform.pace(speed)
    apart = abs(when(end.platform) - end.real)
    if apart > 0.25:
        told.write({"kind": "wrong", "says": f"the platform's clock is {apart:.2f} real seconds off its line"})


async def _outbox(platform: Platform, folder: Path) -> list[Row]:
    """Every row of the outbox, with the name of its customer."""
    head = read(folder / "told.jsonl")[0]
    key = Secrets.load(platform.data / "secrets.yaml").service_key()
    names: dict[str, str] = {}
    limit = asyncio.Semaphore(8)
    async with httpx.AsyncClient(
        base_url=platform.ports.url("ingest"), headers={"Authorization": f"Bearer {key}"}, timeout=20, trust_env=False
    ) as client:

        async def resolve(row: Row) -> None:
            async with limit:
                answer = await client.post("/v1/profiles/resolve", json={"shop": "demo", "email": row["email"]})
                if answer.status_code == 200:
                    names[answer.json()["profile"]] = row["name"]

        await asyncio.gather(*(resolve(row) for row in head["customers"]))
    code, rows = await asyncio.to_thread(platform.verb, "outbox", "--shop", "demo")
    assert code == 0, f"kurant outbox: {rows}"
    return [{**row, "customer": names.get(row["profile"], "")} for row in rows]


@contextmanager
def _sink(folder: Path, moods: Moods) -> Iterator[int]:
    """The sink in a process of its own; its port."""
    port_file = folder / "sink.port"
    launch = (sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), "same")
    where = ("--journal", str(folder / "mails.jsonl"), "--port-file", str(port_file))
    how = [part for name in ("busy", "slow", "cut") for part in (f"--{name}", str(getattr(moods, name)))]
    command = [*launch, sys.executable, "-m", "tests.faults.sink", *where, *how]
    with (folder / "sink.log").open("w") as log:
        child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while not port_file.exists():
            assert child.poll() is None and time.monotonic() < deadline, (folder / "sink.log").read_text()
            time.sleep(0.05)
        yield int(port_file.read_text())
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(10)
