"""docs/coverage.md names tests and stories that are there, and each story is named by its rows."""

import re
from pathlib import Path

import pytest

from tests.acceptance.rows.conftest import STORIES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "coverage.md").read_text()
ROWS = {found[1]: found[0] for found in re.finditer(r"^\| ([BCD]\d+) .*$", PAGE, re.MULTILINE)}
NAMED = re.compile(r"`(?:(?P<file>tests/[\w/]+\.py)::)?(?P<test>test_\w+)`|`(?P<other>tests/[\w/]+\.py)`")


@pytest.mark.parametrize("row", ROWS)
def test_every_test_is_there(row: str) -> None:
    """One without a file is in the file that was named last."""
    text = ""
    for found in NAMED.finditer(ROWS[row]):
        named = found["file"] or found["other"]
        text = (ROOT / named).read_text() if named else text
        assert found["test"] is None or re.search(rf"def {found['test']}\(", text), found[0]


@pytest.mark.parametrize("row", ROWS)
def test_every_story_is_named_by_its_rows_and_no_other(row: str) -> None:
    told = re.search(r"stories ((?:`[a-z0-9-]+`(?:, )?)+)", ROWS[row])
    named = re.findall(r"`([^`]+)`", told[1]) if told else []
    assert named == [story.name for story in STORIES if row in story.row.split()]


def test_every_story_has_a_row_and_a_customer_of_its_own() -> None:
    names = [story.name for story in STORIES]
    assert len(names) == len(set(names))
    assert all(row in ROWS for story in STORIES for row in story.row.split())
