"""Kills with SIGKILL, at seeded instants, mostly when messages are due; writes down whom, and when they were back."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from tests.faults.generator import sleep_until
from tests.faults.journal import Journal
from tests.faults.platform import SERVICES, Platform

AIMED = 0.7
"""Share of kills that are aimed at a due time."""
GRACE = 15.0
"""Real seconds for which a victim that is not there is waited for."""
FLOW = 2.0
"""Real seconds of work that a calm killer grants between two kills."""
BACK = 90.0
"""Real seconds after which a part that does not come back is given up."""


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One kill: `at` is Unix time."""

    at: float
    victim: str


def plan(
    *,
    services: Sequence[str],
    kills: int,
    servers: Sequence[str],
    span: tuple[float, float],
    dues: Sequence[float],
    seed: int,
) -> list[Kill]:
    """`kills` kills of services and one of each server (Kafka, PostgreSQL), spread over `span`.

    Each has a slot of its own. Within it, most look for a moment just around a due time (Unix times, `dues`).
    """
    dice = random.Random(seed)
    turns: list[str] = []
    while len(turns) < kills:
        round_ = list(services)
        dice.shuffle(round_)
        turns += round_
    victims = turns[:kills]
    for number, server in enumerate(servers):
        victims.insert((number + 1) * len(victims) // (len(servers) + 1), server)
    width = (span[1] - span[0]) / max(1, len(victims))
    made: list[Kill] = []
    for number, victim in enumerate(victims):
        begin = span[0] + number * width
        at = begin + dice.random() * width * 0.8
        near = [due for due in dues if begin <= due <= begin + width * 0.8]
        if near and dice.random() < AIMED:
            at = dice.choice(near) + dice.uniform(-0.1, 0.4)
        made.append(Kill(at=at, victim=victim))
    return sorted(made, key=lambda kill: kill.at)


class Killer:
    """Carries out a plan on a platform."""

    def __init__(self, *, platform: Platform, plan: Sequence[Kill], journal: Journal, calm: bool = False) -> None:
        """`calm`: strike only when the last victim is back and everything flows again."""
        self._calm = calm
        self._platform = platform
        self._plan = plan
        self._journal = journal
        self._last: dict[str, int] = {}
        self.done: Counter[str] = Counter()

    async def run(self) -> None:
        """Return when all is done and everyone is back."""
        async with asyncio.TaskGroup() as group:
            for kill in self._plan:
                await sleep_until(kill.at)
                if await self._kill(kill.victim):
                    watching = group.create_task(self._watch(kill.victim))
                    if self._calm:
                        await watching
                        await asyncio.sleep(FLOW)

    async def _kill(self, victim: str) -> bool:
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline:
            pid = self._platform.pids().get(victim)
            if pid is not None and pid != self._last.get(victim):
                self._journal.write({"kind": "kill", "victim": victim, "pid": pid})
                kill(pid, whole=victim == "postgres")
                self._last[victim] = pid
                self.done[victim] += 1
                return True
            await asyncio.sleep(0.1)
        self._journal.write({"kind": "missed", "victim": victim})
        return False

    async def _watch(self, victim: str) -> None:
        """Write down when the victim is ready again: a new process, and everyone who needs it, once."""
        killed = self._last[victim]
        missing = {victim} if victim in SERVICES else {victim, *SERVICES}
        deadline = time.monotonic() + BACK
        while time.monotonic() < deadline:
            await asyncio.sleep(0.2)
            if self._platform.pids().get(victim) in (None, killed):
                continue
            wanted = sorted(missing & {victim} or missing)  # a server first, then those who need it
            missing -= {name for name in wanted if await asyncio.to_thread(self._platform.ready, name)}
            if not missing:
                self._journal.write({"kind": "back", "victim": victim, "pid": killed})
                return
        self._journal.write({"kind": "gone", "victim": victim, "pid": killed})


def kill(pid: int, *, whole: bool) -> None:
    """SIGKILL to a process; `whole`: to all that it started as well, as when the machine fails."""
    processes = [psutil.Process(pid)]
    if whole:
        processes += processes[0].children(recursive=True)
    for process in processes:
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
