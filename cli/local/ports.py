"""Which address each part has: fixed distances from one port base (interface.md, section 3)."""

import socket
from dataclasses import dataclass

from cli.local.process import LocalError

HOST = "127.0.0.1"
SERVICES = ("console", "ingest", "consent", "dispatch", "rules", "scheduler")
"""In the order of their ports: the base, base + 1 and so on."""


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
        """Raises `LocalError` (code 2) that names the ports somebody else has."""
        if not 1 <= self.base <= 65535 - 93:
            raise LocalError(f"--port-base {self.base}: must be between 1 and {65535 - 93}", code=2)
        taken = [f"{port} ({name})" for name, port in self.named().items() if not is_free(port)]
        if taken:
            raise LocalError(f"ports in use: {', '.join(taken)}; choose another --port-base", code=2)


def is_free(port: int) -> bool:
    """Whether this machine lets us listen on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


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
