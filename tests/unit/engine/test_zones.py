"""The customer's zone: where it is known from, and what a change of it moves."""

from datetime import UTC, datetime

import pytest

from tests.unit.engine.world import World, at, scenario, world_of


def zone(world: World, clock: str, name: str | None, trait: str = "timezone") -> None:
    world.tell("profile.updated", clock, **{trait: name})


NINE = scenario("{event: custom.go}", '  - wait: {until: "09:00"}\n  - send: morning\n')


def test_the_profile_says_it_else_a_hint_else_the_shop() -> None:
    world = World()
    assert world.turn(at("10:00")).zone_with_origin() == ("UTC", "shop")
    world.registry.set_zone("demo", "Europe/Berlin")
    assert world.turn(at("10:00")).zone_with_origin() == ("Europe/Berlin", "shop")
    world.tell("cart.updated", "10:00", timezone_hint="Europe/Warsaw")
    assert world.turn(at("10:00")).zone_with_origin() == ("Europe/Warsaw", "hint")
    zone(world, "11:00", "Asia/Tokyo")
    assert world.turn(at("10:00")).zone_with_origin() == ("Asia/Tokyo", "profile")
    zone(world, "12:00", "Nowhere/None")
    assert world.turn(at("10:00")).zone_with_origin() == ("Europe/Warsaw", "hint")


def test_a_changed_zone_moves_a_local_wait_and_no_other() -> None:
    world = world_of(NINE, scenario("{event: custom.go}", "  - wait: 3h\n  - send: later\n", id="t"))
    world.tell("custom.go", "10:00")
    assert world.due == [at("13:00"), at("33:00")]
    zone(world, "10:30", "America/New_York")
    assert world.due == [at("13:00"), at("14:00")]
    zone(world, "10:40", "America/New_York")
    assert world.end() == [("later", at("13:00")), ("morning", at("14:00"))]
    assert world.balanced()
    assert ("steps/0", "moved") in world.verdicts(0)


def test_a_hint_that_comes_with_any_event_moves_it_too() -> None:
    world = world_of(NINE)
    world.tell("custom.go", "10:00")
    world.tell("product.viewed", "10:10", timezone_hint="America/New_York")
    assert world.due == [at("14:00")]


def test_a_zone_in_which_the_hour_is_past_already_lets_it_go_on_at_once() -> None:
    world = world_of(NINE)
    zone(world, "06:00", "America/New_York")
    world.tell("custom.go", "06:30")  # waits for 14:00 UTC
    zone(world, "10:00", "Europe/Warsaw")  # 09:00 was 08:00 UTC
    assert world.names == ["morning"]
    assert world.requests[0].due_at == at("08:00")


def test_an_older_zone_that_comes_late_moves_nothing() -> None:
    world = world_of(NINE)
    zone(world, "06:00", "Europe/Warsaw")
    world.tell("custom.go", "10:00")
    world.tell("profile.updated", "05:00", timezone="America/New_York", now=at("11:00"))
    assert world.due == [at("32:00")]


def test_a_window_moves_as_well() -> None:
    window = 'window: {between: ["09:00", "20:00"]}'
    world = world_of(scenario("{event: custom.go}", "  - send: it\n", more=window))
    world.tell("custom.go", "21:00")
    assert world.due == [at("33:00")]
    zone(world, "21:10", "America/New_York")  # it is ten past four there
    assert world.names == ["it"]
    assert world.balanced()


def test_a_date_in_an_order_moves_the_wait_for_it() -> None:
    world = world_of(
        scenario(
            "{event: order.placed}",
            "  - wait: {until: order.planned_delivery, before: 1d}\n  - send: tomorrow\n",
            more="key: event.order.id",
        )
    )
    world.tell("order.placed", "10:00", order={"id": "o", "planned_delivery": "2026-03-10"})
    world.tell("order.placed", "10:00", order={"id": "p", "planned_delivery": "2026-03-20"}, id="p")
    world.tell("order.status_changed", "12:00", order={"id": "o", "planned_delivery": "2026-03-15"})
    assert world.due == [datetime(2026, 3, 14, tzinfo=UTC), datetime(2026, 3, 19, tzinfo=UTC)]
    assert world.balanced()


@pytest.mark.parametrize(
    ("zone_name", "go", "expected"),
    [
        # 02:30 does not exist on 29 March 2026: the next that does is 03:00 summer time
        ("Europe/Warsaw", datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC)),
        # 02:30 comes twice on 25 October 2026: the first is used
        ("Europe/Warsaw", datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        # between the two the wait is for the next day
        ("Europe/Warsaw", datetime(2026, 10, 25, 0, 45, tzinfo=UTC), datetime(2026, 10, 26, 1, 30, tzinfo=UTC)),
    ],
)
def test_the_hour_that_is_missing_and_the_hour_that_comes_twice(
    zone_name: str, go: datetime, expected: datetime
) -> None:
    world = world_of(NINE.replace("09:00", "02:30"))
    world.profile.traits["timezone"] = zone_name
    world.tell("custom.go", go)
    assert world.due == [expected]


def test_conditions_compare_times_in_the_zone() -> None:
    world = world_of(scenario('{event: custom.go, where: {event.day: {lte: "2026-03-02"}}}', "  - send: it\n"))
    zone(world, "10:00", "Pacific/Auckland")
    world.tell("custom.go", "10:10", day="2026-03-02T12:00:00Z")  # there it is the 3rd
    assert world.names == []
    zone(world, "10:20", "America/New_York")
    world.tell("custom.go", "10:30", day="2026-03-03T04:00:00Z")  # there it is still the 2nd
    assert world.names == ["it"]
