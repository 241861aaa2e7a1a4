"""Real servers for tests: one PostgreSQL and one Kafka per session, on free ports, in a temporary folder."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.local.kafka import Kafka
from cli.local.ports import HOST, free_port
from cli.local.postgres import USER, Postgres, programs
from cli.local.process import ROOT, Child, last_line

PATIENCE = 90.0


def wait_ready(part: Kafka | Postgres, child: Child) -> None:
    """Return when the server takes connections."""
    deadline = time.monotonic() + PATIENCE
    while not part.ready():
        assert child.ended() is None, f"does not start: {last_line(child.command.log)}"
        assert time.monotonic() < deadline, f"not ready: {last_line(child.command.log)}"
        time.sleep(0.05)


@contextmanager
def running_kafka(folder: Path) -> Iterator[Kafka]:
    """A broker with its data in `folder`."""
    broker = Kafka(folder / "kafka", port=free_port(), controller=free_port(), log=folder / "kafka.log")
    broker.prepare()
    child = Child(broker.command())
    try:
        wait_ready(broker, child)
        yield broker
    finally:
        child.stop()


@contextmanager
def running_postgres(folder: Path) -> Iterator[Postgres]:
    """A server with its data in `folder`, and the database `kurant`."""
    server = Postgres(folder / "postgres", port=free_port(), log=folder / "postgres.log")
    server.prepare()
    child = Child(server.command())
    try:
        wait_ready(server, child)
        server.create_database()
        yield server
    finally:
        child.stop()


def sql(server: Postgres, *statements: str) -> str:
    """Run statements, each in a transaction of its own, and give what they print."""
    command = [str(programs() / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", "postgres"]
    command += ["-h", HOST, "-p", str(server.port), "-U", USER]
    for statement in statements:
        command += ["-c", statement]
    environment = os.environ | {"PGPASSWORD": server.password}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def migrate(url: str) -> None:
    """Bring a database to the newest revision of every schema."""
    environment = os.environ | {"KURANT_DATABASE_URL": url, "KURANT_PROFILE": "local"}
    command = [sys.executable, "-m", "libs.common.db.migrate"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr or done.stdout
