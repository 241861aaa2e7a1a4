"""What a run has asked for and what has not gone out is taken back when the customer leaves, or the run begins anew."""

from datetime import timedelta

from libs.domain.engine import merge
from tests.unit.engine.world import World, at, scenario, world_of

CART = scenario(
    "{event: cart.updated}",
    "  - wait: 1h\n  - send: first\n  - wait: 1d\n  - send: second\n",
    more="key: event.cart.id\nrestart: true\nexit: [{event: order.placed}]",
)
ONLY = CART.replace("  - wait: 1d\n  - send: second\n", "")


def taken(world: World) -> list[tuple[str, str]]:
    """Which messages were taken back, by name, and why."""
    names = {one.message: one.name for one in world.requests}
    return [(names[one.message], one.because) for one in world.cancelled]


def test_a_purchase_takes_back_what_was_put_off() -> None:
    world = world_of(CART)
    world.cart("10:00")
    world.run(at("11:00"))
    world.deliver("first", at("11:00"), "deferred", until=at("20:00"))
    world.order("12:00")
    assert taken(world) == [("first", "exit")]
    world.deliver("first", at("12:00"), "suppressed")
    world.tell("order.placed", "13:00", order={"id": "o-2"})
    assert len(taken(world)) == 1
    assert world.verdicts() == [("steps/0", "woken"), ("steps/1", "suppressed"), ("steps/2", "cancelled")]


def test_a_run_that_has_taken_all_its_steps_can_still_be_left() -> None:
    world = world_of(ONLY)
    world.cart("10:00")
    world.run(at("11:00"))
    assert world.profile.enrolments[0].because == "completed"
    world.order("10:30", now="11:01")
    assert taken(world) == [("first", "exit")]
    assert world.profile.enrolments[0].because == "completed"


def test_what_has_ended_is_not_taken_back() -> None:
    for status in ("sent", "suppressed", "failed", "expired", "unknown"):
        world = world_of(CART)
        world.cart("10:00")
        world.run(at("11:00"))
        world.deliver("first", at("11:00"), status)
        world.order("12:00")
        assert taken(world) == []


def test_a_purchase_of_before_the_cart_takes_nothing_back() -> None:
    world = world_of(ONLY)
    world.cart("10:00")
    world.run(at("11:00"))
    world.order("09:00", now="12:00")
    assert taken(world) == []


def test_a_cart_that_changes_takes_back_the_mail_about_the_old_one() -> None:
    world = world_of(CART)
    world.cart("10:00")
    world.run(at("11:00"))
    world.cart("11:05")
    assert taken(world) == [("first", "restart")]
    world.run(at("12:05"))
    world.deliver("first", at("12:05"), "deferred", until=at("20:00"))
    world.order("12:10")
    assert [because for _, because in taken(world)] == ["restart", "exit"]
    assert len({one.message for one in world.cancelled}) == 2


def test_a_cart_that_changes_after_the_last_step_does_so_too_and_no_other_cart() -> None:
    world = world_of(ONLY)
    world.cart("10:00", id="a")
    world.cart("10:10", id="b")
    world.run(at("11:20"))
    world.cart("11:25", id="a")
    assert [one.message for one in world.cancelled] == [world.requests[0].message]
    world.cart("10:30", id="b", now="11:30")
    assert len(world.cancelled) == 2


def test_without_restart_another_trigger_takes_nothing_back() -> None:
    world = world_of(ONLY.replace("restart: true", "restart: false"))
    world.cart("10:00")
    world.run(at("11:00"))
    world.cart("11:05")
    assert taken(world) == []


def test_a_call_of_a_web_address_is_not_taken_back() -> None:
    """It tells another system what was so, and it was so."""
    hook = "  - webhook: {url: 'https://crm.example/x', name: crm}\n"
    world = world_of(scenario("{event: cart.updated}", hook + "  - wait: 1d\n", more="exit: [{event: order.placed}]"))
    world.cart("10:00")
    world.order("12:00")
    assert len(world.requests) == 1
    assert world.cancelled == []


def test_a_merge_takes_back_what_the_other_ones_purchase_had_ended() -> None:
    world = world_of(ONLY)
    world.cart("10:00")
    world.run(at("11:00"))
    other = World(registry=world.registry, id="22222222-2222-5222-8222-222222222222")
    other.order("10:40")
    leaving = world.turn(at("11:01"))
    handed = merge.hand_over(leaving, other.id)
    taking = other.turn(at("11:01"))
    merge.absorb(taking, handed)
    other.absorb(taking)
    assert [one.because for one in other.cancelled] == ["exit"]


def test_of_a_run_long_over_nothing_is_remembered() -> None:
    world = world_of(ONLY)
    world.cart("10:00")
    world.run(at("11:00"))
    world.deliver("first", at("11:00") + timedelta(seconds=1))
    assert world.profile.enrolments[0].out == []
