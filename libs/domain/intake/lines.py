"""Newline-delimited JSON, line by line out of whatever pieces it comes in."""

MARK = b"\xef\xbb\xbf"
"""The byte order mark that some programs put first."""


class Lines:
    """Give it the pieces as they come; lines have their number, from 1, and blank ones are left out."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        self._number = 0

    def feed(self, piece: bytes) -> list[tuple[int, bytes]]:
        """The lines that end in this piece."""
        first, *others = piece.split(b"\n")
        self._begun.append(first)
        if not others:
            return []
        whole = [b"".join(self._begun), *others[:-1]]
        self._begun = others[-1:]
        return [found for line in whole if (found := self._line(line))]

    def end(self) -> list[tuple[int, bytes]]:
        """The last line, which need not end."""
        found = self._line(b"".join(self._begun))
        return [found] if found else []

    def _line(self, line: bytes) -> tuple[int, bytes] | None:
        self._number += 1
        if self._number == 1:
            line = line.removeprefix(MARK)
        line = line.strip()
        return (self._number, line) if line else None
