"""The supervisor with its real parts: restarts what is killed, stops everything, goes on with the data."""

import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil
import pytest

from cli.local.folder import Folder
from cli.local.ports import Ports, is_free, is_open
from cli.local.process import ROOT
from tests.integration.test_local_processes import lives, wait_for


def free_base() -> int:
    """A port base whose every port is free."""
    for base in range(23000, 29000, 100):
        if all(is_free(port) for port in Ports(base).named().values()):
            return base
    raise AssertionError("no free ports")


class Up:
    """A supervisor in a process of its own."""

    def __init__(self, folder: Path, base: int, speed: float = 1.0) -> None:
        self.folder, self.ports = Folder(folder), Ports(base)
        command = [sys.executable, "-m", "tests.support.bare_platform", str(folder), str(base), str(speed)]
        self.output = folder.parent / f"up-{base}-{len(list(folder.parent.iterdir()))}.txt"
        with self.output.open("w") as output:
            self.popen = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)

    def ready(self) -> "Up":
        wait_for(lambda: "ready\n" in self.output.read_text() or self.popen.poll() is not None, 60)
        assert "ready\n" in self.output.read_text(), self.output.read_text()
        return self

    def pids(self) -> dict[str, int]:
        rows: dict[str, Any] = json.loads(self.folder.processes.read_text())
        return {name: int(row["pid"]) for name, row in rows.items()}

    def end(self, number: int = signal.SIGTERM) -> int:
        self.popen.send_signal(number)
        return self.popen.wait(60)

    def send_mail(self, subject: str) -> None:
        with smtplib.SMTP("127.0.0.1", self.ports.smtp) as client:
            client.sendmail("shop@demo.example", ["anna@example.com"], f"Subject: {subject}\r\n\r\n{subject}")

    def mails(self) -> list[str]:
        found = httpx.get(f"{self.ports.url('inbox')}/api/messages", trust_env=False).json()
        return [mail["subject"] for mail in found]

    def now(self) -> datetime:
        found = httpx.get(f"{self.ports.url('inbox')}/healthz", trust_env=False).json()
        return datetime.fromisoformat(found["now"])

    async def sql(self, statement: str) -> Any:
        connection = await asyncpg.connect(self.folder.read_addresses()["postgres"])
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()


@pytest.fixture
def ups() -> Iterator[list[Up]]:
    started: list[Up] = []
    yield started
    for up in started:
        if up.popen.poll() is None:
            up.popen.kill()
            up.popen.wait()


async def test_killed_parts_come_back_and_sigterm_leaves_nothing(tmp_path: Path, ups: list[Up]) -> None:
    up = Up(tmp_path / "data", free_base())
    ups.append(up)
    up.ready()
    before = up.pids()
    assert set(before) == {"kafka", "postgres", "inbox"}
    await up.sql("CREATE TABLE kept (n int)")
    up.send_mail("one")
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: all(up.pids().get(name) not in (None, pid) for name, pid in before.items()), 30)
    wait_for(lambda: all(is_open(port) for port in (up.ports.smtp, up.ports.inbox, up.ports.postgres)), 30)
    wait_for(lambda: is_open(up.ports.kafka), 60)
    assert up.mails() == ["one"]
    assert await up.sql("SELECT count(*) FROM kept") == 0

    second = Up(tmp_path / "data", free_base())
    ups.append(second)
    assert second.popen.wait(20) == 2
    assert "in use by a running platform" in second.output.read_text()

    children = psutil.Process(up.popen.pid).children(recursive=True)
    assert up.end() == 0
    wait_for(lambda: not any(lives(child.pid) for child in children))
    assert all(is_free(port) for port in up.ports.named().values())
    assert "was killed" not in up.output.read_text()


async def test_after_sigkill_nothing_is_left_and_the_next_start_goes_on(tmp_path: Path, ups: list[Up]) -> None:
    base = free_base()
    up = Up(tmp_path / "data", base, 4320)
    ups.append(up)
    up.ready()
    await up.sql("CREATE TABLE kept (n int)")
    up.send_mail("one")
    children = psutil.Process(up.popen.pid).children(recursive=True)
    assert len(children) >= 3
    seen = up.now()
    up.end(signal.SIGKILL)
    wait_for(lambda: not any(lives(child.pid) for child in children))

    again = Up(tmp_path / "data", base, 4320)
    ups.append(again)
    again.ready()
    assert again.now() > seen
    assert again.mails() == ["one"]
    assert await again.sql("SELECT count(*) FROM kept") == 0
    assert again.end(signal.SIGINT) == 0


def test_ports_in_use_are_told_in_one_line(tmp_path: Path, ups: list[Up]) -> None:
    base = free_base()
    with socket.socket() as other:
        other.bind(("127.0.0.1", Ports(base).kafka))
        other.listen()
        up = Up(tmp_path / "data", base)
        ups.append(up)
        assert up.popen.wait(20) == 2
    told = [line for line in up.output.read_text().splitlines() if line.startswith("kurant:")]
    assert told == [f"kurant: ports in use: {Ports(base).kafka} (kafka); choose another --port-base"]


def test_stopping_while_starting_leaves_nothing(tmp_path: Path, ups: list[Up]) -> None:
    up = Up(tmp_path / "data", free_base())
    ups.append(up)
    wait_for(lambda: up.folder.processes.exists(), 30)
    children = psutil.Process(up.popen.pid).children(recursive=True)
    assert up.end(signal.SIGINT) == 0
    wait_for(lambda: not any(lives(child.pid) for child in children))
    assert "ready\n" not in up.output.read_text()
