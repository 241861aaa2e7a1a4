"""`kurant scenario diff, graph, new, schema`: what an author of scenarios needs beside lint and test."""

import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.client import Target, find
from cli.local.process import ROOT
from cli.options import Data, Json, Shop
from cli.scenario import Paths, bundles, complaint, read_bundle
from cli.terminal import CliError, line, read_text, say, show_json
from libs.domain.lint.check import check_bundle, errors
from libs.domain.scenario.diff import Difference, compare
from libs.domain.scenario.graph import mermaid
from libs.domain.scenario.parse import IDENTIFIER, parse
from libs.domain.scenario.schema import rehearsal_schema, scenario_schema
from libs.domain.scenario.source import ScenarioError, read

PUBLISHED = re.compile(rf"(?P<id>{IDENTIFIER.pattern})(?:@(?P<version>[1-9]\d*))?")
Side = Annotated[str, typer.Argument(help="a folder, or ID@VERSION (or ID) of a platform")]
Files = dict[str, str]


def diff(a: Side, b: Side, shop: Shop = None, data: Data = None, as_json: Json = False) -> None:
    """Show what is different between two versions of a scenario."""
    old, new = side(a, shop, data), side(b, shop, data)
    if len(old) == len(new) == 1:  # two scenarios, whatever they are called
        old = dict.fromkeys(new, next(iter(old.values())))
    rows: list[dict[str, Any]] = []
    for id in sorted({**old, **new}):
        found = differences(id, old.get(id), new.get(id))
        rows.append({"id": id, "differences": [one.shown() for one in found]})
        if not as_json:
            if found and len({**old, **new}) > 1:
                line(id)
            for one in found:
                line(one.text())
    if as_json:
        show_json(rows)
    elif not any(row["differences"] for row in rows):
        say("no difference")


def differences(id: str, old: Files | None, new: Files | None) -> list[Difference]:
    """What is different of one scenario, which may be on one side alone."""
    if old is None or new is None:
        return [Difference(what="added" if old is None else "removed", path=id)]
    try:
        return compare(old, new)
    except ScenarioError as error:
        raise CliError(f"{id}: {error}", code=1) from None


def side(text: str, shop: str | None, data: Path | None) -> dict[str, Files]:
    """One side of a comparison: scenarios by id, from the disk or from a platform. Raises `CliError`."""
    if Path(text).exists():
        return {_id_of(folder, files): files for folder, files in bundles([Path(text)])}
    named = PUBLISHED.fullmatch(text)
    if named is None:
        raise CliError(f"{text}: neither a folder nor ID@VERSION")
    try:
        target = find(data)
    except CliError as error:
        raise CliError(f"{text}: no such folder here; {error}", error.code) from None
    return {named["id"]: published(target, shop, named["id"], named["version"])["files"]}


def _id_of(folder: Path, files: Files) -> str:
    try:
        told = read(files["scenario.yaml"], str(folder / "scenario.yaml")).value
    except ScenarioError as error:
        raise CliError(str(error), code=1) from None
    if not isinstance(told, dict):
        raise CliError(f"{folder / 'scenario.yaml'}: a scenario is a mapping (begin with `kurant: 1`)", code=1)
    return str(told.get("id") or folder.name)


def published(target: Target, shop: str | None, id: str, version: str | None = None) -> dict[str, Any]:
    """A scenario of a platform with the files of one version."""
    params = {"shop": target.shop(shop), "version": version}
    found: dict[str, Any] = target.ask("GET", f"/v1/scenarios/{id}", params=params)
    return found


def graph(paths: Paths, as_json: Json = False) -> None:
    """Draw scenarios as Mermaid flowcharts."""
    drawn = []
    for folder, files in bundles(paths):
        try:
            drawn.append({"folder": str(folder), "graph": mermaid(parse(files["scenario.yaml"]))})
        except ScenarioError as error:
            for found in error.findings:
                line(complaint(folder, asdict(found)))
            raise typer.Exit(1) from None
    if as_json:
        show_json(drawn)
        return
    for one in drawn:
        if len(drawn) > 1:
            line(f"%% {one['folder']}")
        line(one["graph"])


def schema(
    tests: Annotated[bool, typer.Option("--tests", help="of tests/*.yaml instead of scenario.yaml")] = False,
) -> None:
    """Print the JSON Schema of scenarios, for editors."""
    line(schema_text(rehearsal_schema() if tests else scenario_schema()).rstrip())


def schema_text(told: dict[str, Any]) -> str:
    """A schema as it stands in `scenarios/schema/`."""
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def new(
    source: Annotated[str, typer.Option("--from", help="a scenario of the library, or a folder")],
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="the folder to make")] = None,
    id: Annotated[str | None, typer.Option("--id", help="default: the folder's name")] = None,
    name: Annotated[str | None, typer.Option("--name", help="as people call it")] = None,
) -> None:
    """Begin a scenario as a copy of another one, with its messages and tests."""
    origin = library(source)
    own = id or (folder.name if folder else origin.name)
    if not IDENTIFIER.fullmatch(own):
        raise CliError(f"{own} is not an id: lower-case letters, digits and hyphens, up to 64")
    read_bundle(origin)  # whole, before anything is made
    for test in (origin / "tests").glob("*.yaml"):
        read_text(test)
    made = folder or (Path("scenarios") if Path("scenarios").is_dir() else Path()) / own
    if made.exists() and (not made.is_dir() or any(made.iterdir())):
        raise CliError(f"{made} is there already: give another --id, or a folder")
    shutil.copytree(origin, made, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
    rename(made, origin.name, own, name or own.replace("-", " ").capitalize())
    findings = check_bundle(read_bundle(made))
    for found in findings:
        line(complaint(made, asdict(found)))
    line(str(made))
    say(f"now edit it, then: kurant scenario lint {made} && kurant scenario test {made}")
    if errors(findings):
        raise typer.Exit(1)


def library(source: str) -> Path:
    """The folder of a scenario to copy: as given, of the scenarios here, or of those that come with Kurant."""
    nested = sorted((ROOT / "scenarios").glob(f"*/{source}"))
    for folder in (Path(source), Path("scenarios") / source, ROOT / "scenarios" / source, *nested):
        if (folder / "scenario.yaml").is_file():
            return folder.resolve()
    known = sorted(file.parent.name for file in (ROOT / "scenarios").rglob("scenario.yaml"))
    raise CliError(f"no scenario {source} in the library; there are: {', '.join(known)}")


def rename(folder: Path, old: str, id: str, name: str) -> None:
    """Give a copied scenario its own id and name, in its tests too; the rest stays as it was written."""
    main = folder / "scenario.yaml"
    text = read_text(main)
    text = re.sub(r"^id:[^\n#]*?(?=\s*(#|$))", f"id: {id}", text, count=1, flags=re.MULTILINE)
    quoted = json.dumps(name, ensure_ascii=False) if re.search(r"[^\w \-.]", name) else name
    text = re.sub(r"^name:[^\n#]*?(?=\s*(#|$))", lambda _: f"name: {quoted}", text, count=1, flags=re.MULTILINE)
    main.write_text(text, "utf-8")
    for test in (folder / "tests").glob("*.yaml"):
        told = read_text(test)
        word = rf"\b(entered|not_entered|scenario): {re.escape(old)}(?![\w-])"
        test.write_text(re.sub(word, rf"\1: {id}", told), "utf-8")
