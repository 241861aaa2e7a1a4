"""A scenario made ready to run: its steps as a list of instructions, so that a cursor is one number.

The numbering is a function of the scenario alone, and a published version never changes (I8), so a cursor stored
with an enrolment means the same for ever.
"""

from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import Any, Literal

from libs.domain.engine.questions import Asked, questions
from libs.domain.scenario import model
from libs.domain.scenario.model import Condition, Exit, Scenario, Trigger, Wait, Window

HOLDOUT = "holdout"
"""The arm of a split that gets nothing."""


@dataclass(frozen=True, kw_only=True)
class WaitFor:
    """Wait, then go on with the next instruction."""

    path: str
    wait: Wait


@dataclass(frozen=True, kw_only=True)
class Await:
    """Wait for an event, then go on with the next instruction; when the time is over, at `otherwise`."""

    path: str
    event: str
    of: str | None
    where: Condition | None
    within: timedelta
    otherwise: int


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
class Lot:
    """Go on at the instruction of the arm that is drawn: name, share, where its steps are."""

    path: str
    name: str
    arms: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Change tags."""

    path: str
    add: tuple[str, ...]
    remove: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Put:
    """Change traits."""

    path: str
    traits: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Hook:
    """Call a web address."""

    path: str
    name: str
    request: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Jump:
    """Go on at instruction `to`."""

    to: int


@dataclass(frozen=True, kw_only=True)
class Stop:
    """The author's `exit`, or the end of the holdout."""

    path: str
    because: str = "exit step"


Instruction = WaitFor | Await | Send | Branch | Lot | Mark | Put | Hook | Jump | Stop


@dataclass(frozen=True, kw_only=True)
class Program:
    """One version of a scenario.

    `keys` are what the index of triggers lists it under, `trigger` says it for people. `ways` are its exits by event
    type. `asks` are the event types whose past it may look at, with the fields that it looks at. `counter` is the name
    of the count of an `nth`: scenarios and versions with the same trigger count together. `asking` is the same for
    all whose trigger asks the same of an event.
    """

    id: str
    version: int
    purpose: str
    on: Trigger
    trigger: str
    keys: tuple[str, ...]
    where: Condition | None
    key: str | None
    again: timedelta | Literal["never"] | None
    restart: bool
    exits: tuple[Exit, ...]
    ways: dict[str, tuple[Exit, ...]]
    priority: int
    window: Window | None
    instructions: tuple[Instruction, ...]
    asks: dict[str, Asked]
    counter: str = ""
    asking: int = 0

    @property
    def watches(self) -> bool:
        """Whether it is entered at a moment, not by an event."""
        return isinstance(self.on, model.DateTrigger | model.InactiveTrigger)

    @property
    def products(self) -> bool:
        """Whether it asks which products matter to a profile."""
        return isinstance(self.on, model.StockTrigger | model.PriceTrigger)


class CannotRun(ValueError):
    """A form of the language that this version of the engine does not run (lint refuses it before)."""


def compile_program(scenario: Scenario, version: int) -> Program:
    """The program of a version; raises `CannotRun` naming the form."""
    instructions: list[Instruction] = []
    _emit(scenario.steps, instructions)
    trigger = scenario.trigger
    ways: dict[str, tuple[Exit, ...]] = {}
    for way in scenario.exits:
        ways[way.event] = (*ways.get(way.event, ()), way)
    said, keys = _trigger(trigger)
    return Program(
        id=scenario.id,
        version=version,
        purpose=scenario.purpose,
        on=trigger,
        trigger=said,
        keys=keys,
        where=trigger.where if isinstance(trigger, model.EventTrigger) else None,
        key=scenario.key,
        again=scenario.again,
        restart=scenario.restart,
        exits=scenario.exits,
        ways=ways,
        priority=scenario.priority,
        window=scenario.window,
        instructions=tuple(instructions),
        asks=questions(scenario),
        counter=blake2b(repr(trigger).encode(), digest_size=6).hexdigest() if getattr(trigger, "nth", None) else "",
        asking=_asking(trigger),
    )


def _asking(trigger: Trigger) -> int:
    if not isinstance(trigger, model.EventTrigger):
        return 0
    text = f"{trigger.statuses!r}{trigger.where!r}"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def _trigger(trigger: Trigger) -> tuple[str, tuple[str, ...]]:
    """What the trigger is for people, and the keys under which an event finds it."""
    if isinstance(trigger, model.EventTrigger):
        return trigger.event, (trigger.event,)
    if isinstance(trigger, model.RfmTrigger):
        return "rfm.changed", ("rfm.changed",)
    if isinstance(trigger, model.SegmentTrigger):
        events = [
            name for name, told in (("segment.entered", trigger.enters), ("segment.left", trigger.leaves)) if told
        ]
        return " or ".join(events), tuple(events)
    if isinstance(trigger, model.TagTrigger):
        tags = [("+", trigger.added), ("-", trigger.removed)]
        keys = tuple(f"tag{sign}{tag}" for sign, tag in tags if tag)
        said = {"+": "added", "-": "removed"}
        return " or ".join(f"tag {tag} {said[sign]}" for sign, tag in tags if tag), keys
    if isinstance(trigger, model.StockTrigger):
        return "product.back_in_stock", ("product.back_in_stock",)
    if isinstance(trigger, model.PriceTrigger):
        return "product.price_changed", ("product.price_changed",)
    if isinstance(trigger, model.DateTrigger):
        return f"date at {trigger.date}", ()
    return f"{', '.join(trigger.events)} for {trigger.lasting.days} days", ()


def _emit(steps: tuple[model.Step, ...], out: list[Instruction]) -> None:
    """The instructions of some steps, after those in `out`."""
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
        elif isinstance(step, model.If | model.Until):
            _fork(step, out)
        elif isinstance(step, model.Split):
            _lot(step, out)
        else:
            out.append(_act(step))


def _fork(step: model.If | model.Until, out: list[Instruction]) -> None:
    """Two sides: the instruction, `then`, a jump over the other side, `else`."""
    fork = len(out)
    out.append(Stop(path=step.path))  # its place; the target is known below
    _emit(step.then, out)
    skip = len(out)
    out.append(Jump(to=0))
    other = len(out)
    if isinstance(step, model.If):
        out[fork] = Branch(path=step.path, condition=step.condition, otherwise=other)
    else:
        out[fork] = Await(
            path=step.path, event=step.event, of=step.of, where=step.where, within=step.within, otherwise=other
        )
    _emit(step.otherwise, out)
    out[skip] = Jump(to=len(out))


def _lot(step: model.Split, out: list[Instruction]) -> None:
    """The instruction, then each arm with a jump to the end; the holdout is over after its steps."""
    place = len(out)
    out.append(Stop(path=step.path))
    arms: list[tuple[str, int, int]] = []
    skips: list[int] = []
    for arm, share in step.arms.items():
        arms.append((arm, share, len(out)))
        steps = step.steps.get(arm, ())
        if arm == HOLDOUT:
            if _reaches(steps):
                raise CannotRun(f"a message in the arm `{HOLDOUT}` at {step.path}")
            _emit(steps, out)
            out.append(Stop(path=step.path, because=HOLDOUT))
            continue
        _emit(steps, out)
        skips.append(len(out))
        out.append(Jump(to=0))
    out[place] = Lot(path=step.path, name=step.name, arms=tuple(arms))
    for skip in skips:
        out[skip] = Jump(to=len(out))


def _reaches(steps: tuple[model.Step, ...]) -> bool:
    """Whether something goes out to somebody."""
    for step in steps:
        if isinstance(step, model.Send) or (isinstance(step, model.Act) and step.verb == "webhook"):
            return True
        if isinstance(step, model.If | model.Until) and (_reaches(step.then) or _reaches(step.otherwise)):
            return True
        if isinstance(step, model.Split) and any(_reaches(arm) for arm in step.steps.values()):
            return True
    return False


def _act(step: model.Act) -> Instruction:
    if step.verb in ("tag", "untag"):
        return Mark(path=step.path, add=tuple(step.what.get("add", ())), remove=tuple(step.what.get("remove", ())))
    if step.verb == "set":
        return Put(path=step.path, traits=step.what)
    return Hook(path=step.path, name=str(step.what.get("name") or "webhook"), request=step.what)
