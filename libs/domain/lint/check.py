"""Lint: everything that is wrong with a scenario's folder, each with its line and what to do. It never raises.

An error keeps the scenario from being published; a warning does not. `steps` looks at `scenario.yaml`,
`messages` at the message files.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from libs.domain.engine.program import CannotRun, compile_program
from libs.domain.lint.messages import check_content, check_names, check_sends
from libs.domain.lint.steps import check_scenario, check_text
from libs.domain.scenario.model import Scenario
from libs.domain.scenario.parse import parse
from libs.domain.scenario.source import Finding, ScenarioError, read

T = TypeVar("T")
MAIN = "scenario.yaml"
__all__ = ["MAIN", "Finding", "check_bundle", "errors"]


def check_bundle(files: dict[str, str]) -> list[Finding]:
    """Findings by file and line; `files` maps names relative to the scenario's folder to their texts."""
    found: list[Finding] = []
    scenario: Scenario | None = None
    if MAIN in files:
        scenario = _guarded(found, MAIN, lambda: _main(files, found))
    else:
        found.append(_finding(MAIN, "there is no scenario.yaml", "a scenario is a folder with a scenario.yaml"))
    _guarded(found, MAIN, lambda: found.extend(check_names(files)))
    purpose = scenario.purpose if scenario else ""
    for file in sorted(files):
        if file != MAIN:
            _guarded(found, file, lambda file=file: found.extend(check_content(file, files, purpose)))  # type: ignore[misc]
    return sorted(set(found), key=lambda one: (one.file != MAIN, one.file, one.line, one.column, one.message))


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Those that keep the scenario from being published."""
    return [one for one in findings if one.severity == "error"]


def _main(files: dict[str, str], found: list[Finding]) -> Scenario | None:
    """Look at `scenario.yaml`; the scenario, if it can be read at all."""
    try:
        source = read(files[MAIN], MAIN)
        _guarded(found, MAIN, lambda: found.extend(check_text(source)))
        scenario = parse(files[MAIN], MAIN)
    except ScenarioError as error:
        found += error.findings
        return None
    found += check_scenario(scenario, source)
    found += check_sends(scenario, source, files)
    if not errors(found):
        try:
            compile_program(scenario, 1)
        except CannotRun as error:
            found.append(_finding(MAIN, f"{error}: not available in this version"))
    return scenario


def _guarded(found: list[Finding], file: str, look: Callable[[], T]) -> T | None:
    """A fault of the lint itself must not hide what it has found so far, and must not let the scenario pass."""
    try:
        return look()
    except Exception as error:
        found.append(_finding(file, f"this cannot be read ({type(error).__name__})", "is it nested too deeply?"))
        return None


def _finding(file: str, message: str, hint: str = "") -> Finding:
    return Finding(file=file, line=1, column=1, path="", message=message, hint=hint)
