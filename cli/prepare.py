"""`python -m cli.prepare`: put `kurant` on the virtual environment's path and download the local parts."""

import stat
import sys
import sysconfig
from pathlib import Path

from cli.local import jars
from cli.local.process import ROOT, LocalError
from cli.terminal import ERR
from cli.up import reporter

SCRIPT = """#!{python}
import sys

from cli.main import main

sys.exit(main())
"""


def link(site: Path, scripts: Path, python: str) -> None:
    """What an editable installation does, without a build: a `.pth` file and the `kurant` script."""
    (site / "kurant.pth").write_text(f"{ROOT}\n")
    script = scripts / "kurant"
    script.write_text(SCRIPT.format(python=python))
    script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def main() -> int:
    if sys.prefix == sys.base_prefix:
        ERR.print("cli.prepare: run it with the Python of a virtual environment (make setup)")
        return 2
    link(Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("scripts")), sys.executable)
    try:
        jars.ensure(reporter().jars)
    except LocalError as error:
        ERR.print(f"kurant: {error}", markup=False)
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
