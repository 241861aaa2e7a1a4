"""A scenario made ready to run: its steps as a list of instructions, so that a cursor is one number.

The numbering is a function of the scenario alone, and a published version never changes (I8), so a cursor stored
with an enrolment means the same for ever.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from libs.domain.scenario.model import (
    Condition,
    EventTrigger,
    ExitStep,
    IfStep,
    Scenario,
    SendStep,
    Step,
    WaitStep,
    Window,
)


@dataclass(frozen=True, kw_only=True)
class WaitFor:
    path: str
    wait: WaitStep


@dataclass(frozen=True, kw_only=True)
class Send:
    path: str
    name: str
    channels: tuple[str, ...]
    condition: Condition | None
    late: timedelta | None


@dataclass(frozen=True, kw_only=True)
class Branch:
    """Go on when the condition holds, else to instruction `otherwise`."""

    path: str
    condition: Condition
    otherwise: int


@dataclass(frozen=True, kw_only=True)
class Jump:
    to: int


@dataclass(frozen=True, kw_only=True)
class Stop:
    path: str


Instruction = WaitFor | Send | Branch | Jump | Stop
