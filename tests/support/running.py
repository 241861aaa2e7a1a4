"""A whole platform for tests from outside: `kurant up` in a process of its own, and the doors that it has."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from cli.local.ports import Ports, is_free
from cli.local.process import ROOT
from cli.main import run
from libs.common.http.auth import DEMO_KEY
from libs.common.secrets import Secrets

T = TypeVar("T")
START = "2026-03-02T08:00:00Z"
POLL = 0.1
READY = 150.0
BATCH = "application/cloudevents-batch+json"


def eventually(look: Callable[[], T | None], seconds: float, what: str) -> T:
    """The first true answer of `look`, asked until `seconds` (real ones) are over."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}; last: {found!r}"
        time.sleep(POLL)


def free_base() -> int:
    """A port base whose every port is free."""
    return next(
        base for base in range(30_000, 60_000, 100) if all(is_free(port) for port in Ports(base).named().values())
    )


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Running:
    """One platform. `speed` is how many times faster than life its clock runs, `begins` what it says at first."""

    data: Path
    base: int
    speed: float
    begins: str = START
    popen: "subprocess.Popen[bytes] | None" = None
    starts: int = 0
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=30))

    @property
    def ports(self) -> Ports:
        return Ports(self.base)

    def start(self) -> "Running":
        """`kurant up`; returns when it has said `ready`."""
        self.starts += 1
        output = self.output()
        command = [sys.executable, "-m", "cli.main", "up", "--data", str(self.data)]
        command += ["--port-base", str(self.base), "--speed", f"{self.speed:g}", "--start", self.begins]
        with output.open("wb") as file:
            self.popen = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)
        popen = self.popen
        eventually(lambda: "ready\n" in self.told() or popen.poll() is not None, READY, "kurant up says ready")
        assert "ready\n" in self.told(), self.told()
        return self

    def output(self) -> Path:
        return self.data.parent / f"up-{self.starts}.txt"

    def told(self) -> str:
        """What `kurant up` has printed since its last start."""
        return self.output().read_text(errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask for the end; the exit code."""
        assert self.popen is not None
        self.popen.send_signal(number)
        return self.popen.wait(90)

    def processes(self) -> list[psutil.Process]:
        """The supervisor and all that it started, as they are now."""
        assert self.popen is not None
        return [psutil.Process(self.popen.pid), *psutil.Process(self.popen.pid).children(recursive=True)]

    def pids(self) -> dict[str, int]:
        """The process of each part."""
        rows: dict[str, Any] = json.loads((self.data / "processes.json").read_text())
        return {name: int(row["pid"]) for name, row in rows.items()}

    def url(self, name: str) -> str:
        return self.ports.url(name)

    def now(self) -> datetime:
        """The platform's time."""
        return datetime.fromisoformat(self.http.get(f"{self.url('console')}/healthz").json()["now"])

    def real(self, by: timedelta) -> float:
        """Real seconds that this much platform time takes."""
        return by.total_seconds() / self.speed

    def wait_until(self, moment: datetime) -> None:
        """Return when the platform's clock has passed `moment`."""
        seconds = 20 + max(0.0, self.real(moment - self.now()))
        eventually(lambda: self.now() >= moment, seconds, f"the platform's clock passes {moment}")

    def post(self, events: Sequence[Any], key: str = DEMO_KEY, **headers: str) -> httpx.Response:
        """One batch of CloudEvents to ingest."""
        content = json.dumps(list(events), ensure_ascii=False).encode()
        return self.http.post(
            f"{self.url('ingest')}/v1/events",
            content=content,
            headers={"Authorization": f"Bearer {key}", "Content-Type": BATCH, **headers},
        )

    def post_one(self, event: Any, key: str = DEMO_KEY) -> httpx.Response:
        """One CloudEvent to ingest, in structured mode."""
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/cloudevents+json"}
        content = json.dumps(event, ensure_ascii=False).encode()
        return self.http.post(f"{self.url('ingest')}/v1/events", content=content, headers=headers)

    def tell(self, *events: Any, **headers: str) -> None:
        """Send events that must all be taken."""
        answer = self.post(events, **headers)
        assert answer.status_code == 202, answer.text
        body = answer.json()
        assert body["rejected"] == [] and body["accepted"] + body["duplicates"] == len(events), body

    def ask(self, path: str, key: str = DEMO_KEY, **params: str) -> Any:
        """A GET of the console that must succeed."""
        answer = self.get(path, key, **params)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.json()

    def get(self, path: str, key: str = DEMO_KEY, **params: str) -> httpx.Response:
        return self.http.get(self.url("console") + path, params=params, headers={"Authorization": f"Bearer {key}"})

    @property
    def service_key(self) -> str:
        """The key of the platform itself, which sees every shop."""
        return Secrets.load(self.data / "secrets.yaml").service_key()

    def outbox(self, profile: str) -> list[dict[str, Any]]:
        """The messages of one profile, oldest first."""
        found: list[dict[str, Any]] = self.ask("/v1/outbox", shop="demo", profile=profile)
        return found

    def explain(self, email: str, scenario: str | None = None) -> dict[str, Any]:
        """The console's `explain`, or an empty answer while the customer is not known."""
        params = {"shop": "demo", "email": email} | ({"scenario": scenario} if scenario else {})
        answer = self.get("/v1/explain", **params)
        if answer.status_code == 404:
            return {"profile": None, "scenarios": []}
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def enrolments(self, email: str, scenario: str) -> list[dict[str, Any]]:
        """The enrolments of a customer in one scenario, oldest first."""
        return [one for row in self.explain(email, scenario)["scenarios"] for one in row["enrolments"]]

    def profile(self, email: str) -> str:
        """The profile id of a customer, once rules knows them."""
        return eventually(lambda: str(self.explain(email)["profile"] or ""), 20, "the customer is known")

    def mails(self, to: str) -> list[dict[str, Any]]:
        """The mails that reached an address, in the order of arrival."""
        found: list[dict[str, Any]] = self.http.get(f"{self.url('inbox')}/api/messages", params={"to": to}).json()
        return found

    def await_mails(self, to: str, count: int, seconds: float = 30) -> list[dict[str, Any]]:
        """The mails to an address, once there are `count` of them or more."""

        def look() -> list[dict[str, Any]] | None:
            found = self.mails(to)
            return found if len(found) >= count else None

        return eventually(look, seconds, f"{count} mails")

    def settled(self, seconds: float = 40) -> dict[str, Any]:
        """The audit, once everything that came has been worked off and the sums agree."""
        deadline = time.monotonic() + seconds
        while True:
            answer = self.get("/v1/audit", self.service_key)
            body: dict[str, Any] = answer.json()
            if answer.status_code == 200 and body["ok"]:
                return body
            assert time.monotonic() < deadline, f"the sums differ for {seconds:g} s: {body}"
            time.sleep(POLL)

    def cli(self, *arguments: str) -> Said:
        """A verb of the command line, in this process, about this platform."""
        return command(*arguments, "--data", str(self.data))

    def kill(self) -> None:
        """The end of the test session: leave nothing behind, whatever happened."""
        self.http.close()
        if self.popen is not None and self.popen.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()


def command(*arguments: str) -> Said:
    """A verb of the command line, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(list(arguments))
    return Said(code, out.getvalue(), err.getvalue())


def kurant(*arguments: str, **environment: str) -> Said:
    """A verb of the command line as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)
