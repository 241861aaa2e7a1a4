"""Scenarios that are entered at a moment: a date of the profile, a date that an event brought, the end of a silence.

A profile has one watch for each such scenario and key, and for it at most one wake-up call. When the call comes it is
judged on the state as it is then (I5), however late it comes. A moment that is past when it becomes known has a call
as well: what happened since may be on its way. What becomes moot is cancelled at once; activity alone cancels nothing,
the call that comes too early asks for a later one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from libs.domain import ids
from libs.domain.engine import run
from libs.domain.engine.enter import enter, key_of
from libs.domain.engine.program import Program
from libs.domain.engine.registry import Watching
from libs.domain.engine.state import Happened, Watch
from libs.domain.engine.turn import Call, Turn
from libs.domain.scenario.match import Found, lookup, zone
from libs.domain.scenario.model import DateTrigger, InactiveTrigger
from libs.domain.scenario.times import moved, yearly

LATE = timedelta(days=1)
"""How late a date may be seen and still count, when its trigger does not say `late`."""
MOST = 100
"""Watches of one profile: beyond that no new one begins."""
OVER = 20
"""Of these so many that await nothing any more; the oldest are forgotten."""
EVENT = "event."


@dataclass(frozen=True, kw_only=True)
class Aim:
    """The next moment: `name` tells it from the other moments of the same watch."""

    due: datetime
    name: str
    date: str


def on_event(turn: Turn, event: Happened, *, traits: bool, changed: bool) -> None:
    """Bring the watches up to date with an event; `changed`: the scenarios are others than the profile has seen."""
    watching = turn.index.watching
    if changed:
        look(turn)
    elif traits and watching is not None:
        for program in watching.profile_dates:
            _refresh(turn, program, _own_key(turn, program))
    if watching is None:
        return
    for program in watching.activity.get(event.type, ()):
        key = _own_key(turn, program)
        known = turn.profile.watches.get(_name(program.id, key))
        if known is None or known.due_at is None or not known.step or event.time + _lasting(program) < known.due_at:
            _refresh(turn, program, key)
    if watching.dates:
        for root in watching.dates.keys() & event.data.keys():
            for program in watching.dates[root]:
                _told(turn, program, event)
        _leave(turn, watching, event)


def look(turn: Turn) -> None:
    """Bring all watches of the profile up to date with the scenarios as they are now."""
    profile, watching = turn.profile, turn.index.watching
    programs = watching.programs if watching else {}
    for name, known in list(profile.watches.items()):
        program = programs.get(known.scenario)
        if program is None:
            _cancel(turn, known)
            del profile.watches[name]
        elif known.trigger is not None and known.due_at is not None:
            _refresh(turn, program, known.key, known.trigger)
    for program in programs.values():
        root = _root(program)
        if root is None:
            _refresh(turn, program, _own_key(turn, program))
            continue
        for dated in ({"cart": profile.carts, "order": profile.orders}.get(root) or {}).values():
            event = Happened(f"{root}.known", dated.at, "", {root: dated.data})
            _told(turn, program, event)


def on_due(turn: Turn, step: str) -> bool:
    """A wake-up call; False when no watch waits for it."""
    known = next((one for one in turn.profile.watches.values() if one.step == step), None)
    if known is None:
        return False
    turn.sums["steps.fired"] += 1
    known.step = ""
    watching = turn.index.watching
    program = watching.programs.get(known.scenario) if watching else None
    if program is None:
        del turn.profile.watches[_name(known.scenario, known.key)]
    else:
        _refresh(turn, program, known.key, known.trigger)
    return True


def hand_over(turn: Turn) -> None:
    """The profile is going to be another one: no call shall come for it."""
    for known in turn.profile.watches.values():
        _cancel(turn, known)


def take_over(turn: Turn, watches: Mapping[str, Watch]) -> None:
    """The watches of a profile that has become this one: what was judged there is not judged again."""
    watching = turn.index.watching
    for theirs in watches.values():
        program = watching.programs.get(theirs.scenario) if watching else None
        if program is None:
            continue
        if program.key is None:
            theirs.key = turn.profile_id
        mine = turn.profile.watches.setdefault(_name(program.id, theirs.key), theirs)
        mine.done = max(mine.done, theirs.done)
        if theirs.trigger and (mine.trigger is None or mine.trigger.time < theirs.trigger.time):
            mine.trigger = theirs.trigger
    look(turn)


def _name(scenario: str, key: str) -> str:
    return f"{scenario}/{key}"


def _lasting(program: Program) -> timedelta:
    assert isinstance(program.on, InactiveTrigger)
    return program.on.lasting


def _own_key(turn: Turn, program: Program) -> str:
    """The key where no event is at hand."""
    value = lookup({"profile": turn.profile.traits}, program.key) if program.key else None
    return turn.profile_id if value is None else str(value)


def _root(program: Program) -> str | None:
    """The part of an event that holds the date; None when it is no date of an event."""
    if isinstance(program.on, DateTrigger) and program.on.date.startswith(EVENT):
        return program.on.date.removeprefix(EVENT).partition(".")[0]
    return None


def _told(turn: Turn, program: Program, event: Happened) -> None:
    """An event brings a date, or takes it away. Older news than what is known changes nothing."""
    assert isinstance(program.on, DateTrigger)
    above, _, leaf = program.on.date.removeprefix(EVENT).rpartition(".")
    parent = lookup(event.data, above) if above else event.data
    if not isinstance(parent, Mapping) or leaf not in parent:
        return
    key = key_of(turn, program, turn.scope(event, None))
    if key is None:
        return
    known = turn.profile.watches.get(_name(program.id, key))
    if known is None or known.trigger is None or known.trigger.time <= event.time:
        _refresh(turn, program, key, event)


def _leave(turn: Turn, watching: Watching, event: Happened) -> None:
    """An exit of the scenario, before anybody has entered it."""
    for known in list(turn.profile.watches.values()):
        program = watching.programs.get(known.scenario)
        ways = program.ways.get(event.type) if program else None
        live = ways if ways and known.trigger and known.due_at and event.time >= known.trigger.time else ()
        if any(run.is_exit(turn, way, event, known.key) for way in live):
            _cancel(turn, known)
            known.because = event.type


def _refresh(turn: Turn, program: Program, key: str, trigger: Happened | None = None) -> None:
    """Wait for the next moment, if there is one: now it may be, or another than was awaited, or none any more."""
    name = _name(program.id, key)
    known = turn.profile.watches.get(name)
    new = known is None
    if known is None:
        known = Watch(scenario=program.id, key=key, version=program.version)
    known.trigger = trigger
    known.version = program.version
    aim = _aim(turn, program, known)
    if isinstance(aim, Aim) and trigger is not None and program.exits:
        left = run.left_since(turn, program, key, trigger)
        aim = left.type if left else aim
    if not isinstance(aim, Aim):
        _cancel(turn, known)
        known.because = aim
        if trigger is not None:  # that it is the newest must be known still, what it says no more
            known.trigger = Happened(trigger.type, trigger.time, trigger.id)
        if not new or known.done or (trigger is not None and _room(turn)):
            turn.profile.watches[name] = known
        return
    if new and not _room(turn):
        return
    turn.profile.watches[name] = known
    known.date, known.because = aim.date, ""
    if aim.due <= turn.now and turn.caught_up:
        _fire(turn, program, known, aim)
    elif known.due_at is None or not known.step or not _serves(program, known.due_at, aim.due):
        _cancel(turn, known)
        known.due_at = aim.due
        known.step = ids.derive("step", _id(turn, known), aim.due.isoformat())
        turn.ask(_call(turn, known, aim.due))


def _serves(program: Program, asked: datetime, wanted: datetime) -> bool:
    """Whether the call that is out will do. One for a silence may come too early: then it is asked for again."""
    return asked == wanted or (isinstance(program.on, InactiveTrigger) and asked < wanted)


def _fire(turn: Turn, program: Program, known: Watch, aim: Aim) -> None:
    """The moment has come: enter, and look for the next one."""
    _cancel(turn, known)
    known.done, known.because = aim.name, f"came at {aim.due.isoformat()}"
    told = known.trigger
    if told is not None:
        event = Happened(told.type, aim.due, told.id, told.data)
    else:
        kind = "inactive" if isinstance(program.on, InactiveTrigger) else "date"
        event = Happened(kind, aim.due, ids.derive(kind, _id(turn, known), aim.name), {kind: aim.date})
    path = program.on.date if isinstance(program.on, DateTrigger) else "last activity"
    enter(turn, program, event, known.key, lambda: [Found(path, aim.date, True)])
    if isinstance(program.on, DateTrigger) and program.on.every:
        _refresh(turn, program, known.key, known.trigger)


def _aim(turn: Turn, program: Program, known: Watch) -> Aim | str:
    """The next moment, or why there is none."""
    if isinstance(program.on, InactiveTrigger):
        return _silence(turn, program.on, known)
    assert isinstance(program.on, DateTrigger)
    scope = {"event": known.trigger.data} if known.trigger else {"profile": turn.profile.traits}
    value = lookup(scope, program.on.date)
    if value is None:
        return f"no date at {program.on.date}"
    if program.on.every:
        return _yearly(turn, program.on, known, value)
    due = _shifted(turn, program.on, value)
    if due is None:
        return f"no date at {program.on.date}"
    if known.done == str(value):
        return known.because
    if due < turn.now - (program.on.late or LATE) and due != known.due_at:
        return f"past: it would have been at {due.isoformat()}"
    return Aim(due=due, name=str(value), date=str(value))


def _yearly(turn: Turn, trigger: DateTrigger, known: Watch, value: object) -> Aim | str:
    """The next time that the day comes round, once a year."""
    this_year = turn.now.astimezone(zone(turn.zone())).year
    for year in range(this_year - 2, this_year + 4):
        day = yearly(value, year, turn.zone())
        if day is None or str(year) <= known.done:
            continue
        due = _shifted(turn, trigger, _with_clock(value, day, turn.zone()))
        if due is not None and (due >= turn.now - (trigger.late or LATE) or due == known.due_at):
            return Aim(due=due, name=str(year), date=day.isoformat())
    return f"no date at {trigger.date}"


def _with_clock(value: object, day: date, zone_name: str) -> str:
    """The time of day that the date has, on another day."""
    text = str(value)
    if len(text) <= 10:
        return day.isoformat()
    told = datetime.fromisoformat(text)
    clock = (told.astimezone(zone(zone_name)) if told.tzinfo else told).time()
    return datetime.combine(day, clock).isoformat()


def _shifted(turn: Turn, trigger: DateTrigger, value: object) -> datetime | None:
    shift = (trigger.after or timedelta()) - (trigger.before or timedelta())
    return moved(value, turn.zone(), shift=shift, months=trigger.months, by_clock=trigger.by_clock, at=trigger.at)


def _silence(turn: Turn, trigger: InactiveTrigger, known: Watch) -> Aim | str:
    """When it will have been quiet for long enough. Whoever was so long before anybody watched does not enter."""
    tracks = turn.profile.tracks
    last = max((tracks[type].times[-1] for type in trigger.events if type in tracks), default=turn.profile.first)
    if last is None:
        return "no event has been seen"
    name = last.astimezone(UTC).isoformat()
    due = last + trigger.lasting
    if known.done == name:
        return known.because
    if (known.due_at is None or known.due_at > turn.now) and due < turn.now - LATE:  # no call came late: it is news
        known.done = name
        return f"quiet since {name}, already when this scenario began to look"
    return Aim(due=due, name=name, date=name)


def _room(turn: Turn) -> bool:
    """Whether one more watch may begin; those that await nothing make room."""
    watches = turn.profile.watches
    over = [(one.trigger.time, name) for name, one in watches.items() if one.due_at is None and one.trigger]
    for _, name in sorted(over)[:-OVER]:
        del watches[name]
    return len(watches) < MOST


def _cancel(turn: Turn, known: Watch) -> None:
    """Nothing is awaited any more; a call that is out is cancelled."""
    if known.step and known.due_at is not None:
        turn.revoke(_call(turn, known, known.due_at))
    known.due_at, known.step = None, ""


def _id(turn: Turn, known: Watch) -> str:
    return ids.derive("watch", turn.shop, known.scenario, turn.profile_id, known.key)


def _call(turn: Turn, known: Watch, due: datetime) -> Call:
    return Call(step=known.step, due_at=due, scenario=known.scenario, enrolment=_id(turn, known), traceparent=None)


def awaited(turn: Turn, program: Program, known: Watch) -> datetime | None:
    """When the profile would enter. The call for the end of a silence may come before that: it is asked for again."""
    due = known.due_at
    if due is not None and isinstance(program.on, InactiveTrigger):
        aim = _aim(turn, program, known)
        due = aim.due if isinstance(aim, Aim) else due
    return due


def shown(turn: Turn, program: Program, known: Watch) -> dict[str, object]:
    """A watch for `explain`: until when and for what, or why no more."""
    due = awaited(turn, program, known)
    return {
        "key": known.key,
        "version": known.version,
        "due_at": due.isoformat() if due else None,
        "date": known.date or None,
        "because": known.because or None,
    }


def why_not(turn: Turn, program: Program) -> str:
    """Why there is no watch of a scenario."""
    if _root(program) is not None:
        return f"no {program.trigger} has been seen"
    aim = _aim(turn, program, Watch(scenario=program.id, key=turn.profile_id, version=program.version))
    return f"not looked at yet, it would be at {aim.due.isoformat()}" if isinstance(aim, Aim) else aim
