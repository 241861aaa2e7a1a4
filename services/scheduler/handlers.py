"""Decides: what a batch of records changes in the table of pending steps, and what is told of a step that fires."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from libs.common.bus.records import Outgoing, Record, outgoing
from libs.contracts import topics
from libs.contracts.envelope import Envelope, MalformedRecord
from libs.contracts.steps import CancelStep, ScheduleStep, StepDue

SOURCE = "/kurant/scheduler"
YEARS = range(1970, 9000)
"""Years in which a step may be due: weeks around them can be reckoned with everywhere."""
StepKey = tuple[datetime, UUID]
"""When it is due, and its id: the primary key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One pending step, as stored."""

    due_at: datetime
    step: UUID
    profile: UUID
    enrolment: UUID
    shop: str
    scenario: str
    traceparent: str | None


@dataclass(slots=True, kw_only=True)
class Changes:
    """What a batch comes to: first `cancel`, then `schedule`; `poison` cannot be used, with the cause."""

    schedule: dict[StepKey, Step] = field(default_factory=dict)
    cancel: set[StepKey] = field(default_factory=set)
    poison: list[tuple[Record, str]] = field(default_factory=list)

    @property
    def earliest(self) -> datetime | None:
        """When the first of the scheduled steps is due."""
        return min((due_at for due_at, _ in self.schedule), default=None)


def read(records: Iterable[Record]) -> Changes:
    """The batch, in order: a step that is scheduled and then cancelled leaves only the cancellation."""
    changes = Changes()
    for record in records:
        try:
            _take(changes, record)
        except (MalformedRecord, ValueError) as error:
            changes.poison.append((record, f"malformed: {error}"))
    return changes


def _take(changes: Changes, record: Record) -> None:
    envelope = Envelope.read(record.headers)
    if envelope.type == ScheduleStep.TYPE:
        asked = ScheduleStep.decode(record.value)
        key = _key(asked.due_at, asked.step)
        changes.schedule[key] = Step(
            due_at=asked.due_at,
            step=key[1],
            profile=UUID(asked.profile),
            enrolment=UUID(asked.enrolment),
            shop=envelope.shop,
            scenario=asked.scenario,
            traceparent=envelope.traceparent,
        )
    elif envelope.type == CancelStep.TYPE:
        told = CancelStep.decode(record.value)
        key = _key(told.due_at, told.step)
        changes.schedule.pop(key, None)
        changes.cancel.add(key)
    else:
        raise MalformedRecord(f"{envelope.type} is not for this topic")


def _key(due_at: datetime, step: str) -> StepKey:
    if due_at.tzinfo is None or due_at.year not in YEARS:
        raise MalformedRecord("due_at must have an offset, and lie between 1970 and 9000")
    return due_at, UUID(step)


def week(moment: datetime) -> datetime:
    """The Monday, 00:00 UTC, at which the week of `moment` (UTC) begins."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=midnight.weekday())


def due(steps: Sequence[Step], now: datetime) -> list[Outgoing]:
    """The wake-up calls of `steps`, fired at `now`. The same step makes the same id, however often it fires (I3)."""
    return [
        outgoing(
            topics.DUE,
            StepDue(
                step=str(step.step),
                profile=str(step.profile),
                due_at=step.due_at,
                fired_at=now,
                scenario=step.scenario,
                enrolment=str(step.enrolment),
            ),
            key=str(step.profile),
            id=f"due-{step.step}",
            source=SOURCE,
            shop=step.shop,
            time=now,
            traceparent=step.traceparent,
        )
        for step in steps
    ]
