"""Mail addresses: what may stand in an envelope and in a header, ASCII or international (RFC 5321, 6531)."""

import re
from dataclasses import dataclass, field

from email_validator import EmailNotValidError, validate_email

PLAIN = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9.-]+")
LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
NAMED = re.compile(r"\s*(?P<name>[^<>]*?)\s*<(?P<address>[^<>\s]+)>\s*")
LONGEST_LOCAL, LONGEST = 64, 254


class BadAddress(ValueError):
    """Not an address that mail can be sent to or from. The text never holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Where a mail goes. `international`: the part before the @ is not ASCII, so the server must know SMTPUTF8."""

    address: str = field(repr=False)
    international: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """Who a mail is from."""

    address: str
    name: str = ""

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def read_recipient(text: str) -> Recipient:
    """An address as it goes into the envelope, its domain in ASCII (IDNA 2008); raises `BadAddress`."""
    if text.isascii():
        return Recipient(address=_plain(text), international=False)
    try:
        found = validate_email(text, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise BadAddress(f"not a mail address ({type(error).__name__})") from None
    address = f"{found.local_part}@{found.ascii_domain}"
    return Recipient(address=address, international=not found.local_part.isascii())


def _plain(text: str) -> str:
    local, _, domain = text.rpartition("@")
    labels = domain.split(".")
    fits = len(text) <= LONGEST and len(local) <= LONGEST_LOCAL and all(map(LABEL.fullmatch, labels))
    if not fits or not PLAIN.fullmatch(text):
        raise BadAddress("not a mail address")
    return text


def read_sender(text: str) -> Mailbox:
    """`Name <address>` or `address`; raises `BadAddress`. The part before the @ must be ASCII."""
    named = NAMED.fullmatch(text)
    name, address = (named["name"].strip('" '), named["address"]) if named else ("", text.strip())
    found = read_recipient(address)
    if found.international:
        raise BadAddress("a sender's address must be ASCII before the @")
    return Mailbox(address=found.address, name=name)


def choose_sender(asked: str, own: Mailbox, domains: frozenset[str] | None) -> Mailbox:
    """The sender that an author asked for, as far as he may: any name, an address of `domains` (None: of any)."""
    if not asked.strip():
        return own
    try:
        wanted = read_sender(asked)
    except BadAddress:
        name = asked.partition("<")[0] if "<" in asked else "" if "@" in asked else asked
        return Mailbox(address=own.address, name=name.strip('" ') or own.name)
    if domains is None or wanted.domain.lower() in domains:
        return wanted
    return Mailbox(address=own.address, name=wanted.name or own.name)
