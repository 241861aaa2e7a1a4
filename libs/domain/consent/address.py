"""Addresses in the form in which two of them are compared."""

import re

EMAIL = re.compile(r"[^\s@<>\"(),:;\\\[\]\x00-\x1f\x7f]{1,64}@[^\s@<>\"(),:;\\\[\]\x00-\x1f\x7f]{1,255}")
PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
TOKEN = re.compile(r"[^\x00-\x1f\x7f]{1,8192}")
SEPARATORS = str.maketrans("", "", " \u00a0-.()/")


def tidy(channel: str, address: str) -> str | None:
    """The address as it is sent to (outer spaces and a number's separators gone); None when it cannot be one.

    A line break or a comma in it would let it speak in a mail's headers: such an address is none.
    """
    if channel == "email":
        text = address.strip()
        return text if EMAIL.fullmatch(text) else None
    if channel == "push":
        return address.strip() if TOKEN.fullmatch(address.strip()) else None
    text = address.translate(SEPARATORS)
    return text if PHONE.fullmatch(text) else None


def comparable(channel: str, address: str) -> str:
    """The form that is hashed: mail without regard to case, as every large provider reads it (and as we suppress)."""
    return address.lower() if channel == "email" else address
