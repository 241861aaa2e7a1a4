"""What the engine does otherwise than the language says, each by its smallest example.

A line that fails here is good news: the engine does it now. Then the example goes, and with it its entry in
`model.TODAY` (the model stops doing as the engine did) or in `generator.AVOIDED` (it is drawn again).
"""

from datetime import UTC, datetime, time, timedelta

import pytest

from libs.domain.scenario.model import Window
from libs.domain.scenario.times import next_open
from tests.reference.case import Arrival, Case, Json
from tests.reference.compare import Players
from tests.reference.generator import AVOIDED
from tests.reference.model import TODAY

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
SEND: list[Json] = [{"send": "m"}]


def told(hours: float, type: str, *, late: float = 0, **data: object) -> Arrival:
    """An event so many hours after Monday began, told so many hours late."""
    time = MONDAY + timedelta(hours=hours)
    return Arrival(time + timedelta(hours=late), type, time, f"{type} {hours}", dict(data))


def scenario(trigger: Json, steps: list[Json] = SEND, **more: object) -> Json:
    return {"kurant": 1, "id": "s", "name": "s", "purpose": "marketing", "trigger": trigger, "steps": steps} | more


PLANNED = scenario({"date": "event.order.planned"}, key="event.order.id")
SILENT = scenario({"inactive": {"events": ["custom.a"], "for": "5d"}})
EXAMPLES: dict[str, tuple[Json, list[Arrival]]] = {
    # the third is an hour after the first, and enters
    "again": (
        scenario({"event": "custom.a"}, again={"after": "3h"}),
        [told(1, "custom.a"), told(20, "custom.a"), told(2, "custom.a", late=20)],
    ),
    # one message is asked for twice under one id: dispatch has it once, and the audit is one short for ever
    "asked twice": (
        scenario({"event": "custom.a"}, [{"send": "m"}, {"wait": "9h"}]),
        [told(10, "custom.a"), told(9, "custom.a", late=2)],
    ),
    # put off to Sunday, then the zone changes: it goes out on Monday, and too late to be sent
    "window and zone": (
        scenario({"event": "custom.a"}, [{"send": "m", "late": "6h"}], window={"days": ["sun"]}),
        [told(10, "custom.a"), told(20, "profile.updated", timezone="Asia/Kolkata")],
    ),
    # news of before moves the end of the silence, and nobody looks: told a day late
    "first seen": (SILENT, [told(24, "custom.b"), told(0, "custom.b", late=30)]),
    # the event by which one enters is another than the one that told the date, without what that one told
    "order.known": (
        PLANNED,
        [
            told(1, "order.placed", order={"id": "o", "planned": "2026-03-09"}, note="call"),
            told(2, "profile.updated", timezone="Asia/Kolkata"),
        ],
    ),
    # the first was none when it came, and is counted when the second is one
    "nth and state": (
        scenario({"event": "custom.a", "nth": 2, "where": {"profile.level": 2}}),
        [told(1, "custom.a"), told(2, "profile.updated", level=2), told(3, "custom.a")],
    ),
}


def test_every_one_has_its_example() -> None:
    assert EXAMPLES.keys() == TODAY | AVOIDED.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_engine_still_does_otherwise(name: str) -> None:
    made, arrivals = EXAMPLES[name]
    case = Case(0, "UTC", [made], arrivals, MONDAY + timedelta(days=30))
    assert Players([made]).difference(case, TODAY - {name}), f"{name}: as the language says; see above what to do"


def test_a_cancelled_order_is_reminded_of_again_when_the_zone_changes() -> None:
    """Another face of `order.known`: the newest news of the order is taken for what told the date."""
    made = PLANNED | {"exit": [{"event": "order.cancelled", "where": {"event.order.id": {"eq": "key"}}}]}
    arrivals = [
        told(1, "order.placed", order={"id": "o", "planned": "2026-03-09"}),
        told(2, "order.cancelled", order={"id": "o"}),
        told(3, "order.status_changed", order={"id": "o", "status": "refunded"}),
        told(4, "profile.updated", timezone="Asia/Kolkata"),
    ]
    engine, _ = Players([made]).engine(Case(0, "UTC", [made], arrivals, MONDAY + timedelta(days=30)))
    assert len(engine.messages) == 1


def test_a_window_that_is_jumped_over_opens_for_a_moment() -> None:
    """From 02:10 until before 02:40 there is nothing on 29 March in Warsaw; a message goes out at 03:00."""
    window = Window(opens=time(2, 10), closes=time(2, 40))
    night = datetime(2026, 3, 29, 0, tzinfo=UTC)
    assert next_open(window, night, "Europe/Warsaw") == night + timedelta(hours=1)
