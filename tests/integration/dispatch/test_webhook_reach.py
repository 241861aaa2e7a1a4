"""Whom a webhook reaches: in production nobody of the own house, whatever a name resolves to."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from libs.domain import webhook as rules
from services.dispatch.channels import webhook
from services.dispatch.channels.base import CannotSend
from services.dispatch.channels.webhook import Call, Hooks
from services.dispatch.handlers import Job
from tests.integration.dispatch.conftest import SECRETS, START, message_id, profile_id, request
from tests.support.receiver import Receiver, receiving

NAME = "hook.shop.example"


def make(anywhere: bool, tls: ssl.SSLContext | None = None) -> Hooks:
    return Hooks(keys=SECRETS.webhook_keys, now=lambda: START, anywhere=anywhere, tls=tls)


def prepared(hooks: Hooks, url: str) -> Call:
    asked = request("anna", channels=["webhook"], context={"webhook": {"url": url}})
    job = Job(
        message=message_id("anna"),
        shop="demo",
        profile=profile_id("anna"),
        tries=0,
        reason=None,
        traceparent=None,
        request=asked,
    )
    return hooks.prepare(job, f"00-{'a' * 32}-{'b' * 16}-01", {})


async def outcome(hooks: Hooks, url: str) -> tuple[str, str | None]:
    try:
        found = await hooks.send(prepared(hooks, url))
        return found.kind, found.reason
    finally:
        await hooks.close()


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let every name resolve to `addresses`; the names that were asked for."""
    asked: list[str] = []

    async def getaddrinfo(host: Any, port: Any, **_options: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, 1, 6, "", (one, port)) for one in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo, raising=False)
    return asked


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for `NAME`, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    begins = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(begins.replace(year=2099))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
async def secure(certificate: Path) -> AsyncIterator[tuple[Receiver, ssl.SSLContext]]:
    """A receiver with TLS, and a context that trusts it."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    async with receiving(server) as receiver:
        yield receiver, ssl.create_default_context(cafile=str(certificate))


INSIDE = ["127.0.0.1", "10.1.2.3", "169.254.169.254", "100.100.100.200", "::1", "fd00:ec2::254", "::ffff:10.0.0.1"]


@pytest.mark.parametrize("address", INSIDE)
async def test_production_calls_nobody_of_the_own_house(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(Hooks, "_post", _never)
    resolving(monkeypatch, address)
    assert await outcome(make(False), f"https://{NAME}/") == ("refused", "webhook_address_refused")


async def _never(*_arguments: object) -> None:
    raise AssertionError("called")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "127.1", "localhost", "[::ffff:7f00:1]"]
)
async def test_nor_by_any_way_to_write_it(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """Resolved by the machine itself."""
    monkeypatch.setattr(Hooks, "_post", _never)
    try:
        found = await outcome(make(False), f"https://{host}/")
    except CannotSend as cannot:
        found = ("refused", cannot.reason)
    assert found in (("refused", "webhook_address_refused"), ("refused", "webhook_bad_url"))


async def test_production_wants_tls() -> None:
    hooks = make(False)
    with pytest.raises(CannotSend, match="webhook_not_https"):
        prepared(hooks, "http://93.184.215.14/")
    await hooks.close()


async def test_it_connects_to_what_was_judged_and_asks_the_dns_once(
    monkeypatch: pytest.MonkeyPatch, secure: tuple[Receiver, ssl.SSLContext]
) -> None:
    """The first address is of the house and left out; the name in TLS and in `Host` is the one of the scenario."""
    receiver, tls = secure
    asked = resolving(monkeypatch, "10.0.0.1", "127.0.0.1")
    monkeypatch.setattr(rules, "is_public", lambda address: ipaddress.ip_address(address).is_loopback)
    url = f"https://{NAME}:{receiver.port}/in?a=1"
    assert await outcome(make(False, tls), url) == ("sent", None)
    assert asked == [NAME]
    (got,) = receiver.received
    assert (got.path, got.headers["host"]) == ("/in?a=1", f"{NAME}:{receiver.port}")
    assert got.headers["traceparent"].startswith("00-aaaa")


async def test_a_certificate_must_be_for_the_name(
    monkeypatch: pytest.MonkeyPatch, secure: tuple[Receiver, ssl.SSLContext]
) -> None:
    receiver, tls = secure
    resolving(monkeypatch, "127.0.0.1")
    url = f"https://other.example:{receiver.port}/"
    assert await outcome(make(True, tls), url) == ("not_now", "webhook_unreachable")
    assert await outcome(make(True), f"https://{NAME}:{receiver.port}/") == ("not_now", "webhook_unreachable")
    assert receiver.received == []


async def test_the_next_address_is_tried_when_one_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as receiver:
        resolving(monkeypatch, "127.0.0.2", "127.0.0.1")
        assert await outcome(make(True), receiver.url.replace("127.0.0.1", NAME)) == ("sent", None)
        assert receiver.received[0].headers["host"] == f"{NAME}:{receiver.port}"


async def test_a_name_that_nobody_knows_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_arguments: Any, **_options: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown, raising=False)
    assert await outcome(make(True), f"https://{NAME}/") == ("not_now", "webhook_unreachable")


async def test_a_host_that_did_not_answer_is_left_alone_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "AWAY", (0.3,))
    async with receiving() as receiver:
        receiver.answers = ["drop"]
        hooks = make(True)
        told = prepared(hooks, receiver.url)
        assert (await hooks.send(told)).reason == "webhook_disconnected"
        assert (await hooks.send(told)).reason == "webhook_disconnected"
        assert len(receiver.received) == 1
        await asyncio.sleep(0.35)
        assert (await hooks.send(told)).kind == "sent"
        assert (await hooks.send(told)).kind == "sent"
        await hooks.close()


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would resolve the name itself."""
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with receiving() as receiver:
        assert await outcome(make(True), receiver.url) == ("sent", None)


async def test_a_password_in_the_address_is_sent_as_one_and_shown_to_nobody() -> None:
    async with receiving() as receiver:
        hooks = make(True)
        told = prepared(hooks, receiver.url.replace("://", "://user:s3cret@"))
        assert "s3cret" not in repr(told)
        assert (await hooks.send(told)).kind == "sent"
        await hooks.close()
        assert receiver.received[0].headers["authorization"].startswith("Basic ")
