"""Every operator, the unknown, and what has happened."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.domain.engine.tracks import Track, join, project, remember
from libs.domain.scenario.match import Found, History, holds, judge
from libs.domain.scenario.model import Compare
from libs.domain.scenario.parse import parse
from tests.unit.engine.world import scenario

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SCOPE: dict[str, Any] = {
    "profile": {"tags": ["vip", "b2b"], "groups": [], "level": 3, "city": "Łódź", "birthday": "1990-03-09", "ok": True},
    "event": {"cart": {"value": "249.00", "items": [{"sku": "a"}, {"sku": "b"}]}, "at": "2026-03-02T23:30:00Z"},
    "cart": None,
    "rfm": {"segment": "loyal", "recency": 5},
    "key": "c-1",
    "zone": "Europe/Warsaw",
}


def condition(text: str) -> Any:
    found = parse(scenario("{event: custom.x}", f"  - if: {text}\n    then: [exit]\n")).steps[0]
    return found.condition  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{profile.level: 3}", True),
        ('{profile.level: "3.0"}', True),
        ("{profile.level: {gt: 3}}", False),
        ("{event.cart.value: {gte: 249, lt: 249.01}}", True),
        ('{event.cart.value: {in: ["249", "1"]}}', True),
        ("{event.cart.value: {nin: [1, 2]}}", True),
        ("{event.cart.items.1.sku: b}", True),
        ("{event.cart.items.7.sku: b}", False),
        ("{profile.tags: {contains: vip}}", True),
        ("{profile.tags: {contains: new}}", False),
        ("{profile.tags: {in: [new, b2b]}}", True),
        ("{profile.tags: {nin: [new, b2b]}}", False),
        ("{profile.tags: {nin: [new]}}", True),
        ("{profile.groups: {contains: x}}", False),
        ("{profile.groups: {exists: true}}", True),
        ("{profile.city: {contains: łó}}", True),
        ("{profile.city: {starts_with: ŁÓ}}", True),
        ("{profile.none: {exists: false}}", True),
        ("{profile.none: {ne: 1}}", False),
        ("{not: {profile.none: {eq: 1}}}", True),
        ("{profile.none: {lt: 5}}", False),
        ("{cart.value: {gte: 0}}", False),
        ("{rfm.segment: {in: [champion, loyal]}}", True),
        ("{rfm.recency: {gte: 4}}", True),
        ("{key: c-1}", True),
        ("{key: {ne: c-2}}", True),
        ("{profile.ok: true}", True),
        ("{profile.ok: {gt: false}}", False),
        ('{profile.birthday: {lt: "2008-03-02"}}', True),
        ('{event.at: {eq: "2026-03-03"}}', True),
        ('{event.at: {lt: "2026-03-03"}}', False),
        ('{event.at: {gte: "2026-03-03T00:30:00"}}', True),
        ('{event.at: {lt: "2026-03-03T00:31:00"}}', True),
        ("{all: [{profile.level: 3}, {any: [{key: x}, {profile.ok: true}]}]}", True),
        ("{not: {all: [{profile.level: 3}, {key: c-1}]}}", False),
    ],
)
def test_comparisons(text: str, expected: bool) -> None:
    wanted = condition(text)
    assert holds(wanted, SCOPE) is expected
    assert judge(wanted, SCOPE)[0] is expected


def test_every_part_is_told_even_where_the_verdict_is_clear() -> None:
    verdict, found = judge(condition("{all: [{profile.level: 9}, {profile.city: Łódź}, {profile.none: 1}]}"), SCOPE)
    assert not verdict
    assert [(one.path, one.verdict) for one in found] == [
        ("profile.level", False),
        ("profile.city", True),
        ("profile.none", False),
    ]


def test_long_values_are_told_short() -> None:
    scope = {"event": {"a": "x" * 999, "b": list(range(99)), "c": {"d": 1}}}
    _, found = judge(condition("{all: [{event.a: 1}, {event.b: 1}, {event.c: 1}]}"), scope)
    assert [len(str(one.found)) < 210 for one in found] == [True] * 3


def history(*days: float, keep: int = 400, data: dict[str, Any] | None = None) -> History:
    tracks: dict[str, Track] = {}
    for day in days:
        remember(tracks, "order.placed", NOW - timedelta(days=day), data, keep)
    return History(
        now=NOW, tracks=tracks, enrolled_at=NOW - timedelta(days=10), sent={"first": NOW - timedelta(days=5)}
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{event: order.placed}", True),
        ("{event: order.placed, times: 4}", True),
        ("{event: order.placed, within: 30d, times: 3}", True),
        ("{event: order.placed, within: 400d, times: {gte: 4}}", True),
        ("{event: order.placed, since: enrolled, times: 2}", True),
        ("{event: order.placed, since: sent(first), times: 1}", True),
        ("{event: order.placed, since: sent(second)}", False),
        ("{event: order.paid}", False),
        ("{event: order.paid, times: {lt: 1}}", True),
    ],
)
def test_what_has_happened(text: str, expected: bool) -> None:
    past = history(390, 20, 10, 1)
    assert holds(condition(f"{{happened: {text}}}"), SCOPE, past) is expected


def test_where_of_the_past_looks_at_that_event_and_the_profile_as_it_is_now() -> None:
    past = history(3, data={"order": {"value": "500"}})
    assert holds(condition("{happened: {event: order.placed, where: {event.order.value: {gte: 500}}}}"), SCOPE, past)
    assert not holds(condition("{happened: {event: order.placed, where: {event.order.value: {gt: 500}}}}"), SCOPE, past)
    assert holds(condition("{happened: {event: order.placed, where: {profile.level: 3}}}"), SCOPE, past)
    assert holds(condition('{happened: {event: order.placed, where: {event.time: {lt: "2026-03-01"}}}}'), SCOPE, past)


def test_more_than_is_remembered_is_at_least_and_ever_is_exact() -> None:
    past = history(*(n / 10 for n in range(60, 0, -1)), keep=20)
    count = condition("{happened: {event: order.placed, within: 5d, times: {gte: 60}}}")
    assert judge(count, SCOPE, past) == (False, [Found("happened(order.placed)", "at least 20", False)])
    assert judge(condition("{happened: {event: order.placed, times: 60}}"), SCOPE, past)[0]
    assert judge(condition("{happened: {event: order.placed, within: 1d}}"), SCOPE, past)[1][0].found == 10


def test_a_track_is_in_the_order_of_time_whatever_comes_first() -> None:
    for order in ((1, 2, 3), (3, 1, 2), (2, 3, 1)):
        tracks: dict[str, Track] = {}
        for n in order:
            remember(tracks, "t", NOW + timedelta(days=n), {"n": n}, 10)
        assert [one["n"] for one in tracks["t"].data] == [1, 2, 3]
        assert tracks["t"].times == sorted(tracks["t"].times)


def test_data_stays_with_its_time_when_only_some_have_any() -> None:
    tracks: dict[str, Track] = {}
    remember(tracks, "t", NOW, None, 3)
    remember(tracks, "t", NOW + timedelta(days=2), {"n": 2}, 3)
    remember(tracks, "t", NOW + timedelta(days=1), {"n": 1}, 3)
    assert tracks["t"].data == [{}, {"n": 1}, {"n": 2}]
    remember(tracks, "t", NOW + timedelta(days=3), None, 3)
    assert tracks["t"].data == [{"n": 1}, {"n": 2}, {}]
    assert (tracks["t"].total, tracks["t"].dropped) == (4, NOW)


def test_two_tracks_joined() -> None:
    mine: dict[str, Track] = {}
    other: dict[str, Track] = {}
    for n in range(4):
        remember(mine if n % 2 else other, "t", NOW + timedelta(days=n), {"n": n}, 2)
    remember(other, "u", NOW, None, 2)
    join(mine, other, 3)
    assert [one["n"] for one in mine["t"].data] == [1, 2, 3]
    assert (mine["t"].total, mine["t"].dropped) == (4, NOW)
    assert mine["u"].total == 1


def test_only_what_is_asked_for_is_kept() -> None:
    data = {"order": {"value": "5", "items": [{"sku": "a", "x": 1}], "secret": "s"}, "other": 1}
    paths = [("order", "value"), ("order", "items", "0", "sku"), ("order", "none"), ("other", "deep")]
    assert project(data, paths) == {"order": {"value": "5", "items": {"0": {"sku": "a"}}}}
    assert data["order"] == {"value": "5", "items": [{"sku": "a", "x": 1}], "secret": "s"}


def test_a_flag_is_no_number() -> None:
    for told, wanted in ((1, True), (0, False), (True, 1), (False, "0")):
        scope = {"profile": {"x": told}}
        assert not holds(Compare(path="profile.x", op="eq", value=wanted), scope)
        assert holds(Compare(path="profile.x", op="ne", value=wanted), scope)
        assert not holds(Compare(path="profile.x", op="gte", value=wanted), scope)
    assert holds(Compare(path="profile.x", op="eq", value=True), {"profile": {"x": True}})
