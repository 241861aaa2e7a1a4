"""A scenario as a Mermaid flowchart: one node per step, named by its path."""

import re
from dataclasses import dataclass, field

from libs.domain.scenario import model, words
from libs.domain.scenario.model import Scenario, Step

SHAPES = {"wait": ("(", ")"), "send": ("[", "]"), "if": ("{", "}"), "until": ("{{", "}}"), "split": ("{", "}")}
OTHER = ("[/", "/]")
BEGIN, DONE, LEFT = "begin", "completed", "left"
HOLDOUT = "holdout"
WIDEST = 100
Loose = list[tuple[str, str]]
"""Ends that lead to the next step: node, and the word on the arrow."""


@dataclass
class _Drawing:
    nodes: list[str] = field(default_factory=list)
    edges: list[str] = field(default_factory=list)

    def node(self, name: str, shape: tuple[str, str], *lines: str) -> None:
        text = "<br/>".join(_text(line) for line in lines)
        self.nodes.append(f'  {name}{shape[0]}"{text}"{shape[1]}')

    def join(self, loose: Loose, name: str) -> None:
        for end, word in loose:
            self.edges.append(f"  {end} -->{f'|{_text(word)}|' if word else ''} {name}")


def mermaid(scenario: Scenario) -> str:
    """The flowchart's text; `steps_1_then_0` is the node of `steps/1/then/0`."""
    drawn = _Drawing()
    head = [scenario.id, words.trigger(scenario.trigger)]
    head += [f"one run per {scenario.key}"] if scenario.key else []
    head += ["a new trigger starts it anew"] if scenario.restart else []
    drawn.node(BEGIN, ("([", "])"), *head)
    loose = _steps(drawn, scenario.steps, [(BEGIN, "")])
    if loose:
        drawn.node(DONE, ("([", "])"), "completed")
        drawn.join(loose, DONE)
    if scenario.exits:
        drawn.node(LEFT, ("([", "])"), "ended at once")
    for way in scenario.exits:
        where = f" where {words.condition(way.where)}" if way.where else ""
        drawn.edges.append(f'  {BEGIN} -. "{_text(way.event + where)}" .-> {LEFT}')
    return "\n".join(["flowchart TD", *drawn.nodes, *drawn.edges]) + "\n"


def node(path: str) -> str:
    """The node's name of a step; two steps never share one."""
    return re.sub(r"[^A-Za-z0-9/]", lambda sign: f"_{ord(sign[0]):x}_", path).replace("/", "_")


def _steps(drawn: _Drawing, steps: tuple[Step, ...], loose: Loose) -> Loose:
    """Draw steps one after the other; what is still loose after the last."""
    for step in steps:
        name = node(step.path)
        drawn.join(loose, name)
        loose = _step(drawn, step, name)
    return loose


def _step(drawn: _Drawing, step: Step, name: str) -> Loose:
    if isinstance(step, model.Stop):
        drawn.node(name, ("([", "])"), step.path, "exit")
        return []
    if isinstance(step, model.Wait):
        drawn.node(name, SHAPES["wait"], step.path, words.wait(step))
    elif isinstance(step, model.Send):
        lines = [f"send {step.message}", f"by {', else '.join(step.channels)}"]
        lines += [f"if {words.condition(step.condition)}"] if step.condition else []
        lines += [f"not later than {words.duration(step.late)}"] if step.late else []
        drawn.node(name, SHAPES["send"], step.path, *lines)
    elif isinstance(step, model.If):
        drawn.node(name, SHAPES["if"], step.path, f"if {words.condition(step.condition)}")
        return _branches(drawn, name, (("then", step.then), ("else", step.otherwise)))
    elif isinstance(step, model.Until):
        what = step.event + (f" of {step.of}" if step.of else "")
        what += f" where {words.condition(step.where)}" if step.where else ""
        drawn.node(name, SHAPES["until"], step.path, f"until {what}", f"within {words.duration(step.within)}")
        return _branches(drawn, name, (("then", step.then), ("else, in time none", step.otherwise)))
    elif isinstance(step, model.Split):
        drawn.node(name, SHAPES["split"], step.path, f"split {step.name}")
        return _arms(drawn, step, name)
    else:
        told = ", ".join(f"{key} {_told(value)}" for key, value in step.what.items())
        drawn.node(name, OTHER, step.path, f"{step.verb} {told}")
    return [(name, "")]


def _branches(drawn: _Drawing, name: str, branches: tuple[tuple[str, tuple[Step, ...]], ...]) -> Loose:
    return [end for word, steps in branches for end in _steps(drawn, steps, [(name, word)])]


def _arms(drawn: _Drawing, step: model.Split, name: str) -> Loose:
    """Each arm; the holdout does not go on."""
    loose: Loose = []
    for arm, share in step.arms.items():
        ends = _branches(drawn, name, ((f"{arm}: {share}", step.steps.get(arm, ())),))
        if arm == HOLDOUT:
            over = node(f"{step.path}/{arm}")
            drawn.node(over, ("([", "])"), "holdout: nothing more")
            drawn.join(ends, over)
        else:
            loose += ends
    return loose


def _told(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _text(text: str) -> str:
    """Text as Mermaid reads it within quotes, shortened."""
    short = text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
    for sign, code in (("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("|", "#124;")):
        short = short.replace(sign, code)
    return short
