"""The JSON Schemas say what the parser says: of what there is, of what is wrong, and of what is made at random."""

import json
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from cli.author import schema_text
from libs.domain.rehearsal.expect import FORMS
from libs.domain.rehearsal.read import FIELDS, GIVEN, read_test
from libs.domain.scenario.parse import FIELDS as HEAD
from libs.domain.scenario.parse import TRIGGERS, VERBS, parse
from libs.domain.scenario.schema import rehearsal_schema, scenario_schema
from libs.domain.scenario.source import ScenarioError, read
from tests.unit.scenario.test_graph import FILES, WHOLE

ROOT = Path(__file__).resolve().parents[3]
TESTS = sorted(ROOT.glob("scenarios/*/tests/*.yaml"))
SCENARIO, TEST = Draft202012Validator(scenario_schema()), Draft202012Validator(rehearsal_schema())


def plain(value: Any) -> Any:
    """As an editor's JSON has it."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def told(validator: Draft202012Validator, text: str) -> list[str]:
    return [f"{one.json_path}: {one.message}" for one in validator.iter_errors(plain(read(text, "x").value))]


def parses(text: str) -> bool:
    try:
        parse(text)
    except ScenarioError:
        return False
    return True


def test_they_are_schemas_and_the_files_hold_them() -> None:
    for name, made in (("scenario", scenario_schema()), ("test", rehearsal_schema())):
        Draft202012Validator.check_schema(made)
        file = ROOT / "scenarios" / "schema" / f"{name}.schema.json"
        assert file.read_text() == schema_text(made), "write it anew: kurant scenario schema [--tests]"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_every_scenario_here_fits(file: Path) -> None:
    assert told(SCENARIO, file.read_text()) == []


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_every_test_here_fits(file: Path) -> None:
    assert told(TEST, file.read_text()) == []


def test_the_whole_language_fits() -> None:
    assert told(SCENARIO, WHOLE) == []
    assert parses(WHOLE)


def test_no_word_of_the_language_is_missing() -> None:
    made = scenario_schema()
    assert set(made["properties"]) == set(HEAD)
    assert {f"{verb}_step" for verb in VERBS if verb != "exit"} <= made["$defs"].keys()
    assert {form["required"][0] for form in made["$defs"]["trigger"]["oneOf"]} == set(TRIGGERS)
    for form in made["$defs"]["trigger"]["oneOf"]:
        assert set(form["properties"]) == set(TRIGGERS[form["required"][0]])
    of_tests = rehearsal_schema()
    assert set(of_tests["properties"]) == set(FIELDS)
    assert set(of_tests["properties"]["given"]["properties"]) == set(GIVEN)
    forms: dict[str, set[str]] = {}
    choice = of_tests["properties"]["then"]["items"]["then"]
    while choice:
        forms[choice["if"]["required"][0]] = set(choice["then"]["properties"])
        choice = choice["else"]
    assert forms == {kind: {kind, *fields} for kind, fields in FORMS.items()}


WRONG = [
    ("kurant: 1", "kurant: 2"),
    ("id: whole", "id: Whole One"),
    ("purpose: marketing\n", ""),
    ("name: Whole\n", "nam: Whole\n"),
    ("every: year", "every: month"),
    ('at: "10:00", every', 'at: "25:00", every'),
    ("date: profile.birthday", "date: cart.birthday"),
    ("before: 3d", "before: three days"),
    ("trigger: {date: profile.birthday", "trigger: {dates: profile.birthday"),
    ("- event: order.placed\n", "- evnt: order.placed\n"),
    ("order.value: {gte: 10}", "order.value: {gte2: 10}"),
    ("order.value: {gte: 10}", "ordr.value: {gte: 10}"),
    ("within: 30d", "within: 30 days"),
    ("times: {gte: 2}", "times: {contains: 2}"),
    ("any: [", "anyof: ["),
    ("- send: rich", "- sned: rich"),
    ("channels: [email, sms]", "channels: [email, fax]"),
    ("late: 6h", "late: 6"),
    ("    within: 48h\n", ""),
    ("- exit\n", "- stop\n"),
    ("a: 45,", "a: many,"),
    ("name: subject, ", ""),
    ("webhook: {url:", "webhook: {uri:"),
    ("set: {vip_since: 2026}", "set: vip"),
    ("tag: {add: [keen]}", "tag: {added: [keen]}"),
    ("wait: {for: 2d", "wait: {fro: 2d"),
    ("of: rich}", "off: rich}"),
    ("steps:\n", "restart: maybe\nsteps:\n"),
    ("steps:\n", "priority: high\nsteps:\n"),
    ("steps:\n", "again: {afer: 7d}\nsteps:\n"),
    ("steps:\n", 'window: {between: ["09:00"]}\nsteps:\n'),
    ("steps:\n", "window: {days: [monday]}\nsteps:\n"),
    ("steps:\n", "key: cart id\nsteps:\n"),
    ("order.value: {gte: 10}", "order.value: {}"),
    ("any: [{profile.tags: {contains: vip}},", "any: [{all: []},"),
    ("    where: {order.value: {gte: 10}}", "    where: {}"),
    ("if: {rfm.segment: new}", "if:"),
    ("- event: order.placed\n", "- event:\n"),
    ("wait: {for: 2d", "wait: {days: [mon], for: 2d"),
    ('wait: {for: 2d, at: "10:00"}', 'wait: {until: "10:00", before: 1d}'),
    ('wait: {for: 2d, at: "10:00"}', 'wait: {until: "10:00", days: []}'),
    ("channels: [email, sms]", "channels: []"),
    ("split: {name: subject,", "split: {name: subject, armes: {},"),
    ("        late: 6h\n", "        coupon: {valid: 3d}\n"),
    ("        late: 6h\n", "        coupon: {pool: autumn, vald: 3d}\n"),
    ("steps:\n", "window: {days: []}\nsteps:\n"),
    ("tag: {add: [keen]}", "tag: {add: []}"),
]


@pytest.mark.parametrize(("was", "now"), WRONG, ids=[now.strip() or was.strip() for was, now in WRONG])
def test_what_the_parser_refuses_the_schema_refuses(was: str, now: str) -> None:
    assert was in WHOLE
    text = WHOLE.replace(was, now, 1)
    assert not parses(text)
    assert told(SCENARIO, text)


LENGTHS = st.sampled_from(["30m", "1h", "3d", "2w", "6mo", "1y"])
EVENTS = st.sampled_from(["cart.updated", "order.placed", "message.clicked", "custom.hello"])
VALUES = st.one_of(st.integers(0, 500), st.sampled_from(["vip", "key", "249.00"]), st.booleans())
PATHS = st.sampled_from(["event.cart.value", "profile.tags", "cart.items.0.price", "rfm.segment", "key"])
LISTS = st.lists(VALUES, min_size=1, max_size=3)
COMPARED = st.one_of(
    VALUES,
    LISTS,
    st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte", "ne", "eq", "contains", "exists"]), VALUES, min_size=1),
    st.fixed_dictionaries({}, optional={"in": LISTS, "nin": LISTS}).filter(bool),
)
SPANS = st.one_of(
    st.fixed_dictionaries({}, optional={"within": LENGTHS}),
    st.fixed_dictionaries({"since": st.sampled_from(["enrolled", "sent(first)"])}),
)
PLAIN = st.dictionaries(PATHS, COMPARED, min_size=1, max_size=2)
CONDITIONS = st.recursive(
    st.one_of(
        PLAIN,
        st.builds(
            lambda event, span, times: {"happened": {"event": event, **span, "times": times}},
            EVENTS,
            SPANS,
            st.one_of(st.integers(0, 3), st.fixed_dictionaries({"gte": st.integers(0, 3)})),
        ),
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"not": inner}),
    ),
    max_leaves=4,
)
CLOCKS = st.sampled_from(["09:00", "9:30", "23:59"])
WAITS = st.one_of(
    LENGTHS,
    st.fixed_dictionaries({"for": LENGTHS}, optional={"at": CLOCKS}),
    st.fixed_dictionaries({"until": CLOCKS}, optional={"days": st.lists(st.sampled_from(["mon", "sun"]), min_size=1)}),
    st.fixed_dictionaries({"until": st.just("event.order.planned_delivery")}, optional={"before": LENGTHS}),
)
SIMPLE = st.one_of(
    st.fixed_dictionaries({"wait": WAITS}),
    st.fixed_dictionaries(
        {"send": st.sampled_from(["first", "second_one"])},
        optional={
            "channels": st.lists(st.sampled_from(["email", "sms"]), min_size=1, max_size=2),
            "late": LENGTHS,
            "if": CONDITIONS,
        },
    ),
    st.fixed_dictionaries({"tag": st.one_of(st.just("vip"), st.fixed_dictionaries({"add": st.just(["x"])}))}),
    st.just("exit"),
)
STEPS = st.recursive(
    st.lists(SIMPLE, min_size=1, max_size=3),
    lambda inner: st.lists(
        st.one_of(
            SIMPLE,
            st.fixed_dictionaries({"if": CONDITIONS}, optional={"then": inner, "else": inner}),
            st.fixed_dictionaries(
                {"until": st.fixed_dictionaries({"event": EVENTS}, optional={"where": PLAIN}), "within": LENGTHS},
                optional={"then": inner, "else": inner},
            ),
            st.builds(lambda arm: {"split": {"name": "s", "arms": {"a": 1, "b": 2}}, "a": arm}, inner),
        ),
        min_size=1,
        max_size=2,
    ),
    max_leaves=4,
)
TRIGGER = st.one_of(
    st.fixed_dictionaries({"event": EVENTS}, optional={"where": CONDITIONS, "nth": st.integers(1, 5)}),
    st.fixed_dictionaries({"date": st.just("profile.birthday")}, optional={"before": LENGTHS, "at": CLOCKS}),
    st.fixed_dictionaries(
        {"inactive": st.fixed_dictionaries({"events": st.lists(EVENTS, min_size=1), "for": LENGTHS})}
    ),
    st.sampled_from(
        [{"stock": "back"}, {"price": {"drops": "10%"}}, {"tag": {"added": "x"}}, {"segment": {"leaves": "vip"}}]
    ),
)
SCENARIOS = st.fixed_dictionaries(
    {
        "kurant": st.just(1),
        "id": st.just("made"),
        "name": st.just("Made"),
        "purpose": st.just("marketing"),
        "trigger": TRIGGER,
        "steps": STEPS,
    },
    optional={
        "key": st.just("event.cart.id"),
        "again": st.one_of(st.sampled_from(["never", "always"]), st.fixed_dictionaries({"after": LENGTHS})),
        "restart": st.booleans(),
        "exit": st.lists(st.fixed_dictionaries({"event": EVENTS}, optional={"where": PLAIN}), min_size=1, max_size=2),
        "window": st.fixed_dictionaries({"between": st.lists(CLOCKS, min_size=2, max_size=2)}),
    },
)


@settings(max_examples=60, deadline=None)
@given(SCENARIOS)
def test_what_is_right_is_right_to_both(made: dict[str, Any]) -> None:
    text = json.dumps(made)
    assert parses(text)
    assert told(SCENARIO, text) == []


@settings(max_examples=100, deadline=None)
@given(SCENARIOS, st.data())
def test_what_is_misspelt_is_wrong_to_both(made: dict[str, Any], data: st.DataObject) -> None:
    """A key that no form has, put anywhere where the language has keys of its own."""
    made = deepcopy(made)  # the strategies' own values must stay as they are
    places = list(_mappings(made, ""))
    _, mapping = data.draw(st.sampled_from(places))
    mapping["Misspelt one"] = data.draw(st.sampled_from([1, "x", {}, []]))
    text = json.dumps(made)
    assert parses(text) is False
    assert told(SCENARIO, text) != []


def _mappings(value: Any, name: str) -> Any:
    """The mappings whose keys the language knows: not those of a split, for the names of arms are the author's."""
    if isinstance(value, dict):
        if name not in ("split", "arms", "eq", "ne") and "split" not in value:
            yield name, value
        for key, inner in value.items():
            yield from _mappings(inner, key)
    elif isinstance(value, list) and name not in ("in", "nin"):
        for inner in value:
            yield from _mappings(inner, name)


@pytest.mark.parametrize(
    "line",
    [
        "{sent: first}",
        "{at: 2026-03-02T11:00, sent: first, chanel: email}",
        "{ended: gone}",
        "{nothing_more: false}",
        "soon",
        "{at: noon, sent: first}",
        "{waiting_until: later}",
    ],
)
def test_of_tests_too(line: str) -> None:
    text = f"name: x\ngiven: {{at: 2026-03-01}}\nthen:\n  - {line}\n"
    assert told(TEST, text)
    with pytest.raises(ScenarioError):
        read_test(text, "x")
