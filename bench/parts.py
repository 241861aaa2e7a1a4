"""What every benchmark stands on: a broker and a database of its own, processes to measure, and their CPU time."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from cli.local.postgres import Postgres
from cli.local.process import ROOT, Child, Command, last_line
from tests.support import servers

TEMPLATE = "template_kurant"


@dataclass(frozen=True)
class Parts:
    """A running Kafka and PostgreSQL with every schema, and a folder for what else is needed."""

    kafka: str
    postgres: Postgres
    folder: Path

    @contextmanager
    def database(self) -> Iterator[str]:
        """The address of a fresh database with every schema."""
        name = f"bench_{secrets.token_hex(6)}"
        servers.sql(self.postgres, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        try:
            yield self.postgres.url_of(name)
        finally:
            servers.sql(self.postgres, f"DROP DATABASE {name} WITH (FORCE)")

    def environment(self, database: str, port: int) -> dict[str, str]:
        """What a service needs to run on these parts."""
        secret_file = self.folder / "secrets.yaml"
        if not secret_file.exists():
            secret_file.write_text(f'keys: [{{id: "k1", secret: "{b64encode(os.urandom(32)).decode()}"}}]\n')
        return environ(
            KURANT_PROFILE="local",
            KURANT_KAFKA_BOOTSTRAP=self.kafka,
            KURANT_DATABASE_URL=database,
            KURANT_HTTP_PORT=str(port),
            KURANT_SECRET_FILE=str(secret_file),
        )


def environ(**settings: str) -> dict[str, str]:
    """The environment without settings of Kurant's that the user may have, with these."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("KURANT_")}
    return plain | {"PYTHONUNBUFFERED": "1"} | settings


@contextmanager
def running() -> Iterator[Parts]:
    """Start the parts, with all topics and schemas made, and end them."""
    with tempfile.TemporaryDirectory(prefix="kurant-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with servers.running_postgres(folder) as postgres, servers.running_kafka(folder) as kafka:
            postgres.create_database(TEMPLATE)
            servers.migrate(postgres.url_of(TEMPLATE))
            environment = environ(KURANT_KAFKA_BOOTSTRAP=kafka.bootstrap, KURANT_PROFILE="local")
            subprocess.run([sys.executable, "-m", "libs.common.bus.topics"], env=environment, cwd=ROOT, check=True)
            yield Parts(kafka.bootstrap, postgres, folder)


@contextmanager
def process(
    module: str, *arguments: str, log: Path, env: dict[str, str] | None = None, patience: float = 20
) -> Iterator[Child]:
    """`python -m module arguments`, stopped at the end; killed when that takes longer than `patience` seconds."""
    command = Command(
        name=module,
        argv=(sys.executable, "-m", module, *arguments),
        log=log,
        env=env or environ(),
        patience=patience,
    )
    child = Child(command)
    try:
        yield child
    finally:
        child.stop()


def answer(module: str, *arguments: str, timeout: float = 300) -> dict[str, Any]:
    """Run `python -m module arguments` to its end; the JSON of its last line."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{module}: {done.stderr.strip()[-2000:]}")
    return last_json(done.stdout)


def last_json(text: str) -> dict[str, Any]:
    """What the last line says."""
    found: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
    return found


def wait_until(ready: Callable[[], bool], child: Child, *, timeout: float = 60, every: float = 0.05) -> None:
    """Return when `ready`; raises when the process ends or takes too long."""
    deadline = time.monotonic() + timeout
    while not ready():
        if child.ended() is not None:
            raise RuntimeError(f"{child.command.name} ended: {last_line(child.command.log)}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{child.command.name} takes too long: {last_line(child.command.log)}")
        time.sleep(every)


def cpu(pid: int) -> float:
    """CPU seconds of a process and of all that it started, ended ones too."""
    total = 0.0
    top = psutil.Process(pid)
    for one in [top, *top.children(recursive=True)]:
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def part(name: str) -> int:
    """The pid of a part that this process started (`postgres`, `java`)."""
    return next(child.pid for child in psutil.Process().children() if child.name().startswith(name))
