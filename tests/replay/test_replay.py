"""What was decided yesterday is decided today: recorded histories lead to the same calls, messages and ends, by id."""

import difflib
from pathlib import Path

import pytest

from tests.replay.play import corpora, decide, read

MEANT = """
These decisions are not those that were recorded. If that was not meant, it is a fault: enrolments that run when this
version is installed go on by it. If it was, `python -m tests.replay.record` records those of today; git shows what
has changed, and CHANGELOG.md says why."""


@pytest.mark.parametrize("file", corpora(), ids=lambda file: file.stem)
def test_the_same_decisions(file: Path) -> None:
    texts, histories = read(file)
    changed = []
    for history in histories:
        now = decide(history, texts)
        if now != history.decisions:
            changed += [*difflib.unified_diff(history.decisions, now, history.name, "now", n=1, lineterm="")]
    assert not changed, "\n".join([*changed[:60], MEANT])


def test_there_are_histories_in_which_something_happens() -> None:
    for file in corpora():
        _, histories = read(file)
        sent = sum(" send " in line for one in histories for line in one.decisions)
        assert len(histories) >= 100
        assert sent >= len(histories) // 2
