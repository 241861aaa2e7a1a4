"""A process of ours: started in its own group, tied to our life, stopped with patience, found again when left over."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

MISCONFIGURED = 2
"""The exit code of a process of ours whose settings are wrong; its last line says which."""
LAUNCH = Path(__file__).with_name("launch.py")
ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds the packages `libs`, `services` and `cli`."""


class LocalError(Exception):
    """A local part cannot run; the text is one line that says why. `code` is the exit code of the command."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Command:
    """How a process is started and stopped."""

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    unprivileged: bool = False
    """Give up root first (PostgreSQL insists)."""
    stop_signal: int = signal.SIGTERM
    patience: float = 20.0
    """Seconds between the stop signal and SIGKILL."""

    def launcher(self) -> list[str]:
        """The whole command line, by way of `launch.py`."""
        user = "nobody" if self.unprivileged and os.geteuid() == 0 else "same"
        return [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), user, *self.argv]


def run(command: Command, *, timeout: float = 120.0) -> None:
    """Run a short command to its end, output to its log; raises `LocalError` with its last line.

    A session of its own: Ctrl-C is for us, who then end it.
    """
    with command.log.open("ab") as log:
        try:
            done = subprocess.run(
                command.launcher(),
                env=dict(command.env),
                cwd=ROOT,
                stdout=log,
                stderr=log,
                timeout=timeout,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise LocalError(f"{command.name} did not end within {timeout:.0f} s, see {command.log}") from None
    if done.returncode == MISCONFIGURED:
        raise LocalError(last_line(command.log), code=MISCONFIGURED)
    if done.returncode != 0:
        raise LocalError(f"{command.name}: {last_line(command.log)}")


def last_line(log: Path) -> str:
    """The last line that says something in a log file."""
    try:
        lines = log.read_bytes()[-8192:].decode(errors="replace").splitlines()
    except OSError:
        lines = []
    return next((line.strip() for line in reversed(lines) if line.strip()), f"ended without a word, see {log}")


class Child:
    """A running process and its group. Start it from the main thread: its life is tied to that thread's."""

    def __init__(self, command: Command) -> None:
        self.command = command
        command.log.parent.mkdir(parents=True, exist_ok=True)
        with command.log.open("ab") as log:
            self.popen = subprocess.Popen(
                command.launcher(),
                env=dict(command.env),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.since = time.monotonic()

    @property
    def pid(self) -> int:
        return self.popen.pid

    def ended(self) -> int | None:
        """The exit code, None while it runs."""
        return self.popen.poll()

    def ask_to_stop(self) -> None:
        """Send the stop signal to the process itself, which knows how to stop its own children."""
        if self.ended() is None:
            self.popen.send_signal(self.command.stop_signal)

    def finish(self) -> bool:
        """Wait for the end, then by force, the whole group; True when it ended by itself."""
        try:
            self.popen.wait(self.command.patience)
            gentle = True
        except subprocess.TimeoutExpired:
            gentle = False
        kill_group(self.pid)
        self.popen.wait()
        return gentle

    def stop(self) -> bool:
        self.ask_to_stop()
        return self.finish()


def kill_group(pid: int) -> None:
    """SIGKILL to every process of the group that `pid` leads or led."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def record(path: Path, children: Mapping[str, Child]) -> None:
    """Write down who runs: `{name: {"pid", "started"}}`, so that the next start can find who was left over."""
    rows: dict[str, dict[str, float]] = {}
    for name, child in children.items():
        try:
            rows[name] = {"pid": child.pid, "started": psutil.Process(child.pid).create_time()}
        except psutil.NoSuchProcess:
            continue
    text = json.dumps(rows, indent=1)
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)


def end_leftovers(path: Path) -> list[str]:
    """End what an earlier run wrote down and left; the names. A pid that is someone else's by now is let be."""
    try:
        rows: dict[str, dict[str, float]] = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    found: list[tuple[str, psutil.Process]] = []
    for name, row in rows.items():
        try:
            process = psutil.Process(int(row["pid"]))
            if abs(process.create_time() - row["started"]) < 0.05:
                found.append((name, process))
        except psutil.NoSuchProcess:
            continue
    for _, process in found:
        kill_group(process.pid)
    psutil.wait_procs([process for _, process in found], timeout=10)
    path.unlink(missing_ok=True)
    return [name for name, _ in found]
