"""The engine against the model: play both, find what differs, and make it small."""

import json
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from libs.domain.engine.program import Program, compile_program
from libs.domain.engine.registry import Registry
from libs.domain.scenario.model import Scenario
from libs.domain.scenario.parse import parse
from libs.domain.scenario.source import ScenarioError
from tests.reference.case import Case, Json, Outcome
from tests.reference.generator import BEGUN, case, written
from tests.reference.model import TODAY, Reference
from tests.reference.platform import Platform, registry_of

Difference = str
BUSY, ENOUGH = 300, timedelta(days=45)
"""Of scenarios that start each other over and over again so many days are enough: the model looks through all that
was, each time, and takes minutes for a year of it."""
EACH = 10
"""Histories for each set of scenarios."""
SHORT, LONG = 2_000, 100_000


class Players:
    """Scenarios made ready once, for many histories."""

    def __init__(self, scenarios: list[Json]) -> None:
        self._texts = scenarios
        self._parsed: list[Scenario] = [parse(json.dumps(one)) for one in scenarios]
        self._programs: list[Program] = [compile_program(one, 1) for one in self._parsed]
        self._registries: dict[str, Registry] = {}

    def difference(self, told: Case, today: frozenset[str] = TODAY) -> Difference | None:
        """What is other than the model says, in words. Of `today` the model does as the engine does."""
        try:
            engine, lots = self.engine(told)
            if sum(1 + one.round for one in engine.runs) > BUSY:
                told = replace(told, until=min(told.until, told.arrivals[-1].moment + ENOUGH))
                engine, lots = self.engine(told)
        except Exception:
            return f"the engine fails: {traceback.format_exc(limit=-3)}"
        return compare(engine, self.reference(told, lots, today))

    def engine(self, told: Case) -> tuple[Outcome, dict[tuple[str, str], str]]:
        """What the engine makes of it, and the arms that it drew."""
        registry = self._registries.get(told.zone)
        if registry is None:
            registry = self._registries[told.zone] = registry_of(self._programs, told.zone)
        platform = Platform(registry)
        return platform.play(told), platform.lots()

    def reference(self, told: Case, lots: dict[tuple[str, str], str], today: frozenset[str]) -> Outcome:
        """What the model says to it."""
        world = Reference(self._parsed, told.zone, lots, today)
        try:
            return world.play(told)
        except KeyError as error:
            return Outcome(faults=[f"the model draws a lot that the engine did not: {error}"])


def compare(engine: Outcome, model: Outcome) -> Difference | None:
    """The first thing in which they differ, in words."""
    for name in ("faults", "messages", "runs", "cancelled", "traits", "dates"):
        ours, theirs = getattr(engine, name), getattr(model, name)
        if ours == theirs:
            continue
        if not isinstance(ours, list):
            return f"{name}: engine {ours}, model {theirs}"
        lines = [f"  engine: {_plain(one)}" for one in ours if one not in theirs]
        lines += [f"  model:  {_plain(one)}" for one in theirs if one not in ours]
        return "\n".join([f"{name}: {len(ours)} against {len(theirs)}", *lines])
    return None


def _plain(one: Any) -> Any:
    """To be read."""
    if isinstance(one, str | tuple):
        return one
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in asdict(one).items()}


def shrink(told: Case, differs: Callable[[Case], bool]) -> Case:
    """A smaller case that still differs: fewer arrivals, scenarios and steps, until none can go."""
    while True:
        smaller = next((one for one in _smaller(told) if differs(one)), None)
        if smaller is None:
            return told
        told = smaller


def differs(told: Case) -> bool:
    """Whether it still does; a scenario that is none any more does not."""
    try:
        return Players(told.scenarios).difference(told) is not None
    except (ScenarioError, ValueError):
        return False


def _smaller(told: Case) -> Iterator[Case]:
    for place, arrival in enumerate(told.arrivals):
        if arrival.id.startswith(BEGUN):
            continue  # without it the case would be one of those that are avoided
        yield replace(told, arrivals=told.arrivals[:place] + told.arrivals[place + 1 :])
    for place in range(len(told.scenarios)):
        if len(told.scenarios) > 1:
            yield replace(told, scenarios=told.scenarios[:place] + told.scenarios[place + 1 :])
        for less in _less(told.scenarios[place]):
            yield replace(told, scenarios=[*told.scenarios[:place], less, *told.scenarios[place + 1 :]])
    if told.reported is not None:
        yield replace(told, reported=None)
    if told.away is not None:
        yield replace(told, away=None)
    for place, arrival in enumerate(told.arrivals):
        for name in arrival.data.keys() - {"tags"}:
            less = {key: value for key, value in arrival.data.items() if key != name}
            yield replace(
                told, arrivals=[*told.arrivals[:place], replace(arrival, data=less), *told.arrivals[place + 1 :]]
            )


def _less(node: Any) -> Iterator[Any]:
    """A node of a scenario with something left out."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name not in ("kurant", "id", "name", "purpose", "trigger", "steps", "send", "wait"):
                yield {key: one for key, one in node.items() if key != name}
            for less in _less(value):
                yield {**node, name: less}
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield node[:place] + node[place + 1 :]
            for less in _less(value):
                yield [*node[:place], less, *node[place + 1 :]]


def shown(told: Case, difference: Difference) -> str:
    """A case to be read, and tried again by its seed."""
    lines = [f"seed {told.seed}: the engine and the model differ", f"zone {told.zone}, reported {told.reported}"]
    lines += [f"away from {told.away} to {told.back}"] if told.away else []
    lines += [json.dumps(one) for one in told.scenarios]
    lines += [
        f"{one.moment:%m-%d %H:%M:%S} {one.type} of {one.time:%m-%d %H:%M} {one.id} {one.data} {one.of}".rstrip()
        for one in told.arrivals
    ]
    return "\n".join([*lines, difference])


def trial(first: int, count: int) -> tuple[list[str], int]:
    """The histories of `count` seeds from `first`, `EACH` for one set of scenarios; differences shrunk, to be read."""
    found: list[str] = []
    for start in range(first, first + count, EACH):
        scenarios = written(start)
        players = Players(scenarios)
        for seed in range(start, start + EACH):
            told = case(seed, scenarios)
            difference = players.difference(told)
            if difference is not None:
                small = shrink(told, differs)
                found.append(shown(small, Players(small.scenarios).difference(small) or difference))
                break
    return found, count
