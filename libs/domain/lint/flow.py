"""Lint of the order of steps: what is never reached, messages asked about before they are sent, moments gone by."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import time, timedelta

from libs.domain.engine.program import HOLDOUT
from libs.domain.lint.steps import sends
from libs.domain.scenario import model
from libs.domain.scenario.model import Condition, Scenario, Send, Split, Step, Wait, Window
from libs.domain.scenario.source import Finding, Severity, Source

DAY = timedelta(days=1)
MONTH = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class State:
    """Where a run may be: messages that may have been sent, those sent just now, the least time that has passed."""

    sent: frozenset[str] = frozenset()
    just: frozenset[str] = frozenset()
    passed: timedelta = timedelta()

    def later(self, length: timedelta = timedelta()) -> "State":
        """After a wait of at least `length`."""
        return replace(self, just=frozenset(), passed=self.passed + length)


def check_flow(scenario: Scenario, source: Source) -> list[Finding]:
    """Findings of the steps in their order."""
    walk = _Walk(scenario, source)
    walk.steps(scenario.steps, State())
    return walk.findings


def _both(states: list[State | None]) -> State | None:
    """Several ways that come together again; None when none of them goes on."""
    known = [state for state in states if state is not None]
    if not known:
        return None
    return State(
        sent=frozenset().union(*(one.sent for one in known)),
        just=frozenset().union(*(one.just for one in known)),
        passed=min(one.passed for one in known),
    )


@dataclass
class _Walk:
    scenario: Scenario
    source: Source
    findings: list[Finding] = field(default_factory=list)

    def tell(self, path: str, message: str, hint: str = "", severity: Severity = "warning") -> None:
        self.findings.append(self.source.finding(path, message, hint, severity))

    def steps(self, steps: tuple[Step, ...], state: State) -> State | None:
        """The state after some steps; None when the run is over."""
        here: State | None = state
        for index, step in enumerate(steps):
            if here is None:
                self.tell(step.path, "this is never reached: the step before it ends the scenario")
                return None
            here = self.step(step, here, steps[index + 1] if index + 1 < len(steps) else None)
        return here

    def step(self, step: Step, state: State, following: Step | None) -> State | None:
        if isinstance(step, model.Stop):
            return None
        if isinstance(step, Wait):
            return self.wait(step, state, following)
        if isinstance(step, Send):
            return self.send(step, state)
        if isinstance(step, model.If):
            self.asks(f"{step.path}/if", step.condition, state)
            return _both([self.steps(step.then, state), self.steps(step.otherwise, state)])
        if isinstance(step, model.Until):
            return self.until(step, state)
        return self.split(step, state) if isinstance(step, Split) else state

    def send(self, step: Send, state: State) -> State:
        if step.condition is not None:
            self.asks(f"{step.path}/if", step.condition, state)
            return replace(state, sent=state.sent | {step.message})
        if step.message in state.sent:
            self.tell(f"{step.path}/send", f"{step.message} may have been sent before", "another message, or an `if`")
        elif state.just:
            others = ", ".join(sorted(state.just))
            message = f"{step.message} goes out in the same minute as {others}"
            self.tell(f"{step.path}/send", message, "put a wait between them")
        return replace(state, sent=state.sent | {step.message}, just=state.just | {step.message})

    def until(self, step: model.Until, state: State) -> State | None:
        if step.of is not None:
            self.named(f"{step.path}/until/of", step.of, state)
        if step.where is not None:
            self.asks(f"{step.path}/until/where", step.where, state)
        return _both([self.steps(step.then, state.later()), self.steps(step.otherwise, state.later(step.within))])

    def split(self, step: Split, state: State) -> State | None:
        ends: list[State | None] = []
        for arm in step.arms:
            end = self.steps(step.steps.get(arm, ()), state)
            ends.append(None if arm == HOLDOUT else end)
        return _both(ends)

    def asks(self, path: str, condition: Condition, state: State) -> None:
        """Messages that a condition asks about by `since: sent(…)`."""
        for name in _asked(condition):
            self.named(path, name, state)

    def named(self, path: str, name: str, state: State) -> None:
        if name in state.sent or all(step.message != name for step in sends(self.scenario.steps)):
            return  # a message that no step sends is told of elsewhere
        if self.scenario.restart:
            self.tell(path, f"{name} has been sent by then only in a round before", "send it before this step")
        else:
            message = f"{name} has not been sent when this is asked: it never holds"
            self.tell(path, message, "ask after the step that sends it", "error")

    def wait(self, step: Wait, state: State, following: Step | None) -> State:
        if step.until_path is not None and self.is_over(step, state):
            message = f"{step.until_path} is over by then as this scenario begins: this does not wait"
            self.tell(f"{step.path}/wait", message, "a later moment, or an earlier trigger")
        closed = _closed(self.scenario.window, step)
        if closed and isinstance(following, Send):
            self.tell(f"{step.path}/wait", f"{closed}: {following.message} waits until the window opens")
        length = step.for_ or timedelta(days=step.whole_days) or step.months * timedelta(days=28)
        return state.later(timedelta() if step.until_path is not None else length)

    def is_over(self, step: Wait, state: State) -> bool:
        """Whether a date that the scenario begins by lies behind before it is waited for."""
        trigger = self.scenario.trigger
        if not isinstance(trigger, model.DateTrigger) or _short(trigger.date) != _short(step.until_path or ""):
            return False
        begun = (trigger.after or timedelta()) - (trigger.before or timedelta()) + trigger.months * MONTH
        awaited = (step.after or timedelta()) - (step.before or timedelta()) + step.months * MONTH
        return awaited + (DAY if trigger.at or trigger.months or step.months else timedelta()) <= begun + state.passed


def _short(path: str) -> str:
    return path.removeprefix("event.")


def _asked(condition: Condition) -> Iterator[str]:
    if isinstance(condition, model.All | model.AnyOf):
        for part in condition.of:
            yield from _asked(part)
    elif isinstance(condition, model.Not):
        yield from _asked(condition.of)
    elif isinstance(condition, model.Happened):
        if condition.since.sent is not None:
            yield condition.since.sent
        if condition.where is not None:
            yield from _asked(condition.where)


def _closed(window: Window | None, step: Wait) -> str:
    """That a wait ends when the window is closed, or nothing."""
    if window is None:
        return ""
    if step.days and not set(step.days) & set(window.days):
        return f"the window is closed on {', '.join(step.days)}"
    clock = step.at or step.until
    return f"the window is closed at {clock:%H:%M}" if clock is not None and not _open(window, clock) else ""


def _open(window: Window, clock: time) -> bool:
    if window.closes is None or window.closes == window.opens:
        return clock >= window.opens
    if window.closes > window.opens:
        return window.opens <= clock < window.closes
    return clock >= window.opens or clock < window.closes
