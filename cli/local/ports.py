"""Which address each part has: fixed distances from one port base (interface.md, section 3)."""

import errno
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cli.local.process import Command, LocalError

HOST = "127.0.0.1"
SERVICES = ("console", "ingest", "consent", "dispatch", "rules", "scheduler")
"""In the order of their ports: the base, base + 1 and so on."""
PROBE = """
import socket, sys
probe = socket.socket()
probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    probe.bind((sys.argv[1], int(sys.argv[2])))
except OSError as error:
    sys.exit(error.errno)
"""


@dataclass(frozen=True)
class Ports:
    """The ports of one platform."""

    base: int

    def service(self, name: str) -> int:
        return self.base + SERVICES.index(name)

    @property
    def smtp(self) -> int:
        return self.base + 25

    @property
    def inbox(self) -> int:
        return self.base + 26

    @property
    def postgres(self) -> int:
        return self.base + 54

    @property
    def kafka(self) -> int:
        return self.base + 92

    @property
    def controller(self) -> int:
        return self.base + 93

    def url(self, name: str) -> str:
        """The HTTP address of a service or of the inbox page."""
        return f"http://{HOST}:{self.inbox if name == 'inbox' else self.service(name)}"

    def named(self) -> dict[str, int]:
        """Every port with what it is for."""
        rest = {
            "inbox SMTP": self.smtp,
            "inbox page": self.inbox,
            "postgres": self.postgres,
            "kafka": self.kafka,
            "kafka controller": self.controller,
        }
        return {name: self.service(name) for name in SERVICES} | rest

    def check_free(self) -> None:
        """Raises `LocalError` (code 2) that names the ports we cannot have, and says why."""
        if not 1 <= self.base <= 65535 - 93:
            raise LocalError(f"--port-base {self.base}: must be between 1 and {65535 - 93}", code=2)
        refused: dict[str, list[str]] = {}
        for name, port in self.named().items():
            if why := refusal(port, as_nobody=name == "postgres" and os.geteuid() == 0):
                refused.setdefault(why, []).append(f"{port} ({name})")
        if refused:
            told = "; ".join(f"{why}: {', '.join(ports)}" for why, ports in refused.items())
            raise LocalError(f"{told}; choose another --port-base", code=2)


def refusal(port: int, *, as_nobody: bool = False) -> str | None:
    """Why this machine does not let us listen on the port; `as_nobody`: a program that gives up root first."""
    number = _bind(port)
    if number == 0 and as_nobody and _bind_as_nobody(port) == errno.EACCES:
        return "ports that only root may have, and PostgreSQL does not run as root"
    if number in (0, errno.EADDRINUSE, errno.EACCES):
        return {0: None, errno.EADDRINUSE: "ports in use", errno.EACCES: "ports that only root may have"}[number]
    return f"ports that cannot be had ({os.strerror(number)})"


def _bind(port: int) -> int:
    """The number of the error, 0 for none."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.errno or errno.EIO
    return 0


def _bind_as_nobody(port: int) -> int:
    """As `_bind`, in a process that is started as PostgreSQL is."""
    argv = (sys.executable, "-I", "-S", "-c", PROBE, HOST, str(port))
    probe = Command(name="probe", argv=argv, log=Path(os.devnull), unprivileged=True)
    return subprocess.run(probe.launcher(), check=False, capture_output=True).returncode


def is_free(port: int) -> bool:
    """Whether this machine lets us listen on the port."""
    return _bind(port) == 0


def is_open(port: int) -> bool:
    """Whether somebody listens on the port."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """A port that nobody has now (for tests)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
