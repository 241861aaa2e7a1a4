"""Segments that ask for scores: who enters by computing alone does so without a reaction."""

from typing import Any

from libs.domain.engine.state import Happened
from tests.unit.engine.world import MONDAY, World, at, scenario, world_of


def world_with(condition: str, *texts: str) -> World:
    made = world_of(*texts)
    made.segment(condition)
    return made


def inside(world: World) -> bool:
    return "vip" in world.turn(MONDAY).scope(Happened("", MONDAY, ""), None)["profile"]["segments"]


def scores(world: World, clock: str, before: str | None, after: str, r: int, **more: Any) -> None:
    world.tell("rfm.changed", clock, **{"from": before, "to": after, "scores": {"r": r, "f": 1, "m": 1}}, **more)


HELLO = scenario("{segment: {enters: vip}}", "  - send: hello\n", id="hello")


def test_scores_that_came_of_computing_let_in_and_nobody_reacts() -> None:
    world = world_with("{rfm.segment: loyal}", HELLO)
    world.tell("custom.first", "09:00")
    scores(world, "10:00", None, "loyal", 4, quiet=True)
    assert (inside(world), world.moves(), world.names) == (True, [("+vip", at("10:00"))], [])
    scores(world, "11:00", "loyal", "lost", 1, quiet=True)
    assert (inside(world), world.names) == (False, [])
    scores(world, "12:00", "lost", "loyal", 4)
    assert (inside(world), world.names) == (True, ["hello"])


def test_other_scores_alone_let_in_whom_they_concern() -> None:
    world = world_with("{rfm.r: {gte: 4}}", HELLO, scenario("{event: rfm.changed}", "  - send: no\n", id="no"))
    scores(world, "09:00", None, "loyal", 3, quiet=True)
    scores(world, "10:00", "loyal", "loyal", 4)
    assert (inside(world), world.names) == (True, ["hello"])
