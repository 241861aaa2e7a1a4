"""Lint of frequency caps: messages of one run that the caps of the shop cannot let through at their time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from libs.domain.consent.caps import Cap, counts
from libs.domain.engine.acts import LATE
from libs.domain.engine.program import HOLDOUT
from libs.domain.scenario import model
from libs.domain.scenario.durations import shown
from libs.domain.scenario.model import Scenario, Send, Step, Wait
from libs.domain.scenario.source import Finding, Source

DAY = timedelta(days=1)
MOST = 200
"""Ways through a scenario that are looked at; of more, those with the most messages."""
Way = tuple[tuple[timedelta, str], ...]
"""What was sent so far on one way: how long ago it was at most, by which channel; the newest last."""


def check_caps(scenario: Scenario, source: Source, caps: Sequence[Cap]) -> list[Finding]:
    """A finding for each message that comes too early after others of its run, by the waits alone."""
    if not caps or not counts(scenario.purpose):
        return []
    walk = _Walk(source, caps)
    walk.steps(scenario.steps, {()})
    return walk.findings


@dataclass
class _Walk:
    source: Source
    caps: Sequence[Cap]
    findings: list[Finding] = field(default_factory=list)
    told: set[tuple[str, Cap]] = field(default_factory=set)

    def steps(self, steps: Iterable[Step], ways: set[Way]) -> set[Way]:
        """The ways that come out of some steps."""
        for step in steps:
            ways = self.few(self.step(step, ways))
        return ways

    def few(self, ways: set[Way]) -> set[Way]:
        return ways if len(ways) <= MOST else set(sorted(ways, key=lambda way: (-len(way), way))[:MOST])

    def step(self, step: Step, ways: set[Way]) -> set[Way]:
        if isinstance(step, model.Stop):
            return set()
        if isinstance(step, Wait):
            return {self.later(way, _longest(step)) for way in ways}
        if isinstance(step, Send):
            sent = {self.send(step, way) for way in sorted(ways)}
            return sent | ways if step.condition is not None else sent
        if isinstance(step, model.If):
            return self.steps(step.then, ways) | self.steps(step.otherwise, ways)
        if isinstance(step, model.Until):
            after = {self.later(way, step.within) for way in ways}
            return self.steps(step.then, after) | self.steps(step.otherwise, after)
        if isinstance(step, model.Split):
            arms = [arm for arm in step.arms if arm != HOLDOUT]
            return set().union(*(self.steps(step.steps.get(arm, ()), ways) for arm in arms))
        return ways

    def later(self, way: Way, length: timedelta | None) -> Way:
        """After a wait; what no cap reaches back to is forgotten, and all of it after a wait of unknown length."""
        if length is None:
            return ()
        furthest = max(cap.per for cap in self.caps)
        return tuple((ago + length, channel) for ago, channel in way if ago + length < furthest)

    def send(self, step: Send, way: Way) -> Way:
        channel = step.channels[0]
        for cap in self.caps:
            before = [ago for ago, by in way if cap.covers(by) and ago < cap.per]
            if cap.covers(channel) and len(before) >= cap.most and (step.path, cap) not in self.told:
                self.told.add((step.path, cap))
                self.tell(step, cap, len(before), cap.per - before[-cap.most])
        return (*way, (timedelta(), channel))

    def tell(self, step: Send, cap: Cap, before: int, wait: timedelta) -> None:
        by = f" by {cap.channel}" if cap.channel else ""
        message = (
            f"cap by construction: within {shown(cap.per)} this scenario alone asks for {before + 1} messages{by}, and "
            f"the shop lets {cap.most} through: {step.message} is put off for {shown(wait)}"
        )
        late = LATE if step.late is None else step.late
        hint = "wait longer before it"
        if wait > late:
            message += f" and, too late by then (`late` is {shown(late)}), expires"
            hint += ", or give it a longer `late`"
        self.findings.append(self.source.finding(f"{step.path}/send", message, hint, "warning"))


def _longest(step: Wait) -> timedelta | None:
    """How long a wait lasts, at most where its length is not certain; None where nobody can say."""
    if step.until_path is not None:
        return None
    if step.until is not None:
        return 7 * DAY if step.days else DAY
    return (step.for_ or timedelta(days=step.whole_days)) + step.months * 31 * DAY + (DAY if step.at else timedelta())
