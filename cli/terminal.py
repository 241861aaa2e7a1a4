"""What the user sees: results on stdout, progress and errors on stderr; plain lines where there is no terminal."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

OUT = Console(highlight=False, soft_wrap=True)
ERR = Console(stderr=True, highlight=False, soft_wrap=True)


class CliError(Exception):
    """Ends the command with one line on stderr. Exit code 1: found wrong; 2: called wrong."""

    def __init__(self, text: str, code: int = 2) -> None:
        super().__init__(text)
        self.code = code


def read_text(file: Path) -> str:
    """A file that the user named; raises `CliError`."""
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        raise CliError(f"{file}: not a text file in UTF-8") from None
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}") from None


def one_line(error: Exception) -> str:
    """What went wrong, in one line: ours as they are, the system's with the file they are about."""
    if isinstance(error, OSError):
        return ": ".join(str(part) for part in (error.filename, error.strerror or type(error).__name__) if part)
    return str(error)


def say(text: str) -> None:
    """A line of progress."""
    ERR.print(text, markup=False, style="dim" if ERR.is_terminal else "")


def line(text: str) -> None:
    """A line of the result."""
    OUT.print(text, markup=False)


def show_json(value: Any) -> None:
    """The result for other programs: indented JSON, UTF-8."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
    sys.stdout.flush()


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """A table on a terminal, tab-separated lines elsewhere."""
    texts = [["" if value is None else str(value) for value in row] for row in rows]
    if not OUT.is_terminal:
        for row in [list(columns), *texts]:
            sys.stdout.write("\t".join(value.replace("\t", " ") for value in row) + "\n")
        sys.stdout.flush()
        return
    table = Table(*columns, title=title, title_justify="left")
    for row in texts:
        table.add_row(*(value.replace("[", r"\[") for value in row))
    OUT.print(table, soft_wrap=False)
