"""Lint: everything that is wrong with a scenario's folder, each with its line and what to do. It never raises.

An error keeps the scenario from being published; a warning does not, and `info` says what something costs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from libs.domain.consent.caps import Cap
from libs.domain.engine.program import CannotRun, compile_program
from libs.domain.lint.caps import check_caps
from libs.domain.lint.cost import check_cost
from libs.domain.lint.fields import ANY, Shape, shape_of
from libs.domain.lint.flow import check_flow
from libs.domain.lint.messages import check_content, check_names, check_sends
from libs.domain.lint.several import Known, check_together
from libs.domain.lint.steps import check_scenario
from libs.domain.lint.text import check_text
from libs.domain.scenario.parse import parse
from libs.domain.scenario.source import Finding, ScenarioError, read

T = TypeVar("T")
MAIN = "scenario.yaml"
__all__ = ["MAIN", "Finding", "check_bundle", "check_bundles", "errors"]


def check_bundle(files: dict[str, str], caps: Sequence[Cap] = ()) -> list[Finding]:
    """Findings by file and line; `files` maps names relative to the scenario's folder to their texts, `caps` are the
    shop's.
    """
    return [finding for _, finding in check_bundles({"": files}, caps)]


def check_bundles(bundles: Mapping[str, dict[str, str]], caps: Sequence[Cap] = ()) -> list[tuple[str, Finding]]:
    """Findings of several scenarios with their folders, those that only show together among them."""
    found: list[tuple[str, Finding]] = []
    known: list[Known] = []
    for folder, files in bundles.items():
        own: list[Finding] = []
        read = _check(folder, files, own, caps)
        found += [(folder, one) for one in own]
        known += [read] if read is not None else []
    together: list[Finding] = []
    _guarded(together, MAIN, lambda: found.extend(check_together(known)))
    found += [(folder, one) for one in together for folder in bundles]
    places = list(bundles)
    return sorted(set(found), key=lambda one: (places.index(one[0]), *_order(one[1])))


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Those that keep the scenario from being published."""
    return [one for one in findings if one.severity == "error"]


def _order(finding: Finding) -> tuple[bool, str, int, int, str, str]:
    main = finding.file != MAIN
    return main, finding.file, finding.line, finding.column, finding.message, finding.hint


def _check(folder: str, files: dict[str, str], found: list[Finding], caps: Sequence[Cap]) -> Known | None:
    """Look at one folder; the scenario, if it can be read at all."""
    known: Known | None = None
    if MAIN in files:
        known = _guarded(found, MAIN, lambda: _main(folder, files, found, caps))
    else:
        found.append(_finding(MAIN, "there is no scenario.yaml", "a scenario is a folder with a scenario.yaml"))
    _guarded(found, MAIN, lambda: found.extend(check_names(files)))
    purpose, event = (known.scenario.purpose, shape_of(known.source.value)) if known else ("", ANY)
    for file in sorted(files):
        if file != MAIN:
            _guarded(found, file, partial(_content, found, file, files, purpose, event))
    return known


def _content(found: list[Finding], file: str, files: dict[str, str], purpose: str, event: Shape) -> None:
    found.extend(check_content(file, files, purpose, event))


def _main(folder: str, files: dict[str, str], found: list[Finding], caps: Sequence[Cap]) -> Known | None:
    """Look at `scenario.yaml`."""
    try:
        source = read(files[MAIN], MAIN)
        _guarded(found, MAIN, lambda: found.extend(check_text(source)))
        scenario = parse(files[MAIN], MAIN)
    except ScenarioError as error:
        found += error.findings
        return None
    for look in (check_scenario, check_flow, check_cost):
        found += look(scenario, source)
    found += check_caps(scenario, source, caps)
    found += check_sends(scenario, source, files)
    if not errors(found):
        try:
            compile_program(scenario, 1)
        except CannotRun as error:
            found.append(_finding(MAIN, f"{error}: not available in this version"))
    return Known(folder=folder, scenario=scenario, source=source)


def _guarded(found: list[Finding], file: str, look: Callable[[], T]) -> T | None:
    """A fault of the lint itself must not hide what it has found so far, and must not let the scenario pass."""
    try:
        return look()
    except Exception as error:
        found.append(_finding(file, f"this cannot be read ({type(error).__name__})", "is it nested too deeply?"))
        return None


def _finding(file: str, message: str, hint: str = "") -> Finding:
    return Finding(file=file, line=1, column=1, path="", message=message, hint=hint)
