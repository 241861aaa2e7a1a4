"""From `segments/<id>.yaml` to a `Segment`: every fault is a finding with line, column, and what to do.

A segment is judged whenever something about a profile changes, so its condition speaks of the profile alone: what an
event brought, the key of an enrolment, and what was since somebody entered a scenario have no meaning there.
"""

from typing import Any

from libs.domain.scenario.conditions import ConditionReader
from libs.domain.scenario.durations import relative
from libs.domain.scenario.model import Condition, Segment
from libs.domain.scenario.parse import IDENTIFIER
from libs.domain.scenario.source import ScenarioError, Source, read

FIELDS = ("kurant", "id", "name", "description", "condition")
ROOTS = ("profile", "cart", "order", "rfm")
SEGMENTS = "profile.segments"
OWN = ("segment.entered", "segment.left")


def parse_segment(text: str, file: str = "segment.yaml") -> Segment:
    """The segment that `text` says; raises `ScenarioError` with every finding."""
    return parse_segment_with_source(text, file)[0]


def parse_published_segment(text: str) -> Segment:
    """A version that was published, read as it was when it was taken (`parse_published`)."""
    reader = _Reader(read(text, "segment.yaml"))
    segment = reader.segment()
    if segment is None:
        raise ScenarioError(reader.refused or reader.findings)
    return segment


def parse_segment_with_source(text: str, file: str = "segment.yaml") -> tuple[Segment, Source]:
    """The segment and where its nodes stand, for lint."""
    source = read(text, file)
    reader = _Reader(source)
    segment = reader.segment()
    if reader.findings or segment is None:
        raise ScenarioError(reader.findings)
    return segment, source


class _Reader(ConditionReader):
    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._past = False

    def segment(self) -> Segment | None:
        """The whole file; None when it is beyond reading."""
        value = self.source.value
        if not isinstance(value, dict):
            self.error("", "a segment is a mapping", "begin with `kurant: 1`")
            return None
        self.known("", value, FIELDS)
        if value.get("kurant") != 1:
            self.error("kurant", "this is not version 1 of the language", "begin with `kurant: 1`")
        for name in ("id", "name", "condition"):
            if value.get(name) in (None, "", {}):
                self.error(name, f"{name} is missing", f"add `{name}:`")
        id = self.text("id", value.get("id"))
        if id and not IDENTIFIER.fullmatch(id):
            self.error("id", f"{id} is not an id", "use lower-case letters, digits and hyphens, up to 64")
        name = self.text("name", value.get("name"))
        self.text("description", value.get("description"))
        told = value.get("condition")
        condition = self.condition("condition", told) if told not in (None, {}) else None
        if self.refused or condition is None:
            return None
        return Segment(id=id, name=name, condition=condition)

    def path(self, where: str, value: Any) -> str:
        before = len(self.findings)
        text = super().path(where, value)
        root, _, rest = text.partition(".")
        if not text or len(self.findings) > before:
            return text
        if root == "event" and self._past:
            return text
        if root not in ROOTS:
            hint = "`{happened: {event: order.placed, where: {event.order.value: {gte: 100}}}}` looks at past events"
            self.error(where, f"{text} has no meaning in a segment, which is about the profile alone", hint)
        elif not rest:
            self.error(where, f"{text} is no field", f"`{text}.<field>`")
        elif text == SEGMENTS or text.startswith(f"{SEGMENTS}."):
            self.error(where, "a segment cannot ask for segments", "repeat the other segment's condition here")
        return text

    def _part(self, path: str, name: str, told: Any) -> Condition | None:
        if name not in ("all", "any", "not", "happened"):
            compared = {f"{path}/{op}": one for op, one in told.items()} if isinstance(told, dict) else {path: told}
            for at, one in compared.items():
                if isinstance(one, str) and one == "key":
                    self.error(at, "`key` is of an enrolment, and nobody is enrolled in a segment", "name a value")
        return super()._part(path, name, told)

    def _happened(self, path: str, told: Any) -> Condition | None:
        if isinstance(told, dict):
            if told.get("event") in OWN:
                self.error(f"{path}/event", "a segment cannot ask for segments", "repeat the other segment's condition")
            if "since" in told:
                hint = "`within: 30d`; without it, ever"
                self.error(f"{path}/since", "`since` is of an enrolment, and nobody is enrolled in a segment", hint)
        outer, self._past = self._past, True
        found = super()._happened(path, told)
        self._past = outer
        return found

    def _moving(self, path: str, told: dict[str, Any]) -> None:
        super()._moving(path, told)
        if self._past and any(relative(wanted) for wanted in told.values()):
            self.error(path, "within `happened` nothing is compared with `now` or `today`", "use `within`")
