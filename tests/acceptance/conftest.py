"""One platform for the whole of this folder, three days of it in a minute and a half; its tests run in the order below.

What takes platform time is set in motion first (`stories`), other tests fill the time, then it is looked at.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance import calm, shelf
from tests.acceptance import stories as told
from tests.support.running import Running, free_base

SPEED = 2880.0
"""Three days in a minute and a half: what a scenario calls too late is seconds, on a busy machine with two cores."""
SHOPS = """\
shops:
  demo: {name: Demo shop, url: "https://demo.example"}
  calm: {name: Calm shop, caps: [{channel: email, most: 1, per: 1d}]}
"""
SCENARIOS = Path(__file__).with_name("scenarios")
ORDER = (
    *("clients", "cli", "doors", "tenancy", "audit", "traces", "hostile", "path", "products", "caps", "restart"),
    *("privacy", "end"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The modules of this folder in `ORDER`, all others where they are."""
    ours = [item for item in items if item.path.parent == SCENARIOS.parent]
    places = [place for place, item in enumerate(items) if item in ours]
    ours.sort(key=lambda item: ORDER.index(item.path.stem.removeprefix("test_")))
    for place, item in zip(places, ours, strict=True):
        items[place] = item


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`kurant up` with the project's own scenarios and those of this folder."""
    running = Running(tmp_path_factory.mktemp("acceptance") / "data", free_base(), SPEED)
    running.data.mkdir()
    (running.data / "shops.yaml").write_text(SHOPS)
    try:
        running.start()
        published = running.cli("scenario", "publish", str(SCENARIOS), "--json")
        assert published.code == 0, published
        told.await_scenarios(running, [row["id"] for row in published.json])
        yield running
    finally:
        running.kill()


@pytest.fixture(scope="session", autouse=True)
def begun(platform: Running) -> told.Stories:
    """The stories, set in motion."""
    shelf.begin(platform)
    return told.begin(platform)


@pytest.fixture(scope="session", autouse=True)
def sale(platform: Running) -> calm.Sale:
    """What a frequency cap makes of three messages at one moment, set in motion."""
    return calm.begin(platform)


@pytest.fixture(scope="session")
def stories(platform: Running, begun: told.Stories) -> told.Stories:
    """The stories, when all their waits are over."""
    return told.finish(platform, begun)
