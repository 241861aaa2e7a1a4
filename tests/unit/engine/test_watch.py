"""Dates and silences: one call each, moved, cancelled, judged again, not told twice."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from libs.domain.engine import merge
from tests.unit.engine.world import MONDAY, World, at, scenario, world_of

BIRTHDAY = scenario('{date: profile.birthday, before: 3d, at: "10:00", every: year}', "  - send: wishes\n")


def day(month: int, day: int, hour: int = 0, minute: int = 0, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def born(world: World, birthday: str | None, clock: str = "10:00", **more: str) -> None:
    world.tell("profile.updated", clock, birthday=birthday, **more)


def test_a_birthday_comes_every_year_at_the_customers_hour() -> None:
    world = world_of(BIRTHDAY)
    born(world, "1990-03-20", timezone="Europe/Warsaw")
    assert world.due == [day(3, 17, 9)]
    world.run(day(12, 31, year=2028))
    assert [when for _, when in world.sent] == [day(3, 17, 9, year=year) for year in (2026, 2027, 2028)]
    assert len(world.calls) == 1
    assert world.balanced()


def test_29_february_is_28_in_other_years() -> None:
    world = world_of(scenario('{date: profile.birthday, at: "10:00", every: year}', "  - send: wishes\n"))
    born(world, "1992-02-29")
    world.run(day(12, 31, year=2030))
    assert [(when.year, when.month, when.day) for _, when in world.sent] == [
        (2027, 2, 28),
        (2028, 2, 29),
        (2029, 2, 28),
        (2030, 2, 28),
    ]


def test_one_that_was_told_too_late_waits_for_the_next_year() -> None:
    world = world_of(BIRTHDAY)
    born(world, "1990-03-04")  # three days before was on 1 March
    assert world.due == [day(3, 1, 10, year=2027)]
    world = world_of(BIRTHDAY.replace("every: year", "every: year, late: 3d"))
    born(world, "1990-03-04")
    assert world.names == ["wishes"]
    assert world.due == [day(3, 1, 10, year=2027)]


@pytest.mark.parametrize(
    ("told", "due"), [("--03-20", True), ("1990-03-20T00:00:00", True), ("soon", False), (None, False)]
)
def test_how_a_day_may_be_written(told: str | None, due: bool) -> None:
    world = world_of(BIRTHDAY)
    born(world, told)
    assert world.due == ([day(3, 17, 10)] if due else [])


def test_another_day_moves_it_and_none_cancels_it() -> None:
    world = world_of(BIRTHDAY)
    born(world, "1990-03-20")
    born(world, "1990-04-20", "11:00")
    assert world.due == [day(4, 17, 10)]
    born(world, None, "12:00")
    assert world.due == []
    born(world, "1990-04-20", "13:00")
    assert world.due == [day(4, 17, 10)]
    assert world.balanced()


def test_a_day_that_is_corrected_after_the_wishes_brings_none_again_this_year() -> None:
    world = world_of(BIRTHDAY)
    born(world, "1990-03-10")
    world.run(day(3, 7, 10))
    assert world.names == ["wishes"]
    world.tell("profile.updated", day(3, 8), birthday="1990-05-10")
    assert world.due == [day(5, 7, 10, year=2027)]


def test_a_changed_zone_moves_it_at_once() -> None:
    world = world_of(BIRTHDAY)
    born(world, "1990-03-20", timezone="Europe/Warsaw")
    world.tell("profile.updated", "11:00", timezone="America/New_York")
    assert world.due == [day(3, 17, 14)]
    assert world.balanced()


def test_published_later_it_is_found_by_the_next_event_or_by_a_look() -> None:
    for by_event in (True, False):
        world = World()
        born(world, "1990-03-20")
        world.publish(BIRTHDAY)
        assert world.calls == {}
        if by_event:
            world.tell("product.viewed", "12:00")
        else:
            world.look(at("12:00"))
        assert world.due == [day(3, 17, 10)]
        world.look(at("13:00"))
        assert len(world.calls) == 1


def test_a_new_version_moves_it_and_the_archive_ends_it() -> None:
    world = world_of(BIRTHDAY)
    born(world, "1990-03-20")
    world.publish(BIRTHDAY.replace("before: 3d", "before: 5d"), version=2)
    world.look(at("11:00"))
    assert world.due == [day(3, 15, 10)]
    world.registry.set_state("demo", "s", 2, "archived")
    world.look(at("12:00"))
    assert (world.due, world.profile.watches) == ([], {})
    assert world.balanced()


def test_a_version_that_nobody_has_looked_at_is_judged_when_the_call_comes() -> None:
    world = world_of(BIRTHDAY)
    born(world, "1990-03-20")
    world.publish(BIRTHDAY.replace("before: 3d", "before: 1d").replace("wishes", "others"), version=2)
    world.run(day(3, 17, 11))
    assert (world.names, world.due) == ([], [day(3, 19, 10)])
    world.run(day(3, 19, 11))
    assert world.names == ["others"]


def test_while_it_is_paused_nobody_enters_and_next_year_they_do() -> None:
    world = world_of(BIRTHDAY)
    born(world, "1990-03-20")
    world.registry.set_state("demo", "s", 1, "paused")
    world.run(day(3, 18))
    assert (world.names, world.profile.judged["s"].because) == ([], "paused")
    world.registry.set_state("demo", "s", 1, "live")
    world.run(day(3, 18, year=2027))
    assert world.names == ["wishes"]


def test_a_repeated_or_stale_call_does_nothing() -> None:
    world = world_of(BIRTHDAY)
    born(world, "1990-03-20")
    stale = next(iter(world.calls.values()))
    born(world, "1990-03-21", "11:00")
    fired = next(iter(world.calls.values()))
    world.run(day(3, 18, 10))
    world.calls |= {stale.step: stale, fired.step: fired}
    world.run(day(3, 19, 10))
    assert world.names == ["wishes"]


DELIVERY = scenario(
    '{date: event.order.planned_delivery, before: 1d, at: "09:00"}',
    "  - send: tomorrow\n",
    more="key: event.order.id\nexit: [{event: order.cancelled, where: {event.order.id: {eq: key}}}]",
)


def planned(
    world: World, clock: str, date: str | None, *, id: str = "o1", type: str = "order.placed", now: str = ""
) -> None:
    world.tell(type, clock, order={"id": id, "planned_delivery": date}, now=at(now) if now else None)


def test_the_day_before_a_delivery_moves_with_it() -> None:
    world = world_of(DELIVERY)
    planned(world, "10:00", "2026-03-10")
    assert world.due == [day(3, 9, 9)]
    planned(world, "11:00", "2026-03-12T15:00:00+01:00", type="order.status_changed")
    assert world.due == [day(3, 11, 9)]
    planned(world, "10:30", "2026-03-08", now="12:00")  # older news
    assert world.due == [day(3, 11, 9)]
    assert world.end() == [("tomorrow", day(3, 11, 9))]
    assert world.requests[0].context["event"]["order"]["id"] == "o1"
    assert world.balanced()


def test_each_order_has_its_own() -> None:
    world = world_of(DELIVERY)
    planned(world, "10:00", "2026-03-10")
    planned(world, "10:30", "2026-03-15", id="o2")
    world.tell("order.cancelled", "11:00", order={"id": "o1"})
    assert world.due == [day(3, 14, 9)]
    assert [w.because for w in world.profile.watches.values()] == ["order.cancelled", ""]


def test_an_event_without_the_field_changes_nothing_and_an_empty_one_cancels() -> None:
    world = world_of(DELIVERY)
    planned(world, "10:00", "2026-03-10")
    world.tell("order.paid", "10:30", order={"id": "o1"})
    assert len(world.calls) == 1
    planned(world, "11:00", None, type="order.status_changed")
    assert world.calls == {}


def test_a_cancellation_that_came_before_its_order() -> None:
    world = world_of(DELIVERY)
    world.tell("order.cancelled", "11:00", order={"id": "o1"}, now=at("11:01"))
    planned(world, "10:00", "2026-03-10", now="11:02")
    assert world.calls == {}


def test_a_date_that_moves_after_it_was_told_is_told_again() -> None:
    world = world_of(DELIVERY)
    planned(world, "10:00", "2026-03-10")
    world.run(day(3, 9, 9))
    for hour, date in ((12, "2026-03-10"), (13, "2026-03-20")):
        assert world.calls == {}
        world.tell("order.status_changed", day(3, 9, hour), order={"id": "o1", "planned_delivery": date})
    assert world.due == [day(3, 19, 9)]


def test_past_dates_tell_nothing() -> None:
    world = world_of(DELIVERY)
    planned(world, "10:00", "2026-03-01")
    planned(world, "10:00", "2026-03-02", id="o2")  # the day before, 09:00: 25 hours ago
    assert (world.names, world.calls) == ([], {})
    world = world_of(DELIVERY)
    planned(world, "08:00", "2026-03-02", id="o3")  # 23 hours ago
    assert world.names == ["tomorrow"]


def test_known_orders_are_found_by_a_look() -> None:
    world = World()
    planned(world, "10:00", "2026-03-10")
    world.publish(DELIVERY)
    world.look(at("11:00"))
    assert world.due == [day(3, 9, 9)]


def test_months_and_years_count_by_the_calendar() -> None:
    world = world_of(scenario('{date: event.order.placed_at, after: 2y, at: "10:00"}', "  - send: warranty\n"))
    world.tell("order.placed", "10:00", order={"id": "o", "placed_at": "2026-03-02T09:00:00Z"})
    assert world.due == [datetime(2028, 3, 2, 10, tzinfo=UTC)]


def test_watches_are_bounded() -> None:
    world = world_of(DELIVERY)
    for n in range(130):
        moment = MONDAY + timedelta(minutes=n)
        world.event("order.placed", moment, {"order": {"id": f"o{n}", "planned_delivery": "2026-05-01"}})
    assert len(world.profile.watches) == len(world.calls) == 100
    assert world.balanced()


INACTIVE = scenario("{inactive: {events: [profile.logged_in, order.placed], for: 90d}}", "  - send: miss-you\n")


def test_inactivity_counts_from_the_last_activity_and_begins_again_with_the_next() -> None:
    world = world_of(INACTIVE)
    world.tell("profile.logged_in", "10:00")
    world.tell("order.placed", MONDAY + timedelta(days=30))
    world.tell("product.viewed", MONDAY + timedelta(days=60))
    assert len(world.calls) == 1
    world.run(MONDAY + timedelta(days=119))
    assert world.names == []
    world.run(MONDAY + timedelta(days=300))
    assert world.sent == [("miss-you", MONDAY + timedelta(days=120))]
    assert world.calls == {}
    world.tell("profile.logged_in", MONDAY + timedelta(days=400))
    world.run(MONDAY + timedelta(days=700))
    assert [when for _, when in world.sent] == [MONDAY + timedelta(days=d) for d in (120, 490)]
    assert world.balanced()


def test_activity_asks_for_no_other_call_while_one_is_out() -> None:
    world = world_of(INACTIVE)
    for n in range(50):
        world.tell("profile.logged_in", MONDAY + timedelta(days=n))
    assert world.sums["steps.scheduled"] == 1
    assert world.explain("s", MONDAY)["watch"][0]["due_at"] == (MONDAY + timedelta(days=49 + 90)).isoformat()


def test_who_never_did_anything_of_it_is_measured_from_the_first_event() -> None:
    world = world_of(INACTIVE)
    world.tell("product.viewed", "10:00")
    assert world.due == [at("10:00") + timedelta(days=90)]


def test_who_was_quiet_long_before_the_scenario_is_left_in_peace() -> None:
    world = World()
    world.tell("order.placed", MONDAY)
    world.publish(INACTIVE)
    world.look(MONDAY + timedelta(days=200))
    assert (world.names, world.calls) == ([], {})
    assert "already when this scenario began" in world.explain("s")["because"]
    world.tell("order.placed", MONDAY + timedelta(days=210))
    world.run(MONDAY + timedelta(days=301))
    assert world.names == ["miss-you"]


@pytest.mark.parametrize(("days", "sent"), [(89, [MONDAY + timedelta(days=1)]), (120, [])])
def test_a_last_activity_that_is_told_after_the_customer_was_first_seen(days: int, sent: list[datetime]) -> None:
    """A shop tells its customers first, then what they did: the silence counts from that."""
    world = world_of(INACTIVE)
    world.tell("profile.updated", MONDAY)
    world.tell("profile.logged_in", MONDAY - timedelta(days=days), now=MONDAY + timedelta(minutes=1))
    world.run(MONDAY + timedelta(days=300))
    assert [at for _, at in world.sent] == sent
    assert world.balanced()


def test_a_late_call_still_finds_them_inactive() -> None:
    world = world_of(INACTIVE)
    world.tell("profile.logged_in", MONDAY)
    call = next(iter(world.calls.values()))
    world.calls[call.step] = structs.replace(call, due_at=MONDAY + timedelta(days=95))
    world.run(MONDAY + timedelta(days=96))
    assert world.names == ["miss-you"]
    assert world.requests[0].due_at == MONDAY + timedelta(days=90)


def test_a_merge_takes_the_watches_along_and_does_not_repeat_the_wishes() -> None:
    world = world_of(BIRTHDAY, DELIVERY.replace("id: s", "id: d"))
    born(world, "1990-03-10")
    planned(world, "10:30", "2026-03-20")
    world.run(day(3, 7, 10))
    assert world.names == ["wishes"]
    other = World(registry=world.registry, id="22222222-2222-5222-8222-222222222222")
    other.tell("product.viewed", day(3, 8))
    leaving = world.turn(day(3, 8))
    handed = merge.hand_over(leaving, other.id)
    world.absorb(leaving)
    assert world.calls == {}
    taking = other.turn(day(3, 8))
    merge.absorb(taking, handed)
    other.absorb(taking)
    assert other.due == [day(3, 19, 9), day(3, 7, 10, year=2027)]
    assert world.balanced() and other.balanced()


def test_explain_says_what_is_awaited_and_what_is_missing() -> None:
    world = world_of(BIRTHDAY)
    world.tell("product.viewed", "09:00")
    assert world.explain("s")["because"] == "no date at profile.birthday"
    born(world, "1990-03-20")
    row = world.explain("s")
    assert row["because"] == "awaits 2026-03-17T10:00:00+00:00"
    assert row["watch"] == [
        {
            "key": world.id,
            "version": 1,
            "due_at": "2026-03-17T10:00:00+00:00",
            "date": "2026-03-20",
            "because": None,
        }
    ]


def test_a_zone_that_changes_after_it_was_told_tells_it_no_second_time() -> None:
    world = world_of(DELIVERY)
    planned(world, "10:00", "2026-03-10")
    world.run(day(3, 9, 9))
    world.tell("profile.updated", day(3, 9, 10), timezone="America/New_York")
    world.tell("order.paid", day(3, 9, 11), order={"id": "o1", "planned_delivery": "2026-03-10"})
    assert (world.names, world.calls) == (["tomorrow"], {})


def test_a_look_asks_for_no_other_call_for_a_silence_but_a_shorter_one_does() -> None:
    world = world_of(INACTIVE)
    world.tell("profile.logged_in", MONDAY)
    world.tell("profile.logged_in", MONDAY + timedelta(days=9))
    world.publish(BIRTHDAY.replace("id: s", "id: b"))
    world.look(MONDAY + timedelta(days=10))
    assert world.due == [MONDAY + timedelta(days=90)]
    world.publish(INACTIVE.replace("90d", "30d"), version=2)
    world.look(MONDAY + timedelta(days=11))
    assert world.due == [MONDAY + timedelta(days=39)]
    assert world.balanced()
