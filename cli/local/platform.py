"""The supervisor: starts everything in order, keeps it running, stops it in the reverse order.

Everything happens in the main thread, because the life of a child is tied to the thread that started it; only
preparations (downloads, formatting, migrations) and the saving of the clock run in threads of their own.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import httpx

from cli.local import anchor as anchors
from cli.local import services as ours
from cli.local.anchor import Anchor, Past
from cli.local.folder import Folder
from cli.local.kafka import Kafka
from cli.local.ports import SERVICES, Ports
from cli.local.postgres import Postgres
from cli.local.process import (
    MISCONFIGURED,
    Child,
    Command,
    LocalError,
    end_leftovers,
    last_line,
    record,
    run,
)
from libs.common import shops
from libs.common.db import fingerprint
from libs.common.db.engine import Database
from libs.common.errors import Misconfigured, Unavailable
from libs.common.secrets import Secrets

T = TypeVar("T")
TICK = 0.2
START_TIMEOUT = 120.0
BACKOFF_FIRST, BACKOFF_MOST = 0.2, 10.0
STEADY = 10.0
"""Seconds after which a process that ran is no longer thought to fail at its start."""


class Interrupted(Exception):
    """The user asked to stop while we were still starting."""


@dataclass(frozen=True)
class Reporter:
    """Where progress goes."""

    say: Callable[[str], None]
    jars: Callable[[int, int], None]


@dataclass
class Restart:
    """How a process that ends is started again."""

    command: Callable[[], Command]
    failures: int = 0
    at: float | None = None


@dataclass(kw_only=True)
class Platform:
    """One platform on this machine. `services` are the names of those to run."""

    folder: Folder
    ports: Ports
    speed: float
    start: datetime | None
    report: Reporter
    services: Sequence[str] = SERVICES
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._children: dict[str, Child] = {}
        self._restarts: dict[str, Restart] = {}
        self._held = ExitStack()
        self._saved = threading.Event()
        self._begun = False
        self.anchor: Anchor | None = None
        self._kafka = Kafka(
            self.folder.path / "kafka",
            port=self.ports.kafka,
            controller=self.ports.controller,
            log=self.folder.log("kafka"),
        )
        self._postgres = Postgres(
            self.folder.path / "postgres", port=self.ports.postgres, log=self.folder.log("postgres")
        )

    def bring_up(self) -> None:
        """Start everything and return when every service is ready; raises `LocalError` or `Interrupted`."""
        self._held.enter_context(self.folder.hold())
        self._begun = True
        past = anchors.load(self.folder.clock)
        for name in end_leftovers(self.folder.processes):
            self.report.say(f"ended {name}, left over from an earlier run")
        self.ports.check_free()
        self.folder.prepare(self.ports)
        pool = ThreadPoolExecutor(3)
        try:
            secrets = self._check_files(pool)
            self._bring_up(pool, secrets, past)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _check_files(self, pool: ThreadPoolExecutor) -> Secrets:
        """Read the settings files before anything is started; raises `LocalError`."""
        common = ours.environment(self.folder, self.ports, "", _real_time())
        gateways = pool.submit(run, ours.gateways(self.folder, common))
        try:
            found = Secrets.load(common["KURANT_SECRET_FILE"])
            shops.load(common["KURANT_SHOPS"])
        except Misconfigured as error:
            raise LocalError(str(error), code=2) from None
        self._wait(gateways)
        return found

    def _bring_up(self, pool: ThreadPoolExecutor, secrets: Secrets, past: Past | None) -> None:
        self.report.say("preparing Kafka and PostgreSQL")
        kafka_prepared = pool.submit(self._kafka.prepare, self.report.jars)
        self._wait(pool.submit(self._postgres.prepare))
        self._start("postgres", self._postgres_command)
        self._until("postgres", self._postgres.ready)
        self.folder.write_addresses(self.ports, self._postgres.url)
        self._wait(pool.submit(self._postgres.create_database))
        self._wait(pool.submit(self._compare_keys, secrets))
        common = ours.environment(self.folder, self.ports, self._postgres.url, _real_time())
        migrated = pool.submit(run, ours.task("migrate", "libs.common.db.migrate", self.folder, common))
        self._wait(kafka_prepared)
        self._start("kafka", self._kafka.command)
        self._until("kafka", self._kafka.ready)
        self.report.say("creating topics and tables")
        self._wait(pool.submit(run, ours.task("topics", "libs.common.bus.topics", self.folder, common)))
        self._wait(migrated)
        self._start_clock(past)
        assert self.anchor is not None
        common = ours.environment(self.folder, self.ports, self._postgres.url, self.anchor)
        self._start("inbox", lambda: ours.inbox(self.folder, self.ports, common))
        for name in self.services:
            self._start(name, lambda name=name: ours.service(name, self.folder, self.ports, common))  # type: ignore[misc]
        self.report.say("starting the services")
        self._until("inbox", lambda: _answers(f"{self.ports.url('inbox')}/healthz"))
        for name in self.services:
            self._until(name, lambda name=name: _answers(f"{self.ports.url(name)}/readyz"))  # type: ignore[misc]

    def _postgres_command(self) -> Command:
        self._postgres.prepare()  # after a crash: old backends and the stale pid file
        return self._postgres.command()

    def _compare_keys(self, secrets: Secrets) -> None:
        """Raises `LocalError` when the database was filled with other keys; one that is new has none to compare."""

        async def compare() -> None:
            database = await Database.connect(self._postgres.url, name="up", size=1)
            try:
                await fingerprint.compare(database, secrets, str(self.folder.secrets), keep=False)
            finally:
                await database.close()

        try:
            asyncio.run(compare())
        except Misconfigured as error:
            raise LocalError(str(error), code=2) from None
        except Unavailable:
            return  # not migrated yet; the services compare as well

    def _start_clock(self, past: Past | None) -> None:
        """Fix the clock at the last moment, so that a long preparation costs no platform time."""
        now = time.time()
        self.anchor = anchors.choose(past, now, self.speed, self.start)
        if told := anchors.told(past, self.anchor, now, self.start):
            self.report.say(told)
        anchors.save(self.folder.clock, self.anchor, now)
        threading.Thread(target=self._save_clock, args=(self.anchor,), name="clock", daemon=True).start()

    def _save_clock(self, anchor: Anchor) -> None:
        while not self._saved.wait(anchors.EVERY):
            anchors.save(self.folder.clock, anchor, time.time())

    def _start(self, name: str, command: Callable[[], Command]) -> None:
        self._restarts.setdefault(name, Restart(command))
        self._children[name] = Child(command())
        record(self.folder.processes, self._children)

    def watch(self) -> None:
        """Start again what has ended, each with its own growing pause while it keeps failing."""
        now = time.monotonic()
        for name, child in list(self._children.items()):
            restart = self._restarts[name]
            if child.ended() is None:
                continue
            if restart.at is None:
                restart.failures = 0 if now - child.since > STEADY else restart.failures + 1
                pause = min(BACKOFF_MOST, BACKOFF_FIRST * 2**restart.failures) if restart.failures else 0.0
                restart.at = now + pause
                why = f": {reason(child)}" if child.ended() == MISCONFIGURED else ""
                self.report.say(f"{name} ended (code {child.ended()}), starting it again{why}")
            if now >= restart.at:
                restart.at = None
                self._start(name, restart.command)

    def patiently(self, call: Callable[[], T], trouble: type[Exception]) -> T:
        """The result of `call`, tried again while the part it needs is being started again."""
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                return call()
            except trouble:
                if time.monotonic() > deadline:
                    raise
            self._tick()

    @property
    def started(self) -> bool:
        """Whether there is anything to stop."""
        return bool(self._children)

    def run(self) -> None:
        """Watch until asked to stop."""
        while not self.stop.wait(TICK):
            self.watch()

    def take_down(self) -> None:
        """Stop everything in the reverse order of its start, and let the folder go; nothing when it never was ours."""
        if not self._begun:
            return
        waves = [[*reversed(self.services)], ["inbox"], ["kafka", "postgres"]]
        for wave in waves:
            children = [(name, self._children[name]) for name in wave if name in self._children]
            for _, child in children:
                child.ask_to_stop()
            for name, child in children:
                if not child.finish():
                    self.report.say(f"{name} did not stop in {child.command.patience:.0f} s and was killed")
        self._saved.set()
        if self.anchor is not None:
            anchors.save(self.folder.clock, self.anchor, time.time(), margin=0.0)
        self.folder.processes.unlink(missing_ok=True)
        self._held.close()

    def _wait(self, future: "Future[T]") -> T:
        while not future.done():
            wait([future], TICK / 10)
            self._tick(0.0)
        return future.result()

    def _until(self, name: str, ready: Callable[[], bool]) -> None:
        """Wait for a part; raises `LocalError` when it is misconfigured or takes too long."""
        deadline = time.monotonic() + START_TIMEOUT
        while not ready():
            child = self._children[name]
            if child.ended() == MISCONFIGURED and name in self.services:
                raise LocalError(reason(child), code=2)
            if time.monotonic() > deadline:
                raise LocalError(f"{name} is not ready after {START_TIMEOUT:.0f} s: {reason(child)}")
            self._tick()

    def _tick(self, pause: float = TICK / 2) -> None:
        if self.stop.wait(pause):
            raise Interrupted
        self.watch()


def reason(child: Child) -> str:
    """The last words of a process, without its name in front."""
    return last_line(child.command.log).removeprefix(f"kurant {child.command.name}: ")


def _real_time() -> Anchor:
    return Anchor(speed=1.0, start=None, anchor=time.time())


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=3, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
