"""I8: what was published stays what it was, also where the language has become stricter since."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common.bus.records import Record
from libs.contracts import topics
from libs.contracts.envelope import Envelope, Message
from libs.contracts.scenarios import ScenarioPublished, ScenarioState, SegmentPublished, SegmentState
from libs.domain.engine.program import compile_program
from libs.domain.engine.registry import Registry
from libs.domain.lint.check import check_bundle, errors
from libs.domain.scenario.model import Compare, EventTrigger, Wait
from libs.domain.scenario.parse import parse, parse_published
from libs.domain.scenario.segment import parse_published_segment, parse_segment
from libs.domain.scenario.source import ScenarioError
from services.rules import handlers
from tests.unit.engine.world import World, at

NOW = datetime(2026, 3, 2, tzinfo=UTC)
TRIGGER, STEPS = "{event: custom.go}", "[{wait: 1h}, {send: it}]"


def text(trigger: str = TRIGGER, steps: str = STEPS, more: str = "") -> str:
    return (
        f"kurant: 1\nid: s\nname: s\npurpose: marketing\ntrigger: {trigger}\n"
        f"key: event.cart.id\n{more}\nsteps: {steps}\n"
    )


THEN_AND_NOW = [
    (text("{event: custom.go, where: {}}"), text()),
    (text("{event: custom.go, where: null, statuses: []}"), text()),
    (text("{event: custom.go, statuses: null}"), text()),
    (text("{event: custom.go, where: {event.n: {}, event.m: 1}}"), text("{event: custom.go, where: {event.m: 1}}")),
    (text("{rfm: {from: null, to: [lost]}}"), text("{rfm: {to: [lost]}}")),
    (text("{segment: {enters: vip, leaves: null}}"), text("{segment: {enters: vip}}")),
    (text("{tag: {added: vip, removed: ''}}"), text("{tag: {added: vip}}")),
    (text(more="exit: [{event: order.placed, where: {}}]"), text(more="exit: [{event: order.placed}]")),
    (text(more="window: {between: null, days: []}"), text(more="window: {}")),
    (text(more="window: {between: [], days: null}"), text(more="window: {}")),
    (text(steps="[{send: it, channels: [], if: {}}]"), text(steps="[{send: it}]")),
    (text(steps="[{send: it, channels: null, coupon: ten}]"), text(steps="[{send: it}]")),
    (text(steps="[{send: it}, {exit: now}]"), text(steps="[{send: it}, exit]")),
    (text(steps="[{wait: {for: 3d, until: '09:00'}}, {send: it}]"), text(steps="[{wait: {for: 3d}}, {send: it}]")),
    (
        text(steps="[{wait: {until: '09:00', days: null, before: 1d}}, {send: it}]"),
        text(steps="[{wait: {until: '09:00'}}, {send: it}]"),
    ),
    (
        text(steps="[{split: {name: x, arms: {a: 1, b: 1}, seed: 7}, a: [{send: it}]}]"),
        text(steps="[{split: {name: x, arms: {a: 1, b: 1}}, a: [{send: it}]}]"),
    ),
    (text(more="exit:"), text()),
    (text(more="again:"), text()),
    (text(more="window:"), text()),
    (text().replace("key: event.cart.id", "key:"), text().replace("key: event.cart.id", "")),
    (text("{date: profile.birthday, every: }"), text("{date: profile.birthday}")),
    (
        text(steps="[{send: it}, {until: {event: message.clicked, of: }, within: 1h, then: [exit]}, {send: b}]"),
        text(steps="[{send: it}, {until: {event: message.clicked}, within: 1h, then: [exit]}, {send: b}]"),
    ),
    (
        text("{event: custom.go, where: {happened: {event: custom.a, since: , times: }}}"),
        text("{event: custom.go, where: {happened: {event: custom.a}}}"),
    ),
    (
        text(steps="[{until: {event: custom.a, where: {}}, within: 1h, then: [{send: it}]}]"),
        text(steps="[{until: {event: custom.a}, within: 1h, then: [{send: it}]}]"),
    ),
]


@pytest.mark.parametrize(("then", "now"), THEN_AND_NOW)
def test_a_form_that_is_refused_today_means_what_it_meant(then: str, now: str) -> None:
    with pytest.raises(ScenarioError):
        parse(then)
    assert errors(check_bundle({"scenario.yaml": then}))
    ours, theirs = (compile_program(made, 1) for made in (parse_published(then), parse(now)))
    assert replace(ours, asking=0, counter="") == replace(theirs, asking=0, counter="")


@pytest.mark.parametrize("day", ["today", "today+5d", "now - 2h"])
def test_a_day_that_moves_was_text_where_no_order_is_asked_of_it(day: str) -> None:
    for then, op, value in (
        (day, "eq", day),
        (f"{{in: {[day]}}}", "in", [day]),
        (f"{{nin: [x, {day}]}}", "nin", ["x", day]),
    ):
        said = text(f"{{event: custom.go, where: {{event.day: {then}}}}}")
        with pytest.raises(ScenarioError, match="cannot be compared with"):
            parse(said)
        trigger = parse_published(said).trigger
        assert isinstance(trigger, EventTrigger)
        assert trigger.where == Compare(path="event.day", op=op, value=value)


@pytest.mark.parametrize(
    "newer",
    [
        text("{weather: rain}"),
        text(steps="[{send: it}, {telephone: it}]"),
        text(more="cap: {per: week}"),
        text("{event: custom.go, where: {event.n: {sounds_like: x}}}"),
        text(steps="[{wait: {for: 3d, moon: full}}, {send: it}]"),
        text(steps="[{send: it, voice: deep}]"),
        text(steps="[{if: {}, then: [{send: it}]}]"),
        text().replace("kurant: 1", "kurant: 2"),
        "- no\n- mapping\n",
    ],
)
def test_what_no_version_of_this_reader_has_taken_is_left_to_those_who_know_it(newer: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        parse_published(newer)
    assert raised.value.findings


def test_a_wait_before_and_after_a_date_goes_on_as_the_difference_of_the_two() -> None:
    said = text(steps="[{wait: {until: event.d, before: 1d, after: 3d}}, {send: it}]")
    assert any("not both" in one.message for one in errors(check_bundle({"scenario.yaml": said})))
    step = parse_published(said).steps[0]
    assert isinstance(step, Wait)
    assert (step.before, step.after) == (timedelta(days=1), timedelta(days=3))


@pytest.mark.parametrize("now", [now for _, now in THEN_AND_NOW])
def test_what_is_taken_today_is_read_the_same_either_way(now: str) -> None:
    assert parse_published(now) == parse(now)


def test_a_segment_as_well() -> None:
    said = "kurant: 1\nid: vip\nname: vip\ncondition: {profile.level: {gte: 2}, all: []}\n"
    with pytest.raises(ScenarioError):
        parse_segment(said)
    assert parse_published_segment(said).id == "vip"
    with pytest.raises(ScenarioError):
        parse_published_segment(said.replace("profile.level", "weather.level"))


def record(offset: int, message: Message, id: str) -> Record:
    envelope = Envelope(id=id, source="/kurant/console", type=message.TYPE, time=NOW, shop="demo")
    return Record(
        topic=topics.SCENARIOS.name,
        partition=0,
        offset=offset,
        key=id.encode(),
        value=message.encode(),
        headers=tuple(envelope.headers()),
        timestamp=0,
    )


def learned(*told: Message) -> Registry:
    registry = Registry()
    for offset, message in enumerate(told):
        handlers.learn(registry, record(offset, message, f"r{offset}"))
    return registry


def scenario(version: int, said: str) -> Message:
    return ScenarioPublished(scenario="s", version=version, published_at=NOW, files={"scenario.yaml": said})


def test_an_enrolment_goes_on_by_its_version_after_an_upgrade_that_refuses_it() -> None:
    old = text("{event: custom.go, where: {}}", "[{wait: 1h}, {send: first, channels: []}, {wait: 1h}, {send: second}]")
    live: dict[str, Any] = {"scenario": "s", "state": "live", "changed_at": NOW}
    world = World(registry=learned(scenario(1, old), ScenarioState(version=1, **live)))
    world.tell("custom.go", "10:00", cart={"id": "c"})
    world.run(at("11:30"))
    newer = scenario(2, text(steps="[{send: other}]"))
    world.registry = learned(scenario(1, old), newer, ScenarioState(version=2, **live))  # as after a restart
    assert world.end() == [("first", at("11:00")), ("second", at("12:00"))]
    assert [one.channels for one in world.requests] == [["email"], ["email"]]


def test_a_segment_is_judged_by_a_version_that_is_refused_today() -> None:
    said = "kurant: 1\nid: vip\nname: vip\ncondition: {profile.level: {gte: 2}, cart.value: {}}\n"
    told = SegmentPublished(segment="vip", version=1, published_at=NOW, files={"segment.yaml": said})
    world = World(registry=learned(told, SegmentState(segment="vip", version=1, state="live", changed_at=NOW)))
    world.tell("profile.updated", "10:00", level=3)
    assert world.moves() == [("+vip", at("10:00"))]
