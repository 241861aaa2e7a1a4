"""An event arrives: remembered once, carts and traits brought up to date, exits seen, scenarios entered.

What scenarios themselves change (tags, traits) is an event too, to which others react in the same turn.
"""

from datetime import datetime
from functools import partial

from libs.domain.engine import run, segments, watch
from libs.domain.engine.enter import enter, judged, key_of
from libs.domain.engine.interest import saw
from libs.domain.engine.learn import RFM, Learned, learn
from libs.domain.engine.program import Program
from libs.domain.engine.starters import Starters
from libs.domain.engine.state import HISTORY, TYPES, UNASKED, Considered, Happened, Profile
from libs.domain.engine.tracks import project
from libs.domain.engine.triggers import NOT_MET, Asking, found, met, nth_event
from libs.domain.engine.turn import Resumed, Told, Turn
from libs.domain.scenario.model import PriceTrigger

ZONES = {"timezone", "timezone_hint"}
"""The traits by which the customer's zone is known."""


def on_event(turn: Turn, event: Happened, digest: int, traceparent: str | None) -> bool:
    """Apply an event; False when this profile has seen it before."""
    profile = turn.profile
    if profile.saw(digest):
        return False
    profile.see(digest)
    segments.time_up_to(turn, event.time)
    settle(turn)
    zone = turn.zone() if event.data.keys() & ZONES else None
    learned = learn(profile, event, turn.index.products)
    if only_teaches(event):
        segments.on_event(turn, event, learned, new=False)
        if event.data.get("quiet") is True:
            _only_remember(turn)
    else:
        _react(turn, event, learned, traceparent)
    if zone is not None and turn.zone() != zone:
        _moved(turn, event.time)
    settle(turn)
    turn.gone += profile.tidy(turn.now)
    return True


def look(turn: Turn, at: datetime) -> None:
    """Scenarios that wait for a moment, or segments, have changed, or something was archived: look at them all."""
    turn.profile.looked = turn.index.fingerprint
    run.end_archived(turn)
    watch.look(turn)
    segments.look(turn, at)


def only_teaches(event: Happened) -> bool:
    """Whether it is for conditions, those of segments too, and starts or ends nothing: scores that came of computing,
    not of customers (`quiet`: then nobody reacts to segments entered and left by it either), or other scores alone.
    """
    if event.type != RFM:
        return False
    told, to = event.data, event.data.get("to")
    return told.get("quiet") is True or (to is not None and told.get("from") == to)


def settle(turn: Turn) -> None:
    """Let scenarios react to what scenarios changed, until nothing is left to react to."""
    while turn.told:
        item = turn.told.popleft()
        turn.depth = item.depth
        if isinstance(item, Resumed):
            enrolment = item.enrolment
            program = turn.programs.get(turn.shop, enrolment.scenario, enrolment.version)
            if program and enrolment.state == "waiting" and enrolment.wait is None and enrolment.round == item.round:
                run.go_on(turn, enrolment, program)
            continue
        changed = Learned(item.event.type == "profile.updated", item.added, item.removed)
        _react(turn, item.event, changed, None)
        if item.event.data.keys() & ZONES:
            _moved(turn, item.event.time)
    turn.depth = 0


def _only_remember(turn: Turn) -> None:
    """What would be reacted to now is remembered, and no more."""
    while turn.told:
        item = turn.told.popleft()
        if isinstance(item, Told):
            _remember(turn, item.event)


def _remember(turn: Turn, event: Happened) -> None:
    asked = turn.index.asked.get(event.type)
    if asked is None:
        turn.profile.remember(event.type, event.time, None, UNASKED)
    else:
        turn.profile.remember(event.type, event.time, project(event.data, asked.paths), HISTORY)


def _react(turn: Turn, event: Happened, learned: Learned, traceparent: str | None) -> None:
    """Remember the event, and all that follows from it."""
    index, profile = turn.index, turn.profile
    new, changed = profile.first is None, profile.looked != index.fingerprint
    _remember(turn, event)
    if changed:
        run.end_archived(turn)
    if changed and not new:
        segments.look(turn, event.time)
    else:
        segments.on_event(turn, event, learned, new=new)
    if profile.enrolments:
        _touch(turn, event)
    asked = index.triggers.get(event.type)
    tagged = _tagged(turn, learned) if learned.added or learned.removed else []
    if asked or tagged:
        _consider(turn, asked, tagged, event, traceparent)
    profile.looked = index.fingerprint
    if index.watching is not None or profile.watches:
        watch.on_event(turn, event, traits=learned.traits, changed=changed)


def _touch(turn: Turn, event: Happened) -> None:
    """Enrolments: those that this event is an exit of end, those that wait for it go on. One that has taken all its
    steps can still be left while a message of it may not have gone out.
    """
    for enrolment in list(turn.profile.enrolments):
        if enrolment.state == "ended" and not enrolment.out:
            continue
        program = turn.programs.get(turn.shop, enrolment.scenario, enrolment.version)
        if program is None:
            continue
        ways = program.ways.get(event.type)
        live = ways if ways and event.time >= enrolment.triggered_at else ()
        if any(run.is_exit(turn, way, event, enrolment.key) for way in live):
            run.exit_by(turn, enrolment, event)
        elif run.awaits(enrolment, program, event.type):
            run.look_again(turn, enrolment, program)
        elif enrolment.wait is not None and enrolment.wait.began is not None and run.on_path(enrolment, program):
            run.move(turn, enrolment, program)


def _tagged(turn: Turn, learned: Learned) -> list[Program]:
    """The scenarios that a tag which came or went may start."""
    triggers = turn.index.triggers
    keys = [f"tag+{name}" for name in learned.added] + [f"tag-{name}" for name in learned.removed]
    found = {program.id: program for key in keys if key in triggers for program in triggers[key].programs}
    return sorted(found.values(), key=lambda program: -program.priority)


def _consider(
    turn: Turn, asked: Starters | None, tagged: list[Program], event: Happened, traceparent: str | None
) -> None:
    """Enter each scenario whose trigger is met, or remember why not. The most important comes first."""
    scope = turn.scope(event, None)
    asking = Asking(event, scope)
    programs = tagged
    if asked is not None:
        seen = asked.considered(turn.profile, event, scope, turn.now)
        programs = [*(asked.programs if seen is None else asked.candidates(scope)), *tagged]
        _keep(turn.profile, event.type, seen)
    passed = set(asked.ids) & turn.profile.judged.keys() if asked is not None else set()
    told = False
    for program in programs:
        if not met(turn, program, asking):
            if asked is not None and seen is None:
                judged(turn, program, event, found(turn, program, asking), entered=False, because=NOT_MET)
                passed.discard(program.id)
            continue
        passed.discard(program.id)
        by = nth_event(turn, program, event)
        key = key_of(turn, program, scope if by is event else turn.scope(by, None))
        tell = partial(found, turn, program, asking)
        if key is None:
            judged(turn, program, event, tell(), entered=False, because=f"no value at key {program.key}")
            continue
        enter(turn, program, by, key, tell, traceparent)
        told = told or (isinstance(program.on, PriceTrigger) and turn.profile.entered.get(program.id) == by.time)
    if told:  # all have compared with what the customer saw before
        saw(turn.profile, event)
    for id in passed:  # what was known of them is of an earlier event
        del turn.profile.judged[id]


def _keep(profile: Profile, type: str, seen: Considered | None) -> None:
    if seen is None:
        profile.considered.pop(type, None)
        return
    profile.considered[type] = seen
    if len(profile.considered) > TYPES:
        del profile.considered[min(profile.considered, key=lambda name: profile.considered[name].now)]


def _moved(turn: Turn, at: datetime) -> None:
    """The customer's zone has changed: what waits for a local time waits for another moment."""
    for enrolment in turn.profile.running():
        program = turn.programs.get(turn.shop, enrolment.scenario, enrolment.version)
        if program is not None:
            run.move(turn, enrolment, program)
    watch.look(turn)
    segments.on_zone(turn, at)
