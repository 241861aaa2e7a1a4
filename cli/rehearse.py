"""`kurant scenario test`: the tests of scenarios, on virtual time, without a platform."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from cli.options import Json
from cli.scenario import Paths, bundles, complaint, read_bundle
from cli.segment import beside
from cli.terminal import ERR, CliError, line, read_text, say, show_json, show_table
from libs.contracts import catalog, event_types
from libs.domain.engine.named import Named
from libs.domain.intake import zones
from libs.domain.lint.segment import MAIN
from libs.domain.rehearsal.read import CATALOG, Unfit, read_test
from libs.domain.rehearsal.rehearse import rehearse
from libs.domain.rehearsal.stage import Prepared, Stage, prepare, prepare_segment
from libs.domain.scenario.source import Finding, ScenarioError

LONG_AGO = datetime.fromtimestamp(0, UTC)
"""When a product of a test was received, which nobody asks."""
ABOVE = 3
"""So many folders up from a scenario the folder `segments` is looked for."""
Only = Annotated[str | None, typer.Option("-k", help="only tests whose file or name contains this")]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One test. `text` is for people, `shown` for programs."""

    scenario: str
    file: Path
    name: str
    findings: list[dict[str, Any]]
    text: list[str] = field(default_factory=list)
    shown: dict[str, Any] = field(default_factory=dict)


def play(paths: Paths, only: Only = None, as_json: Json = False) -> None:
    """Run the tests of scenarios on virtual time; exit code 1 when one fails."""
    begun = time.monotonic()
    wanted = list(found(paths))
    results: list[Result] = []
    columns = (TextColumn("testing"), BarColumn(), MofNCompleteColumn())
    players: dict[Path, Player] = {}
    with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as bar:
        task = bar.add_task("", total=len(wanted))
        for folder, file in wanted:
            player = players.setdefault(folder, Player(folder))
            result = player.play(file, only)
            bar.advance(task)
            if result is not None:
                results.append(result)
                if result.findings and not as_json:
                    tell(result)
    if not results:
        none = "no tests there, which are files tests/<name>.yaml of a scenario"
        raise CliError(none if only is None else f"no test there is called {only}")
    failed = sum(bool(one.findings) for one in results)
    if as_json:
        show_json([told(one) for one in results])
    else:
        show_table(("scenario", "tests", "passed", "failed"), counts(results))
        say(f"{len(results)} tests in {time.monotonic() - begun:.1f} s, {failed} failed")
    if failed:
        raise typer.Exit(1)


def found(paths: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Every test under the paths, with its scenario's folder; a path may be one test's file."""
    for path in paths:
        if path.is_file() and path.parent.name == "tests":
            yield path.parent.parent, path
            continue
        for folder, _ in bundles([path]):
            for file in sorted((folder / "tests").glob("*.yaml")):
                yield folder, file


class Player:
    """Plays the tests of one scenario's folder; what they share is prepared once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._prepared: dict[Path, Prepared | list[dict[str, Any]]] = {}
        self._stages: dict[tuple[str, ...], Stage] = {}
        self._segments: list[Named] = []
        self._wrong_segments: list[dict[str, Any]] = []
        self._prepare_segments()

    def play(self, file: Path, only: str | None = None) -> Result | None:
        """One test; None when it is not wanted."""
        scenario = self._folder.name
        text = read_text(file)
        try:
            read = read_test(text, str(file), canonical, self._is_beside)
        except ScenarioError as error:
            if only is not None and only not in file.name:
                return None
            return Result(scenario=scenario, file=file, name=file.stem, findings=[asdict(f) for f in error.findings])
        if only is not None and only not in file.name and only not in read.name:
            return None
        wrong = [*self._wrong(self._folder), *(w for id in read.beside for w in self._wrong(self._folder.parent / id))]
        wrong += self._wrong_segments
        if wrong:
            return Result(scenario=scenario, file=file, name=read.name, findings=wrong)
        outcome = rehearse(self._stage(read.beside), read)
        findings = [asdict(one) for one in outcome.findings()]
        return Result(
            scenario=scenario,
            file=file,
            name=read.name,
            findings=findings,
            text=outcome.text() if findings else [],
            shown=outcome.shown(),
        )

    def _is_beside(self, id: str) -> bool:
        return (self._folder.parent / id / "scenario.yaml").is_file()

    def _prepare_segments(self) -> None:
        """Those beside the folder of scenarios, up to where a scenario of a group has it."""
        for file, files in beside(self._folder, ABOVE):
            try:
                self._segments.append(prepare_segment(files[MAIN], str(file)))
            except ScenarioError as error:
                self._wrong_segments += [asdict(one) for one in error.findings]

    def _wrong(self, folder: Path) -> list[dict[str, Any]]:
        """What keeps a scenario from being played."""
        if folder not in self._prepared:
            try:
                self._prepared[folder] = prepare(read_bundle(folder))
            except CliError as error:
                self._prepared[folder] = [
                    asdict(Finding(file=str(folder), line=1, column=1, path="", message=str(error)))
                ]
            except ScenarioError as error:
                self._prepared[folder] = [asdict(f) | {"file": str(folder / f.file)} for f in error.findings]
        told = self._prepared[folder]
        return told if isinstance(told, list) else []

    def _stage(self, beside: tuple[str, ...]) -> Stage:
        if beside not in self._stages:
            folders = [self._folder, *(self._folder.parent / id for id in beside)]
            prepared = [self._prepared[folder] for folder in folders]
            self._stages[beside] = Stage(
                *(one for one in prepared if isinstance(one, Prepared)), segments=self._segments
            )
        return self._stages[beside]


def canonical(type: str, data: dict[str, Any]) -> dict[str, Any]:
    """Data as ingest passes it on; raises `Unfit` for what it refuses."""
    if type == CATALOG:
        return product(data)
    shape = event_types.shape(type)
    if shape is not None:  # Kurant's own events have none
        try:
            told = event_types.check(shape, data)
        except event_types.Misfit as error:
            raise Unfit(error.field, error.text) from None
        event_types.plain(data)
        place = {name: getattr(told, name, None) for name in ("phone", "country", "postal_code")}
        if zone := zones.hint(**place):
            data.setdefault("timezone_hint", zone)
    return data


def product(data: dict[str, Any]) -> dict[str, Any]:
    """A product as ingest passes it on; raises `Unfit` for what it refuses."""
    try:
        return msgspec.structs.asdict(catalog.told(data, LONG_AGO))
    except event_types.Misfit as error:
        raise Unfit(error.field, error.text) from None


def tell(result: Result) -> None:
    """A test that failed, for people."""
    line(f"FAILED {result.file}: {result.name}")
    for row in result.findings:
        line(complaint(Path(), row))
    for text in result.text:
        line(f"  {text}".rstrip())
    line("")


def told(result: Result) -> dict[str, Any]:
    """A test for other programs."""
    head = {"scenario": result.scenario, "file": str(result.file), "name": result.name, "ok": not result.findings}
    return {**head, "failures": result.findings, **{k: v for k, v in result.shown.items() if k not in head}}


def counts(results: list[Result]) -> list[tuple[str, int, int, int]]:
    """How many passed and failed, by scenario, and in all."""
    total = Counter(one.scenario for one in results)
    failed = Counter(one.scenario for one in results if one.findings)
    rows = [(name, total[name], total[name] - failed[name], failed[name]) for name in sorted(total)]
    if len(rows) > 1:
        rows.append(("all", total.total(), total.total() - failed.total(), failed.total()))
    return rows
