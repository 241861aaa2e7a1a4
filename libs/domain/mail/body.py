"""Bodies as 7-bit text: as they are, quoted-printable or base64 (RFC 2045), whichever is right and short."""

import base64
import binascii
import re

LINE_ENDS = re.compile(r"\r\n|\r|\n")
FOREIGN = bytes(range(128, 256))
LONGEST_LINE = 900
"""RFC 5322 allows 998; longer lines are broken softly by quoted-printable."""


def encode(text: str) -> tuple[str, bytes]:
    """The transfer encoding and the octets, lines ending in CRLF. A lone surrogate becomes a question mark."""
    content = LINE_ENDS.sub("\r\n", text if text.endswith("\n") else text + "\n")
    octets = content.encode("utf-8", "replace")
    if octets.isascii() and b"=_" not in octets and b"\x00" not in octets and _short(octets):
        return "7bit", octets
    foreign = len(octets) - len(octets.translate(None, FOREIGN))
    if foreign * 6 > len(octets):
        return "base64", _wrapped(octets)
    return "quoted-printable", binascii.b2a_qp(octets, istext=True)


def _short(octets: bytes) -> bool:
    return all(len(line) <= LONGEST_LINE for line in octets.split(b"\r\n"))


def _wrapped(octets: bytes) -> bytes:
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")
