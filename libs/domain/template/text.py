"""The text part of a mail, derived from its HTML template.

Derived once, with the template's own tags left where they stand, so that loops and conditions work in it too
(a parser that repairs tables would move a loop out of the rows it repeats).
"""

import re
from html.parser import HTMLParser

SKIPPED = frozenset({"head", "style", "script", "title"})
BLOCKS = frozenset({"p", "div", "tr", "table", "h1", "h2", "h3", "h4", "ul", "ol", "li", "br", "hr", "body"})
BLANK = re.compile(r"[^\S\n]+")
LINES = re.compile(r"\n\s*\n\s*")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._skipping = 0
        self._hrefs: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in SKIPPED:
            self._skipping += 1
        if tag in BLOCKS:
            self.parts.append("\n")
        if tag == "a":
            self._hrefs.append((dict(attrs).get("href") or "", len(self.parts)))

    def handle_endtag(self, tag: str) -> None:
        if tag in SKIPPED:
            self._skipping = max(0, self._skipping - 1)
        if tag in BLOCKS:
            self.parts.append("\n")
        if tag == "a" and self._hrefs:
            href, start = self._hrefs.pop()
            label = "".join(self.parts[start:]).strip()
            if label and href and label != href:
                self.parts.append(f" ({href})")

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self.parts.append(data.replace("\n", " "))


def from_html(html: str) -> str:
    """Plain text: a line per block, links as `label (address)`, hidden and head content left out."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    text = BLANK.sub(" ", "".join(reader.parts))
    lines = "\n".join(line.strip() for line in text.split("\n"))
    return LINES.sub("\n\n", lines).strip() + "\n"
