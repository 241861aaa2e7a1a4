"""What a profile learns of RFM, and what starts nothing."""

from typing import Any

from tests.unit.engine.world import World, at, scenario, world_of

ANY = scenario("{rfm: {to: [loyal, lost]}}", "  - send: hello\n", id="any")
PLAIN = scenario("{event: rfm.changed}", "  - send: plain\n", id="plain")
UNTIL = scenario(
    "{event: custom.go}", "  - wait: 3h\n  - send: later\n", id="until", more="exit: [{event: rfm.changed}]"
)


def told(world: World, clock: str, before: str | None, after: str | None, r: int = 3, **more: Any) -> None:
    world.tell("rfm.changed", clock, **{"from": before, "to": after, "scores": {"r": r, "f": 1, "m": 1}}, **more)


def known(world: World) -> dict[str, Any]:
    assert world.profile.rfm is not None
    return world.profile.rfm.data


def test_a_quiet_one_only_teaches() -> None:
    world = world_of(ANY, PLAIN, UNTIL)
    world.tell("custom.go", "08:00")
    told(world, "09:00", None, "loyal", quiet=True)
    assert known(world)["segment"] == "loyal"
    assert world.names == []
    assert "rfm.changed" not in world.profile.tracks
    told(world, "10:00", "loyal", "lost")
    assert sorted(world.names) == ["hello", "plain"]
    world.end()
    assert "later" not in world.names, "a real change is an exit"


def test_a_quiet_one_ends_nothing() -> None:
    world = world_of(UNTIL)
    world.tell("custom.go", "08:00")
    told(world, "09:00", None, "loyal", quiet=True)
    world.end()
    assert world.names == ["later"]


def test_other_scores_in_the_same_segment_keep_since_and_previous() -> None:
    world = world_of()
    told(world, "09:00", "new", "loyal")
    told(world, "10:00", "loyal", "loyal", r=5, quiet=True)
    assert known(world) == {
        "r": 5,
        "f": 1,
        "m": 1,
        "segment": "loyal",
        "previous": "new",
        "since": at("09:00").isoformat(),
    }
    told(world, "09:30", "new", "lost", r=1)
    assert known(world)["r"] == 5, "older news"


def test_a_quiet_one_of_a_segment_not_known_yet() -> None:
    world = world_of()
    told(world, "09:00", "loyal", "loyal", quiet=True)
    assert (known(world)["segment"], known(world)["previous"]) == ("loyal", "loyal")
