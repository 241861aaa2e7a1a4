"""`python -m libs.common.db.migrate`: bring every schema to its newest revision (Alembic, a branch per service)."""

import asyncio
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config

from libs.common.db.engine import reach
from libs.common.errors import Misconfigured, Unavailable
from libs.common.settings import load

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent


def config(url: str) -> Config:
    """Alembic's configuration: one environment, a version folder per room that keeps state."""
    made = Config()
    made.set_main_option("script_location", str(HERE / "alembic"))
    folders = [HERE / "migrations", *sorted(ROOT.glob("services/*/migrations"))]
    made.set_main_option("path_separator", "newline")
    made.set_main_option("version_locations", "\n".join(str(folder) for folder in folders))
    made.attributes["url"] = url
    return made


def upgrade(url: str) -> None:
    """Run what has not run yet, under an advisory lock, so that several starters do not collide.

    Raises `Unavailable` when nobody answers at the address, `Misconfigured` when it is none.
    """
    asyncio.run(reach(url))
    command.upgrade(config(url), "heads")


def main() -> int:
    try:
        upgrade(load().database_url)
    except (Misconfigured, Unavailable) as error:
        print(error, file=sys.stderr)  # noqa: T201  # a command's own output
        return 2 if isinstance(error, Misconfigured) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
