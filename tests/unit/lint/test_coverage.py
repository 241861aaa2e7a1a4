"""docs/coverage.md speaks of every row it must, and of nothing that is not there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "coverage.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip()[1:-1].split("|")]
    for line in PAGE.splitlines()
    if re.match(r"\| [BCD]\d", line)
]
WANTED = [*(f"B{n}" for n in range(1, 20)), *(f"C{n}" for n in (*range(1, 14), 15, 16)), "D1", "D3", "D4", "D5"]
QUOTED = re.compile(r"`([^`]+)`")


def names(cell: str) -> list[str]:
    return [name for name in QUOTED.findall(cell) if " " not in name and "{" not in name and "*" not in name]


def test_every_row_is_there_once() -> None:
    assert [row[0].split()[0] for row in ROWS] == WANTED


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].split()[0])
def test_what_it_names_exists(row: list[str]) -> None:
    for name in names(row[1]):
        assert (ROOT / "scenarios" / name).is_dir(), name
    file, folder = Path(), Path()
    for name in names(row[2]):
        if name.startswith("tests/"):
            path, _, test = name.partition("::")
            file = ROOT / path
            assert file.exists(), name
            assert not test or f"def {test}(" in file.read_text(), name
        elif name.endswith(".yaml"):
            folder = (ROOT / "scenarios" / name).parent if "/" in name else folder
            assert (folder / name.rpartition("/")[2]).is_file(), name
        elif name.startswith("test_"):
            assert f"def {name}(" in file.read_text(), name
    assert names(row[2])
