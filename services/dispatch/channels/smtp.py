"""SMTP (RFC 5321) over persistent connections.

The one line that matters: until the content has been handed to the connection nothing can have been sent, and a
failure is `not_now` (or `refused`); from then until the server's answer nobody knows, and a failure is `unknown`.
"""

import asyncio
import socket
import ssl
import time

from aiosmtplib import SMTP
from aiosmtplib.errors import (
    SMTPAuthenticationError,
    SMTPException,
    SMTPHeloError,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)
from aiosmtplib.response import SMTPResponse

from libs.common.telemetry.log import logger
from libs.domain.mail import BadAddress, Letter, Mail, build
from services.dispatch.channels.base import CannotSend, style_of
from services.dispatch.handlers import Outcome
from services.dispatch.settings import SmtpGateway

log = logger(__name__)
AWAY = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Real seconds for which a server that could not be reached is left alone."""
NOT_SENT = (SMTPServerDisconnected, SMTPTimeoutError, OSError, EOFError, ValueError)
CLOSING = 421
START_INPUT = 354
IDLE = 240.0
"""Seconds after which an unused connection is not trusted any more (RFC 5321 lets servers end it after 300)."""


class _Refused(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class Smtp:
    """A pool of connections to one server."""

    def __init__(self, settings: SmtpGateway, fallback_sender: str) -> None:
        self.name = settings.name
        self.channels: tuple[str, ...] = settings.channels
        self.size = settings.pool
        self.slots = asyncio.Semaphore(self.size)
        self.style = style_of(settings.sender, fallback_sender, settings.senders, settings.tracking)
        self._settings = settings
        self._server = settings.server
        certain = self._server.tls or settings.starttls is True or self._server.password is not None
        self._tls = ssl.create_default_context() if certain else _opportunistic()
        self._idle: list[tuple[SMTP, float]] = []
        self._failures = 0
        self._away_until = 0.0

    def prepare(self, letter: Letter) -> Mail:
        try:
            return build(letter)
        except BadAddress:
            raise CannotSend("bad_address") from None

    def away_for(self) -> float:
        return max(0.0, self._away_until - time.monotonic())

    async def send(self, prepared: Mail) -> Outcome:
        """One mail to one recipient."""
        while self._idle:
            client, since = self._idle.pop()
            if not client.is_connected or time.monotonic() - since > IDLE:
                client.close()
                continue
            outcome = await self._over(client, prepared)
            if outcome is not None and outcome.reason != f"smtp_{CLOSING}":
                return outcome
        client = self._client()
        try:
            await client.connect()
            await _greet(client)
        except (SMTPException, *NOT_SENT) as error:
            client.close()
            return self._unreachable(error)
        self._failures = 0
        return await self._over(client, prepared) or Outcome(kind="not_now", reason="smtp_disconnected")

    def _client(self) -> SMTP:
        server = self._server
        return SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls,
            start_tls=False if server.tls else self._settings.starttls,
            tls_context=self._tls,
            username=server.username,
            password=server.password,
            local_hostname=self._settings.helo or _own_name(),
            timeout=self._settings.timeout,
        )

    def _unreachable(self, error: BaseException) -> Outcome:
        pause = AWAY[min(self._failures, len(AWAY) - 1)]
        self._failures += 1
        self._away_until = time.monotonic() + pause
        code = error.code if isinstance(error, SMTPResponseException) else None
        log.warning("gateway away", gateway=self.name, cause=type(error).__name__, code=code, failures=self._failures)
        if isinstance(error, SMTPAuthenticationError):
            return Outcome(kind="not_now", reason="smtp_login")
        return Outcome(kind="not_now", reason=f"smtp_{code}" if code else "smtp_unreachable")

    async def _over(self, client: SMTP, mail: Mail) -> Outcome | None:
        """Send over an open connection; None when it turned out to be dead before the content was given away."""
        try:
            await self._envelope(client, mail)
        except _Refused as refusal:
            await self._reset(client)
            kind = "refused" if 500 <= refusal.code < 600 else "not_now"
            return Outcome(kind=kind, reason=f"smtp_{refusal.code}")  # type: ignore[arg-type]
        except CannotSend as cannot:
            await self._reset(client)
            return Outcome(kind="refused", reason=cannot.reason)
        except (SMTPException, *NOT_SENT):
            client.close()
            return None
        return await self._content(client, mail)

    async def _envelope(self, client: SMTP, mail: Mail) -> None:
        """MAIL, RCPT, DATA: the server says go on, or `_Refused` is raised."""
        recipient = mail.recipient
        options = []
        if recipient.international:
            if not client.supports_extension("smtputf8"):
                raise CannotSend("smtputf8_unsupported")
            options = [b"SMTPUTF8"] + ([b"BODY=8BITMIME"] if client.supports_extension("8bitmime") else [])
        _expect(await client.execute_command(b"MAIL", f"FROM:<{mail.sender}>".encode(), *options), 250)
        _expect(await client.execute_command(b"RCPT", f"TO:<{recipient.address}>".encode()), 250, 251, 252)
        _expect(await client.execute_command(b"DATA"), START_INPUT)

    async def _content(self, client: SMTP, mail: Mail) -> Outcome:
        """Everything up to the final dot in one piece, then the server's answer."""
        protocol = client.protocol
        if protocol is None or not client.is_connected:
            client.close()
            return Outcome(kind="not_now", reason="smtp_disconnected")
        try:
            protocol.write(_stuffed(mail.content))
            answer = await protocol.read_response(timeout=self._settings.timeout)
        except asyncio.CancelledError:
            client.close()
            raise
        except Exception as error:
            client.close()
            log.warning("outcome unknown", gateway=self.name, cause=type(error).__name__)
            return Outcome(kind="unknown", reason="smtp_no_answer")
        if answer.code == CLOSING:
            client.close()
        else:
            self._idle.append((client, time.monotonic()))
        if 200 <= answer.code < 300:
            return Outcome(kind="sent")
        if 400 <= answer.code < 500:
            return Outcome(kind="not_now", reason=f"smtp_{answer.code}")
        if 500 <= answer.code < 600:
            return Outcome(kind="refused", reason=f"smtp_{answer.code}")
        return Outcome(kind="unknown", reason="smtp_no_answer")

    async def _reset(self, client: SMTP) -> None:
        """Make a connection usable again after a refusal, or drop it."""
        try:
            _expect(await client.execute_command(b"RSET"), 250)
            self._idle.append((client, time.monotonic()))
        except (_Refused, SMTPException, *NOT_SENT):
            client.close()

    async def close(self) -> None:
        """Say goodbye on every idle connection, briefly."""
        while self._idle:
            client, _ = self._idle.pop()
            try:
                await client.quit(timeout=1)
            except (SMTPException, *NOT_SENT):
                pass
            finally:
                client.close()


async def _greet(client: SMTP) -> None:
    """EHLO, or HELO to a server that knows nothing newer; unless connecting has done it."""
    if client.is_ehlo_or_helo_needed:
        try:
            await client.ehlo()
        except SMTPHeloError:
            await client.helo()


def _expect(answer: SMTPResponse, *codes: int) -> None:
    """Raises `_Refused` with the code alone: the text may quote the address."""
    if answer.code not in codes:
        raise _Refused(answer.code)


def _stuffed(content: bytes) -> bytes:
    """Lines that begin with a dot get another (RFC 5321, 4.5.2); then the end."""
    if content.startswith(b"."):
        content = b"." + content
    ending = b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n"
    return content.replace(b"\r\n.", b"\r\n..") + ending


def _opportunistic() -> ssl.SSLContext:
    """TLS against eavesdroppers where it is offered, without proof of who is there (RFC 7435), as mail servers do."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _own_name() -> str:
    name = socket.gethostname()
    return name if name.isascii() and name.replace("-", "").replace(".", "").isalnum() else "localhost"
