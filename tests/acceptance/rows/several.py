"""B17, C10 to C12: what more than an event must happen for: RFM is computed, lots are drawn, versions are published."""

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.rows.telling import PATIENCE, Life, Story, Told
from tests.acceptance.stories import HOUR
from tests.support.running import Running
from tests.support.shop import Customer, Event

LOTS = 30
"""With three arms of the same size, one of them is empty once in 60,000 times."""
RULES = """kurant: 1
currency: PLN
every: 7d
least_customers: 1
recency: {thresholds: [30, 60, 90, 180]}
frequency: {thresholds: [2, 3, 4, 5]}
monetary: {thresholds: ["100", "300", "1000", "3000"]}
"""


def _history(life: Life, *days: int) -> list[Event]:
    """Orders so many days ago."""
    return [life.order("placed", life.at(-day, "08:00"), id=_order(life, n)) for n, day in enumerate(days)]


def _order(life: Life, number: int) -> str:
    return f"o-{life.customer.name}-{number}"


def _custom(what: str) -> Callable[[Life], list[Event]]:
    return lambda it: [it.customer.custom(what, it.now)]


STORIES = (
    Story(
        row="B17",
        name="falls-back",
        scenario="win-back-at-risk",
        happens=lambda it: _history(it, 300, 250, 200, 190, 5),
        sent=("first",),
        because="waiting",
    ),
    Story(
        row="B17",
        name="keeps-buying",
        scenario="win-back-at-risk",
        happens=lambda it: _history(it, 300, 250, 200, 190, 5),
        because=None,
    ),
    Story(
        row="B17",
        name="becomes-champion",
        scenario="champion-won",
        happens=lambda it: _history(it, 300, 250, 200, 190, 80),
        because="waiting",
    ),
    Story(row="C11", name="first-reader", scenario="edition", happens=_custom("edition"), sent=("paper",), mail="One"),
    Story(row="C11", name="second-reader", scenario="edition", happens=lambda it: [], sent=("paper",), mail="Two"),
    Story(row="C11", name="no-more-reader", scenario="closing", happens=_custom("closing"), because="archived"),
    Story(
        row="C12",
        name="registered-with-us",
        scenario="our-welcome",
        happens=lambda it: [it.does("profile.registered")],
        sent=("first",),
        because="waiting",
    ),
)


def lots() -> list[Customer]:
    """Those who draw lots."""
    return [Customer(f"lot-{number}") for number in range(LOTS)]


def begin(told: Told, scenarios: Path, folder: Path) -> None:
    """What the stories of this file need beside their events."""
    platform = told.platform
    now = platform.now().replace(microsecond=0)
    platform.tell(*(event for one in lots() for event in (one.known(now - HOUR), one.consent(now - HOUR))))
    platform.tell(*(one.custom("lots", now) for one in lots() for _ in range(2)))
    platform.settled(PATIENCE)
    _second_edition(told, scenarios, folder)
    _done("scenario", "archive", "closing", platform=platform)
    _compute(told, folder)


def _done(*arguments: str, platform: Running) -> None:
    said = platform.cli(*arguments)
    assert said.code == 0, said


def _second_edition(told: Told, scenarios: Path, folder: Path) -> None:
    """A run is under way when the next version is published, and the next customer comes."""
    shutil.copytree(scenarios / "edition", folder / "edition")
    mail = folder / "edition" / "messages" / "paper.email.html"
    text = mail.read_text()
    assert "One" in text
    mail.write_text(text.replace("One", "Two"))
    _done("scenario", "publish", str(folder / "edition"), platform=told.platform)
    reader = told.lives["second-reader"]
    told.platform.tell(reader.customer.custom("edition", told.platform.now()))


def _compute(told: Told, folder: Path) -> None:
    """RFM is known to all; then two customers give it a reason to change, and it is computed again."""
    platform = told.platform
    rules = folder / "rfm.yaml"
    rules.write_text(RULES)
    _done("rfm", "publish", str(rules), platform=platform)
    _done("rfm", "compute", "--now", "--quiet", platform=platform)
    back, best = told.lives["falls-back"], told.lives["becomes-champion"]
    now = platform.now()
    platform.tell(
        back.order("cancelled", now, id=_order(back, 4)),
        best.order("placed", now, id=_order(best, 5)),
    )
    platform.settled(PATIENCE)
    _done("rfm", "compute", "--now", platform=platform)
