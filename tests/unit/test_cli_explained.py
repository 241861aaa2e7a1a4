"""`kurant explain` in words: all that the answer holds is told, above all why somebody did not enter."""

from typing import Any

import pytest

from cli import explained

AT = "2026-03-02T10:00:00+00:00"
LATER = "2026-03-02T11:00:00+00:00"


def part(**more: Any) -> dict[str, Any]:
    """A row as the platform tells it of somebody who never came."""
    row = {"scenario": "s", "version": 3, "state": "live", "entered": False, "because": None, "judged_at": None}
    return row | {"conditions": [], "watch": [], "enrolments": []} | more


def told(**more: Any) -> list[str]:
    return list(explained.scenario(part(**more)))


@pytest.mark.parametrize(
    ("more", "lines"),
    [
        ({"because": "no cart.updated has been seen"}, ["  because no cart.updated has been seen"]),
        (
            {"because": "conditions not met", "judged_at": AT},
            [f"  because its conditions were not met (judged at {AT})"],
        ),
        (
            {"because": "entered before, and again: never", "judged_at": AT},
            [f"  because entered before, and again: never (judged at {AT})"],
        ),
        ({}, []),
    ],
)
def test_why_somebody_did_not_enter(more: dict[str, Any], lines: list[str]) -> None:
    assert told(**more) == ["s version 3: never entered", *lines]


@pytest.mark.parametrize(("state", "words"), [("paused", "it was paused"), ("archived", "it is archived")])
def test_a_scenario_that_takes_nobody_says_so(state: str, words: str) -> None:
    assert told(state=state, because=state, judged_at=AT) == [
        f"s version 3, {state}: never entered",
        f"  because {words} (judged at {AT})",
    ]


def test_what_is_awaited() -> None:
    due = {"key": "p-1", "version": 3, "due_at": LATER, "date": "2026-03-02", "because": None}
    over = {"key": "o-2", "version": 3, "due_at": None, "date": None, "because": "no date at event.order.date"}
    assert told(because=f"awaits {LATER}", watch=[over, due])[1:] == [
        "  o-2: awaits nothing, because no date at event.order.date",
        f"  p-1: awaits {LATER}, for 2026-03-02",
    ]


def test_conditions_with_what_was_found() -> None:
    found = [("event.cart.value", "249.00", True), ("profile.city", None, False), ("profile.tags", ["vip"], True)]
    rows = [{"path": path, "found": value, "verdict": verdict} for path, value, verdict in found]
    assert told(conditions=rows)[1:] == [
        '  event.cart.value is "249.00": met',
        "  profile.city is not known: not met",
        '  profile.tags is ["vip"]: met',
    ]


def test_a_run_with_its_version_and_each_step_with_when_and_why() -> None:
    steps = [
        {"step": "steps/0", "at": AT, "verdict": "woken", "because": None},
        {"step": "steps/1", "at": AT, "verdict": "suppressed", "because": "no_consent", "name": "first"},
        {"step": "steps/2", "at": LATER, "verdict": "waiting", "because": None},
    ]
    run = {"key": "c-1", "version": 2, "state": "ended", "entered_at": AT, "restarted": 1, "arms": {"offer": "half"}}
    run |= {"ended_at": LATER, "because": "order.placed", "steps": steps}
    assert told(entered=True, because="cart.updated", judged_at=AT, enrolments=[run]) == [
        "s version 3: entered",
        f"  by cart.updated (judged at {AT})",
        f"  enrolment c-1, version 2: ended, entered {AT}, arm half of offer, restarted 1 time,"
        f" ended {LATER} because order.placed",
        f"    {AT}  steps/0: woken",
        f"    {AT}  steps/1 first: suppressed (has never agreed to mails: no_consent)",
        f"    {LATER}  steps/2: waiting until then",
    ]


def test_one_who_entered_and_could_not_again() -> None:
    assert told(entered=True, because="paused", judged_at=AT)[1] == (
        f"  last time not, because it was paused (judged at {AT})"
    )


def test_a_segment() -> None:
    row = {"segment": "vip", "version": 1, "in": True, "since": AT, "judged_again_at": LATER}
    row["conditions"] = [{"path": "rfm.segment", "found": "champion", "verdict": True}]
    assert list(explained.segment(row)) == [
        f"segment vip version 1: in since {AT}, judged again at {LATER}",
        '  rfm.segment is "champion": met',
    ]
