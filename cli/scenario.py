"""`kurant scenario`: scenarios as code."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli import known
from cli.client import Refused, Target, find
from cli.options import Data, Id, Json, Shop
from cli.terminal import CliError, line, read_text, say, show_json, show_table
from libs.common import shops as shops_file
from libs.common.errors import Misconfigured
from libs.domain.consent.caps import Cap

app = typer.Typer(help="Scenarios as code.", no_args_is_help=True, rich_markup_mode=None)
Paths = Annotated[list[Path], typer.Argument(metavar="PATH…", help="scenario folders, or folders of them")]


def bundles(paths: list[Path]) -> list[tuple[Path, dict[str, str]]]:
    """Every scenario under the paths: (folder, {relative name: text}); tests are not part. Raises `CliError`."""
    folders: list[Path] = []
    for path in paths:
        if path.name == "scenario.yaml" and path.is_file():
            folders.append(path.parent)
        elif (path / "scenario.yaml").is_file():
            folders.append(path)
        elif found := sorted(file.parent for file in path.glob("*/scenario.yaml")):
            folders += found
        else:
            raise CliError(f"{path}: {'no scenario.yaml there' if path.exists() else 'no such file or folder'}")
    return [(folder, read_bundle(folder)) for folder in folders]


def read_bundle(folder: Path) -> dict[str, str]:
    """`scenario.yaml` and the files of `messages/`, by their names relative to the folder."""
    files = [folder / "scenario.yaml", *sorted((folder / "messages").rglob("*"))]
    wanted = [file for file in files if file.is_file() and not file.name.startswith(".")]
    return {file.relative_to(folder).as_posix(): read_text(file) for file in wanted}


def complaint(folder: Path, found: dict[str, Any]) -> str:
    """`file:line:col message (hint)`, as compilers print it; `folder` may be the one file that there is."""
    alone = folder.suffix == ".yaml" or folder.is_file()
    file = folder if alone else folder / str(found.get("file") or "scenario.yaml")
    place = f"{file}:{found.get('line') or 1}:{found.get('column') or 1}"
    severity = found.get("severity")
    weight = f"{severity}: " if severity in ("warning", "info") else ""
    hint = f" ({found['hint']})" if found.get("hint") else ""
    return f"{place} {weight}{found.get('message')}{hint}"


def publish_bundle(
    target: Target, shop: str | None, files: dict[str, str], plural: str = "scenarios"
) -> dict[str, Any]:
    """Publish one scenario, or segment. Gives `id version changed state published acted_on warnings diff running`.

    Raises `Refused` with `errors` when it is wrong.
    """
    answer: dict[str, Any] = target.ask("POST", f"/v1/{plural}", json={"shop": shop, "files": files})
    return answer


def running(made: dict[str, Any]) -> list[tuple[int, str]]:
    """By version, how many enrolments wait, and where; newest version first."""
    found: dict[int, list[tuple[str, int]]] = {}
    for row in made.get("running") or []:
        found.setdefault(row["version"], []).append((row["step"], row["enrolments"]))
    told = []
    for version, places in sorted(found.items(), reverse=True):
        where = ", ".join(f"{count} at {step}" for step, count in places)
        told.append((version, f"{sum(count for _, count in places)} running ({where})"))
    return told


@app.command()
def lint(
    paths: Paths,
    shops: Annotated[
        Path | None, typer.Option("--shops", help="shops file: check against its caps", envvar="KURANT_SHOPS")
    ] = None,
    shop: Annotated[str | None, typer.Option("--shop", help="the shop whose caps count; default: all of them")] = None,
    as_json: Json = False,
) -> None:
    """Check scenarios without a platform, one by one and together; `info` says what a look at the past costs."""
    from libs.domain.lint.check import check_bundles

    names = ("file", "line", "column", "path", "message", "hint", "severity")
    wrong = 0
    everything: list[dict[str, Any]] = []
    wanted = {str(folder): files for folder, files in bundles(paths)}
    for folder, finding in check_bundles(wanted, caps_of(shops, shop)):
        found = {name: getattr(finding, name) for name in names}
        wrong += found["severity"] == "error"
        everything.append({**found, "file": str(Path(folder) / found["file"])})
        if not as_json:
            line(complaint(Path(folder), found))
    if as_json:
        show_json(everything)
    elif all(found["severity"] == "info" for found in everything):
        say("nothing wrong")
    if wrong:
        raise typer.Exit(1)


def caps_of(file: Path | None, shop: str | None) -> list[Cap]:
    """The frequency caps of a shop, or of all shops of the file, each once. Raises `CliError`."""
    try:
        known = shops_file.load(file)
    except Misconfigured as error:
        raise CliError(str(error)) from None
    if shop is not None and shop not in known:
        raise CliError(f"--shop {shop}: " + (f"{file} has no such shop" if file else "give --shops as well"))
    return list(dict.fromkeys(cap for id, one in known.items() if shop in (None, id) for cap in one.caps))


@app.command()
def publish(paths: Paths, shop: Shop = None, data: Data = None, as_json: Json = False) -> None:
    """Publish scenarios; one that did not change keeps its version."""
    publish_each(bundles(paths), "scenarios", shop, data, as_json)


def publish_each(
    wanted: list[tuple[Path, dict[str, str]]], plural: str, shop: str | None, data: Path | None, as_json: bool
) -> None:
    """Publish one after the other, and tell what became of each; exit code 1 when one is wrong."""
    target = find(data)
    done: list[dict[str, Any]] = []
    wrong = False
    for folder, files in wanted:
        try:
            made = publish_bundle(target, target.shop(shop), files, plural)
        except Refused as refused:
            if refused.status != 422 or not refused.body.get("errors"):
                raise
            wrong = True
            done.append({"folder": str(folder), "errors": refused.body["errors"]})
            if not as_json:
                for found in refused.body["errors"]:
                    line(complaint(folder, found))
            continue
        done.append(made)
        if not as_json:
            for found in made.get("warnings") or []:
                say(complaint(folder, found))
            later = "" if made.get("published", True) else ", stored; it takes effect when Kafka is there again"
            line(f"{made['id']} version {made['version']}{'' if made['changed'] else ', unchanged'}{later}")
            for found in made.get("diff") or []:
                line(f"  {found['text']}")
            for version, waiting in running(made):
                line(f"  {waiting} by version {version}, which they keep")
    if as_json:
        show_json(done)
    if wrong:
        raise typer.Exit(1)


@app.command("list")
def list_(shop: Shop = None, data: Data = None, as_json: Json = False) -> None:
    """List the shop's scenarios."""
    list_all("scenarios", shop, data, as_json)


def list_all(plural: str, shop: str | None, data: Path | None, as_json: bool) -> None:
    """The shop's, each with its version and state."""
    target = find(data)
    found = target.ask("GET", f"/v1/{plural}", params={"shop": target.shop(shop)})
    known.shop(target, shop, found)
    if as_json:
        show_json(found)
        return
    rows = [(row["id"], row.get("version"), row.get("state"), row.get("name")) for row in found]
    show_table(("id", "version", "state", "name"), rows)


@app.command()
def show(
    scenario: Id,
    graph: Annotated[bool, typer.Option("--graph", help="draw it, as a Mermaid flowchart")] = False,
    shop: Shop = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show a scenario: its versions and its files."""
    target = find(data)
    found = target.ask("GET", f"/v1/scenarios/{scenario}", params={"shop": target.shop(shop)})
    if graph:
        _draw(found, as_json)
    else:
        show_one(found, as_json)


def show_one(found: dict[str, Any], as_json: bool) -> None:
    """What is known of one, and its files."""
    if as_json:
        show_json(found)
        return
    for name, value in found.items():
        if name != "files":
            line(f"{name}: {value}")
    for name, text in (found.get("files") or {}).items():
        line(f"\n--- {name}\n{text}")


def _draw(found: dict[str, Any], as_json: bool) -> None:
    """The flowchart of a published scenario."""
    from libs.domain.scenario.graph import mermaid
    from libs.domain.scenario.parse import ScenarioError, parse

    try:
        drawn = mermaid(parse(found["files"]["scenario.yaml"]))
    except ScenarioError as error:
        raise CliError(f"{found['id']}: {error}", code=1) from None
    if as_json:
        show_json({"id": found["id"], "version": found["version"], "graph": drawn})
    else:
        line(drawn.rstrip())


def change(plural: str, id: str, verb: str, shop: str | None, data: Path | None, as_json: bool) -> None:
    """Tell the platform `pause`, `resume` or `archive`."""
    target = find(data)
    found = target.ask("POST", f"/v1/{plural}/{id}/{verb}", params={"shop": target.shop(shop)})
    if as_json:
        show_json(found)
    else:
        say(f"{id}: {(found or {}).get('state', verb)}")


@app.command()
def pause(scenario: Id, shop: Shop = None, data: Data = None, as_json: Json = False) -> None:
    """Hold new enrolments and sends."""
    change("scenarios", scenario, "pause", shop, data, as_json)


@app.command()
def resume(scenario: Id, shop: Shop = None, data: Data = None, as_json: Json = False) -> None:
    """Go on after a pause."""
    change("scenarios", scenario, "resume", shop, data, as_json)


@app.command()
def archive(scenario: Id, shop: Shop = None, data: Data = None, as_json: Json = False) -> None:
    """End a scenario and its enrolments."""
    change("scenarios", scenario, "archive", shop, data, as_json)
