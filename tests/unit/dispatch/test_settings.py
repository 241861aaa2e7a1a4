"""The gateways file: what it may say, and what is said of what it may not."""

from pathlib import Path

import pytest

from libs.common.errors import Misconfigured
from services.dispatch.settings import LATER, FileGateway, SmtpGateway, load, read


def test_the_example_of_the_interface() -> None:
    (gateway,) = read('gateways:\n  - {name: mail, kind: smtp, url: "smtp://127.0.0.1:8105"}', {})
    assert isinstance(gateway, SmtpGateway)
    assert (gateway.server.host, gateway.server.port, gateway.server.tls, gateway.pool) == ("127.0.0.1", 8105, False, 8)


def test_environment_and_credentials() -> None:
    text = 'gateways: [{name: m, kind: smtp, url: "smtps://user%40x:${SECRET}@relay", sender: "S <a@b.example>"}]'
    (gateway,) = read(text, {"SECRET": "p%3Aq"})
    assert isinstance(gateway, SmtpGateway)
    server = gateway.server
    assert (server.username, server.password, server.port, server.tls) == ("user@x", "p:q", 465, True)
    assert "p:q" not in repr(server)


def test_a_variable_cannot_add_yaml() -> None:
    (gateway,) = read('gateways: [{name: m, kind: file, path: "${P}"}]', {"P": "x}, {name: evil"})
    assert isinstance(gateway, FileGateway)
    assert str(gateway.path) == "x}, {name: evil"


def test_a_file_serves_every_channel_or_one() -> None:
    every, one = read("gateways: [{name: a, kind: file, path: p}, {name: b, kind: file, path: p, channel: sms}]", {})
    assert set(every.channels) >= {"email", "sms", "push"}
    assert one.channels == ("sms",)


@pytest.mark.parametrize("kind", LATER)
def test_kinds_to_come_are_named(kind: str) -> None:
    with pytest.raises(ValueError, match=f"gateway x: kind {kind} is not available in this version"):
        read(f"gateways: [{{name: x, kind: {kind}, url: 'https://x'}}]", {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "must be a list"),
        ("gateways: {a: 1}", "must be a list"),
        ("gateways: [1]", "gateway 1: kind"),
        ("gateways: [{name: x, kind: pigeon}]", "gateway x: kind must be"),
        ("gateways: [{name: x, kind: smtp}]", "gateway x: url: Field required"),
        ("gateways: [{name: x, kind: smtp, url: 'http://x'}]", "smtp://host:port"),
        ("gateways: [{name: x, kind: smtp, url: 'smtp://h', pol: 3}]", "pol: Extra inputs"),
        ("gateways: [{name: x, kind: smtp, url: 'smtps://h', starttls: true}]", "starttls does not go"),
        ("gateways: [{name: x, kind: smtp, url: 'smtp://h', sender: 'nobody'}]", "sender: not a mail address"),
        ("gateways: [{name: x, kind: smtp, url: '${NO}'}]", "the environment has no NO"),
        ("gateways: [{name: x, kind: file, path: p}, {name: x, kind: file, path: p}]", "two gateways"),
    ],
)
def test_what_is_wrong_is_named(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read(text, {})


def test_a_file_that_cannot_be_read_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"KURANT_GATEWAYS .*: FileNotFoundError"):
        load(str(tmp_path / "none.yaml"))
    (tmp_path / "bad.yaml").write_text("gateways: [")
    with pytest.raises(Misconfigured, match="ParserError"):
        load(str(tmp_path / "bad.yaml"))
