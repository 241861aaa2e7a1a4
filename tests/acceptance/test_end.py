"""Ctrl-C, last of all: it ends the platform that the other tests used."""

import signal

import psutil

from cli.local.ports import is_free
from tests.support.running import Running


def test_ctrl_c_leaves_no_process(platform: Running) -> None:
    processes = platform.processes()
    assert len(processes) > 9
    assert platform.stop(signal.SIGINT) == 0
    _, left = psutil.wait_procs(processes, timeout=5)
    assert left == []
    assert all(is_free(port) for port in platform.ports.named().values())
    assert "was killed" not in platform.told()


def test_then_reset_empties_the_folder(platform: Running) -> None:
    assert platform.cli("status").code == 2
    assert platform.cli("reset").code == 0
    assert list(platform.data.iterdir()) == []
