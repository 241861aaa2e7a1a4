"""Processes of ours: they die with whoever started them, and leftovers are found; nobody else's is touched."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from cli.local.process import ROOT, Child, Command, LocalError, end_leftovers, record, run

SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")
STARTER = """
import sys, time
from pathlib import Path
from cli.local.process import Child, Command
sleeper = (sys.executable, "-c", "import time; time.sleep(600)")
child = Child(Command(name="sleeper", argv=sleeper, log=Path(sys.argv[1])))
print(child.pid, flush=True)
time.sleep(600)
"""


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def sleeper(tmp_path: Path) -> Child:
    return Child(Command(name="sleeper", argv=SLEEPER, log=tmp_path / "sleeper.log"))


@pytest.mark.skipif(
    sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux; elsewhere the next start ends leftovers"
)
def test_a_child_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTER, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        wait_for(lambda: "sleep" in " ".join(psutil.Process(pid).cmdline()[:3]))
        starter.kill()
    wait_for(lambda: not lives(pid))


def test_leftovers_are_found_and_ended(tmp_path: Path) -> None:
    child, note = sleeper(tmp_path), tmp_path / "processes.json"
    record(note, {"sleeper": child})
    assert json.loads(note.read_text())["sleeper"]["pid"] == child.pid
    assert end_leftovers(note) == ["sleeper"]
    assert not lives(child.pid)
    assert not note.exists()


def test_a_pid_that_is_somebody_elses_by_now_is_let_be(tmp_path: Path) -> None:
    child, note = sleeper(tmp_path), tmp_path / "processes.json"
    note.write_text(json.dumps({"kafka": {"pid": child.pid, "started": time.time() - 86_400}}))
    assert end_leftovers(note) == []
    assert child.ended() is None
    child.stop()


def test_no_note_or_a_damaged_one_is_no_leftover(tmp_path: Path) -> None:
    note = tmp_path / "processes.json"
    assert end_leftovers(note) == []
    note.write_text("{")
    assert end_leftovers(note) == []


def test_stop_asks_first(tmp_path: Path) -> None:
    child = sleeper(tmp_path)
    assert child.stop()
    assert child.ended() == -signal.SIGTERM


def test_stop_ends_by_force_what_does_not_listen_and_its_children(tmp_path: Path) -> None:
    script = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "print(other.pid, flush=True); time.sleep(600)"
    )
    log = tmp_path / "deaf.log"
    child = Child(Command(name="deaf", argv=(sys.executable, "-c", script), log=log, patience=0.3))
    wait_for(lambda: log.exists() and log.read_text().endswith("\n"))
    grandchild = int(log.read_text())
    assert not child.stop()
    assert child.ended() == -signal.SIGKILL
    wait_for(lambda: not lives(grandchild))


def test_a_short_command_that_fails_tells_its_last_line(tmp_path: Path) -> None:
    argv = (sys.executable, "-c", "import sys; print('one'); sys.exit('the disk is full')")
    with pytest.raises(LocalError, match="format: the disk is full"):
        run(Command(name="format", argv=argv, log=tmp_path / "log"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up root")
def test_root_is_given_up_but_folders_can_be_walked(tmp_path: Path) -> None:
    inner = tmp_path / "closed" / "file"
    inner.parent.mkdir(mode=0o700)
    inner.write_text("seen")
    script = f"import os; print(os.geteuid() != 0, open({str(inner)!r}).read())"
    log = tmp_path / "log"
    run(Command(name="who", argv=(sys.executable, "-c", script), log=log, unprivileged=True))
    assert log.read_text().split() == ["True", "seen"]
