"""The steps of one run, as a reader of the scenario would take them: top to bottom, pausing where there is a wait."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from libs.domain import ids
from libs.domain.scenario import model
from libs.domain.scenario.match import History, holds
from libs.domain.scenario.times import next_open, wait_until
from tests.reference.case import Message, without_id
from tests.reference.facts import Event, Json

if TYPE_CHECKING:
    from tests.reference.model import Reference

LATE = timedelta(days=3)
DEEPEST = 8
CONTEXT = ("profile", "event", "cart", "order", "rfm", "key")


@dataclass(frozen=True)
class Pause:
    """Waiting. `due` says, as things are known now, when it is over; `kind` what may move that."""

    kind: str
    due: Callable[[], datetime]


TOLD = Pause("told", lambda: datetime.max.replace(tzinfo=UTC))
"""Others react first to what a step has changed."""


AT_ONCE = datetime.min.replace(tzinfo=UTC)


class Over(Exception):
    """The run ends here."""


@dataclass(eq=False)
class Run:
    """One enrolment. `asked` are the messages that it asked for: name and id; `out` those that may not have gone."""

    id: str
    scenario: model.Scenario
    key: str
    entered_at: datetime
    trigger: Event
    born: datetime
    at: datetime
    round: int = 0
    walk: Iterator[Pause] = field(default_factory=lambda: iter(()))
    pause: Pause | None = None
    seen_due: datetime | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)
    asked_at: datetime | None = None
    out: list[str] = field(default_factory=list)
    sent: dict[str, datetime] = field(default_factory=dict)
    arms: dict[str, str] = field(default_factory=dict)
    because: str | None = None
    ended_at: datetime | None = None


def walk(world: "Reference", run: Run, steps: tuple[model.Step, ...]) -> Iterator[Pause]:
    """Take the steps."""
    for step in steps:
        if isinstance(step, model.Wait):
            yield from _wait(world, run, step)
        elif isinstance(step, model.Send):
            yield from _send(world, run, step)
        elif isinstance(step, model.If):
            yield from walk(world, run, step.then if _holds(world, run, step.condition) else step.otherwise)
        elif isinstance(step, model.Until):
            yield from _until(world, run, step)
        elif isinstance(step, model.Split):
            arm = world.lots[run.scenario.id, step.name]
            run.arms = {**run.arms, step.name: arm}
            yield from walk(world, run, step.steps.get(arm, ()))
            if arm == "holdout":
                raise Over("holdout")
        elif isinstance(step, model.Stop):
            raise Over("exit step")
        elif step.verb in ("tag", "untag"):
            yield from _tag(world, run, step.what)
        else:
            yield from _set(world, run, step.what)


def _holds(world: "Reference", run: Run, condition: model.Condition) -> bool:
    history = History(
        now=world.now,
        tracks=world.facts.pasts(),
        enrolled_at=run.entered_at,
        sent=run.sent,
    )
    return holds(condition, world.scope(run.trigger, run.key), history)


def _wait(world: "Reference", run: Run, step: model.Wait) -> Iterator[Pause]:
    began = run.at

    def due() -> datetime:
        return wait_until(step, began, world.zone(), world.scope(run.trigger, run.key))

    def not_before(paused: datetime) -> datetime:
        return max(due(), paused)

    if run.asked_at is not None and step.until_path is None and due() <= world.now:
        began = max(began, run.asked_at)  # what was late is not followed at once
    while due() > world.now or not world.called:
        if due() > world.now:
            run.asked_at = None
        yield Pause("path" if step.until_path else "wait", partial(not_before, world.now))
    run.at = due()


def _until(world: "Reference", run: Run, step: model.Until) -> Iterator[Pause]:
    """An event after the wait began and not after its end, by its own time, whenever it comes.

    One of another type than the trigger may have the trigger's own time.
    """
    began = run.at
    if run.asked_at is not None and run.at + step.within <= world.now:
        began = max(began, run.asked_at)
    deadline = began + step.within

    def first() -> datetime | None:
        for event in world.facts.of_type(step.event):
            beside = event.time == began == run.trigger.time and event.type != run.trigger.type
            if not (beside or began < event.time <= deadline):
                continue
            mine = [id for name, id in run.asked if name == step.of]
            if step.of is not None and event.data.get("message") not in mine:
                continue
            scope = {**world.scope(run.trigger, run.key), "event": {**event.data, "type": event.type}}
            if step.where is None or holds(step.where, scope):
                return event.time
        return None

    def due(paused: datetime) -> datetime:
        return max(deadline, paused) if first() is None else AT_ONCE

    while due(began) > world.now or (first() is None and not world.called):
        if deadline > world.now:
            run.asked_at = None
        yield Pause("until", partial(due, world.now))
    found = first()
    run.at = deadline if found is None else found
    yield from walk(world, run, step.otherwise if found is None else step.then)


def _send(world: "Reference", run: Run, step: model.Send) -> Iterator[Pause]:
    """What a window puts off is late from when it opens; what was too late when it was asked stays too late."""
    window, late = run.scenario.window, LATE if step.late is None else step.late
    began, asked = run.at, max(world.now, run.at)
    put_off: datetime | None = None

    def opens() -> datetime:
        assert window is not None
        first = next_open(window, asked, world.zone())
        return first if first > world.now or first == put_off else next_open(window, world.now, world.zone())

    while True:
        moved = put_off is not None and run.seen_due != put_off
        if put_off is not None and not moved:  # it has opened, perhaps a while ago
            began, asked = put_off, world.now
        run.at = began
        if step.condition is not None and not _holds(world, run, step.condition):
            return
        if "window and zone" in world.today and moved:
            asked = max(world.now, began)
        if window is None or (world.now > began + late and asked == world.now):
            break
        if opens() <= world.now:
            first = next_open(window, asked, world.zone())
            run.at = first if first > asked else run.at
            break
        put_off = opens()
        yield Pause("window", opens)
    _ask(world, run, step, late)


def _ask(world: "Reference", run: Run, step: model.Send, late: timedelta) -> None:
    scope = world.scope(run.trigger, run.key)
    id = ids.message_id(run.id, step.path, run.round)
    run.asked.append((step.message, id))
    run.out.append(id)
    if run.at + late > world.now:
        run.asked_at = world.now
    world.messages.append(
        Message(
            now=world.now,
            scenario=run.scenario.id,
            key=run.key,
            name=step.message,
            id=id,
            due_at=run.at,
            expires_at=run.at + late,
            arms=tuple(sorted(run.arms.items())),
            context=without_id({name: scope[name] for name in CONTEXT}),
        )
    )


def _tag(world: "Reference", run: Run, what: Json) -> Iterator[Pause]:
    told = False
    for verb, type in (("add", "profile.tagged"), ("remove", "profile.untagged")):
        names = list(dict.fromkeys(what.get(verb, ())))
        before = world.facts.tags()
        world.facts.told.append(Event(type, run.at, {"tags": names}, heard=False))
        after = world.facts.tags()
        changed = [name for name in names if (name in before) is not (name in after)]
        if changed:
            added, removed = (changed, []) if verb == "add" else ([], changed)
            told = world.tell(run, Event(type, run.at, {"tags": changed}, teaches=False), added, removed) or told
    if told:
        yield TOLD


def _set(world: "Reference", run: Run, what: Json) -> Iterator[Pause]:
    before = world.facts.traits()
    world.facts.told.append(Event("profile.updated", run.at, what, heard=False))
    after = world.facts.traits()
    old, new = set(before.get("tags", ())), set(after.get("tags", ()))
    if any(before.get(name) != after.get(name) for name in what):
        event = Event("profile.updated", run.at, what, teaches=False)
        if world.tell(run, event, sorted(new - old), sorted(old - new)):
            yield TOLD
