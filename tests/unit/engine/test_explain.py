"""What `explain` says: of those that entered, of those that wait, of those that never will."""

from datetime import timedelta

from libs.domain.engine.explain import explain
from tests.unit.engine.world import MONDAY, World, at, scenario, world_of

CART = scenario(
    "{event: cart.updated, where: {all: [{event.cart.value: {gte: 50}}, {profile.city: Łódź}]}}",
    """
  - wait: 1h
  - send: first
  - wait: 1h
  - send: second
    if: {cart.value: {gte: 1000}}
  - send: third
""",
    more='key: event.cart.id\nrestart: true\nexit: [{event: order.placed}]\nwindow: {between: ["09:00", "20:00"]}',
)


def steps(world: World, place: int = -1) -> list[tuple[str, str, str | None]]:
    row = world.explain("s")["enrolments"][place]
    return [(one["step"], one["verdict"], one["because"]) for one in row["steps"]]


def test_one_that_never_came() -> None:
    world = world_of(CART)
    row = world.explain("s")
    assert (row["entered"], row["because"], row["conditions"]) == (False, "no cart.updated has been seen", [])


def test_every_condition_with_what_was_found() -> None:
    world = world_of(CART)
    world.cart("10:00", value="49.99")
    row = world.explain("s")
    assert (row["entered"], row["because"]) == (False, "conditions not met")
    assert row["conditions"] == [
        {"path": "event.cart.value", "found": "49.99", "verdict": False},
        {"path": "profile.city", "found": None, "verdict": False},
    ]


def test_each_step_with_when_and_why() -> None:
    world = world_of(CART)
    world.tell("profile.updated", "09:00", city="Łódź")
    world.cart("18:30")
    assert steps(world) == [("steps/0", "waiting", None)]
    world.run(at("19:30"))
    world.deliver("first", at("19:31"), "deferred", until=at("19:45"))
    assert steps(world)[1] == ("steps/1", "deferred", "later until 2026-03-02T19:45:00+00:00")
    world.deliver("first", at("19:46"))
    world.deliver("first", at("19:47"), "delivered")
    world.deliver("first", at("19:46"))
    world.run(at("21:00"))
    assert steps(world) == [
        ("steps/0", "woken", None),
        ("steps/1", "delivered", None),
        ("steps/2", "woken", None),
        ("steps/3", "skipped", "if"),
        ("steps/4", "deferred", "window until 2026-03-03T09:00:00+00:00"),
        ("steps/4", "waiting", None),
    ]
    world.order("22:00")
    assert steps(world)[-1] == ("steps/4", "cancelled", None)
    row = world.explain("s")["enrolments"][0]
    assert (row["state"], row["because"], row["ended_at"]) == ("ended", "order.placed", at("22:00").isoformat())


def test_an_enrolment_that_the_document_has_let_go_of_is_still_told() -> None:
    world = world_of(scenario("{event: custom.go}", "  - send: it\n"))
    for n in range(30):
        world.tell("custom.go", MONDAY + timedelta(minutes=n))
    assert len(world.profile.enrolments) == 20
    assert len(world.gone) == 10
    assert len(world.explain("s")["enrolments"]) == 30
    assert world.explain("s")["enrolments"][0]["entered_at"] == MONDAY.isoformat()


def test_a_trace_is_bounded_and_keeps_what_came_to_something() -> None:
    world = world_of(CART)
    world.tell("profile.updated", "09:00", city="Łódź")
    world.cart("10:00")
    world.run(at("11:00"))
    for n in range(300):
        world.event("cart.updated", at("11:01") + timedelta(seconds=n), {"cart": {"id": "c-1", "value": "60"}})
    assert len(world.profile.enrolments[0].steps) <= 101
    assert ("steps/1", "requested", None) in steps(world)


def test_the_zone_and_who_says_so() -> None:
    world = world_of(CART)
    world.tell("product.viewed", "10:00", timezone_hint="Europe/Warsaw")
    found = explain(world.turn(at("10:00")), None)
    assert (found["zone"], found["zone_from"]) == ("Europe/Warsaw", "hint")


def test_how_many_times_it_has_happened_is_told_with_the_verdict() -> None:
    world = world_of(
        scenario("{event: custom.go, where: {happened: {event: order.placed, times: {gte: 3}}}}", "  - send: it\n")
    )
    world.order("10:00")
    world.tell("custom.go", "11:00")
    assert world.explain("s")["conditions"] == [{"path": "happened(order.placed)", "found": 1, "verdict": False}]


def test_one_that_is_archived_says_so() -> None:
    world = world_of(CART)
    world.publish(CART, state="archived")
    assert world.explain("s")["because"] == "archived"
    world.cart("10:00")
    row = world.explain("s")
    assert (row["state"], row["entered"], row["because"]) == ("archived", False, "archived")


def test_one_that_is_archived_says_so_also_when_others_wait_for_the_same() -> None:
    other = scenario("{event: custom.go}", "  - send: it\n", id="other")
    archived = scenario("{event: custom.go, where: {event.n: {gte: 5}}}", "  - send: it\n")
    world = world_of(archived, other)
    world.publish(archived, state="archived")
    world.tell("custom.go", "10:00", n=7)
    assert world.explain("s")["because"] == "archived"


def test_what_was_found_before_it_was_archived_stays() -> None:
    world = world_of(CART)
    world.cart("10:00", value="49.99")
    world.publish(CART, state="archived")
    row = world.explain("s")
    assert (row["because"], row["judged_at"]) == ("conditions not met", at("10:00").isoformat())
    assert [one["verdict"] for one in row["conditions"]] == [False, False]


def test_a_date_that_an_archived_scenario_awaited_is_awaited_no_more() -> None:
    birthday = scenario("{date: profile.birthday, every: year}", "  - send: it\n")
    world = world_of(birthday)
    world.tell("profile.updated", "09:00", birthday="1990-03-09")
    assert world.explain("s")["because"].startswith("awaits 2026-03-09")
    world.publish(birthday, state="archived")
    row = world.explain("s")
    assert (row["because"], row["watch"]) == ("archived", [])
