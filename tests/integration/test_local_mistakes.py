"""What a user gets wrong is told before anything is started, in one line, and Ctrl-C is heeded from the beginning."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cli.local.folder import Folder
from cli.local.ports import Ports
from cli.local.process import ROOT
from tests.integration.test_local_platform import Up, free_base

GATEWAYS = "gateways:\n  - name: mail\n    kind: smpt\n"


def up(folder: Path, base: int, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`kurant up`, which must fail before it has started anything."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("KURANT_")}
    command = [sys.executable, "-m", "cli.main", "up", "--data", str(folder), "--port-base", str(base)]
    done = subprocess.run(
        command, cwd=ROOT, env=plain | environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert not (folder / "kafka").exists()
    assert not (folder / "processes.json").exists()
    return done


def prepared(tmp_path: Path) -> tuple[Folder, int]:
    folder, base = Folder(tmp_path / "data"), free_base()
    folder.hold().close()
    folder.prepare(Ports(base))
    return folder, base


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("gateways.yaml", GATEWAYS, "{file}:3: kind 'smpt' is not known; known: smtp, file"),
        ("gateways.yaml", "", "{file}:1: the file is empty"),
        ("secrets.yaml", "keys:\n  - {id: k1, secret: short}\n", "{file}:2: the secret of k1 is no 32 bytes in base64"),
        ("shops.yaml", "shops:\n  demo:\n    timezone: Mars\n", "{file}:3: timezone: Mars is no IANA time zone"),
        ("clock.json", "{", "{file} is damaged: put it back, or remove it"),
    ],
)
def test_a_settings_file_that_is_wrong(tmp_path: Path, file: str, text: str, says: str) -> None:
    folder, base = prepared(tmp_path)
    (folder.path / file).write_text(text)
    began = time.monotonic()
    done = up(folder.path, base)
    assert time.monotonic() - began < 10, "a second on an idle machine; it took half a minute and more"
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"kurant: {says.format(file=folder.path / file)}")
    assert not (folder.path / "postgres").exists()


def test_a_file_named_by_the_environment_and_a_setting_that_is_wrong(tmp_path: Path) -> None:
    folder, base = prepared(tmp_path)
    done = up(folder.path, base, KURANT_GATEWAYS=str(tmp_path / "mine.yaml"))
    assert done.returncode == 2
    told = f"kurant: {tmp_path / 'mine.yaml'}: no such file; write it, or let KURANT_GATEWAYS name another\n"
    assert done.stderr == told
    done = up(folder.path, base, KURANT_LOG_FORMAT="xml")
    assert (done.returncode, done.stderr) == (2, "kurant: KURANT_LOG_FORMAT must be 'json' or 'console'\n")


def test_secrets_that_are_gone_are_not_made_anew(tmp_path: Path) -> None:
    folder, base = prepared(tmp_path)
    (folder.path / "postgres").mkdir()
    (folder.path / "postgres" / "PG_VERSION").write_text("18")
    folder.secrets.unlink()
    done = up(folder.path, base)
    assert done.returncode == 2
    assert done.stderr == (
        f"kurant: {folder.secrets} is missing, and the data beside it cannot be read without its keys: put the file "
        f"back, or begin anew: kurant reset --data {folder.path}\n"
    )
    assert not folder.secrets.exists()
    assert folder.reset(), "and that can be done"


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/below"])
def test_data_that_cannot_be_a_folder(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    done = up(tmp_path / place, free_base())
    assert done.returncode == 2
    assert done.stderr.startswith(f"kurant: {tmp_path / place} ")
    assert "--data must name" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_second_one_leaves_the_first_alone(tmp_path: Path) -> None:
    """It took away the note of what the first had started."""
    folder, base = prepared(tmp_path)
    folder.processes.write_text("{}")
    with folder.hold():
        command = [sys.executable, "-m", "cli.main", "up", "--data", str(folder.path), "--port-base", str(base)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (2, f"kurant: {folder.path} is in use by a running platform\n")
    assert folder.processes.exists()


@pytest.mark.parametrize("sight", ["typer", "httpx", "cli.verbs", "preparing Kafka"])
def test_ctrl_c_from_the_first_import_on_is_no_traceback(tmp_path: Path, sight: str) -> None:
    """The interpreter tells what it imports, so that Ctrl-C comes at a known place however slow the machine is."""
    where = ["--data", str(tmp_path / "data"), "--port-base", str(free_base())]
    started = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "cli.main", "up", *where],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert started.stderr is not None
    seen = next(line for line in started.stderr if sight in line)
    os.killpg(started.pid, signal.SIGINT)
    rest = started.stderr.read()
    started.wait(60)
    assert started.returncode in (0, 130), seen
    assert "Traceback" not in rest
    assert "kurant:" not in rest


async def test_a_database_with_other_keys(tmp_path: Path) -> None:
    base = free_base()
    first: Any = Up(tmp_path / "data", base)
    try:
        first.ready()
        await first.sql("INSERT INTO platform.secret_key VALUES ('k1', '\\x00', true)")
        assert first.end() == 0
        second = Up(tmp_path / "data", base)
        assert second.popen.wait(30) == 2
        said = second.output.read_text()
        assert f"kurant: {first.folder.secrets}: key k1 is another one than that which data in the database" in said
        assert "creating topics" not in said, "before Kafka is started"
    finally:
        first.popen.kill()
