"""Ports: as promised in interface.md, and refused when somebody has them."""

import errno
import os
import socket
from pathlib import Path

import pytest

from cli.local import ports as local
from cli.local.ports import Ports, free_port
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


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EACCES, r"ports that only root may have: 80 \(console\), 81 \(ingest\)"),
        (errno.EADDRNOTAVAIL, r"ports that cannot be had \(Cannot assign requested address\): 80 \(console\)"),
    ],
)
def test_why_a_port_cannot_be_had(number: int, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_bind", lambda port: number if port < 82 else 0)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LocalError, match=f"{says}.*; choose another --port-base") as caught:
        Ports(80).check_free()
    assert caught.value.code == 2


def test_a_port_that_postgresql_may_not_have_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_bind", lambda port: 0)
    monkeypatch.setattr(local, "_bind_as_nobody", lambda port: errno.EACCES if port < 1024 else 0)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(LocalError, match=r"PostgreSQL does not run as root: 354 \(postgres\); choose") as caught:
        Ports(300).check_free()
    assert caught.value.code == 2
    Ports(8080).check_free()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    Ports(300).check_free()


def test_what_nobody_may_bind() -> None:
    """As the machine says: containers often let everybody have every port."""
    first = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    guarded = first.exists() and int(first.read_text()) > 354
    assert local._bind_as_nobody(free_port()) == 0
    assert local._bind_as_nobody(354) == (errno.EACCES if guarded else 0)
