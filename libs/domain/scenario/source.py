"""YAML text as plain values, with the position of every node, so that a finding can point at it."""

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

DEEPEST = 40
HALVES = re.compile("[\ud800-\udfff]")
Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing to mend: where (line and column count from 1), what, and what to do.

    An `error` keeps from publishing, a `warning` does not, `info` is nothing to mend.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str = ""
    severity: Severity = "error"


class ScenarioError(ValueError):
    """A text that is no scenario; `findings` say why."""

    def __init__(self, findings: list[Finding]) -> None:
        first = findings[0]
        super().__init__(f"{first.file}:{first.line}:{first.column} {first.message}")
        self.findings = findings


@dataclass(kw_only=True)
class Source:
    """A file as read. `positions` maps a node's path (`steps/0/wait`) to line and column.

    What begins on another line than its key, or is empty, stands where its key stands.
    """

    file: str
    value: Any = None
    positions: dict[str, tuple[int, int]] = field(default_factory=dict)

    def finding(self, path: str, message: str, hint: str = "", severity: Severity = "error") -> Finding:
        """A finding at a node, or at the nearest one above it."""
        near = path
        while near and near not in self.positions:
            near = near.rpartition("/")[0]
        line, column = self.positions.get(near, (1, 1))
        return Finding(
            file=self.file, line=line, column=column, path=path, message=message, hint=hint, severity=severity
        )


def read(text: str, file: str) -> Source:
    """Read YAML 1.2, without anchors; raises `ScenarioError`."""
    source = Source(file=file)
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise ScenarioError(
            [Finding(file=file, line=line, column=column, path="", message=f"not YAML: {error.problem}")]
        ) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise ScenarioError(
            [Finding(file=file, line=1, column=1, path="", message=f"not YAML: {type(error).__name__}")]
        ) from None
    if node is None:
        raise ScenarioError([Finding(file=file, line=1, column=1, path="", message="the file is empty")])
    source.value = _plain(source, node, "", set(), 0)
    return source


def _plain(source: Source, node: Node, path: str, seen: set[int], depth: int) -> Any:
    source.positions[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if id(node) in seen:
        raise ScenarioError([source.finding(path, "anchors and aliases are not read", "write the value out")])
    seen.add(id(node))
    if depth > DEEPEST:
        raise ScenarioError([source.finding(path, f"nested deeper than {DEEPEST}")])
    if isinstance(node, ScalarNode):
        return _text(source, path, _scalar(node))
    if isinstance(node, SequenceNode):
        return [_plain(source, item, f"{path}/{i}".lstrip("/"), seen, depth + 1) for i, item in enumerate(node.value)]
    assert isinstance(node, MappingNode)
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(_text(source, path, str(key_node.value)))
        below = f"{path}/{key}".lstrip("/")
        if key in found:
            source.positions[below] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            raise ScenarioError([source.finding(below, f"{key} is given twice")])
        found[key] = _plain(source, value_node, below, seen, depth + 1)
        if found[key] is None or value_node.start_mark.line != key_node.start_mark.line:
            source.positions[below] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
    return found


def _text(source: Source, path: str, value: Any) -> Any:
    """A value whose text can be written: JSON's pairs of escapes as the characters that they stand for."""
    if not isinstance(value, str) or not HALVES.search(value):
        return value
    try:
        return value.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise ScenarioError(
            [source.finding(path, "this holds half a character", "write the character itself")]
        ) from None


def _scalar(node: ScalarNode) -> Any:
    kind = str(node.tag).rpartition(":")[2]
    text = str(node.value)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        return int(text.replace("_", ""), 0) if text.lower().startswith(("0x", "0o")) else int(text)
    if kind == "float":
        number = Decimal(text)
        return number if number.is_finite() else text
    return text
