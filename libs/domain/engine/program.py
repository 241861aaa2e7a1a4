"""A scenario made ready to run: its steps as a list of instructions, so that a cursor is one number.

The numbering is a function of the scenario alone, and a published version never changes (I8), so a cursor stored
with an enrolment means the same for ever.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from libs.domain.scenario import model
from libs.domain.scenario.model import Condition, Exit, Scenario, Wait, Window


@dataclass(frozen=True, kw_only=True)
class WaitFor:
    """Wait, then go on with the next instruction."""

    path: str
    wait: Wait


@dataclass(frozen=True, kw_only=True)
class Send:
    """Request a message, unless its condition says otherwise."""

    path: str
    name: str
    channels: tuple[str, ...]
    condition: Condition | None
    late: timedelta | None


@dataclass(frozen=True, kw_only=True)
class Branch:
    """Go on when the condition holds, else at instruction `otherwise`."""

    path: str
    condition: Condition
    otherwise: int


@dataclass(frozen=True, kw_only=True)
class Jump:
    """Go on at instruction `to`."""

    to: int


@dataclass(frozen=True, kw_only=True)
class Stop:
    """The author's `exit`."""

    path: str


Instruction = WaitFor | Send | Branch | Jump | Stop


@dataclass(frozen=True, kw_only=True)
class Program:
    """One version of a scenario. `asks_for` are the event types whose data it may look at later."""

    id: str
    version: int
    purpose: str
    trigger: str
    where: Condition | None
    key: str | None
    again: timedelta | Literal["never"] | None
    restart: bool
    exits: tuple[Exit, ...]
    priority: int
    window: Window | None
    instructions: tuple[Instruction, ...]
    asks_for: frozenset[str]


class CannotRun(ValueError):
    """A form of the language that this version of the engine does not run (lint refuses it before)."""


def compile_program(scenario: Scenario, version: int) -> Program:
    """The program of a version; raises `CannotRun` naming the form."""
    trigger = scenario.trigger
    if not isinstance(trigger, model.EventTrigger) or trigger.nth or trigger.statuses:
        raise CannotRun(f"trigger {type(trigger).__name__}")
    instructions: list[Instruction] = []
    _emit(scenario.steps, instructions)
    conditions = [trigger.where, *(way.where for way in scenario.exits), *_conditions(instructions)]
    asks_for = {way.event for way in scenario.exits}
    for condition in conditions:
        asks_for |= set(_happened(condition))
    return Program(
        id=scenario.id,
        version=version,
        purpose=scenario.purpose,
        trigger=trigger.event,
        where=trigger.where,
        key=scenario.key,
        again=scenario.again,
        restart=scenario.restart,
        exits=scenario.exits,
        priority=scenario.priority,
        window=scenario.window,
        instructions=tuple(instructions),
        asks_for=frozenset(asks_for),
    )


def _emit(steps: tuple[model.Step, ...], out: list[Instruction]) -> None:
    for step in steps:
        if isinstance(step, model.Wait):
            out.append(WaitFor(path=step.path, wait=step))
        elif isinstance(step, model.Send):
            out.append(
                Send(
                    path=step.path,
                    name=step.message,
                    channels=step.channels,
                    condition=step.condition,
                    late=step.late,
                )
            )
        elif isinstance(step, model.Stop):
            out.append(Stop(path=step.path))
        elif isinstance(step, model.If):
            branch = len(out)
            out.append(Stop(path=step.path))  # its place; the target is known below
            _emit(step.then, out)
            skip = len(out)
            out.append(Jump(to=0))
            out[branch] = Branch(path=step.path, condition=step.condition, otherwise=len(out))
            _emit(step.otherwise, out)
            out[skip] = Jump(to=len(out))
        else:
            raise CannotRun(f"step {type(step).__name__} at {step.path}")


def _conditions(instructions: list[Instruction]) -> Iterator[Condition | None]:
    for instruction in instructions:
        if isinstance(instruction, Send | Branch):
            yield instruction.condition


def _happened(condition: Condition | None) -> Iterator[str]:
    if isinstance(condition, model.Happened):
        yield condition.event
        yield from _happened(condition.where)
    elif isinstance(condition, model.All | model.AnyOf):
        for part in condition.of:
            yield from _happened(part)
    elif isinstance(condition, model.Not):
        yield from _happened(condition.of)
