"""Options that many verbs share."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path | None, typer.Option("--data", help="data folder of a local platform", envvar="KURANT_DATA")]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Shop = Annotated[str | None, typer.Option("--shop", help="shop; locally `demo` unless said")]
