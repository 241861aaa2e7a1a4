"""What is different between two versions: steps aligned by what they are, the head by its fields, messages by parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.scenario.diff import compare, flow
from libs.domain.scenario.source import ScenarioError

TEXT = """\
kurant: 1
id: cart
name: Cart
purpose: marketing
trigger:
  event: cart.updated
  where: {event.cart.value: {gte: 50}}
exit:
  - event: order.placed
  - event: cart.cleared
    where: {event.cart.id: {eq: key}}
steps:
  - wait: 1h
  - send: first
    late: 6h
  - if: {cart.value: {gte: 300}}
    then:
      - send: rich
      - exit
    else:
      - wait: 2h
  - split: {name: subject, arms: {a: 50, b: 50}}
    a: [{send: a}]
    b: [{send: b}]
  - wait: 48h
  - send: last
"""
MAIL = "---\nsubject: One\npreheader: Two\n---\nline 1\nline 2\n"


def lines(was: str, now: str) -> list[str]:
    assert was in TEXT
    new = TEXT.replace(was, now)
    return [one.text() for one in compare({"scenario.yaml": TEXT}, {"scenario.yaml": new})]


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ("name: Cart", "name: A cart  # comment", ["~ name: Cart -> A cart"]),
        ("gte: 50}", "gte: 75}", ["~ trigger/where/event.cart.value/gte: 50 -> 75"]),
        (
            "gte: 50}",
            "gt: 50}",
            ["- trigger/where/event.cart.value/gte: 50", "+ trigger/where/event.cart.value/gt: 50"],
        ),
        ("  where: {event.cart.value: {gte: 50}}\n", "", ["- trigger/where: {event.cart.value: {gte: 50}}"]),
        ("name: Cart\n", "name: Cart\nagain: {after: 7d}\n", ["+ again: {after: 7d}"]),
        ("name: Cart\n", "name: Cart\nwindow: {days: [mon, tue]}\n", ["+ window: {days: [mon, tue]}"]),
        ("  - event: order.placed\n", "", ["- exit/0: {event: order.placed}"]),
        ("  - event: order.placed\n", "  - event: order.paid\n", ["~ exit/0/event: order.placed -> order.paid"]),
        ("  - wait: 1h\n", "  - wait: 90m\n", ["~ steps/0/wait: 1h -> 90m"]),
        ("  - wait: 1h\n", "  - tag: new\n  - wait: 1h\n", ["+ steps/0: {tag: new}"]),
        ("  - wait: 1h\n", "", ["- steps/0: {wait: 1h}"]),
        (
            "  - wait: 1h\n",
            "  - tag: new\n  - wait: 3h\n",
            ["+ steps/0: {tag: new}", "~ steps/1/wait (before: steps/0/wait): 1h -> 3h"],
        ),
        ("late: 6h", "late: 12h", ["~ steps/1/late: 6h -> 12h"]),
        ("gte: 300", "gte: 400", ["~ steps/2/if/cart.value/gte: 300 -> 400"]),
        ("      - send: rich\n", "", ["- steps/2/then/0: {send: rich}"]),
        ("      - exit\n", "", ["- steps/2/then/1: exit"]),
        ("      - wait: 2h\n", "      - wait: 2h\n      - send: poor\n", ["+ steps/2/else/1: {send: poor}"]),
        (
            "arms: {a: 50, b: 50}",
            "arms: {a: 40, b: 60}",
            ["~ steps/3/split/arms/a: 50 -> 40", "~ steps/3/split/arms/b: 50 -> 60"],
        ),
        ("a: [{send: a}]", "a: [{wait: 1h}, {send: a}]", ["+ steps/3/a/0: {wait: 1h}"]),
        (
            "  - wait: 48h\n  - send: last\n",
            "  - send: last\n  - wait: 48h\n",
            ["+ steps/4: {send: last}", "- steps/5: {send: last}"],
        ),
    ],
)
def test_each_kind_of_change(was: str, now: str, told: list[str]) -> None:
    assert sorted(lines(was, now)) == sorted(told)


def test_how_it_is_written_makes_no_difference() -> None:
    assert lines("exit:\n  - event: order.placed", "exit:\n  # who buys\n  - {event: order.placed}") == []


def test_messages() -> None:
    old = {
        "scenario.yaml": TEXT,
        "messages/a.email.txt": MAIL,
        "messages/b.sms.txt": "x",
        "messages/p.push.yaml": "title: A\n",
    }
    new = {
        "scenario.yaml": TEXT,
        "messages/a.email.txt": MAIL.replace("One", "Uno")
        .replace("line 2", "line 2\nline 3")
        .replace("preheader: Two\n", ""),
        "messages/c.sms.txt": "y",
        "messages/p.push.yaml": "title: B\n",
    }
    assert [one.text() for one in compare(old, new)] == [
        "~ messages/a.email.txt/subject: One -> Uno",
        "- messages/a.email.txt/preheader: Two",
        "~ messages/a.email.txt/body: 0 lines -> 1 lines",
        "- messages/b.sms.txt",
        "+ messages/c.sms.txt",
        "~ messages/p.push.yaml/title: A -> B",
    ]


def test_a_message_whose_front_matter_is_broken_is_compared_as_text() -> None:
    old = {"scenario.yaml": TEXT, "messages/a.email.txt": "---\nsubject: [\n---\nx"}
    (one,) = compare(old, old | {"messages/a.email.txt": "---\nsubject: [\n---\ny"})
    assert one.path == "messages/a.email.txt/body"


def test_as_json() -> None:
    (one,) = compare({"scenario.yaml": TEXT}, {"scenario.yaml": TEXT.replace("1h", "2h", 1)})
    assert one.shown() == {
        "what": "changed",
        "path": "steps/0/wait",
        "was": "1h",
        "now": "2h",
        "text": "~ steps/0/wait: 1h -> 2h",
    }


def test_what_is_not_yaml_is_told() -> None:
    with pytest.raises(ScenarioError):
        compare({"scenario.yaml": TEXT}, {"scenario.yaml": "a: ["})


def test_a_value_as_yaml_writes_it() -> None:
    assert flow({"a": [1, True, None, "x"]}) == "{a: [1, true, null, x]}"
    assert len(flow("x" * 1000)) == 200


STEP = st.sampled_from(["wait: 1h", "wait: 2h", "send: a", "send: b", "tag: x", "untag: x", "send: c"])


@given(st.lists(STEP, max_size=8), st.lists(STEP, max_size=8))
def test_a_difference_for_each_step_that_differs_and_none_for_the_same(was: list[str], now: list[str]) -> None:
    head = TEXT.split("steps:", maxsplit=1)[0]
    sides = [{"scenario.yaml": head + f"steps: [{', '.join(f'{{{step}}}' for step in side)}]"} for side in (was, now)]
    found = compare(sides[0], sides[1])
    assert (found == []) is (was == now)
    added, removed = (sum(one.what == what for one in found) for what in ("added", "removed"))
    assert len(now) - len(was) == added - removed
    assert compare(sides[0], sides[0]) == []
