"""Options that many verbs share, and what their values must be. A value that cannot be one is told before anybody is
asked.
"""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from cli.terminal import CliError
from libs.domain.scenario.parse import IDENTIFIER


def _profile(value: str | None) -> str | None:
    if value is not None and not _is_uuid(value):
        raise CliError(f"--profile {value}: not a profile id, which is a UUID; `kurant explain --email E` shows it")
    return value


def _key(value: str) -> str:
    if not _is_uuid(value):
        raise CliError(f"{value}: not a key's id, which is a UUID; `kurant keys list` shows them")
    return value


def _id(value: str) -> str:
    if not IDENTIFIER.fullmatch(value):
        raise CliError(f"{value}: not an id: lower-case letters, digits and hyphens, up to 64; see `list`")
    return value


def _shop(value: str | None) -> str | None:
    if value == "":
        raise CliError("--shop is empty: name a shop, or leave it out")
    return value


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


Data = Annotated[Path | None, typer.Option("--data", help="data folder of a local platform", envvar="KURANT_DATA")]
EveryShop = Annotated[
    str | None,
    typer.Option("--shop", help="of this shop alone; unless said, locally of every shop", callback=_shop),
]
"""Of a verb that looks beyond one shop."""
Id = Annotated[str, typer.Argument(metavar="ID", callback=_id)]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
KeyId = Annotated[str, typer.Argument(metavar="ID", callback=_key)]
Profile = Annotated[str | None, typer.Option("--profile", help="profile id", callback=_profile)]
Shop = Annotated[str | None, typer.Option("--shop", help="shop; locally `demo` unless said", callback=_shop)]
