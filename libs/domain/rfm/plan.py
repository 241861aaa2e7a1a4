"""When a shop is computed, and how: everybody anew at each interval, those who changed between."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.domain.rfm.cuts import Cuts
from libs.domain.rfm.model import AXES, RfmRules
from libs.domain.scenario.times import at_local

DAY = timedelta(days=1)
BETWEEN = 24
"""So many times in each interval those are computed who changed."""
NEVER = datetime.max.replace(tzinfo=UTC)
Kind = Literal["full", "incremental"]


@dataclass(frozen=True, kw_only=True)
class Last:
    """How a shop stands since its last run. `begun_at` is when its first order came, `version` that of its rules (0:
    none published), `full_at` and `run_at` the moments of the last full run and of the last of any kind."""

    begun_at: datetime
    run: int = 0
    version: int = 0
    rules: RfmRules | None = None
    cuts: Cuts | None = None
    day: date | None = None
    full_at: datetime | None = None
    run_at: datetime | None = None
    excluded: dict[str, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is due now (None: nothing), and when to look again if that is not done."""

    kind: Kind | None
    at: datetime


def plan(last: Last, rules: RfmRules, version: int, now: datetime) -> Plan:
    """What is due. A process that knows older rules than the last run used leaves it to one that knows more."""
    if version < last.version:
        return Plan(kind=None, at=NEVER)
    if last.run == 0:
        first = last.begun_at + min(rules.every, DAY)
        return Plan(kind="full" if now >= first else None, at=first)
    assert last.full_at is not None
    assert last.run_at is not None
    whole = _after(last.full_at, rules)
    if other_rules(last, rules) or now >= whole:
        return Plan(kind="full", at=now)
    between = last.run_at + rules.every / BETWEEN
    return Plan(kind="incremental" if now >= between else None, at=min(between, whole))


def other_rules(last: Last, rules: RfmRules) -> bool:
    """Whether the last run used rules whose results cannot be compared with those of `rules`."""
    return last.rules is None or last.rules.digest() != rules.digest()


def quiet(last: Last, rules: RfmRules, cuts: Cuts) -> bool:
    """Whether a run's changes come from computing, not from customers: by other rules than before (or none), or with
    scores where there were too few customers for them."""
    if other_rules(last, rules) or last.cuts is None:
        return True
    return any(last.cuts.points(axis) is None and cuts.points(axis) is not None for axis in AXES)


def _after(full_at: datetime, rules: RfmRules) -> datetime:
    """When the next full run is due: results depend on the day, so whole days end at the shop's midnight."""
    if rules.every % DAY:
        return full_at + rules.every
    day = full_at.astimezone(ZoneInfo(rules.timezone)).date() + rules.every
    return at_local(day, time(), rules.timezone)


def slices(parts: int) -> list[tuple[str, str]]:
    """All profile ids, cut into so many ranges (first, last). Ids are hashes, so the ranges are about equally full."""
    ends = [number * (1 << 128) // parts for number in range(parts + 1)]
    return [(str(UUID(int=first)), str(UUID(int=end - 1))) for first, end in pairwise(ends)]
