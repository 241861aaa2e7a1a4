"""Links that tell of a click, and the pixel that tells of an opening."""

import html
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

ANCHOR = re.compile(r"""(<(?:a|area)\b[^>]*?\shref\s*=\s*)(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
LONGEST = 1_800
"""A link longer than this stays as it is: the signed one would be too long for some mail programs."""


@dataclass(frozen=True, kw_only=True)
class Links:
    """Makes the signed addresses of clicks and opens. `sign(use, payload)` gives a token for a URL."""

    base: str
    sign: Callable[[str, Any], str]

    def click(self, message: str, target: str) -> str:
        """Where a link leads instead of to `target`."""
        return f"{self.base}/r/{self.sign('click', [message, target])}"

    def pixel(self, message: str) -> str:
        """The address of the open pixel."""
        return f"{self.base}/o/{self.sign('open', message)}"


def track(document: str, *, link: Callable[[str], str], pixel: str | None, leave: Collection[str] = frozenset()) -> str:
    """`document` with every http(s) link, but for those in `leave`, replaced by `link` of it; `pixel` at its end."""

    def replaced(found: re.Match[str]) -> str:
        written = found[2] if found[2] is not None else found[3]
        target = html.unescape(written).strip()
        if not is_web(target) or target in leave or len(target) > LONGEST:
            return found[0]
        return f'{found[1]}"{html.escape(link(target))}"'

    document = ANCHOR.sub(replaced, document)
    if pixel is None:
        return document
    image = f'<img src="{html.escape(pixel)}" width="1" height="1" alt="" style="display:block;border:0">'
    ends = list(BODY_END.finditer(document))
    place = ends[-1].start() if ends else len(document)
    return document[:place] + image + document[place:]


def is_web(target: str) -> bool:
    """Whether it is an absolute http or https address that a browser can be sent to."""
    scheme, separator, rest = target.partition("://")
    plain = not any(ord(character) <= 32 or ord(character) == 127 for character in target)
    return bool(separator) and scheme.lower() in ("http", "https") and plain and rest[:1] not in ("", "/", "?", "#")
