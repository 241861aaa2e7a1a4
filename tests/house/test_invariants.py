"""docs/invariants.md tells the truth: every test and file it names is there, and no invariant is without."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "invariants.md").read_text()
SECTIONS = re.split(r"^## (I\d+)\. ", TEXT, flags=re.MULTILINE)[1:]


def test_every_invariant_has_its_section() -> None:
    assert SECTIONS[::2] == [f"I{number}" for number in range(1, 11)]


@pytest.mark.parametrize(("name", "section"), list(zip(SECTIONS[::2], SECTIONS[1::2], strict=True)))
def test_every_invariant_was_broken_and_missed(name: str, section: str) -> None:
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    assert rows, f"{name} was never broken on purpose"
    for row in rows:
        assert len(row) == 3
        assert re.search(r"`(libs|services)/[a-z_/]+\.py`", row[1]), row
        assert "::test_" in row[2], row


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`([a-z]+/[\w./]+\.py(?:::\w+)?)`", TEXT))))
def test_what_is_named_is_there(named: str) -> None:
    file, _, test = named.partition("::")
    tree = ast.parse((ROOT / file).read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert not test or test in functions
