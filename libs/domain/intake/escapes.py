"""Halves of surrogate pairs in JSON: what JavaScript's `"…😀".slice()` leaves, and `JSON.stringify` writes out."""

import re

LONE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
BACKSLASH, HIDDEN = rb"\\", b"\0\0"
REPLACEMENT = rb"\\ufffd"


def mended(body: bytes) -> bytes | None:
    """The JSON with U+FFFD for every half of a pair; None where there is none. Whole pairs stay, and every length.

    An escaped backslash is hidden meanwhile, since `\\\\ud83d` is a backslash and five letters; JSON has no raw null.
    """
    if b"\0" in body:
        return None
    found, count = LONE.subn(REPLACEMENT, body.replace(BACKSLASH, HIDDEN))
    return found.replace(HIDDEN, BACKSLASH) if count else None
