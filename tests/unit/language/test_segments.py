"""Segments as written: what is read, what is refused, where and why; the schema for editors says the same."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from cli.author import schema_text
from cli.segment import check
from libs.domain.lint.segment import MAIN, check_segment
from libs.domain.scenario.durations import relative
from libs.domain.scenario.model import All, Compare, Happened, Relative
from libs.domain.scenario.schema import segment_schema
from libs.domain.scenario.segment import parse_published_segment, parse_segment
from libs.domain.scenario.source import ScenarioError

ROOT = Path(__file__).resolve().parents[3]
VALIDATOR = Draft202012Validator(segment_schema())
VIP = """\
kurant: 1
id: vip
name: Very important
condition:
  all:
    - {rfm.segment: {in: [champion, loyal]}}
    - {happened: {event: order.placed, within: 90d, times: {gte: 2}, where: {event.order.value: {gte: 10}}}}
"""


def text(condition: str) -> str:
    return f"kurant: 1\nid: vip\nname: Very important\ncondition: {condition}\n"


def valid(told: str) -> bool:
    value = json.loads(json.dumps(YAML(typ="safe", pure=True).load(told), default=str))
    return bool(VALIDATOR.is_valid(value))


def test_it_is_read() -> None:
    segment = parse_segment(VIP)
    assert (segment.id, segment.name) == ("vip", "Very important")
    assert isinstance(segment.condition, All)
    second = segment.condition.of[1]
    assert isinstance(second, Happened)
    assert second.since.within == timedelta(days=90)
    assert check_segment({MAIN: VIP}) == []
    assert valid(VIP)


@pytest.mark.parametrize(
    ("condition", "message", "hint"),
    [
        ("{event.cart.value: ^1}", "event.cart.value has no meaning in a segment", "happened"),
        ("{key: ^1}", "key has no meaning", "happened"),
        ("{profile.level: ^key}", "`key` is of an enrolment", "value"),
        ("{profile.level: {eq: ^key}}", "`key` is of an enrolment", "value"),
        ("{profile: ^{exists: true}}", "profile is no field", "`profile.<field>`"),
        ("{profile.segments: ^{contains: x}}", "cannot ask for segments", "repeat"),
        ("{happened: {event: ^segment.entered}}", "cannot ask for segments", "repeat"),
        ("{happened: {event: order.placed, since: ^enrolled}}", "`since` is of an enrolment", "within"),
        ("{happened: {event: x, within: 1d, where: {event.at: ^{lt: today}}}}", "nothing is compared with", "within"),
        ("{happened: {event: x, within: 1d, where: {key: ^1}}}", "key has no meaning", "happened"),
        ("{profil.level: ^1}", "profil.level is no path", "did you mean `profile`?"),
        ("{profile.day: {lt: ^today+5h}}", "today+5h cannot be compared with", "weeks"),
        ("{profile.day: {eq: ^today+5d}}", "today+5d cannot be compared with", "gte"),
        ("{profile.day: ^today}", "today cannot be compared with", "gte"),
        ("{profile.day: {ne: ^now}}", "now cannot be compared with", "gte"),
        ("{profile.day: {in: ^[x, today]}}", "today cannot be compared with", "gte"),
        ("{profile.day: {lt: ^now+5x}}", "now+5x cannot be compared with", "now-2h"),
    ],
)
def test_what_has_no_meaning_is_refused_where_it_stands(condition: str, message: str, hint: str) -> None:
    told = text(condition.replace("^", "").replace("event: x", "event: custom.x"))
    with pytest.raises(ScenarioError) as caught:
        parse_segment(told)
    (found,) = caught.value.findings
    assert message in found.message
    assert hint in found.hint
    place = condition.replace("event: x", "event: custom.x").index("^")
    assert (found.line, found.column) == (4, len("condition: ") + place + 1)
    assert [one.severity for one in check_segment({MAIN: told})] == ["error"]


@pytest.mark.parametrize(
    "told",
    [
        "- a",
        "kurant: 2\nid: a\nname: a\ncondition: {profile.a: 1}",
        "kurant: 1\nname: a\ncondition: {profile.a: 1}",
        "kurant: 1\nid: A b\nname: a\ncondition: {profile.a: 1}",
        "kurant: 1\nid: a\ncondition: {profile.a: 1}",
        "kurant: 1\nid: a\nname: a",
        "kurant: 1\nid: a\nname: a\ncondition: {}",
        "kurant: 1\nid: a\nname: a\ncondition: [1]",
        "kurant: 1\nid: a\nname: a\ncondition: {profile.a: 1}\npurpose: marketing",
        text("{event.cart.value: 1}"),
        text("{profile.segments: {contains: x}}"),
        text("{happened: {event: order.placed, since: enrolled}}"),
    ],
)
def test_the_schema_and_the_parser_refuse_the_same(told: str) -> None:
    with pytest.raises(ScenarioError):
        parse_segment(told)
    assert not valid(told)
    assert any(one.severity == "error" for one in check_segment({MAIN: told}))


def test_lint_knows_events_fields_and_how_long_is_remembered() -> None:
    def found(condition: str) -> list[tuple[str, str, str]]:
        return [(one.severity, one.message, one.hint) for one in check_segment({MAIN: text(condition)})]

    ((severity, message, hint),) = found("{happened: {event: order.placd, within: 3d}}")
    assert (severity, message, hint) == ("error", "no event `order.placd` exists", "did you mean `order.placed`?")
    ((severity, message, _),) = found("{happened: {event: order.placed, within: 401d}}")
    assert (severity, "400 days" in message) == ("error", True)
    ((severity, message, _),) = found("{happened: {event: order.placed, where: {event.cart.value: 1}}}")
    assert (severity, message) == ("warning", "no order.placed has `cart`")
    ((severity, message, _),) = found("{profile.consents.email.marketing: yes}")
    assert (severity, "no status of a consent" in message) == ("error", True)
    ((severity, _, hint),) = found("{not: {any: [{profile.langage: pl}]}}")
    assert (severity, hint) == ("warning", "did you mean `profile.language`?")
    assert found("{happened: {event: custom.mine}}") == []


def test_lint_never_raises() -> None:
    for told in ("", "a: [", "&a [*a]", "\0", "kurant: 1\ncondition: {all: " + "[" * 60 + "]" * 60 + "}"):
        assert check_segment({MAIN: told})
    assert [one.file for one in check_segment({"other.yaml": ""})] == ["other.yaml", MAIN]


def test_the_file_is_called_after_the_segment() -> None:
    assert check(Path("vip.yaml"), {MAIN: VIP}) == []
    (found,) = check(Path("other.yaml"), {MAIN: VIP})
    assert (found.severity, found.hint) == ("error", "call it vip.yaml")


def test_those_that_come_with_kurant_are_right() -> None:
    files = sorted((ROOT / "segments").glob("*.yaml"))
    assert len(files) >= 3
    for file in files:
        told = file.read_text("utf-8")
        assert check(file, {MAIN: told}) == []
        assert valid(told)


def test_the_schema_in_the_repository_is_the_one_that_is_made() -> None:
    stored = (ROOT / "scenarios" / "schema" / "segment.schema.json").read_text("utf-8")
    assert stored == schema_text(segment_schema())
    Draft202012Validator.check_schema(segment_schema())


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("now", Relative(text="now", word="now")),
        ("today", Relative(text="today", word="today")),
        (" today + 30d ", Relative(text="today + 30d", word="today", shift=timedelta(days=30))),
        ("today-1mo", Relative(text="today-1mo", word="today", months=-1)),
        ("today+1y", Relative(text="today+1y", word="today", months=12)),
        ("now-90m", Relative(text="now-90m", word="now", shift=timedelta(minutes=-90))),
        ("now+1mo", Relative(text="now+1mo", word="now", shift=timedelta(days=30))),
        ("today+1h", None),
        ("tomorrow", None),
        ("today 30d", None),
        (5, None),
    ],
)
def test_dates_that_move(told: Any, read: Relative | None) -> None:
    assert relative(told) == read


def test_only_an_order_can_be_asked_of_them() -> None:
    condition = parse_segment(text("{profile.day: {gte: today-1d}}")).condition
    assert isinstance(condition, Compare)
    assert str(condition.value) == "today-1d"
    plain = parse_published_segment(text("{profile.day: today}")).condition
    assert isinstance(plain, Compare)
    assert plain.value == "today", "a word like any other, once"
