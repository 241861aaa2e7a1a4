"""Who is in which segment: judged when something that its condition asks for has changed, or when only time has passed.

A profile has one wake-up call for all its segments: the first moment at which time alone may change a verdict. When it
comes those are judged whose moment has come, on the state as it is then (I5). A call that has become too early is left
alone and asks for a later one; one for nothing is cancelled.

Entering and leaving are events of the profile. Others react to them in the same turn, and they are told to Kafka
under ids that are derived from the state, so that a repeat is the same event.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from libs.domain import ids
from libs.domain.engine.acts import DEEPEST, SOURCE
from libs.domain.engine.learn import Learned
from libs.domain.engine.named import LEFT_ENTERED, Named
from libs.domain.engine.state import MARKS, Happened, Member, Wait
from libs.domain.engine.turn import Call, Fact, Told, Turn
from libs.domain.scenario.match import judge
from libs.domain.scenario.outlook import TICK, outlook

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""When somebody left a segment who has never been in it."""


def time_up_to(turn: Turn, at: datetime) -> None:
    """What time alone had changed when something happened at `at`, before that is looked at.

    What it has changed since waits for its call: other events may be on their way.
    """
    wait, now = turn.profile.segments_wait, min(turn.now, at)
    if wait is not None and wait.due_at <= now:
        _by_time(turn, now)
        _await(turn)


def on_event(turn: Turn, event: Happened, learned: Learned, *, new: bool) -> None:
    """Judge the segments that ask for something that the event has changed."""
    segments = turn.index.segments
    if segments is not None and (found := segments.touched(event, learned, new=new)):
        _judge(turn, found, event.time)


def on_zone(turn: Turn, at: datetime) -> None:
    """The customer's zone is another: days begin at other moments."""
    segments = turn.index.segments
    if segments is not None and (found := segments.keys.get(("zone", ""))):
        _judge(turn, found, at)


def look(turn: Turn, at: datetime) -> None:
    """Judge all segments as they are published now; of one that is archived nobody is left."""
    segments = turn.index.segments
    if segments is None:
        return
    for name, known in sorted(turn.profile.segments.items()):
        if name in segments.archived and known.version:
            known.next = None
            if known.on:
                _turn_over(turn, name, known, False, at)
    _judge(turn, segments.live.values(), at)


def on_due(turn: Turn, step: str) -> bool:
    """A wake-up call; False when no segment waits for it."""
    wait = turn.profile.segments_wait
    if wait is None or wait.step != step:
        return False
    turn.sums["steps.fired"] += 1
    turn.profile.segments_wait = None
    _by_time(turn, max(turn.now, wait.due_at))
    _await(turn)
    return True


def hand_over(turn: Turn) -> None:
    """The profile is going to be another one: no call shall come for it."""
    wait = turn.profile.segments_wait
    if wait is not None:
        turn.revoke(_call(turn, wait))
        turn.profile.segments_wait = None


def take_over(turn: Turn, theirs: Mapping[str, Member], at: datetime) -> None:
    """Two profiles were one customer: who was in with either is in, and is judged by what is known of both."""
    mine = turn.profile.segments
    for name, other in theirs.items():
        known = mine.setdefault(name, other)
        if known is other:
            continue
        if known.on and other.on and known.version:
            known.at = min(known.at, other.at)
        elif other.on > known.on if known.version or other.version else other.at > known.at:
            known.at, known.on = other.at, other.on
        known.version = max(known.version, other.version)
    look(turn, at)


def shown(turn: Turn) -> list[dict[str, Any]]:
    """For `explain`: each segment, whether the profile is in it, since when, and what its condition finds now."""
    segments, rows = turn.index.segments, []
    for name, segment in sorted(segments.live.items() if segments else ()):
        known = turn.profile.segments.get(name)
        _, found = judge(segment.condition, turn.scope(_nothing(turn), None), turn.history())
        rows.append(
            {
                "segment": name,
                "version": segment.version,
                "in": known is not None and known.on,
                "since": known.at.isoformat() if known is not None and known.at > NEVER else None,
                "judged_again_at": known.next.isoformat() if known is not None and known.next else None,
                "conditions": [{"path": one.path, "found": one.found, "verdict": one.verdict} for one in found],
            }
        )
    return rows


def _judge(turn: Turn, found: Iterable[Named], at: datetime) -> None:
    """Judge as things are now; `at` is when what has changed them happened."""
    scope, history = turn.scope(_nothing(turn), None), turn.history()
    for segment in found:
        verdict, until = outlook(segment.quick, scope, history)
        _note(turn, segment, at, verdict, until)
    _await(turn)


def _by_time(turn: Turn, now: datetime) -> None:
    """Judge those whose moment has come; what time has changed it has changed at that moment."""
    segments = turn.index.segments
    due = [(one.next, name) for name, one in turn.profile.segments.items() if one.next is not None and one.next <= now]
    scope, history = turn.scope(_nothing(turn), None), replace(turn.history(), now=now)
    for moment, name in sorted(due):
        segment = segments.live.get(name) if segments else None
        if segment is None:
            turn.profile.segments[name].next = None
            continue
        verdict, until = outlook(segment.quick, scope, history)
        _note(turn, segment, moment, verdict, until)


def _note(turn: Turn, segment: Named, at: datetime, verdict: bool, until: datetime | None) -> None:
    """Remember the verdict. A process that knows an older version than the profile was judged by does not undo it."""
    known = turn.profile.segments.get(segment.id)
    if known is None:
        if not verdict and until is None:
            return
        known = turn.profile.segments[segment.id] = Member(NEVER, False)
    elif known.version > segment.version:
        return
    known.next, known.version = until, segment.version
    if verdict is not known.on:
        _turn_over(turn, segment.id, known, verdict, at)
    elif not known.on and until is None and known.at == NEVER:
        del turn.profile.segments[segment.id]


def _turn_over(turn: Turn, name: str, known: Member, on: bool, at: datetime) -> None:
    """Enter or leave. Later than the time before, so that no two have one id and their order can be seen."""
    known.at, known.on = max(at, known.at + TICK), on
    kind = LEFT_ENTERED[on]
    id = ids.derive("segment", turn.shop, turn.profile_id, name, kind, known.at.isoformat())
    digest = ids.event_digest(turn.shop, SOURCE, id)
    event = Happened(kind, known.at, f"{digest:015x}", {"segment": name})
    turn.facts.append(Fact(id=id, event=event))
    if turn.depth < DEEPEST:
        turn.told.append(Told(event=event, added=[], removed=[], depth=turn.depth + 1))
    if not on:
        _forget(turn.profile.segments)


def _forget(members: dict[str, Member]) -> None:
    """Of those left long ago the oldest go, when they are very many."""
    idle = [(one.at, name) for name, one in members.items() if not one.on and one.next is None]
    for _, name in sorted(idle)[:-MARKS]:
        del members[name]


def _await(turn: Turn) -> None:
    """One call is out, for the first moment, or an earlier one; none when there is no such moment."""
    profile = turn.profile
    due = min((one.next for one in profile.segments.values() if one.next is not None), default=None)
    wait = profile.segments_wait
    if wait is not None:
        if due is not None and wait.due_at <= due:
            return
        turn.revoke(_call(turn, wait))
        profile.segments_wait = None
    if due is not None:
        wait = profile.segments_wait = Wait(ids.derive("step", _id(turn), due.isoformat()), due, "segments")
        turn.ask(_call(turn, wait))


def _id(turn: Turn) -> str:
    return ids.derive("segments", turn.shop, turn.profile_id)


def _call(turn: Turn, wait: Wait) -> Call:
    return Call(step=wait.step, due_at=wait.due_at, scenario="", enrolment=_id(turn), traceparent=None)


def _nothing(turn: Turn) -> Happened:
    """No event: `cart` and `order` are the newest ones."""
    return Happened("", turn.now, "")
