"""Verbs about the platform itself: `reset`, `settings`, `migrate`."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from cli.local.folder import Folder
from cli.options import Data, Json
from cli.terminal import CliError, say, show_json, show_table

OWN = {
    "KURANT_DATA": "command line: data folder of a local platform",
    "KURANT_URL": "command line: console of a platform elsewhere",
    "KURANT_KEY": "command line: API key for KURANT_URL",
}
SECRET = ("KEY", "PASSWORD", "TOKEN", "SECRET")


def reset(data: Annotated[Path, typer.Option("--data", help="data folder to empty")]) -> None:
    """Empty the data folder of a platform that does not run."""
    say(f"{data} is empty now" if Folder(data.resolve()).reset() else f"{data} was empty")


def settings(as_json: Json = False) -> None:
    """Every setting: value, meaning, origin; secrets hidden."""
    from libs.common.settings import Settings, load, origin

    loaded = load()
    rows = [
        {
            "name": f"KURANT_{name.upper()}",
            "value": shown(f"KURANT_{name.upper()}", getattr(loaded, name)),
            "origin": origin(name),
            "meaning": field.description or "",
        }
        for name, field in Settings.model_fields.items()
    ]
    for name, meaning in OWN.items():
        value = os.environ.get(name)
        where = "default" if value is None else "environment"
        rows.append({"name": name, "value": shown(name, value), "origin": where, "meaning": meaning})
    if as_json:
        show_json(rows)
    else:
        columns = ("name", "value", "origin", "meaning")
        show_table(columns, [[row[column] for column in columns] for row in rows])


def shown(name: str, value: object) -> str | None:
    """A setting's value for human eyes: no key, no password within an address."""
    if value is None:
        return None
    if name.endswith(SECRET):
        return "(hidden)"
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:(hidden)@", str(value))


def migrate(data: Data = None) -> None:
    """Bring the database to the newest revision of every service."""
    from libs.common.db.migrate import upgrade
    from libs.common.settings import load

    if data is None:
        upgrade(load().database_url)
    else:
        folder = Folder(data.resolve())
        url = folder.read_addresses()["postgres"]
        if not folder.running():
            raise CliError(f"the platform in {data} does not run; `kurant up --data {data}` migrates when it starts")
        upgrade(url)
    say("the database is up to date")
