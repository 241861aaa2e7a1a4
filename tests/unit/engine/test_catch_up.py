"""After an outage: what is overdue waits until all that was accepted is known, and is judged by that."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.engine.world import MONDAY, World, at, scenario, world_of

CART = scenario(
    "{event: cart.updated}",
    "  - wait: 1h\n  - {send: first, late: 4d}\n  - wait: 1d\n  - send: second\n",
    more="restart: true\nexit: [{event: order.placed}]",
)
Told = tuple[str, datetime, dict[str, Any]]


def back(world: World, now: datetime, *told: Told) -> list[str]:
    """The platform is back: all of the backlog is read, then the calls are given. The messages that are asked for."""
    for type, time, data in told:
        world.hear(type, time, data, now=now)
        assert world.names == [], "nothing is asked for before all is read"
    world.run(now)
    assert world.balanced()
    return world.names


def test_a_cart_and_its_purchase_in_one_backlog() -> None:
    world = world_of(CART)
    assert back(world, at("20:00"), ("cart.updated", at("10:00"), {}), ("order.placed", at("10:30"), {})) == []
    assert world.profile.enrolments[0].because == "order.placed"
    assert world.verdicts() == [("steps/0", "cancelled")]


def test_a_cart_that_changed_many_times_is_one_message() -> None:
    world = world_of(CART)
    assert back(world, at("20:00"), *(("cart.updated", at(f"1{hour}:00"), {}) for hour in range(6))) == ["first"]
    assert world.requests[0].due_at == at("16:00")
    assert [one for one in world.verdicts() if one[1] != "cancelled"] == [
        ("steps/0", "woken"),
        ("steps/1", "requested"),
        ("steps/2", "waiting"),
    ]


def test_explain_says_that_a_wait_was_over() -> None:
    world = world_of(CART)
    back(world, at("20:00"), ("cart.updated", at("10:00"), {}))
    (waited, *_) = world.profile.enrolments[0].steps
    assert (waited.at, waited.because) == (at("20:00"), f"it was over at {at('11:00').isoformat()}")


def test_an_answer_in_time_is_in_the_same_backlog() -> None:
    steps = "  - until: {event: order.placed}\n    within: 2h\n    then: [{send: thanks}]\n    else: [{send: sorry}]\n"
    told: list[Told] = [("cart.updated", at("10:00"), {}), ("product.viewed", at("11:00"), {})]
    assert back(world_of(scenario("{event: cart.updated}", steps)), at("20:00"), *told) == ["sorry"]
    world = world_of(scenario("{event: cart.updated}", steps))
    for type, time, data in [*told, ("order.placed", at("11:30"), {})]:
        world.hear(type, time, data, now=at("20:00"))
    assert world.names == ["thanks"]


DELIVERY = scenario(
    "{date: event.order.planned_delivery, before: 1d}",
    "  - send: tomorrow\n",
    more="key: event.order.id\nexit: [{event: order.cancelled, where: {event.order.id: {eq: key}}}]",
)
PLANNED: Told = ("order.placed", at("10:00"), {"order": {"id": "o", "planned_delivery": "2026-03-04"}})


@pytest.mark.parametrize(
    ("after", "sent"),
    [
        ([], ["tomorrow"]),
        ([("order.cancelled", at("11:00"), {"order": {"id": "o"}})], []),
        ([("order.updated", at("11:00"), {"order": {"id": "o", "planned_delivery": "2026-03-09"}})], []),
    ],
    ids=["as planned", "cancelled", "moved"],
)
def test_a_date_that_is_past_when_it_becomes_known(after: list[Told], sent: list[str]) -> None:
    """Ordered on Monday for Wednesday, read on Tuesday at noon: the mail was due at midnight."""
    assert back(world_of(DELIVERY), at("36:00"), PLANNED, *after) == sent


def test_a_date_that_was_awaited_comes_however_late_the_call_is() -> None:
    """`late` of a trigger is about when a date becomes known; that of the step, about when its message goes out."""
    world = world_of(DELIVERY)
    world.hear(*PLANNED)
    assert back(world, MONDAY + timedelta(days=3), ("product.viewed", at("40:00"), {})) == ["tomorrow"]
    assert world.requests[0].due_at == MONDAY + timedelta(days=1)


def test_a_birthday_that_was_awaited_comes_however_late_the_call_is() -> None:
    world = world_of(scenario("{date: profile.birthday, every: year}", "  - send: wishes\n"))
    world.hear("profile.updated", at("10:00"), {"birthday": "1990-03-04"})
    told = ("profile.updated", at("11:00"), {"city": "Gdynia"})
    assert back(world, MONDAY + timedelta(days=4), told) == ["wishes"]


def test_a_silence_is_one_when_all_is_read() -> None:
    world = world_of(scenario("{inactive: {events: [profile.logged_in], for: 10h}}", "  - send: miss-you\n"))
    told: list[Told] = [("profile.logged_in", at(clock), {}) for clock in ("10:00", "19:00", "27:00")]
    assert back(world, at("30:00"), *told) == []
    world.run(at("40:00"))
    assert world.sent == [("miss-you", at("37:00"))]


def test_time_alone_changes_a_segment_when_its_call_comes() -> None:
    """In for two days after an order; the second one is in the backlog behind something else."""
    world = world_of(scenario("{segment: {leaves: vip}}", "  - send: come-back\n"))
    world.segment("{happened: {event: order.placed, within: 2d}}")
    world.event("order.placed", at("10:00"), {"order": {"id": "a"}})
    told: list[Told] = [("product.viewed", at("20:00"), {}), ("order.placed", at("30:00"), {"order": {"id": "b"}})]
    assert back(world, at("60:00"), *told) == []
    assert [move for move, _ in world.moves()] == ["+vip"]
    world.run(at("80:00"))
    assert world.names == ["come-back"]


def test_late_is_counted_from_a_date_that_was_past_when_its_wait_was_reached() -> None:
    """Ordered at noon for the next morning, to be told of three days ahead: that was two days ago."""
    world = World()
    world.publish(
        "kurant: 1\nid: ahead\nname: a\npurpose: marketing\ntrigger: {event: order.placed}\n"
        "steps: [{wait: {until: event.order.planned_delivery, before: 3d}}, {send: soon, late: 12h}, {wait: 1d}, "
        "{send: next}]\n"
    )
    world.event("order.placed", at("12:00"), {"order": {"id": "o", "planned_delivery": at("33:00").isoformat()}})
    world.run(at("12:05"))
    soon, following = world.requests
    assert (soon.due_at, soon.expires_at) == (at("33:00") - timedelta(days=3), at("45:00") - timedelta(days=3))
    assert following.due_at == at("33:00") - timedelta(days=2), "what follows counts from the date too"
    (wait, *_) = world.profile.enrolments[0].steps
    assert (wait.step, wait.verdict, wait.at) == ("steps/0", "woken", at("12:00"))


CATCH_UP = (
    "kurant: 1\nid: two\nname: t\npurpose: marketing\ntrigger: {event: custom.x}\n"
    "steps: [{wait: 1h}, {send: first, late: 4d}, {wait: 1d}, {send: second}]\n"
)


def test_two_messages_keep_their_distance() -> None:
    """Both are overdue: the first goes out now, the second a day after it, not a second."""
    world = World()
    world.publish(CATCH_UP)
    world.event("custom.x", at("10:00"), {}, now=at("70:00"))
    assert [(one.name, one.due_at) for one in world.requests] == [("first", at("11:00"))]
    assert [(one[0], one[1]) for one in world.end()] == [("first", at("70:00")), ("second", at("94:00"))]


def test_there_is_time_to_answer() -> None:
    """The time to click begins when the late message goes out."""
    world = World()
    world.publish(
        CATCH_UP.replace("{wait: 1d}", "{until: {event: message.clicked, of: first}, within: 4h, then: [exit]}")
    )
    world.event("custom.x", at("10:00"), {}, now=at("70:00"))
    assert world.due == [at("74:00")]


def test_what_is_too_late_is_not_waited_after() -> None:
    """A first that expires gives nobody a reason to wait again: all of it is over."""
    world = World()
    world.publish(CATCH_UP)
    world.event("custom.x", at("10:00"), {}, now=at("200:00"))
    assert [(one.name, one.expires_at < at("200:00")) for one in world.requests] == [("first", True), ("second", True)]


def test_a_message_that_goes_out_at_once_keeps_the_others_away() -> None:
    """The first is asked for by the event, what follows it by the call of a date between them that is past."""
    world = World()
    world.publish(CATCH_UP.replace("{wait: 1h}, ", "").replace("{wait: 1d}", "{wait: {until: event.day}}, {wait: 1d}"))
    world.event("custom.x", at("10:00"), {"day": at("11:00").isoformat()}, now=at("70:00"))
    assert world.end() == [("first", at("70:00")), ("second", at("94:00"))]
