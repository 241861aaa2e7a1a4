"""Lint of a scenario among what its shop has published: rings that it closes, segments that nobody has published."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from libs.domain.lint.check import MAIN
from libs.domain.lint.fields import near
from libs.domain.lint.several import Known, check_among
from libs.domain.scenario.parse import parse
from libs.domain.scenario.source import Finding, ScenarioError, Source, read


def check_published(text: str, others: Iterable[str], segments: Collection[str]) -> list[Finding]:
    """Findings of a scenario that is right by itself; `others` are the texts of the shop's other scenarios, `segments`
    the ids of its segments.
    """
    new = _known(text)
    if new is None:
        return []
    published = (known for other in others if (known := _known(other)) is not None)
    return [*check_among(new, published), *_unknown(new.source, segments)]


def _known(text: str) -> Known | None:
    """A scenario of before this version may be none by its rules: then it closes no ring."""
    try:
        return Known(folder="", scenario=parse(text, MAIN), source=read(text, MAIN))
    except ScenarioError:
        return None


def _unknown(source: Source, segments: Collection[str]) -> Iterator[Finding]:
    for path, name in _segments(source.value, ""):
        if name not in segments:
            message = f"no segment {name} is published in this shop: nobody is ever in it"
            hint = near(name, segments) or f"publish it: `kurant segment publish`, with `id: {name}`"
            yield source.finding(path, message, hint, "warning")


def _segments(told: Any, path: str) -> Iterator[tuple[str, str]]:
    """Where a segment is named, and its id."""
    parts = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    for name, value in parts:
        below = f"{path}/{name}".lstrip("/")
        if name == "profile.segments" or below == "trigger/segment":
            for way, wanted in value.items() if isinstance(value, dict) else [("", value)]:
                names = wanted if isinstance(wanted, list) else [wanted]
                yield from ((f"{below}/{way}".rstrip("/"), str(one)) for one in names if way != "exists")
        else:
            yield from _segments(value, below)
