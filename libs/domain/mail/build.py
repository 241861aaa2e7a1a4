"""The mail itself: multipart/alternative with a text and an HTML part, and the headers that mailbox providers ask for.

Built by hand: `email.message` needs ten times as long, and the shape never varies.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

from libs.domain.mail import body, header
from libs.domain.mail.address import Mailbox, Recipient, read_recipient

UNFIT = re.compile(r"[^A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """Everything that a message says, to one person."""

    message: str
    shop: str
    scenario: str
    name: str
    purpose: str
    channel: str = "email"
    to: str = field(repr=False)
    sender: Mailbox
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    url: str = field(default="", repr=False)
    date: datetime
    unsubscribe_url: str | None = field(default=None, repr=False)
    traceparent: str | None = None

    @property
    def transactional(self) -> bool:
        """Owed by contract or law: there is nothing to unsubscribe from."""
        return self.purpose == "transactional"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail and its envelope, ready for a server."""

    sender: str
    recipient: Recipient
    content: bytes = field(repr=False)


def build(letter: Letter) -> Mail:
    """The mail; the same letter makes the same bytes. Raises `BadAddress`."""
    recipient = read_recipient(letter.to)
    headers = [
        header.mailbox("From", letter.sender.name, letter.sender.address),
        header.mailbox("To", "", recipient.address),
        header.text("Subject", letter.subject),
        header.raw("Date", format_datetime(letter.date.astimezone(UTC))),
        header.raw("Message-ID", f"<{letter.message}@{letter.sender.domain}>"),
        *_kind(letter),
        header.raw("Feedback-ID", ":".join(map(_token, (letter.scenario, letter.name, letter.purpose, letter.shop)))),
        header.raw("X-Kurant-Message", letter.message),
    ]
    if letter.traceparent:
        headers.append(header.raw("traceparent", letter.traceparent))
    headers.append(b"MIME-Version: 1.0\r\n")
    return Mail(sender=letter.sender.address, recipient=recipient, content=b"".join(headers) + _content(letter))


def _kind(letter: Letter) -> list[bytes]:
    """What tells a mailbox that this is a mailing which can be left with one click (RFC 2369, 2919, 8058), or none."""
    if letter.transactional:
        return [b"Auto-Submitted: auto-generated\r\n"]
    named = f"<{_token(letter.purpose)}.{_token(letter.shop)}.{letter.sender.domain}>"
    lines = [header.raw("List-ID", named), b"Precedence: bulk\r\n"]
    if letter.unsubscribe_url:
        lines.append(header.raw("List-Unsubscribe", f"<{letter.unsubscribe_url}>"))
        lines.append(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")
    return lines


def _token(value: str) -> str:
    """Letters, digits and hyphens of a value, for places with a grammar of their own."""
    return UNFIT.sub("-", value).strip("-")[:60] or "none"


def _content(letter: Letter) -> bytes:
    if not letter.html:
        return _part("plain", letter.text)
    boundary = f"=_{letter.message}"
    return b"".join(
        (
            f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'.encode(),
            f"--{boundary}\r\n".encode(),
            _part("plain", letter.text),
            f"\r\n--{boundary}\r\n".encode(),
            _part("html", letter.html),
            f"\r\n--{boundary}--\r\n".encode(),
        )
    )


def _part(kind: str, content: str) -> bytes:
    encoding, octets = body.encode(content)
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + octets
