"""The platform under test: `kurant up` from a source tree, as a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from cli.local.ports import Ports, is_open
from cli.local.process import LAUNCH, LocalError
from libs.common.secrets import Secrets
from tests.faults.pace import Pace

FIRST_BASE, LAST_BASE = 20_000, 22_900
PATIENCE = 180.0
KEY = "kurant-demo-key"
SERVICES = ("ingest", "rules", "scheduler", "consent", "dispatch")
START = "2026-03-02T08:00:00Z"


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A running platform, of the source tree `tree`, with its data in `data`."""

    ports: Ports
    data: Path
    tree: Path
    log: Path

    def pids(self) -> dict[str, int]:
        """Who runs now, of those whom the supervisor wrote down."""
        try:
            rows = json.loads((self.data / "processes.json").read_text())
        except (OSError, ValueError):
            return {}
        return {name: int(row["pid"]) for name, row in rows.items() if _is(int(row["pid"]), float(row["started"]))}

    def ready(self, name: str) -> bool:
        """Whether a part says that it is ready; Kafka and PostgreSQL by their ports."""
        if name in ("kafka", "postgres"):
            return is_open(self.ports.kafka if name == "kafka" else self.ports.postgres)
        try:
            return httpx.get(f"{self.ports.url(name)}/readyz", timeout=2, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def ask(self, path: str, service: str = "console", **params: str) -> Any:
        """The decoded answer to GET, with the service key; raises `httpx.HTTPError`."""
        key = Secrets.load(self.data / "secrets.yaml").service_key()
        url, headers = self.ports.url(service) + path, {"Authorization": f"Bearer {key}"}
        answer = httpx.get(url, params=params, headers=headers, timeout=30, trust_env=False)
        answer.raise_for_status()
        return answer.json()

    def verb(self, *arguments: str) -> tuple[int, Any]:
        """Exit code and JSON of `kurant ARGUMENTS --json`."""
        command = [sys.executable, "-m", "cli.main", *arguments, "--data", str(self.data), "--json"]
        done = subprocess.run(
            command, cwd=self.tree, env=environment(self.tree), capture_output=True, text=True, timeout=120, check=False
        )
        try:
            return done.returncode, json.loads(done.stdout)
        except ValueError:
            return done.returncode, done.stderr.strip()

    def pace(self, speed: float) -> Pace:
        """How the platform's clock runs, from its own word; the quickest of several answers counts."""
        best: tuple[float, Pace] | None = None
        with httpx.Client(trust_env=False, timeout=10) as client:
            for _ in range(15):
                before = time.time()
                told = client.get(f"{self.ports.url('console')}/healthz").json()["now"]
                took = time.time() - before
                found = Pace(real=before + took / 2, platform=datetime.fromisoformat(told), speed=speed)
                if best is None or took < best[0]:
                    best = (took, found)
        assert best is not None
        return best[1]


@contextmanager
def running(folder: Path, *, tree: Path, speed: float, scenarios: Path, gateways: Path) -> Iterator[Platform]:
    """`kurant up` from `tree`, its files in `folder`; ends it, and says so when that takes too long."""
    ports, log = free(), folder / "up.log"
    where = ("--data", str(folder / "data"), "--port-base", str(ports.base), "--scenarios", str(scenarios))
    when = ("--speed", str(speed), "--start", START)
    launch = (sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), "same")
    command = [*launch, sys.executable, "-m", "cli.main", "up", *where, *when]
    env = environment(tree) | {"KURANT_GATEWAYS": str(gateways)}
    with log.open("w") as output:
        child = subprocess.Popen(
            command, cwd=tree, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    platform = Platform(ports=ports, data=folder / "data", tree=tree, log=log)
    try:
        _wait_ready(child, log)
        yield platform
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(90)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _is(pid: int, started: float) -> bool:
    """Whether the process with this id is still the one that was started then."""
    try:
        return abs(psutil.Process(pid).create_time() - started) < 0.1
    except psutil.NoSuchProcess:
        return False


def _wait_ready(child: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while "ready" not in log.read_text().splitlines():
        told = log.read_text()[-2000:]
        assert child.poll() is None, f"kurant up ended:\n{told}"
        assert time.monotonic() < deadline, f"kurant up is not ready:\n{told}"
        time.sleep(0.1)
    for id in ("faults-cart", "faults-receipt"):
        assert f"scenario {id} version 1" in log.read_text(), f"{id} was not published:\n{log.read_text()[-2000:]}"


def environment(tree: Path) -> dict[str, str]:
    """Our environment without Kurant's settings, with `tree` before everything else that can be imported."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("KURANT_")}
    return plain | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}


def free() -> Ports:
    """A range of ports that nobody uses."""
    for base in range(FIRST_BASE, LAST_BASE, 100):
        try:
            Ports(base).check_free()
        except LocalError:
            continue
        return Ports(base)
    raise AssertionError("no free range of ports")


def database_url(platform: Platform) -> str:
    """The address of the platform's database."""
    return str(yaml.safe_load((platform.data / "platform.yaml").read_text())["postgres"])
