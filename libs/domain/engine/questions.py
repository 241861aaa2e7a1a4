"""What a scenario may ask about the past: event types, and the fields of them that its conditions look at."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from libs.domain.scenario import model
from libs.domain.scenario.model import Condition, Scenario, Step

PRODUCT = "product"
"""Stands among the types (which have a dot) where a scenario asks for the product of its trigger as it is now."""
OF_MESSAGE = (("message",), ("scenario",), ("name",))
"""By what an event of a message says which message it is."""


@dataclass(frozen=True)
class Asked:
    """The fields (as paths within the event's data) that must be remembered of a type; none: only when it was."""

    paths: frozenset[tuple[str, ...]] = field(default_factory=frozenset)

    def __or__(self, other: "Asked") -> "Asked":
        return Asked(self.paths | other.paths)


def questions(scenario: Scenario) -> dict[str, Asked]:
    """Every event type that the scenario may look for in the past, and `PRODUCT`."""
    found: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    trigger = scenario.trigger
    if isinstance(trigger, model.EventTrigger):
        owner = trigger.event if trigger.nth else None
        if owner:
            found[owner] |= {("order", "status"), ("status",)} if trigger.statuses else set()
        _add(found, trigger.where, owner)
    elif isinstance(trigger, model.InactiveTrigger):
        for event in trigger.events:
            found[event] |= set()
    for way in scenario.exits:
        found[way.event] |= set()
        _add(found, way.where, way.event)
    _steps(found, scenario.steps)
    return {type: Asked(frozenset(paths)) for type, paths in found.items()}


def asked_by(condition: Condition) -> dict[str, Asked]:
    """Every event type that a condition by itself looks for in the past."""
    found: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    _add(found, condition, None)
    return {type: Asked(frozenset(paths)) for type, paths in found.items()}


def _steps(found: dict[str, set[tuple[str, ...]]], steps: tuple[Step, ...]) -> None:
    for step in steps:
        if isinstance(step, model.Send | model.If):
            _add(found, step.condition, None)
        if isinstance(step, model.Until):
            found[step.event] |= set(OF_MESSAGE) if step.of else set()
            _add(found, step.where, step.event)
        if isinstance(step, model.If | model.Until):
            _steps(found, step.then)
            _steps(found, step.otherwise)
        elif isinstance(step, model.Split):
            for arm in step.steps.values():
                _steps(found, arm)


def _add(found: dict[str, set[tuple[str, ...]]], condition: Condition | None, owner: str | None) -> None:
    for type, path in _asked(condition, owner):
        found[type] |= {path} if path else set()


def _asked(condition: Condition | None, owner: str | None) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each type with a field; `owner` is the type that `event.` means, None where it means the trigger."""
    if isinstance(condition, model.Compare):
        root, *rest = condition.path.split(".")
        if owner and root == "event" and rest and rest not in (["type"], ["time"]):
            yield owner, tuple(rest)
        elif root == PRODUCT:
            yield PRODUCT, ()
    elif isinstance(condition, model.Happened):
        yield condition.event, ()
        yield from _asked(condition.where, condition.event)
    elif isinstance(condition, model.All | model.AnyOf):
        for part in condition.of:
            yield from _asked(part, owner)
    elif isinstance(condition, model.Not):
        yield from _asked(condition.of, owner)
