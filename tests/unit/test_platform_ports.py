"""Ports: as promised in interface.md, and refused when somebody has them."""

import socket

import pytest

from cli.local.ports import Ports
from cli.local.process import LocalError


def test_distances_from_the_base() -> None:
    ports = Ports(8080)
    assert [ports.service(name) for name in ("console", "ingest", "consent", "dispatch", "rules", "scheduler")] == [
        *range(8080, 8086)
    ]
    assert (ports.smtp, ports.inbox, ports.postgres, ports.kafka, ports.controller) == (8105, 8106, 8134, 8172, 8173)
    assert ports.url("consent") == "http://127.0.0.1:8082"
    assert ports.url("inbox") == "http://127.0.0.1:8106"


@pytest.mark.parametrize("base", [0, -5, 65535 - 92, 70000])
def test_impossible_bases(base: int) -> None:
    with pytest.raises(LocalError, match="port-base") as caught:
        Ports(base).check_free()
    assert caught.value.code == 2


def test_a_taken_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(LocalError, match=rf"{port} \(inbox SMTP\)") as caught:
            Ports(port - 25).check_free()
    assert caught.value.code == 2
    assert "\n" not in str(caught.value)
