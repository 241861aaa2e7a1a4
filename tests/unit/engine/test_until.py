"""Waiting for an event: at once, in time, too late, out of order, after a restart."""

from datetime import timedelta

import pytest

from libs.domain.engine import merge
from tests.unit.engine.world import World, at, scenario, world_of

UNTIL = scenario(
    "{event: cart.updated}",
    """
  - send: first
  - until: {event: message.clicked, of: first}
    within: 48h
    then: [{send: warm}]
    else: [{send: cold}]
  - send: last
""",
    more="key: event.cart.id\nrestart: true\nexit: [{event: order.placed}]",
)
SEEN = scenario(
    "{event: cart.updated}",
    """
  - wait: 1h
  - until: {event: product.viewed, where: {event.product.product_id: {eq: sofa}}}
    within: 4h
    then: [{send: warm}]
    else: [{send: cold}]
""",
    more="key: event.cart.id",
)


@pytest.fixture
def world() -> World:
    made = world_of(UNTIL)
    made.cart("10:00")
    return made


def click(world: World, clock: str, message: str, now: str | None = None) -> None:
    world.tell("message.clicked", clock, message=message, name="first", now=at(now) if now else None)


def test_a_matching_event_goes_on_at_once(world: World) -> None:
    assert world.due == [at("58:00")]
    click(world, "12:00", world.message("first"))
    assert world.sent[1:] == [("warm", at("12:00")), ("last", at("12:00"))]
    assert world.calls == {}
    assert world.verdicts()[:3] == [("steps/0", "requested"), ("steps/1", "woken"), ("steps/1", "then")]
    assert world.balanced()


def test_the_time_out_goes_the_other_way(world: World) -> None:
    assert world.end()[1:] == [("cold", at("58:00")), ("last", at("58:00"))]
    assert world.profile.enrolments[0].steps[2].because == "no message.clicked until 2026-03-04T10:00:00+00:00"


def test_a_click_on_another_message_is_none(world: World) -> None:
    click(world, "12:00", "another")
    assert world.end()[1][0] == "cold"


def test_an_exit_ends_it_while_it_waits(world: World) -> None:
    world.order("12:00")
    assert world.calls == {}
    assert world.end() == [("first", at("10:00"))]


def test_a_repeated_click_changes_nothing(world: World) -> None:
    for _ in range(3):
        click(world, "12:00", world.message("first"))
    assert world.end()[1:] == [("warm", at("12:00")), ("last", at("12:00"))]


def test_one_in_time_that_comes_late_counts_by_its_own_time(world: World) -> None:
    click(world, "57:00", world.message("first"), now="57:59")
    assert world.sent[1] == ("warm", at("57:59"))
    assert world.requests[1].due_at == at("57:00")


def test_one_after_the_time_that_comes_before_the_call_is_too_late(world: World) -> None:
    world.calls.clear()  # the call is on its way
    click(world, "58:01", world.message("first"))
    assert [name for name, _ in world.sent] == ["first"]


def test_a_restart_waits_anew_for_the_new_message(world: World) -> None:
    old = world.message("first")
    world.cart("11:00")
    assert world.due == [at("59:00")]
    assert world.message("first") != old
    click(world, "12:00", world.message("first"))
    assert world.end()[2:] == [("warm", at("12:00")), ("last", at("12:00"))]
    assert world.balanced()


def view(world: World, clock: str, product: str = "sofa", now: str | None = None) -> None:
    world.tell("product.viewed", clock, product={"product_id": product}, now=at(now) if now else None)


def test_where_looks_at_the_event_that_is_waited_for() -> None:
    world = world_of(SEEN)
    world.cart("10:00")
    view(world, "11:30", "lamp")
    view(world, "11:40")
    assert world.end() == [("warm", at("11:40"))]


def test_before_it_began_does_not_count_and_since_then_does_even_if_it_came_first() -> None:
    world = world_of(SEEN)
    view(world, "10:59", now="11:20")
    view(world, "11:10", now="11:20")
    world.cart("10:00", now="11:30")  # everything came late: the wait began at 11:00
    assert world.end() == [("warm", at("11:30"))]
    assert world.requests[0].due_at == at("11:10")
    world = world_of(SEEN)
    view(world, "10:59", now="11:20")
    world.cart("10:00", now="11:30")
    assert world.end() == [("cold", at("15:00"))]


def test_what_started_it_does_not_end_it_and_one_event_ends_one_wait() -> None:
    until = "  - until: {event: cart.updated}\n    within: 1h\n    then: [{send: again}]\n    else: [{send: quiet}]\n"
    world = world_of(scenario("{event: cart.updated}", until + until))
    world.cart("10:00")
    assert world.names == []
    world.cart("10:30")
    assert world.end() == [("again", at("10:30")), ("quiet", at("11:30"))]


def test_what_became_of_a_message_is_an_event_too() -> None:
    world = world_of(
        scenario(
            "{event: cart.updated}",
            "  - send: first\n"
            "  - until: {event: message.bounced, of: first}\n    within: 1d\n    then: [{send: sms}]\n",
        )
    )
    world.cart("10:00")
    world.deliver("first", at("10:01"))
    world.deliver("first", at("10:05"), "bounced")
    world.deliver("first", at("10:05"), "bounced")
    assert world.end() == [("first", at("10:00")), ("sms", at("10:05"))]


def test_nested_to_any_depth_with_exits_within() -> None:
    world = world_of(
        scenario(
            "{event: cart.updated}",
            """
  - until: {event: custom.a}
    within: 1h
    then:
      - if: {cart.value: {gte: 100}}
        then:
          - until: {event: custom.b}
            within: 1h
            then: [exit]
            else: [{wait: 1h}, {send: deep}]
    else: [{send: shallow}]
  - send: after
""",
            more="key: event.cart.id",
        )
    )
    world.cart("10:00", id="x")
    world.tell("custom.a", "10:30")
    world.tell("custom.b", "10:40")
    assert [(e.state, e.because) for e in world.profile.enrolments] == [("ended", "exit step")]
    world.cart("12:00", id="y")
    world.tell("custom.a", "12:10")
    assert world.end() == [("deep", at("14:10")), ("after", at("14:10"))]


def test_a_long_wait_survives_a_merge() -> None:
    world = world_of(UNTIL)
    world.cart("10:00")
    other = World(registry=world.registry, id="22222222-2222-5222-8222-222222222222")
    other.event("message.clicked", at("10:30"), {"message": world.message("first")})
    leaving = world.turn(at("10:50"))
    handed = merge.hand_over(leaving, other.id)
    world.absorb(leaving)
    taking = other.turn(at("10:50"))
    merge.absorb(taking, handed)
    other.absorb(taking)
    assert other.names == ["warm", "last"]
    assert other.calls == {}
    assert (world.sums["steps.scheduled"], world.sums["steps.cancelled"]) == (1, 1)
    assert other.balanced()
    assert other.profile.tracks["cart.updated"].times == [at("10:00")]
    assert timedelta() < other.profile.enrolments[0].at - at("10:00")


@pytest.mark.parametrize(("type", "sent"), [("consent.changed", "warm"), ("newsletter.subscribed", "cold")])
def test_what_came_with_the_trigger_counts_and_the_trigger_itself_does_not(type: str, sent: str) -> None:
    """Consents of an event are told after it, with its time; repeats of its type at its time are no answer to it."""
    text = f"""
  - until: {{event: {type}}}
    within: 1h
    then: [{{send: warm}}]
    else: [{{send: cold}}]
"""
    world = world_of(scenario("{event: newsletter.subscribed}", text))
    world.tell("newsletter.subscribed", "10:00")
    world.tell(type, "10:00", now=at("10:01"))
    assert [name for name, _ in world.end()] == [sent]
