"""Lint of a segment's file: its grammar, names that do not exist, spans that cannot be answered. It never raises."""

from collections.abc import Iterator
from typing import Any

from libs.domain.engine.state import HISTORY, HISTORY_FOR
from libs.domain.lint.steps import near, near_miss
from libs.domain.scenario.durations import duration
from libs.domain.scenario.segment import parse_segment
from libs.domain.scenario.source import Finding, ScenarioError, Source, read
from libs.domain.vocabulary import CUSTOM, OWN_EVENTS, SHOP_EVENTS, is_event_type

MAIN = "segment.yaml"
"""The one file of a segment as it is published, whatever it is called on a disk."""


def check_segment(files: dict[str, str]) -> list[Finding]:
    """Findings by line; `files` holds `segment.yaml` alone."""
    found = [_finding(name, "this file is not read", f"a segment is {MAIN} alone") for name in files if name != MAIN]
    if MAIN not in files:
        return [*found, _finding(MAIN, f"there is no {MAIN}", "a segment is one file")]
    try:
        source = read(files[MAIN], MAIN)
        found += _text(source)
        parse_segment(files[MAIN], MAIN)
    except ScenarioError as error:
        found += error.findings
    except Exception as error:
        found.append(_finding(MAIN, f"this cannot be read ({type(error).__name__})", "is it nested too deeply?"))
    return sorted(set(found), key=lambda one: (one.file, one.line, one.column, one.message))


def _text(source: Source) -> Iterator[Finding]:
    """What the plain values show, even of a segment that is otherwise wrong."""
    if isinstance(source.value, dict):
        yield from _condition(source, "condition", source.value.get("condition"))


def _condition(source: Source, path: str, told: Any) -> Iterator[Finding]:
    if not isinstance(told, dict):
        return
    for name, value in told.items():
        below = f"{path}/{name}"
        if name in ("all", "any"):
            for index, item in enumerate(value if isinstance(value, list) else [value]):
                yield from _condition(source, f"{below}/{index}", item)
        elif name == "not":
            yield from _condition(source, below, value)
        elif name == "happened" and isinstance(value, dict):
            yield from _happened(source, below, value)
        elif hint := near_miss(name):
            yield source.finding(below, f"{name} is not a field that is known", hint, "warning")


def _happened(source: Source, path: str, told: dict[str, Any]) -> Iterator[Finding]:
    event = told.get("event")
    if isinstance(event, str) and not is_event_type(event.strip()):
        hint = near(event, (*SHOP_EVENTS, *OWN_EVENTS)) or f"an event of your own begins with `{CUSTOM}`"
        yield source.finding(f"{path}/event", f"no event `{event}` exists", hint)
    within = duration(told.get("within"))
    if within is not None and within > HISTORY_FOR:
        message = f"events are remembered for {HISTORY_FOR.days} days: this cannot be answered"
        yield source.finding(f"{path}/within", message, f"up to {HISTORY_FOR.days}d")
    elif within is None and told.get("where") and "within" not in told:
        message = f"of a busy customer only the last {HISTORY} such events are looked at"
        yield source.finding(path, message, "add `within`, up to 400d", "warning")
    yield from _condition(source, f"{path}/where", told.get("where"))


def _finding(file: str, message: str, hint: str) -> Finding:
    return Finding(file=file, line=1, column=1, path="", message=message, hint=hint)
