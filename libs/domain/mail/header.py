"""Header fields: folded at 78 columns, non-ASCII as encoded words (RFC 2047), no value able to add a line."""

import base64

WIDTH = 78
WORD_WIDTH = 76
"""A line that holds an encoded word is at most this long (RFC 2047, section 2)."""
LONGEST_PLAIN = 900
WRAPPING = len("=?utf-8?b??=")
UNPRINTABLE = dict.fromkeys((*range(32), *range(127, 160), 8232, 8233), " ")


def clean(value: str) -> str:
    """One line: control characters and line separators become spaces, runs of them one."""
    return " ".join(value.translate(UNPRINTABLE).split())


def text(name: str, value: str) -> bytes:
    """An unstructured field, such as the subject."""
    value = clean(value)
    words = value.split(" ")
    if value.isascii() and "=?" not in value and all(len(word) <= LONGEST_PLAIN for word in words):
        return _folded(name, words)
    return _folded(name, encoded_words(value, WORD_WIDTH - len(name) - 2))


def mailbox(name: str, display: str, address: str) -> bytes:
    """A field with one mailbox: `From: "Name" <address>`. `address` is one that `address.py` has read."""
    display = clean(display)
    if not display:
        return _folded(name, [f"<{address}>"])
    if display.isascii() and "=?" not in display and len(display) <= LONGEST_PLAIN:
        quoted = display.replace("\\", "\\\\").replace('"', '\\"')
        return _folded(name, [*f'"{quoted}"'.split(" "), f"<{address}>"])
    return _folded(name, [*encoded_words(display, WORD_WIDTH - len(name) - 2), f"<{address}>"])


def raw(name: str, value: str) -> bytes:
    """A structured field of our own making, on one line (an id, a date, an address within angle brackets)."""
    return f"{name}: {clean(value)}\r\n".encode()


def encoded_words(value: str, first: int) -> list[str]:
    """`value` as base64 encoded words, none cutting a character; the first is at most `first` columns wide."""
    words: list[str] = []
    room = _octets(first)
    piece = b""
    for character in value:
        octets = character.encode("utf-8", "replace")
        if piece and len(piece) + len(octets) > room:
            words.append(_word(piece))
            piece, room = b"", _octets(WORD_WIDTH - 1)
        piece += octets
    return [*words, _word(piece)]


def _octets(columns: int) -> int:
    """How many octets fit into an encoded word of that width; never fewer than one character needs."""
    return max(4, (columns - WRAPPING) // 4 * 3)


def _word(piece: bytes) -> str:
    return f"=?utf-8?b?{base64.b64encode(piece).decode()}?="


def _folded(name: str, words: list[str]) -> bytes:
    lines = [f"{name}:"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > WIDTH and lines[-1].strip() not in ("", f"{name}:"):
            lines.append("")
        lines[-1] += f" {word}"
    return ("\r\n".join(lines) + "\r\n").encode()
