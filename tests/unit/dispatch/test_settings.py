"""The gateways file: what it may say, and what is said of what it may not."""

from pathlib import Path

import pytest

from libs.common.errors import Misconfigured
from services.dispatch.settings import LATER, FileGateway, SmtpGateway, load, main, read


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
    told = rf"gateways\.yaml:1: kind '{kind}' is not available in this version; known: smtp, file"
    with pytest.raises(Misconfigured, match=told):
        read(f"gateways: [{{name: x, kind: {kind}, url: 'https://x'}}]", {})


SMTP = "gateways:\n  - name: x\n    kind: smtp\n    url: "


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ":1: the file is empty"),
        ("gateways: {a: 1}", ":1: there must be a list `gateways:`"),
        ("other: 1\ngateway: []", ":1: there must be a list `gateways:`"),
        ("gateways: []\nother: 1", ":2: 'other' is not known; known: gateways"),
        ("gateways:\n  - 1", ":2: a gateway must be a mapping"),
        ("gateways:\n  - name: x\n    kind: smpt", ":3: kind 'smpt' is not known; known: smtp, file"),
        ("gateways:\n  - name: x\n    kind: [smtp]", ":3: kind '['smtp']' is not known; known: smtp, file"),
        ("gateways:\n  - {name: x}", ":2: kind is missing; known: smtp, file"),
        ("gateways:\n  - {name: x, kind: smtp}", ":2: url is missing"),
        ("gateways:\n  - {name: 'x y', kind: smtp, url: 'smtp://h'}", ":2: name must be 1 to 40 letters"),
        (SMTP + "'http://x'", ":4: url must be smtp://host:port or smtps://host:port"),
        (SMTP + "'smtp://h:port'", ":4: url must be smtp://host:port or smtps://host:port"),
        (SMTP + "'smtp://['", ":4: url must be smtp://host:port or smtps://host:port"),
        (SMTP + "'smtp://h'\n    pol: 3", ":5: 'pol' is not known; known: name, kind, url, sender"),
        (SMTP + "'smtp://h'\n    pool: many", ":5: pool must be a whole number"),
        (SMTP + "'smtp://h'\n    pool: 0", ":5: pool must be greater than or equal to 1"),
        (SMTP + "'smtps://h'\n    starttls: true", ":5: starttls does not go with smtps://"),
        (SMTP + "'smtp://h'\n    sender: nobody", ":5: sender: not a mail address"),
        (SMTP + "'${NO}'", ":4: the environment has no NO; set it, or write the value here"),
        (
            "gateways:\n  - {name: x, kind: file, path: p}\n  - {name: x, kind: file, path: p}",
            ":3: two gateways have the name x; give this one another",
        ),
        ("gateways: [", ":1: not YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, told: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        read(text, {})
    assert str(caught.value).startswith(f"gateways.yaml{told}")
    assert "\n" not in str(caught.value)


def test_a_password_is_in_no_complaint() -> None:
    with pytest.raises(Misconfigured) as caught:
        read("gateways:\n  - {name: x, kind: smtp, url: 'http://me:hunter2@h', password: hunter2}", {})
    assert "hunter2" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"none\.yaml: no such file; write it, or let KURANT_GATEWAYS name another"):
        load(tmp_path / "none.yaml")


def test_the_check_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gateways.yaml"
    monkeypatch.setenv("KURANT_GATEWAYS", str(file))
    file.write_text("gateways: []")
    assert main() == 0
    file.write_text("gateways: [1]")
    assert main() == 2
    assert capsys.readouterr().err.startswith(f"{file}:1: a gateway must be a mapping")
    monkeypatch.setenv("KURANT_LOG_FORMAT", "xml")
    assert main() == 2
    assert capsys.readouterr().err == "KURANT_LOG_FORMAT must be 'json' or 'console'\n"
