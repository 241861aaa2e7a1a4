"""`kurant.steps.v1` and `kurant.due.v1`: wake-up calls asked for, and given (I5)."""

from datetime import datetime
from typing import ClassVar

from libs.contracts.envelope import Message


class ScheduleStep(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Call back at `due_at` (UTC). `step` is unique to this wait: a restarted wait has another."""

    TYPE: ClassVar[str] = "kurant.step.schedule"

    step: str
    profile: str
    due_at: datetime
    scenario: str
    enrolment: str


class CancelStep(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Do not call back any more. `due_at` is the one it was scheduled with."""

    TYPE: ClassVar[str] = "kurant.step.cancel"

    step: str
    profile: str
    due_at: datetime


class StepDue(Message, frozen=True, kw_only=True, omit_defaults=True):
    """The wake-up call; `fired_at` is when it was given (platform time).

    `enrolment` empty: nobody asked for it, it says that scenarios which wait for a moment, or segments, have changed,
    so look.
    """

    TYPE: ClassVar[str] = "kurant.step.due"

    step: str
    profile: str
    due_at: datetime
    fired_at: datetime
    scenario: str
    enrolment: str
