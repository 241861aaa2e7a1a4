"""Every trigger that an event meets: happy, silent, late, repeated."""

from datetime import timedelta

import pytest

from libs.domain.engine import due
from libs.domain.engine.state import Happened
from libs.domain.scenario.parse import parse
from libs.domain.scenario.source import ScenarioError
from tests.unit.engine.world import World, at, scenario, world_of

NTH = scenario("{event: order.placed, nth: 3, where: {event.order.value: {gte: 100}}}", "  - send: third\n")


def order(world: World, clock: str, value: int = 100, id: str = "", now: str | None = None) -> None:
    moment = at(now) if now else None
    world.tell("order.placed", clock, order={"id": id or f"o-{clock}", "value": value}, now=moment)


def test_the_third_that_meets_where_and_no_other() -> None:
    world = world_of(NTH)
    for hour, value in enumerate((100, 50, 200, 100, 100, 100), start=10):
        order(world, f"{hour}:00", value)
    assert world.end() == [("third", at("13:00"))]
    assert world.explain("s")["conditions"][-1] == {"path": "nth(order.placed)", "found": 5, "verdict": False}


def test_a_repeat_is_not_counted() -> None:
    world = world_of(NTH)
    for _ in range(5):
        order(world, "10:00")
        order(world, "11:00")
    assert world.end() == []


def test_the_third_to_come_enters_by_the_last_of_the_three() -> None:
    """Whatever their order: the trigger is the third by time."""
    for clocks in (("10:00", "11:00", "12:00"), ("12:00", "10:00", "11:00"), ("11:00", "12:00", "10:00")):
        world = world_of(NTH)
        for clock in clocks:
            order(world, clock, now="13:00")
        assert [e.triggered_at for e in world.profile.enrolments] == [at("12:00")]
        assert world.requests[0].context["event"]["order"]["id"] == "o-12:00"


def test_one_that_comes_later_still_is_one_too_many() -> None:
    world = world_of(NTH)
    for clock in ("10:00", "11:00", "12:00"):
        order(world, clock, now="13:00")
    order(world, "09:00", now="13:10")
    assert len(world.profile.enrolments) == 1


def test_events_of_before_the_scenario_are_counted() -> None:
    world = World()
    order(world, "08:00")
    order(world, "09:00")
    world.publish(scenario("{event: order.placed, nth: 3}", "  - send: third\n"))
    order(world, "10:00")
    assert world.end() == [("third", at("10:00"))]


def test_a_new_version_with_the_same_trigger_goes_on_counting() -> None:
    world = world_of(NTH)
    order(world, "08:00")
    order(world, "09:00")
    world.publish(NTH.replace("send: third", "send: thanks"), version=2)
    order(world, "10:00")
    assert world.end() == [("thanks", at("10:00"))]


def test_two_scenarios_with_the_same_trigger_count_each_event_once() -> None:
    world = world_of(NTH, NTH.replace("id: s", "id: t"))
    for hour in (8, 9, 10):
        order(world, f"{hour:02}:00")
    assert world.end() == [("third", at("10:00"))] * 2


STATUS = scenario(
    "{event: order.status_changed, statuses: [shipped, ready]}", "  - send: it\n", more="key: event.order.id"
)


@pytest.mark.parametrize(("status", "sent"), [("shipped", 1), ("ready", 1), ("new", 0), (None, 0)])
def test_statuses(status: str | None, sent: int) -> None:
    world = world_of(STATUS)
    world.tell("order.status_changed", "10:00", order={"id": "o", "status": status})
    assert len(world.end()) == sent
    assert world.explain("s")["conditions"] == [{"path": "event.order.status", "found": status, "verdict": sent == 1}]


RFM = scenario(
    "{rfm: {from: [loyal], to: [at-risk]}}", "  - wait: 1h\n  - send: back\n    if: {rfm.segment: at-risk}\n"
)


def rfm(world: World, clock: str, left: str, to: str, now: str | None = None) -> None:
    data = {"from": left, "to": to, "scores": {"recency": 2, "monetary": 5}}
    world.event("rfm.changed", at(clock), data, now=at(now) if now else None)


def test_rfm_from_and_to() -> None:
    world = world_of(RFM)
    rfm(world, "09:00", "new", "loyal")
    assert world.profile.enrolments == []
    rfm(world, "10:00", "loyal", "at-risk")
    assert world.end() == [("back", at("11:00"))]
    told = world.requests[0].context["rfm"]
    assert (told["segment"], told["previous"], told["recency"]) == ("at-risk", "loyal", 2)


def test_rfm_that_has_changed_again_meanwhile() -> None:
    world = world_of(RFM)
    rfm(world, "10:00", "loyal", "at-risk")
    rfm(world, "10:30", "at-risk", "champion")
    rfm(world, "10:10", "x", "at-risk", now="10:40")  # late: how it is now stays
    assert world.end() == []
    assert world.verdicts()[-1] == ("steps/1", "skipped")


@pytest.mark.parametrize(("side", "event"), [("enters", "segment.entered"), ("leaves", "segment.left")])
def test_segments(side: str, event: str) -> None:
    world = world_of(scenario(f"{{segment: {{{side}: vip}}}}", "  - send: it\n"))
    world.tell(event, "10:00", segment="other")
    assert world.names == []
    world.tell("segment.entered" if event == "segment.left" else "segment.left", "10:30", segment="vip")
    assert world.names == []
    world.tell(event, "11:00", segment="vip")
    assert world.end() == [("it", at("11:00"))]


def test_segments_are_a_condition_as_well() -> None:
    world = world_of(scenario("{event: custom.go}", "  - send: it\n    if: {profile.segments: {contains: vip}}\n"))
    world.tell("segment.entered", "09:00", segment="vip")
    world.tell("custom.go", "10:00")
    assert world.names == ["it"]


def test_a_tag_by_event_by_list_and_only_when_it_changes_something() -> None:
    world = world_of(
        scenario("{tag: {added: vip}}", "  - send: in\n"), scenario("{tag: {removed: vip}}", "  - send: out\n", id="o")
    )
    world.tell("profile.tagged", "10:00", tags=["vip"])
    world.tell("profile.tagged", "10:10", tags=["vip", "x"])
    assert world.names == ["in"]
    world.tell("profile.updated", "10:20", tags=["x"])
    assert world.names == ["in", "out"]
    world.tell("profile.updated", "10:30", tags=["x", "vip"])
    assert world.names == ["in", "out", "in"]
    world.tell("profile.untagged", "10:25", tags=["vip"], now=at("10:40"))  # of before the list
    assert world.names == ["in", "out", "in"]
    assert world.profile.traits["tags"] == ["vip", "x"]


def test_tags_by_the_time_of_their_events_whatever_the_order() -> None:
    for first, second in ((0, 1), (1, 0)):
        world = World()
        news = [("profile.tagged", "10:00"), ("profile.untagged", "10:10")]
        for place in (first, second):
            world.tell(*news[place], tags=["a"], now=at("11:00"))
        assert world.profile.traits["tags"] == []


STOCK = scenario(
    "{stock: back}", "  - send: back\n  - wait: 24h\n  - send: still\n", more="key: event.product.product_id"
)
PRICE = scenario("{price: {drops: 10%}}", "  - send: drop\n", more="key: event.product.product_id")


@pytest.mark.parametrize("event", ["stock_alert.requested", "wishlist.added", "product.viewed"])
def test_a_product_that_matters_is_back(event: str) -> None:
    world = world_of(STOCK)
    world.tell(event, "10:00", product={"product_id": "sofa"})
    world.tell("product.back_in_stock", "11:00", product={"product_id": "lamp"})
    assert world.names == []
    world.tell("product.back_in_stock", "12:00", product={"product_id": "sofa"})
    assert world.end() == [("back", at("12:00")), ("still", at("36:00"))]


def test_a_product_in_a_cart_matters_until_it_is_taken_out() -> None:
    world = world_of(STOCK)
    world.tell("cart.updated", "10:00", cart={"id": "c", "items": [{"product_id": "sofa"}]})
    world.tell("cart.updated", "10:30", cart={"id": "c", "items": []})
    world.tell("product.back_in_stock", "11:00", product_id="sofa")
    assert world.names == []
    world.tell("cart.updated", "11:30", cart={"id": "c", "items": [{"product_id": "sofa"}]})
    world.tell("product.back_in_stock", "12:00", product_id="sofa", product={"product_id": "sofa"})
    assert world.names == ["back"]
    assert world.profile.judged["s"].conditions[0].found == "in a cart"


def test_a_wish_that_was_taken_back() -> None:
    world = world_of(STOCK)
    world.tell("wishlist.added", "10:00", product={"product_id": "sofa"})
    world.tell("wishlist.removed", "10:30", product={"product_id": "sofa"})
    world.tell("product.back_in_stock", "12:00", product={"product_id": "sofa"})
    assert world.names == []


@pytest.mark.parametrize(
    ("price", "old", "sent"),
    [
        ("90.00", "100.00", 1),
        ("90.01", "100.00", 0),
        ("50", "100", 1),
        ("110", "100", 0),
        ("90", None, 0),
        ("x", "y", 0),
    ],
)
def test_a_price_that_drops(price: str, old: str | None, sent: int) -> None:
    world = world_of(PRICE)
    world.tell("wishlist.added", "10:00", product={"product_id": "sofa"})
    product = {"product_id": "sofa", "price": price, "old_price": old}
    world.tell("product.price_changed", "11:00", product=product)
    assert len(world.end()) == sent


def test_products_that_matter_are_bounded_and_views_go_first() -> None:
    world = world_of(PRICE)
    world.tell("wishlist.added", "10:00", product={"product_id": "wished"})
    for n in range(70):
        world.event("product.viewed", at("11:00") + timedelta(seconds=n), {"product": {"product_id": f"p{n}"}})
    assert len(world.profile.wants) == 50
    assert "wished" in world.profile.wants
    assert "p69" in world.profile.wants


def test_a_change_of_permission_is_an_event() -> None:
    world = world_of(
        scenario(
            "{event: cart.updated}",
            "  - wait: 1h\n  - send: first\n",
            more="exit: [{event: consent.changed, where: {event.status: withdrawn}}]",
        ),
        scenario("{event: consent.changed, where: {event.status: granted}}", "  - send: welcome\n", id="w"),
    )
    world.cart("10:00")
    for status, minute in (("granted", 10), ("withdrawn", 20)):
        turn = world.turn(at(f"10:{minute}"))
        told = {"channel": "email", "purpose": "marketing", "status": status}
        due.on_permission(
            turn, Happened("consent.changed", turn.now, status, told), minute, {"email": {"marketing": status}}
        )
        world.absorb(turn)
    assert world.end() == [("welcome", at("10:10"))]
    assert world.profile.consents == {"email": {"marketing": "withdrawn"}}


@pytest.mark.parametrize(
    "trigger",
    [
        "{price: {drops: lots}}",
        "{price: 10%}",
        "{rfm: x}",
        "{segment: {in: vip}}",
        "{tag: vip}",
        "{event: order.placed, nth: 0}",
        "{inactive: {events: [], for: 3d}}",
        "{date: order.planned_delivery}",
    ],
)
def test_triggers_that_say_nothing_are_refused(trigger: str) -> None:
    with pytest.raises(ScenarioError):
        parse(scenario(trigger, "  - send: it\n"))


def test_a_tag_of_before_a_whole_list_that_had_it_not() -> None:
    world = world_of(scenario("{tag: {added: old}}", "  - send: in\n"))
    world.tell("profile.updated", "10:00", tags=["x"])
    world.tell("profile.tagged", "09:00", tags=["old"], now=at("10:10"))
    assert (world.names, world.profile.traits["tags"]) == ([], ["x"])


def test_an_order_is_what_all_its_events_have_told_each_field_as_told_last() -> None:
    told = [
        ("09:00", {"id": "o", "value": "10", "status": "new"}),
        ("10:00", {"id": "o", "status": "paid", "carrier": "a"}),
        ("11:00", {"id": "o", "carrier": "b"}),
    ]
    for order_of_coming in ((0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)):
        world = World()
        for place in order_of_coming:
            world.tell("order.status_changed", told[place][0], order=told[place][1], now=at("12:00"))
        known = world.profile.orders["o"]
        assert known.data == {"id": "o", "value": "10", "status": "paid", "carrier": "b"}
        assert known.at == at("11:00")


def test_an_earlier_trigger_that_an_exit_had_ended_moves_no_start() -> None:
    cart = scenario("{event: cart.updated}", "  - wait: 1h\n  - send: it\n", more="exit: [{event: order.placed}]")
    world = world_of(cart)
    world.cart("10:30", now="10:40")
    world.order("10:20", now="10:41")
    world.cart("10:00", now="10:42")
    assert world.end() == [("it", at("11:30"))]
    assert world.profile.enrolments[0].entered_at == at("10:30")
