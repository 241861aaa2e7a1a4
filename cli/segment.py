"""`kurant segment`: named conditions as code."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.client import find
from cli.options import Data, Id, Json, Shop
from cli.scenario import change, complaint, list_all, publish_each, show_one
from cli.terminal import CliError, line, read_text, say, show_json
from libs.domain.lint.check import errors
from libs.domain.lint.segment import MAIN, check_segment
from libs.domain.scenario.schema import segment_schema
from libs.domain.scenario.source import Finding, ScenarioError, read

FOLDER = "segments"
app = typer.Typer(help="Segments as code.", no_args_is_help=True, rich_markup_mode=None)
Paths = Annotated[list[Path], typer.Argument(metavar="PATH…", help="segment files, or folders of them")]
Item = tuple[Path, dict[str, str]]
"""A segment's file, and what is published of it."""


def items(paths: Iterable[Path]) -> list[Item]:
    """Every segment under the paths; a folder may hold them, or a folder `segments` that does. Raises `CliError`."""
    found: list[Path] = []
    for path in paths:
        if path.is_file():
            found.append(path)
        elif files := sorted(path.glob("*.yaml")) or sorted((path / FOLDER).glob("*.yaml")):
            found += files
        else:
            told = "no segments there, which are files called <id>.yaml" if path.exists() else "no such file or folder"
            raise CliError(f"{path}: {told}")
    return [(file, {MAIN: read_text(file)}) for file in found]


def beside(folder: Path, above: int = 1) -> list[Item]:
    """The segments that go with a folder of scenarios: in it, beside it, or beside one of the folders above it."""
    for place in (folder, *list(folder.resolve().parents)[:above]):
        if any((place / FOLDER).glob("*.yaml")):
            return items([place / FOLDER])
    return []


def check(file: Path, files: dict[str, str]) -> list[Finding]:
    """What is wrong with a segment, its file's name included."""
    found = check_segment(files)
    try:
        value = read(files[MAIN], MAIN).value
    except ScenarioError:
        return found
    id = value.get("id") if isinstance(value, dict) else None
    if isinstance(id, str) and id != file.stem:
        message = f"the id is {id}, but the file is called {file.name}"
        found.append(Finding(file=MAIN, line=1, column=1, path="id", message=message, hint=f"call it {id}.yaml"))
    return found


@app.command()
def lint(paths: Paths, as_json: Json = False) -> None:
    """Check segments without a platform."""
    found = [(file, finding) for file, files in items(paths) for finding in check(file, files)]
    if as_json:
        show_json([asdict(finding) | {"file": str(file)} for file, finding in found])
    else:
        for file, finding in found:
            line(complaint(file, asdict(finding)))
        if not found:
            say("nothing wrong")
    if errors(finding for _, finding in found):
        raise typer.Exit(1)


@app.command()
def publish(paths: Paths, shop: Shop = None, data: Data = None, as_json: Json = False) -> None:
    """Publish segments; one that did not change keeps its version."""
    publish_each(items(paths), "segments", shop, data, as_json)


@app.command("list")
def list_(shop: Shop = None, data: Data = None, as_json: Json = False) -> None:
    """List the shop's segments."""
    list_all("segments", shop, data, as_json)


@app.command()
def show(segment: Id, shop: Shop = None, data: Data = None, as_json: Json = False) -> None:
    """Show a segment: its versions and its file."""
    target = find(data)
    found: dict[str, Any] = target.ask("GET", f"/v1/segments/{segment}", params={"shop": target.shop(shop)})
    show_one(found, as_json)


@app.command()
def archive(segment: Id, shop: Shop = None, data: Data = None, as_json: Json = False) -> None:
    """End a segment: everybody leaves it."""
    change("segments", segment, "archive", shop, data, as_json)


@app.command()
def schema() -> None:
    """Print the JSON Schema of segments, for editors."""
    from cli.author import schema_text

    line(schema_text(segment_schema()).rstrip())
