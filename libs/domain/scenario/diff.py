"""What two versions of a scenario have different: the head, the steps (by path), the messages. Pure.

Steps are aligned before they are compared, so that one step put in at the beginning is one difference.
"""

import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from libs.domain.scenario.parse import FIELDS, VERBS
from libs.domain.scenario.source import ScenarioError, read

MAIN = "scenario.yaml"
LONGEST = 200
ALIGNED = ("steps", "then", "else", "exit")
"""Lists whose items are told apart; other lists are one value."""
Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One difference. `path` is where it is now (for what was removed: where it was), `from_` where a changed step was
    before, if elsewhere; `was` and `now` are values as YAML writes them.
    """

    what: Literal["added", "removed", "changed"]
    path: str
    was: str = ""
    now: str = ""
    from_: str = ""

    def text(self) -> str:
        """As a line for people."""
        moved = f" (before: {self.from_})" if self.from_ else ""
        if self.what == "added":
            return f"+ {self.path}{f': {self.now}' if self.now else ''}"
        if self.what == "removed":
            return f"- {self.path}{f': {self.was}' if self.was else ''}"
        return f"~ {self.path}{moved}: {self.was or 'nothing'} -> {self.now or 'nothing'}"

    def shown(self) -> dict[str, str]:
        """As JSON, with the line for people."""
        rest = {"was": self.was, "now": self.now, "from": self.from_}
        told = {name: value for name, value in rest.items() if value}
        return {"what": self.what, "path": self.path, **told, "text": self.text()}


def compare(old: dict[str, str], new: dict[str, str], main: str = MAIN) -> list[Difference]:
    """What is different between two bundles of files; raises `ScenarioError` for a `main` file that is not YAML."""
    return [*_scenario(_plain(old, main), _plain(new, main)), *_messages(old, new, main)]


def _plain(files: dict[str, str], main: str) -> Json:
    value = read(files.get(main, ""), main).value
    return value if isinstance(value, dict) else {}


def _scenario(old: Json, new: Json) -> Iterator[Difference]:
    names = [*FIELDS, *(name for name in {**old, **new} if name not in FIELDS)]
    for name in names:
        yield from _value(name, name, old.get(name), new.get(name))


def _value(was_path: str, path: str, was: Any, now: Any) -> Iterator[Difference]:
    """Differences of one node; `was_path` is where it was."""
    if was == now and type(was) is type(now):
        return
    name = path.rpartition("/")[2]
    if isinstance(was, dict) and isinstance(now, dict):
        for key in {**was, **now}:
            yield from _value(f"{was_path}/{key}", f"{path}/{key}", was.get(key), now.get(key))
    elif name in ALIGNED or _are_steps(was) or _are_steps(now):
        yield from _aligned(was_path, path, _items(was), _items(now))
    elif was is None:
        yield Difference(what="added", path=path, now=flow(now))
    elif now is None:
        yield Difference(what="removed", path=was_path, was=flow(was))
    else:
        moved = was_path if was_path != path else ""
        yield Difference(what="changed", path=path, was=flow(was), now=flow(now), from_=moved)


def _items(value: Any) -> list[Any]:
    """The items of a list; one alone may stand without it."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _are_steps(value: Any) -> bool:
    """Whether a list is of steps: the arms of a split have names of their own."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(item == "exit" or (isinstance(item, dict) and any(verb in item for verb in VERBS)) for item in value)
    )


def _aligned(was_path: str, path: str, was: Sequence[Any], now: Sequence[Any]) -> Iterator[Difference]:
    matcher = difflib.SequenceMatcher(None, [_same(item) for item in was], [_same(item) for item in now], False)
    for what, low, high, start, end in matcher.get_opcodes():
        if what != "equal":
            yield from _block(was_path, path, list(enumerate(was))[low:high], list(enumerate(now))[start:end])


def _block(was_path: str, path: str, was: list[tuple[int, Any]], now: list[tuple[int, Any]]) -> Iterator[Difference]:
    """A stretch that is not the same: items of one name (else of one kind) are one item that changed."""
    pairs = _pairs([item for _, item in was], [item for _, item in now])
    taken = {right: left for left, right in pairs}
    gone = [place for place in range(len(was)) if place not in dict(pairs)]
    for place in gone:
        number, item = was[place]
        yield Difference(what="removed", path=f"{was_path}/{number}", was=flow(item))
    for place, (number, item) in enumerate(now):
        if place not in taken:
            yield Difference(what="added", path=f"{path}/{number}", now=flow(item))
            continue
        before, earlier = was[taken[place]]
        yield from _value(f"{was_path}/{before}", f"{path}/{number}", earlier, item)


def _pairs(was: Sequence[Any], now: Sequence[Any]) -> list[tuple[int, int]]:
    """Which items are the same item, changed: in order, first by kind and name, what is between them by kind."""
    pairs: list[tuple[int, int]] = []
    names = difflib.SequenceMatcher(None, [_named(item) for item in was], [_named(item) for item in now], False)
    for what, low, high, start, end in names.get_opcodes():
        if what == "equal":
            pairs += zip(range(low, high), range(start, end), strict=True)
            continue
        kinds = difflib.SequenceMatcher(
            None, [_kind(item) for item in was[low:high]], [_kind(item) for item in now[start:end]], False
        )
        for left, right, size in kinds.get_matching_blocks():
            pairs += [(low + left + step, start + right + step) for step in range(size)]
    return pairs


def _kind(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    return next((verb for verb in ("send", *VERBS, "event") if verb in item), "")


def _named(item: Any) -> str:
    """What makes a step this step: `send first`, `split subject`, `until message.clicked`."""
    kind = _kind(item)
    told = item.get(kind) if isinstance(item, dict) else None
    if isinstance(told, dict):
        told = told.get("name") or told.get("event")
    return f"{kind} {told}" if kind in ("send", "split", "until", "event") else kind


def _same(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def _messages(old: dict[str, str], new: dict[str, str], main: str) -> Iterator[Difference]:
    for file in sorted({*old, *new} - {main}):
        if file not in old:
            yield Difference(what="added", path=file)
        elif file not in new:
            yield Difference(what="removed", path=file)
        elif old[file] != new[file]:
            yield from _message(file, old[file], new[file])


def _message(file: str, was: str, now: str) -> Iterator[Difference]:
    """A message that changed: its fields one by one, its body by the number of lines."""
    (head, body), (new_head, new_body) = _parts(was, file), _parts(now, file)
    for name in {**head, **new_head}:
        yield from _value(f"{file}/{name}", f"{file}/{name}", head.get(name), new_head.get(name))
    if body != new_body:
        lines = list(difflib.ndiff(body.splitlines(), new_body.splitlines()))
        less, more = (sum(line.startswith(sign) for line in lines) for sign in ("- ", "+ "))
        yield Difference(what="changed", path=f"{file}/body", was=f"{less} lines", now=f"{more} lines")


def _parts(content: str, file: str) -> tuple[Json, str]:
    """The front matter and the body; a file that is nothing but YAML has no body."""
    lines = content.split("\n")
    end = next((number for number, line in enumerate(lines[1:], 1) if line.strip() == "---"), 0)
    head = "\n".join(lines[:end]) if lines[0].strip() == "---" else content if file.endswith(".yaml") else ""
    try:
        told = read(head, file).value if head else {}
    except ScenarioError:
        return {}, content
    if not isinstance(told, dict):
        return {}, content
    return told, "" if file.endswith(".yaml") else "\n".join(lines[end + 1 :]) if head else content


def flow(value: Any) -> str:
    """A value as YAML writes it within a line, shortened."""
    text = _flow(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_flow(told)}" for name, told in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return format(value, "f")
    return "null" if value is None else str(value)
