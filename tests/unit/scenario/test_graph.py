"""The flowchart: one node for each step, named by its path, and every way through the scenario."""

import re
from pathlib import Path

import pytest

from libs.domain.scenario import model
from libs.domain.scenario.graph import mermaid, node
from libs.domain.scenario.model import Scenario, Step
from libs.domain.scenario.parse import parse

ROOT = Path(__file__).resolve().parents[3]
FILES = [
    *sorted(ROOT.glob("scenarios/*/scenario.yaml")),
    *sorted(ROOT.glob("tests/acceptance/scenarios/*/scenario.yaml")),
]
NODE = re.compile(r'^  (\w+)(?:\(\[|\[/|\{\{|\(|\[|\{)"(.*)"(?:\]\)|/\]|\}\}|\)|\]|\})$')
EDGE = re.compile(r'^  (\w+) (?:-->(?:\|([^|]*)\|)?|-\. "([^"]*)" \.->) (\w+)$')
WHOLE = """\
kurant: 1
id: whole
name: Whole
purpose: marketing
trigger: {date: profile.birthday, before: 3d, at: "10:00", every: year}
exit:
  - event: order.placed
    where: {order.value: {gte: 10}}
steps:
  - wait: {for: 2d, at: "10:00"}
  - if: {any: [{profile.tags: {contains: vip}}, {happened: {event: order.placed, within: 30d, times: {gte: 2}}}]}
    then:
      - send: rich
        channels: [email, sms]
        late: 6h
        if: {rfm.segment: new}
      - exit
  - until: {event: message.clicked, of: rich}
    within: 48h
    then: [{tag: {add: [keen]}}]
    else: [exit]
  - split: {name: subject, arms: {a: 45, b-b: 45, holdout: 10}}
    a: [{send: a}]
    b-b: [{send: b}]
  - webhook: {url: "https://crm.example/a?b=1|2"}
  - set: {vip_since: 2026}
"""
GOLDEN = """\
flowchart TD
  begin(["whole<br/>profile.birthday, 3d before, at 10:00, every year"])
  steps_0("steps/0<br/>wait 2d, then until 10:00")
  steps_1{"steps/1<br/>if profile.tags contains vip or order.placed ≥ 2 times within 30d happened"}
  steps_1_then_0["steps/1/then/0<br/>send rich<br/>by email, else sms<br/>if rfm.segment = new<br/>not later than 6h"]
  steps_1_then_1(["steps/1/then/1<br/>exit"])
  steps_2{{"steps/2<br/>until message.clicked of rich<br/>within 2d"}}
  steps_2_then_0[/"steps/2/then/0<br/>tag add keen"/]
  steps_2_else_0(["steps/2/else/0<br/>exit"])
  steps_3{"steps/3<br/>split subject"}
  steps_3_a_0["steps/3/a/0<br/>send a<br/>by email"]
  steps_3_b_2d_b_0["steps/3/b-b/0<br/>send b<br/>by email"]
  steps_3_holdout(["holdout: nothing more"])
  steps_4[/"steps/4<br/>webhook url https://crm.example/a?b=1#124;2"/]
  steps_5[/"steps/5<br/>set vip_since 2026"/]
  completed(["completed"])
  left(["ended at once"])
  begin --> steps_0
  steps_0 --> steps_1
  steps_1 -->|then| steps_1_then_0
  steps_1_then_0 --> steps_1_then_1
  steps_1 -->|else| steps_2
  steps_2 -->|then| steps_2_then_0
  steps_2 -->|else, in time none| steps_2_else_0
  steps_2_then_0 --> steps_3
  steps_3 -->|a: 45| steps_3_a_0
  steps_3 -->|b-b: 45| steps_3_b_2d_b_0
  steps_3 -->|holdout: 10| steps_3_holdout
  steps_3_a_0 --> steps_4
  steps_3_b_2d_b_0 --> steps_4
  steps_4 --> steps_5
  steps_5 --> completed
  begin -. "order.placed where order.value ≥ 10" .-> left
"""


def steps(of: tuple[Step, ...]) -> list[Step]:
    found: list[Step] = []
    for step in of:
        found.append(step)
        if isinstance(step, model.If | model.Until):
            found += [*steps(step.then), *steps(step.otherwise)]
        elif isinstance(step, model.Split):
            found += [below for arm in step.steps.values() for below in steps(arm)]
    return found


def read(text: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The nodes with their labels, and the arrows: what Mermaid would read."""
    head, *rest = text.rstrip("\n").split("\n")
    assert head == "flowchart TD"
    nodes: dict[str, str] = {}
    edges: list[tuple[str, str]] = []
    for line in rest:
        if found := NODE.match(line):
            assert found[1] not in nodes
            nodes[found[1]] = found[2]
        else:
            arrow = EDGE.match(line)
            assert arrow, line
            edges.append((arrow[1], arrow[4]))
    return nodes, edges


def test_the_whole_language_drawn() -> None:
    assert mermaid(parse(WHOLE)) == GOLDEN


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_every_step_is_a_node_that_can_be_reached(file: Path) -> None:
    check(parse(file.read_text()))


def test_every_step_of_the_whole_language_can_be_reached() -> None:
    check(parse(WHOLE))


def check(scenario: Scenario) -> None:
    nodes, edges = read(mermaid(scenario))
    for step in steps(scenario.steps):
        assert nodes[node(step.path)].split("<br/>")[0] == step.path
    assert {end for edge in edges for end in edge} <= nodes.keys()
    reached, more = {"begin"}, {"begin"}
    while more:
        more = {to for start, to in edges if start in more} - reached
        reached |= more
    assert reached == nodes.keys()


def test_two_steps_never_share_a_node() -> None:
    assert len({node(path) for path in ("steps/0/a-b/0", "steps/0/a_b/0", "steps/0/a/b/0", "steps/0/ab/0")}) == 4
