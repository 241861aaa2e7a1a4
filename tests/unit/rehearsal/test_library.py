"""Every test of every scenario that comes with Kurant; and that those tests notice when a scenario is broken."""

from pathlib import Path

import pytest

from cli.rehearse import canonical, found
from cli.scenario import read_bundle
from libs.domain.rehearsal.read import read_test
from libs.domain.rehearsal.rehearse import Outcome, rehearse
from libs.domain.rehearsal.stage import Stage, prepare
from libs.domain.scenario.source import ScenarioError

LIBRARY = Path(__file__).resolve().parents[3] / "scenarios"
FOLDERS = sorted(file.parent for file in LIBRARY.glob("*/scenario.yaml"))
TESTS = list(found([LIBRARY]))
PREPARED = {folder.name: prepare(read_bundle(folder)) for folder in FOLDERS}


def play(file: Path, stage: Stage | None = None) -> Outcome:
    test = read_test(file.read_text(), file.name, canonical)
    beside = [PREPARED[id] for id in test.beside]
    return rehearse(stage or Stage(PREPARED[file.parent.parent.name], *beside), test)


@pytest.mark.parametrize(("folder", "file"), TESTS, ids=[f"{folder.name}/{file.stem}" for folder, file in TESTS])
def test_it_holds(folder: Path, file: Path) -> None:
    outcome = play(file)
    assert outcome.ok, "\n".join([*(one.message for one in outcome.findings()), *outcome.text()])


def test_the_example_of_the_documentation_is_one_of_them() -> None:
    text = (LIBRARY.parent / "docs" / "scenarios.md").read_text()
    example = text.split("## Tests")[1].split("```yaml\n")[1].split("```")[0]
    assert example == (LIBRARY / "abandoned-cart" / "tests" / "bought-in-the-shop.yaml").read_text()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_scenario_is_tested(folder: Path) -> None:
    """Its way to the end, and its silence."""
    texts = [file.read_text() for where, file in TESTS if where == folder]
    assert any("sent:" in text for text in texts)
    assert any("nothing_more" in text or "nothing_until" in text for text in texts)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("- wait: 1h", "- wait: 61m"),
        ("- wait: 23h", "- wait: 24h"),
        ("- wait: 48h", "- wait: 2d 1h"),
        ("gte: 50", "gt: 50"),
        ("gte: 50", "gte: 40"),
        ("restart: true", "restart: false"),
        ("key: event.cart.id", "key: event.cart.value"),
        ("  - event: order.placed\n", ""),
        ("  - event: order.paid\n", ""),
        ("    where: {event.cart.id: {eq: key}}\n", ""),
        ("late: 6h", "late: 24h"),
        ("send: second", "send: first"),
        ("purpose: marketing", "purpose: transactional"),
        ("purpose: marketing", "purpose: surveys"),
    ],
)
def test_the_tests_of_the_abandoned_cart_notice_every_change_that_matters(was: str, now: str) -> None:
    files = read_bundle(LIBRARY / "abandoned-cart")
    assert was in files["scenario.yaml"]
    try:
        broken = Stage(prepare(files | {"scenario.yaml": files["scenario.yaml"].replace(was, now)}))
    except ScenarioError:
        return
    own = [file for folder, file in TESTS if folder.name == "abandoned-cart"]
    assert not all(play(file, broken).ok for file in own)
