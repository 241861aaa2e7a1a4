"""What dates and silences start, looked for at a moment in all that is known then."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from libs.domain.scenario import model
from libs.domain.scenario.match import lookup, zone
from libs.domain.scenario.times import moved, yearly
from tests.reference.case import PROFILE
from tests.reference.facts import Event

if TYPE_CHECKING:
    from tests.reference.model import Reference

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Aim:
    """A moment at which somebody would enter. `name` tells it from other moments of the same scenario and key."""

    due: datetime
    scenario: model.Scenario
    key: str
    name: str
    event: Event


def aims(world: "Reference") -> Iterator[Aim]:
    """Every moment that is awaited, as things are known now; also those that have just passed."""
    for scenario in world.scenarios:
        if isinstance(scenario.trigger, model.InactiveTrigger):
            yield from _silence(world, scenario, scenario.trigger)
        elif isinstance(scenario.trigger, model.DateTrigger) and scenario.trigger.date.startswith("event."):
            yield from _told(world, scenario, scenario.trigger)
        elif isinstance(scenario.trigger, model.DateTrigger):
            yield from _of_profile(world, scenario, scenario.trigger)


def look(world: "Reference", *, awaited: bool = False) -> None:
    """Let in whoever's moment has come by the news at hand; what was awaited already has its own moment.

    Another zone concerns those that are `awaited` as well: at their very moment nothing promises which comes first.
    """
    while ready := next((aim for aim in aims(world) if aim.due <= world.now and (awaited or _new(world, aim))), None):
        _enter(world, ready)


def _new(world: "Reference", aim: Aim) -> bool:
    return (aim.scenario.id, aim.key, aim.due) not in world.awaited


def fire(world: "Reference", scenario: str, key: str) -> None:
    """The moment of one has come."""
    for aim in aims(world):
        if (aim.scenario.id, aim.key) == (scenario, key) and aim.due <= world.now:
            _enter(world, aim)
            return


def _enter(world: "Reference", aim: Aim) -> None:
    world.judged.setdefault((aim.scenario.id, aim.key), []).append(aim.name)
    world.enter(aim.scenario, aim.event, aim.key)


def _past(world: "Reference", scenario: model.Scenario, key: str, due: datetime, late: timedelta) -> bool:
    """Whether a moment is known too late; what is awaited already comes however late that is."""
    return due < world.now - late and (scenario.id, key, due) not in world.awaited


def _overdue(world: "Reference", scenario: model.Scenario) -> bool:
    """Whether the end of a silence is awaited whose moment has passed; activity moves it, and it is no news."""
    return any(name == scenario.id and due <= world.now for name, _, due in world.awaited)


def _judged(world: "Reference", scenario: model.Scenario, key: str) -> list[str]:
    return world.judged.get((scenario.id, key), [])


def _shifted(world: "Reference", trigger: model.DateTrigger, value: object) -> datetime | None:
    shift = (trigger.after or timedelta()) - (trigger.before or timedelta())
    return moved(value, world.zone(), shift=shift, months=trigger.months, by_clock=trigger.by_clock, at=trigger.at)


def _of_profile(world: "Reference", scenario: model.Scenario, trigger: model.DateTrigger) -> Iterator[Aim]:
    value = lookup({"profile": world.facts.traits()}, trigger.date)
    days = [(str(value), str(value))] if not trigger.every else _years(world, value)
    judged = _judged(world, scenario, PROFILE)
    for name, day in days:
        due = _shifted(world, trigger, day)
        if due is None or _past(world, scenario, PROFILE, due, trigger.late or DAY):
            continue
        if name in judged or (trigger.every and any(int(one) >= int(name) for one in judged)):
            continue
        event = Event("date", due, {"date": day})
        yield Aim(due, scenario, PROFILE, name, event)
        return


def _years(world: "Reference", value: object) -> list[tuple[str, str]]:
    """The day in the years around now."""
    year = world.now.astimezone(zone(world.zone())).year
    days = [(str(one), yearly(value, one, world.zone())) for one in range(year - 2, year + 4)]
    return [(name, day.isoformat()) for name, day in days if day is not None]


def _told(world: "Reference", scenario: model.Scenario, trigger: model.DateTrigger) -> Iterator[Aim]:
    """By key, the date that the newest event which says something of it has brought; an empty one takes it away."""
    above, _, leaf = trigger.date.removeprefix("event.").rpartition(".")
    newest: dict[str, Event] = {}
    for event in world.facts.heard():
        parent = lookup(event.data, above) if above else event.data
        key = world.key(scenario, world.scope(event, None))
        if isinstance(parent, Mapping) and leaf in parent and key is not None:
            newest[key] = event
    for key, event in newest.items():
        value = lookup({"event": event.data}, trigger.date)
        due = None if value is None else _shifted(world, trigger, value)
        if due is None or str(value) in _judged(world, scenario, key):
            continue
        if _past(world, scenario, key, due, trigger.late or DAY):
            continue
        if world.is_exit(scenario, event, key) or world.left(scenario, event, key):
            continue
        yield Aim(due, scenario, key, str(value), Event(event.type, due, event.data, event.id))


def _silence(world: "Reference", scenario: model.Scenario, trigger: model.InactiveTrigger) -> Iterator[Aim]:
    """From the last activity, else from when the customer was first seen."""
    active = [event.time for event in world.facts.heard() if event.type in trigger.events]
    last = max(active) if active else world.facts.first()
    if last is None:
        return
    name, due = last.isoformat(), last + trigger.lasting
    if name in _judged(world, scenario, PROFILE):
        return
    if due < world.now - DAY and not _overdue(world, scenario):
        world.judged.setdefault((scenario.id, PROFILE), []).append(name)
        return
    yield Aim(due, scenario, PROFILE, name, Event("inactive", due, {"inactive": name}))
