"""The engine on virtual time: the path of the abandoned cart, and what must not change it."""

from datetime import timedelta

import pytest

from libs.domain.engine import due, merge
from libs.domain.engine.program import compile_program
from libs.domain.engine.registry import Registry
from libs.domain.engine.turn import Request
from libs.domain.scenario.parse import parse
from tests.unit.engine.world import World, at

CART = """
kurant: 1
id: cart
name: Cart
purpose: marketing
trigger: {event: cart.updated, where: {event.cart.value: {gte: 50}}}
key: event.cart.id
restart: true
exit:
  - event: order.placed
  - event: cart.cleared
    where: {event.cart.id: {eq: key}}
steps:
  - wait: 1h
  - send: first
  - wait: 23h
  - send: second
  - wait: 48h
  - send: third
"""


@pytest.fixture
def world() -> World:
    made = World()
    made.publish(CART)
    return made


ALL_THREE = [("first", at("11:00")), ("second", at("34:00")), ("third", at("82:00"))]


def test_three_messages_at_one_twenty_four_and_seventy_two_hours(world: World) -> None:
    world.cart("10:00")
    assert world.end() == ALL_THREE
    assert [e.because for e in world.profile.enrolments] == ["completed"]


def test_messages_are_timed_by_the_event_not_by_its_arrival(world: World) -> None:
    world.cart("10:00", now="10:20")
    assert world.end() == ALL_THREE


def test_a_purchase_anywhere_cancels_the_pending_step_at_once(world: World) -> None:
    world.cart("10:00")
    world.run(at("11:00"))
    world.order("12:00")
    assert world.calls == {}
    assert world.end() == [("first", at("11:00"))]
    assert world.profile.enrolments[0].because == "order.placed"
    assert world.sums["steps.scheduled"] == world.sums["steps.fired"] + world.sums["steps.cancelled"]


def test_a_changed_cart_starts_the_waits_anew(world: World) -> None:
    world.cart("10:00")
    world.cart("10:30", value="300.00")
    assert world.end() == [("first", at("11:30")), ("second", at("34:30")), ("third", at("82:30"))]
    assert world.requests[0].context["cart"]["value"] == "300.00"


def test_repeats_and_wrong_order_are_one_enrolment(world: World) -> None:
    """I3: the same event again changes nothing."""
    for clock in ("10:30", "10:00", "10:30", "10:00", "10:30"):
        world.cart(clock, now="10:40")
    assert world.end() == [("first", at("11:30")), ("second", at("34:30")), ("third", at("82:30"))]
    assert len(world.profile.enrolments) == 1


def test_a_purchase_that_arrives_before_its_cart_prevents_the_messages(world: World) -> None:
    world.order("10:40", now="10:41")
    world.cart("10:00", now="10:42")
    assert world.end() == []
    assert [(e.state, e.because) for e in world.profile.enrolments] == [("ended", "order.placed")]


def test_a_purchase_of_before_the_cart_prevents_nothing(world: World) -> None:
    world.order("09:00")
    world.cart("10:00")
    assert world.end() == ALL_THREE


def test_an_exit_older_than_the_trigger_is_none(world: World) -> None:
    world.cart("10:00")
    world.order("09:30", now="10:10")
    assert world.end() == ALL_THREE


def test_conditions_not_met_is_remembered_for_explain(world: World) -> None:
    world.cart("10:00", value="49.99")
    assert world.end() == []
    row = world.explain("cart")
    assert (row["entered"], row["because"], row["judged_at"]) == (False, "conditions not met", at("10:00").isoformat())
    assert row["conditions"] == [{"path": "event.cart.value", "found": "49.99", "verdict": False}]


def test_an_exit_with_a_condition_is_of_its_own_key(world: World) -> None:
    world.cart("10:00", id="c-1")
    world.event("cart.cleared", at("10:10"), {"cart": {"id": "c-2"}})
    assert [e.state for e in world.profile.enrolments] == ["waiting"]
    world.event("cart.cleared", at("10:20"), {"cart": {"id": "c-1"}})
    assert [e.state for e in world.profile.enrolments] == ["ended"]


def test_a_stale_or_repeated_wake_up_call_is_ignored(world: World) -> None:
    """I5: the timer is only a wake-up call."""
    world.cart("10:00")
    stale = next(iter(world.calls))
    world.cart("10:30")
    turn = world.turn(at("11:00"))
    assert not due.on_due(turn, stale)
    assert turn.messages == []
    assert world.end()[0] == ("first", at("11:30"))


def test_ids_are_the_same_whenever_it_is_decided_again() -> None:
    """I3: a replay after a crash makes the same step and message ids."""
    made = []
    for _ in range(2):
        world = World()
        world.publish(CART)
        world.cart("10:00")
        steps = list(world.calls)
        world.end()
        made.append((steps, [request.message for request in world.requests]))
    assert made[0] == made[1]


def test_a_restarted_enrolment_has_messages_of_its_own(world: World) -> None:
    world.cart("10:00")
    world.run(at("11:00"))
    world.cart("12:00")
    world.end()
    assert [name for name, _ in world.sent] == ["first", "first", "second", "third"]
    assert len({request.message for request in world.requests}) == 4


@pytest.mark.parametrize(("again", "expected"), [("always", 2), ("never", 1), ("{after: 7d}", 1), ("{after: 3d}", 2)])
def test_again(again: str, expected: int) -> None:
    world = World()
    world.publish(CART.replace("restart: true", f"again: {again}"))
    world.cart("10:00", id="c-1")
    world.order("10:10")
    world.cart("120:00", id="c-2")
    assert len(world.profile.enrolments) == expected


def test_an_earlier_trigger_that_comes_late_moves_the_start_back() -> None:
    world = World()
    world.publish(CART.replace("restart: true", "restart: false"))
    world.cart("10:30", now="10:35")
    world.cart("10:00", now="10:36")
    assert world.end() == ALL_THREE


def test_versions_do_not_change_under_an_enrolment(world: World) -> None:
    """I8: an enrolment keeps its version."""
    world.cart("10:00")
    world.publish(CART.replace("send: first", "send: other"), version=2)
    assert [name for name, _ in world.end()] == ["first", "second", "third"]
    world.cart("500:00", id="c-9")
    assert world.profile.enrolments[-1].version == 2


def test_pause_holds_and_resume_goes_on(world: World) -> None:
    world.cart("10:00")
    world.registry.set_state("demo", "cart", 1, "paused")
    world.run(at("11:30"))
    world.cart("11:31", id="c-2")
    assert world.sent == []
    assert world.profile.judged["cart"].because == "paused"
    world.registry.set_state("demo", "cart", 1, "live")
    world.run(at("11:40"))
    assert [name for name, _ in world.sent] == ["first"]
    assert world.requests[0].due_at == at("11:00")


def test_archive_ends_with_a_reason(world: World) -> None:
    world.cart("10:00")
    world.registry.set_state("demo", "cart", 1, "archived")
    assert world.end() == []
    assert world.profile.enrolments[0].because == "archived"


def test_a_branch_takes_the_side_that_holds_when_it_is_reached() -> None:
    world = World()
    world.publish("""
kurant: 1
id: branch
name: Branch
purpose: marketing
trigger: {event: cart.updated}
key: event.cart.id
restart: false
steps:
  - wait: 1h
  - if: {cart.value: {gte: 300}}
    then:
      - send: rich
      - exit
    else:
      - send: poor
  - send: both
    if: {not: {happened: {event: order.placed, since: enrolled}}}
""")
    world.cart("10:00", value="200", id="a")
    world.cart("10:10", value="200", id="b")
    world.cart("10:20", value="400", id="b")
    world.run(at("11:05"))
    assert [name for name, _ in world.sent] == ["poor", "both"]
    world.order("11:06")
    assert [name for name, _ in world.end()] == ["poor", "both", "rich"]


def test_late_is_counted_from_when_the_message_was_due() -> None:
    world = World()
    world.publish(CART.replace("- send: first", "- {send: first, late: 6h}"))
    world.cart("10:00", now="19:00")
    assert world.requests[0].due_at == at("11:00")
    assert world.requests[0].expires_at == at("17:00")


def test_a_window_puts_off_to_the_customers_morning() -> None:
    world = World()
    world.publish(CART + 'window: {between: ["09:00", "20:00"]}\n')
    world.profile.traits["timezone"] = "Europe/Warsaw"
    world.cart("20:30")
    world.run(at("30:00"))
    assert world.sent == []
    world.run(at("33:00"))
    assert world.sent == [("first", at("32:00"))]  # 09:00 in Warsaw is 08:00 UTC


def test_a_merge_takes_the_enrolment_along_and_sees_the_other_ones_purchase(world: World) -> None:
    world.cart("10:00")
    other = World(registry=world.registry, id="22222222-2222-5222-8222-222222222222")
    other.order("10:40")
    leaving = world.turn(at("10:50"))
    handed = merge.hand_over(leaving, other.id)
    world.absorb(leaving)
    assert world.calls == {}
    assert world.profile.into == other.id
    taking = other.turn(at("10:50"))
    merge.absorb(taking, handed)
    other.absorb(taking)
    assert [e.because for e in other.profile.enrolments] == ["order.placed"]
    assert other.end() == []


def test_a_merged_enrolment_goes_on_where_it_stood(world: World) -> None:
    world.cart("10:00")
    other = World(registry=world.registry, id="22222222-2222-5222-8222-222222222222")
    leaving = world.turn(at("10:50"))
    handed = merge.hand_over(leaving, other.id)
    taking = other.turn(at("10:50"))
    merge.absorb(taking, handed)
    other.absorb(taking)
    assert other.end() == ALL_THREE


def test_the_event_that_enters_is_no_exit_of_its_own_and_the_next_one_is() -> None:
    world = World()
    world.publish(
        "kurant: 1\nid: price\nname: p\npurpose: marketing\ntrigger: {event: product.price_changed}\n"
        "exit: [{event: product.price_changed}]\nsteps: [{wait: 1h}, {send: cheaper}]\n"
    )
    world.event("product.price_changed", at("10:00"), {"price": "5"})
    world.run(at("12:00"))
    assert world.sent == [("cheaper", at("11:00"))]
    world.event("product.price_changed", at("13:00"), {"price": "4"})
    world.event("product.price_changed", at("13:30"), {"price": "6"})
    world.run(at("15:00"))
    assert world.sent[1:] == [("cheaper", at("14:30"))]


def test_what_a_window_puts_off_is_late_from_when_it_opens() -> None:
    """Else a shop that sends by day would never write to those who come in the evening."""
    first, second = _by_night(told="22:00")
    assert (first.due_at, first.expires_at) == (at("33:00"), at("39:00"))
    assert second.due_at == at("34:00")


def test_what_is_too_late_already_is_not_made_timely_by_a_closed_window() -> None:
    first, _ = _by_night(told="46:30")
    assert (first.due_at, first.expires_at) == (at("22:00"), at("28:00"))


def _by_night(told: str) -> list[Request]:
    """Something of 22:00 that is told at some hour; mails go out from nine to eight."""
    world = World()
    world.publish(
        "kurant: 1\nid: night\nname: n\npurpose: marketing\ntrigger: {event: custom.x}\n"
        'window: {between: ["09:00", "20:00"]}\nsteps: [{send: first, late: 6h}, {wait: 1h}, {send: second}]\n'
    )
    world.event("custom.x", at("22:00"), {}, now=at(told))
    world.run(at("96:00"))
    return world.requests


def test_a_run_of_an_archived_scenario_does_nothing_more() -> None:
    """Not even what is no message: it ends at its next call."""
    world = World()
    world.publish(CART.replace("- send: first", "- tag: reminded\n  - send: first"))
    world.cart("10:00")
    world.registry.set_state("demo", "cart", 1, "archived")
    world.run(at("11:00"))
    assert world.profile.enrolments[0].because == "archived"
    assert world.profile.tags == {}
    assert world.sent == []


def test_whoever_is_told_to_look_leaves_an_archived_scenario_at_once() -> None:
    """Days before the next call, and by the next event too; what is archived once stays over when it is live again."""
    for told in (lambda world: world.look(at("12:00")), lambda world: world.tell("product.viewed", "12:00")):
        world = World()
        world.publish(CART)
        world.cart("10:00")
        world.run(at("11:00"))
        before = world.registry.shop("demo").fingerprint
        world.registry.set_state("demo", "cart", 1, "archived")
        assert world.registry.shop("demo").fingerprint != before, "so every profile is told to look"
        told(world)
        assert (world.profile.enrolments[0].because, world.calls) == ("archived", {})
        world.registry.set_state("demo", "cart", 2, "live", 1)
        assert world.registry.shop("demo").fingerprint != before
        assert world.end() == [("first", at("11:00"))]
        assert world.balanced()


def test_what_was_archived_is_over_though_nobody_looked_before_it_was_published_again() -> None:
    world = World()
    world.publish(CART)
    world.cart("10:00")
    world.publish(CART, 2)
    world.registry.set_state("demo", "cart", 2, "live", 1)
    world.cart("10:30", id="c-2")
    assert world.end() == [("first", at("11:30")), ("second", at("34:30")), ("third", at("82:30"))]
    assert [one.because for one in world.profile.enrolments] == ["archived", "completed"]


def test_a_scenario_of_which_no_state_is_known_yet_is_not_taken_for_archived() -> None:
    world = World()
    world.publish(CART)
    world.cart("10:00")
    world.registry = Registry()
    world.registry.publish("demo", compile_program(parse(CART), 1))
    world.look(at("10:30"))
    assert world.profile.enrolments[0].state == "waiting"


@pytest.mark.parametrize("asked", [False, True], ids=["while it waits", "while its message is out"])
def test_a_purchase_on_the_profile_that_is_merged_ends_the_survivors_run(world: World, asked: bool) -> None:
    """She bought at the till under her card a second before anybody knew whose card it is."""
    world.cart("10:00")
    if asked:
        world.run(at("11:00"))
    other = World(registry=world.registry, id="22222222-2222-5222-8222-222222222222")
    other.order("11:30")
    leaving = other.turn(at("11:31"))
    handed = merge.hand_over(leaving, world.id)
    taking = world.turn(at("11:31"))
    merge.absorb(taking, handed)
    world.absorb(taking)
    assert world.profile.enrolments[0].because == "order.placed"
    assert [one.because for one in world.cancelled] == (["exit"] if asked else [])
    assert world.names == (["first"] if asked else []) and world.calls == {}


def test_a_long_pause_leaves_the_trace_as_it_was(world: World) -> None:
    """Looked at every five minutes for a week, and still told what was before, and since when it is held."""
    world.cart("10:00")
    world.run(at("11:00"))
    world.registry.set_state("demo", "cart", 1, "paused")
    world.run(at("34:00") + timedelta(days=7))
    assert world.verdicts() == [
        ("steps/0", "woken"),
        ("steps/1", "requested"),
        ("steps/2", "woken"),
        ("steps/3", "held"),
        ("steps/3", "waiting"),
    ]
    assert world.profile.enrolments[0].steps[3].at == at("34:00")
    world.registry.set_state("demo", "cart", 1, "live")
    world.run(at("34:00") + timedelta(days=7, minutes=10))
    assert world.names[:2] == ["first", "second"]
