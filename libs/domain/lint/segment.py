"""Lint of a segment's file: its grammar, names that do not exist, spans that cannot be answered. It never raises."""

from collections.abc import Iterator

from libs.domain.lint.conditions import Place, check_condition
from libs.domain.lint.fields import ANY, no_event
from libs.domain.lint.text import events
from libs.domain.scenario.segment import parse_segment
from libs.domain.scenario.source import Finding, ScenarioError, Source, read
from libs.domain.vocabulary import is_event_type

MAIN = "segment.yaml"
"""The one file of a segment as it is published, whatever it is called on a disk."""
NOBODY = Place(event=ANY, running=False, keyed=False, product=False)
"""A segment is judged without an event, and outside of any run."""


def check_segment(files: dict[str, str]) -> list[Finding]:
    """Findings by line; `files` holds `segment.yaml` alone."""
    found = [_finding(name, "this file is not read", f"a segment is {MAIN} alone") for name in files if name != MAIN]
    if MAIN not in files:
        return [*found, _finding(MAIN, f"there is no {MAIN}", "a segment is one file")]
    try:
        source = read(files[MAIN], MAIN)
        wrong = _grammar(files[MAIN])
        places = {(one.line, one.column) for one in wrong}
        found += [*wrong, *(one for one in _text(source) if (one.line, one.column) not in places)]
    except ScenarioError as error:
        found += error.findings
    except Exception as error:
        found.append(_finding(MAIN, f"this cannot be read ({type(error).__name__})", "is it nested too deeply?"))
    return sorted(set(found), key=lambda one: (one.file, one.line, one.column, one.message))


def _grammar(text: str) -> list[Finding]:
    try:
        parse_segment(text, MAIN)
    except ScenarioError as error:
        return error.findings
    return []


def _text(source: Source) -> Iterator[Finding]:
    """What the plain values show, even of a segment that is otherwise wrong."""
    for path, event in events(source.value):
        if event and not is_event_type(event):
            yield source.finding(path, f"no event `{event}` exists", no_event(event))
    if isinstance(source.value, dict):
        yield from check_condition(source, "condition", source.value.get("condition"), NOBODY)


def _finding(file: str, message: str, hint: str) -> Finding:
    return Finding(file=file, line=1, column=1, path="", message=message, hint=hint)
