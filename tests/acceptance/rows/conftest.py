"""A platform for the rows of docs/coverage.md: the whole library is published, every story begins at once.

It is slower than the platform of the folder above (ten seconds are an hour): what a scenario counts as too late, two
hours and more, is time enough for a busy machine. What takes weeks begins in the past.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.local.process import ROOT
from tests.acceptance.rows import business, logic, orders, people, several, telling
from tests.acceptance.stories import await_scenarios
from tests.support.running import Running, command, free_base

SPEED = 360.0
START = "2026-03-03T00:00:00Z"
"""A Tuesday: `win-back-at-risk` writes from Tuesday to Thursday, and no clock changes for weeks."""
HERE = Path(__file__).parent
LIBRARY = ROOT / "scenarios" / "library"
OURS = {
    "our-welcome": ("welcome", {}),
    "our-follow-up": ("opened-not-clicked", {"within: 2d": "within: 2h"}),
    "our-second-subject": ("not-opened-second-subject", {"within: 3d": "within: 2h"}),
}
"""Scenarios that are begun with one of the library, and what is changed in them."""
STORIES = (*orders.STORIES, *people.STORIES, *business.STORIES, *logic.STORIES, *several.STORIES)


@pytest.fixture(scope="session")
def begun() -> None:
    """The stories of the folder above are not wanted here, nor is their platform."""


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the scenarios lie that were made of those of the library."""
    return tmp_path_factory.mktemp("rows")


@pytest.fixture(scope="package")
def rows(folder: Path) -> Iterator[Running]:
    """`kurant up` with the project's own scenarios, the library, and those of this folder."""
    running = Running(folder / "data", free_base(), SPEED, begins=START)
    try:
        running.start()
        publish(running, folder / "ours")
        yield running
    finally:
        running.kill()


def publish(platform: Running, ours: Path) -> None:
    """Segments first, then the library, then what is ours."""
    for id, (origin, changes) in OURS.items():
        made = command("scenario", "new", "--from", origin, "--id", id, str(ours / id))
        assert made.code == 0, made
        file = ours / id / "scenario.yaml"
        text = file.read_text()
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        file.write_text(text)
    ids: list[str] = []
    for kind, *paths in (("segment", HERE / "segments"), ("scenario", LIBRARY, HERE / "scenarios", ours)):
        done = platform.cli(str(kind), "publish", *map(str, paths), "--json")
        assert done.code == 0, done
        ids += [row["id"] for row in done.json if kind == "scenario"]
    await_scenarios(platform, ids)


@pytest.fixture(scope="package")
def told(rows: Running, folder: Path) -> telling.Told:
    """Everything has happened, and it is half past one."""
    told = telling.begin(rows, STORIES)
    several.begin(told, HERE / "scenarios", folder)
    return telling.finish(told, STORIES)
