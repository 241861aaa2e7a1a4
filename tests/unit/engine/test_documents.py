"""Documents: those of the first form go on where they stood, those of today stay small."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.engine import due
from libs.domain.engine.state import Profile, decode, encode, from_builtins
from tests.unit.engine.test_engine import CART
from tests.unit.engine.world import MONDAY, World, at, scenario, world_of


def first_form() -> dict[str, Any]:
    """A running cart, one message sent, in the second wait, as the first version wrote it."""
    trigger = {"type": "cart.updated", "time": at("10:00"), "id": "e1", "data": {"cart": {"id": "c-1", "value": "249"}}}
    return {
        "traits": {"first_name": "Anna", "tags": ["vip"]},
        "traits_at": {"first_name": at("09:00"), "tags": at("09:00")},
        "carts": {"c-1": {"at": at("10:00"), "data": {"id": "c-1", "value": "249"}}},
        "history": [trigger, {"type": "product.viewed", "time": at("09:00"), "id": "e0"}],
        "seen": [1, 2],
        "enrolments": [
            {
                "id": "04037695-56fc-5633-b430-558ef17040b6",
                "scenario": "cart",
                "version": 1,
                "key": "c-1",
                "entered_at": at("10:00"),
                "triggered_at": at("10:00"),
                "trigger": trigger,
                "cursor": 3,
                "calls": 2,
                "at": at("34:00"),
                "wait": {"step": "step-2", "due_at": at("34:00")},
                "sent": {"first": at("11:00")},
                "steps": [
                    {"step": "steps/0", "at": at("11:00"), "verdict": "woken"},
                    {"step": "steps/1", "at": at("11:00"), "verdict": "sent", "message": "m1"},
                    {"step": "steps/2", "at": at("34:00"), "verdict": "waiting"},
                ],
            }
        ],
        "entered": {"cart": at("10:00")},
        "judged": {
            "cart": {
                "at": at("10:00"),
                "version": 1,
                "entered": True,
                "because": "cart.updated",
                "conditions": [{"path": "event.cart.value", "found": "249", "verdict": True}],
            }
        },
    }


def test_a_document_of_the_first_form_goes_on_where_it_stood() -> None:
    world = world_of(CART)
    world.profile = decode(msgspec.msgpack.encode(first_form()))
    world.sums |= world.places()[1]  # it was not counted where it waits: nobody did then
    assert world.profile.first == at("09:00")
    assert world.profile.tracks["cart.updated"].times == [at("10:00")]
    turn = world.turn(at("34:00"))
    assert due.on_due(turn, "step-2")
    world.absorb(turn)
    assert world.end() == [("second", at("34:00")), ("third", at("82:00"))]
    world.tell("profile.tagged", "12:00", tags=["new"])
    assert world.profile.traits["tags"] == ["new", "vip"]


def test_one_that_travels_in_a_merge_is_read_as_well() -> None:
    assert from_builtins(msgspec.to_builtins(first_form())).enrolments[0].wait is not None
    profile = decode(msgspec.msgpack.encode(first_form()))
    assert from_builtins(msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(profile)))) == profile


def test_what_is_written_is_read() -> None:
    world = world_of(CART)
    world.cart("10:00")
    assert decode(encode(world.profile)) == world.profile


def test_four_hundred_days_of_a_busy_customer_stay_small() -> None:
    """Three events a day, one of them asked about by value, one by time alone."""
    text = scenario(
        "{event: custom.go, where: {all: [{happened: {event: order.placed, where: {event.order.value: {gte: 9}}}},"
        " {happened: {event: profile.logged_in, within: 400d}}]}}",
        "  - send: it\n",
    )
    world = world_of(text)
    source, worth = random.Random(1), 0
    for day in range(400):
        moment = MONDAY + timedelta(days=day)
        order = {"id": f"o{day}", "value": f"{source.randrange(20)}.00", "items": [{"name": "x" * 300}]}
        world.event("product.viewed", moment, {"product": {"product_id": f"p{day}", "name": "x" * 300}})
        world.event("profile.logged_in", moment + timedelta(hours=1), {"ip": "none"})
        if day % 4 == 0:
            worth += float(str(order["value"])) >= 9
            world.event("order.placed", moment + timedelta(hours=2), {"order": order})
    size = len(encode(world.profile))
    orders = world.profile.tracks["order.placed"]
    assert (orders.total, len(orders.times), orders.dropped) == (100, 100, None)
    assert len(world.profile.tracks["profile.logged_in"].times) == 400
    assert len(world.profile.tracks["product.viewed"].times) == 20
    assert size < 17_000, size
    world.event("custom.go", datetime(2027, 4, 5, tzinfo=UTC), {})
    assert [one.found for one in world.profile.judged["s"].conditions] == [worth, 400]


def test_types_without_end_are_bounded() -> None:
    world = World()
    for n in range(200):
        world.event(f"custom.n{n}", MONDAY + timedelta(seconds=n), {})
    assert len(world.profile.tracks) == 80
    assert "custom.n199" in world.profile.tracks


@given(st.lists(st.integers(0, 2**60 - 1), max_size=30, unique=True), st.integers(0, 2**60 - 1))
def test_what_was_seen_is_known_and_nothing_else(digests: list[int], other: int) -> None:
    profile = Profile()
    for digest in digests:
        profile.see(digest)
    assert all(profile.saw(digest) for digest in digests)
    assert profile.saw(other) is (other in digests)
    assert decode(encode(profile)) == profile == from_builtins(msgspec.to_builtins(profile))


def test_a_digest_is_not_found_across_the_border_of_two_others() -> None:
    profile = Profile()
    profile.see(int.from_bytes(b"\0aaaaaaa"))
    profile.see(int.from_bytes(b"\0bbbbbbb"))
    assert not profile.saw(int.from_bytes(b"aaaaaaa\0"))
    assert profile.saw(int.from_bytes(b"\0bbbbbbb"))


def test_a_list_of_numbers_is_read_and_the_oldest_are_forgotten() -> None:
    profile = decode(msgspec.msgpack.encode({"seen": list(range(400))}))
    assert profile.saw(0)
    profile.see(1_000)
    assert (profile.saw(0), profile.saw(1), profile.saw(1_000)) == (False, True, True)
    other = Profile(seen=[1, 5_000])
    other.see_all(profile)
    assert all(other.saw(digest) for digest in (1, 3, 399, 1_000, 5_000))
    assert not other.saw(2)
    assert len(encode(other)) < 400 * 8 + 20
