"""Who enters and leaves a segment, when, and who is told: by events, by time alone, by publication, by a merge."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from libs.domain.engine import due, events
from libs.domain.engine.explain import explain
from libs.domain.engine.state import Happened, Profile, decode, encode
from libs.domain.scenario.outlook import TICK
from tests.unit.engine.world import MONDAY, World, at, world_of

LATELY = "{happened: {event: order.placed, within: 30d}}"
TWICE = "{happened: {event: order.placed, within: 30d, times: {gte: 2}}}"
VIP = "{all: [{rfm.segment: {in: [champion, loyal]}}, {happened: {event: order.placed, within: 90d, times: {gte: 2}}}]}"
DAY = timedelta(days=1)


def world_with(condition: str = LATELY, *texts: str) -> World:
    made = world_of(*texts)
    made.segment(condition)
    return made


def order(world: World, when: datetime | str, **more: Any) -> None:
    moment = at(when) if isinstance(when, str) else when
    world.tell("order.placed", moment, order={"id": f"o-{moment.isoformat()}"}, **more)


def inside(world: World, name: str = "vip") -> bool:
    return name in world.turn(MONDAY).scope(Happened("", MONDAY, ""), None)["profile"]["segments"]


def test_an_event_lets_in_and_time_alone_lets_out() -> None:
    world = world_with()
    order(world, "10:00")
    assert inside(world)
    assert world.due == [at("10:00") + 30 * DAY + TICK]
    world.run(at("10:00") + 30 * DAY)
    assert inside(world), "within 30 days includes the thirtieth"
    world.run(at("10:00") + 31 * DAY)
    assert world.moves() == [("+vip", at("10:00")), ("-vip", at("10:00") + 30 * DAY + TICK)]
    assert not inside(world)
    assert world.due == []
    assert world.balanced()


def test_both_conditions_must_hold_whatever_comes_first() -> None:
    orders = [("order.placed", {"order": {"id": f"o-{n}"}}) for n in (1, 2)]
    rfm = ("rfm.changed", {"from": "new", "to": "loyal"})
    for told in ([*orders, rfm], [rfm, *orders], [orders[0], rfm, orders[1]]):
        world = world_with(VIP)
        for hour, (type, data) in enumerate(told, start=10):
            world.tell(type, f"{hour}:00", **data)
            assert inside(world) is (hour == 12)
        assert world.moves() == [("+vip", at("12:00"))]
        world.tell("rfm.changed", "13:00", **{"from": "loyal", "to": "lost"})
        assert world.moves()[1:] == [("-vip", at("13:00"))]


def test_one_call_is_out_for_all_segments_and_activity_does_not_move_it() -> None:
    world = world_with()
    world.segment("{happened: {event: order.placed, within: 90d}}", id="quarter")
    order(world, "10:00")
    assert world.due == [at("10:00") + 30 * DAY + TICK]
    for day in range(1, 20):
        order(world, at("10:00") + day * DAY)
    assert world.due == [at("10:00") + 30 * DAY + TICK], "a call that is too early asks for a later one"
    assert world.sums["steps.scheduled"] == 1
    world.end()
    last = at("10:00") + 19 * DAY + TICK
    assert world.moves()[2:] == [("-vip", last + 30 * DAY), ("-quarter", last + 90 * DAY)]
    assert world.balanced()


def test_a_call_for_nothing_is_cancelled_and_a_nearer_moment_asks_for_its_own() -> None:
    world = world_with("{all: [{profile.city: Warsaw}, {happened: {event: order.placed, within: 30d}}]}")
    world.tell("profile.updated", "09:00", city="Warsaw")
    order(world, "10:00")
    world.segment("{happened: {event: product.viewed, within: 1d}}", id="browsing")
    world.look(at("11:00"))
    world.tell("product.viewed", "12:00", product_id="p")
    assert world.due == [at("12:00") + DAY + TICK]
    world.run(MONDAY + 2 * DAY)
    assert world.due == [at("10:00") + 30 * DAY + TICK]
    world.tell("profile.updated", MONDAY + 3 * DAY, city="Gdansk")
    assert world.due == [], "outside for another reason: no time lets anybody in"
    assert world.balanced()


def test_what_time_can_never_change_asks_for_no_call() -> None:
    world = world_with(VIP)
    order(world, "10:00")
    order(world, "11:00")
    assert world.due == [], "the orders leave the span, but without loyalty that changes nothing"
    world.tell("rfm.changed", "12:00", to="loyal")
    assert world.due == [at("10:00") + 90 * DAY + TICK]


def test_of_two_spans_that_hold_the_one_that_ends_first_counts() -> None:
    for times in (("09:00", "10:00"), ("10:00", "09:00")):
        both = (f"{{happened: {{event: {type}, within: 1d}}}}" for type in ("custom.a", "custom.b"))
        world = world_with(f"{{all: [{', '.join(both)}]}}")
        for type, clock in zip(("custom.a", "custom.b"), times, strict=True):
            world.tell(type, clock, now=at("11:00"))
        world.end()
        assert world.moves()[1:] == [("-vip", at("09:00") + DAY + TICK)]


def test_what_fails_for_two_reasons_waits_for_the_later_and_for_none_that_stays() -> None:
    quiet = "{not: {happened: {event: custom.a, within: 1d}}}, {not: {happened: {event: custom.a, within: 3d}}}"
    world = world_with(f"{{all: [{quiet}]}}")
    world.tell("custom.a", "10:00")
    assert world.due == [at("10:00") + 3 * DAY + TICK]
    world = world_with(f"{{all: [{quiet}, {{profile.level: gold}}]}}")
    world.tell("custom.a", "10:00")
    assert world.due == []


def test_at_most_is_a_segment_that_time_lets_in() -> None:
    world = world_with("{not: {happened: {event: order.placed, within: 30d}}}")
    order(world, "10:00")
    assert world.moves() == []
    world.end()
    assert world.moves() == [("+vip", at("10:00") + 30 * DAY + TICK)]


def test_somebody_new_is_in_what_is_true_of_nobody() -> None:
    world = world_with("{not: {happened: {event: order.placed}}}")
    world.tell("custom.hello", "10:00")
    assert world.moves() == [("+vip", at("10:00"))]
    order(world, "11:00")
    assert world.moves()[1:] == [("-vip", at("11:00"))]


def test_a_late_event_is_judged_by_its_own_time() -> None:
    world = world_with(TWICE)
    order(world, "10:00")
    order(world, MONDAY - 2 * DAY, now=MONDAY + 5 * DAY)
    assert world.moves() == [("+vip", MONDAY - 2 * DAY)]
    assert world.due == [MONDAY + 28 * DAY + TICK]
    late = world_with(TWICE)
    order(late, "10:00")
    order(late, MONDAY - 40 * DAY, now=MONDAY + DAY)
    assert (late.moves(), late.due) == ([], []), "too old to count"


def test_news_of_before_does_not_put_times_in_disorder() -> None:
    world = world_with("{profile.level: gold}")
    world.tell("profile.updated", "12:00", level="gold")
    world.segment("{all: [{profile.level: gold}, {not: {happened: {event: order.returned}}}]}", version=2)
    world.look(at("12:10"))
    world.tell("order.returned", "08:00", now=at("12:20"), order={"id": "o"})
    assert world.moves() == [("+vip", at("12:00")), ("-vip", at("12:00") + TICK)]


def test_a_repeat_changes_nothing_and_a_replay_has_the_same_ids() -> None:
    made = []
    for seconds in (0, 7):
        world = world_with()
        for _ in range(2):
            order(world, "10:00", now=at("10:00") + timedelta(seconds=seconds))
        world.end()
        made.append([one.id for one in world.facts])
    assert made[0] == made[1]
    assert len(set(made[0])) == 2


def test_time_goes_before_an_event_that_comes_before_its_call() -> None:
    """The call is late: the platform was down. The order that comes first finds the customer outside already."""
    world = world_with()
    order(world, "10:00")
    late = at("10:00") + 31 * DAY
    calls, world.calls = dict(world.calls), {}
    order(world, late)
    assert world.moves()[1:] == [("-vip", at("10:00") + 30 * DAY + TICK), ("+vip", late)]
    world.calls = calls | world.calls
    world.run(late)
    assert len(world.moves()) == 3
    world.end()
    assert world.moves()[3:] == [("-vip", late + 30 * DAY + TICK)]
    assert world.balanced()


def test_a_stale_or_repeated_call_is_ignored() -> None:
    world = world_with()
    order(world, "10:00")
    (call,) = world.calls.values()
    for now, known in ((call.due_at, True), (call.due_at, False)):
        turn = world.turn(now)
        assert due.on_due(turn, call.step) is known
        world.absorb(turn)
    assert len(world.moves()) == 2


def test_a_call_that_comes_before_its_moment_by_another_clock_is_of_its_moment() -> None:
    world = world_with()
    order(world, "10:00")
    (call,) = world.calls.values()
    turn = world.turn(call.due_at - timedelta(seconds=1))
    assert due.on_due(turn, call.step)
    world.absorb(turn)
    assert not inside(world)


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("{profile.city: Warsaw}", [("profile.updated", {"city": "Warsaw"})]),
        ("{profile.address.city: Warsaw}", [("profile.registered", {"address": {"city": "Warsaw"}})]),
        ("{profile.groups: {contains: wholesale}}", [("profile.updated", {"groups": ["wholesale"]})]),
        ("{profile.tags: {contains: x}}", [("profile.tagged", {"tags": ["x"]})]),
        ("{profile.tags: {contains: x}}", [("profile.updated", {"tags": ["x"]})]),
        ("{cart.value: {gte: 100}}", [("cart.updated", {"cart": {"id": "c", "value": "100"}})]),
        ("{order.status: paid}", [("order.paid", {"order": {"id": "o", "status": "paid"}})]),
        ("{rfm.recency: {gte: 4}}", [("rfm.changed", {"to": "x", "scores": {"recency": 5}})]),
        ("{happened: {event: custom.x, times: 2}}", [("custom.x", {}), ("custom.x", {})]),
        ("{happened: {event: message.clicked, where: {event.name: a}}}", [("message.clicked", {"name": "a"})]),
        ("{happened: {event: custom.x, where: {profile.c: y}}}", [("custom.x", {}), ("profile.updated", {"c": "y"})]),
        ("{profile.timezone_hint: Europe/Warsaw}", [("cart.updated", {"timezone_hint": "Europe/Warsaw"})]),
    ],
)  # fmt: skip
def test_whatever_a_condition_asks_for_touches_it(condition: str, told: list[tuple[str, dict[str, Any]]]) -> None:
    world = world_with(condition)
    world.tell("custom.first", "09:00")
    for number, (type, data) in enumerate(told):
        world.tell(type, f"10:0{number}", **data)
    assert [name for name, _ in world.moves()] == ["+vip"]


def test_permissions_touch_it() -> None:
    world = world_with("{profile.consents.email.marketing: granted}")
    world.tell("custom.first", "09:00")
    turn = world.turn(at("10:00"))
    told = {"channel": "email", "purpose": "marketing", "status": "granted"}
    due.on_permission(turn, Happened("consent.changed", at("10:00"), "c", told), 7, {"email": {"marketing": "granted"}})
    world.absorb(turn)
    assert world.moves() == [("+vip", at("10:00"))]


def test_what_it_does_not_ask_for_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_with(LATELY)
    for number in range(200):
        world.segment("{profile.city: Warsaw}", id=f"s-{number}")
    world.tell("custom.first", "09:00")
    judged: list[str] = []
    monkeypatch.setattr("libs.domain.engine.segments._note", lambda turn, one, *rest: judged.append(one.id))
    world.tell("cart.updated", "10:00", cart={"id": "c"})
    order(world, "11:00")
    assert judged == ["vip"]


def test_days_are_those_of_the_customers_zone_and_move_with_it() -> None:
    world = world_with("{profile.contract_end: {lt: today+30d}}")
    world.tell("profile.updated", "10:00", contract_end="2026-05-01", timezone="Europe/Warsaw")
    enters = datetime(2026, 4, 1, 22, tzinfo=UTC)  # 2 April, 00:00 in Warsaw
    assert world.due == [enters]
    world.tell("profile.updated", "11:00", timezone="America/New_York")
    world.run(enters + timedelta(hours=5))
    assert world.moves() == []
    world.end()
    assert world.moves() == [("+vip", datetime(2026, 4, 2, 4, tzinfo=UTC))]
    assert world.balanced()


def test_a_zone_further_east_begins_its_days_earlier() -> None:
    world = world_with("{profile.contract_end: {lt: today+30d}}")
    world.tell("profile.updated", "10:00", contract_end="2026-05-01", timezone="America/New_York")
    world.tell("profile.updated", "11:00", timezone="Asia/Tokyo")
    world.end()
    assert world.moves() == [("+vip", datetime(2026, 4, 1, 15, tzinfo=UTC))]


def test_an_instant_is_passed_by_now() -> None:
    world = world_with("{profile.trial_ends: {gte: now, lt: now+2h}}")
    world.tell("profile.updated", "10:00", trial_ends=at("15:00").isoformat())
    world.end()
    assert world.moves() == [("+vip", at("13:00") + TICK), ("-vip", at("15:00") + TICK)]


def test_it_is_explained() -> None:
    world = world_with(TWICE)
    order(world, "10:00")
    (row,) = explain(world.turn(at("10:00")), None)["segments"]
    wanted = {"path": "happened(order.placed)", "found": 1, "verdict": False}
    assert (row["segment"], row["version"], row["in"], row["since"], row["conditions"]) == (
        "vip",
        1,
        False,
        None,
        [wanted],
    )
    order(world, "11:00")
    (row,) = explain(world.turn(at("12:00")), None)["segments"]
    assert (row["in"], row["since"]) == (True, at("11:00").isoformat())
    assert row["judged_again_at"] == (at("10:00") + 30 * DAY + TICK).isoformat()


def test_documents_of_before_have_marks() -> None:
    profile = Profile()
    assert decode(encode(profile)).segments == {}
    old = msgspec.msgpack.encode({"segments": {"vip": [MONDAY, True]}})
    world = world_with("{profile.level: gold}")
    world.profile = decode(old)
    assert inside(world)


def test_an_event_that_comes_twice_judges_once() -> None:
    world = world_with()
    turn = world.turn(at("10:00"))
    happened = Happened("order.placed", at("10:00"), "e", {})
    assert events.on_event(turn, happened, 5, None)
    assert not events.on_event(turn, happened, 5, None)
    assert len(turn.facts) == 1
