"""Why something was sent, deferred, suppressed or never started: the answer of `kurant explain`."""

from collections.abc import Iterable
from typing import Any

from libs.domain.engine import segments, watch
from libs.domain.engine.program import Program
from libs.domain.engine.state import Enrolment, Judged, Profile
from libs.domain.engine.triggers import NOT_MET, recall
from libs.domain.engine.turn import Turn

ARCHIVED = "archived"
"""The state of a scenario that nobody enters any more, and why somebody did not."""


def explain(turn: Turn, scenario: str | None, kept: Iterable[Enrolment] = ()) -> dict[str, Any]:
    """The answer in the shape promised in the interface, for one scenario or all current ones.

    `kept` are enrolments that the profile's document has let go of. The turn is only looked at.
    """
    profile = turn.profile
    rows: dict[str, dict[str, Any]] = {}
    for program, state in turn.programs.current(turn.shop):
        judged = profile.judged.get(program.id) or _passed(turn, program, state)
        watched = [one for one in profile.watches.values() if one.scenario == program.id and state != ARCHIVED]
        watches = [watch.shown(turn, program, one) for one in watched]
        rows[program.id] = {
            "scenario": program.id,
            "version": judged.version if judged else program.version,
            "state": state,
            "entered": False,
            "because": judged.because if judged else _why_not(turn, program, state, watches),
            "judged_at": judged.at.isoformat() if judged else None,
            "conditions": _conditions(judged),
            "watch": watches,
            "enrolments": [],
        }
    own = {enrolment.id: enrolment for enrolment in [*kept, *profile.enrolments]}
    for enrolment in sorted(own.values(), key=lambda one: one.entered_at):
        row = rows.setdefault(enrolment.scenario, _gone(enrolment))
        row["entered"] = True
        row["enrolments"].append(_enrolment(enrolment))
    chosen = [row for name, row in rows.items() if scenario in (None, name)]
    zone, origin = turn.zone_with_origin()
    answer = {"profile": turn.profile_id, "zone": zone, "zone_from": origin, "scenarios": chosen}
    return answer | {"segments": segments.shown(turn)}


def _passed(turn: Turn, program: Program, state: str) -> Judged | None:
    """How a scenario was judged that the last event of its type did not start, by what was kept of that event.

    One that is archived is not asked any more: what it would have taken is passed because of that.
    """
    seen = [(one.at, key) for key in program.keys if (one := turn.profile.considered.get(key)) is not None]
    if not seen:
        return None
    at, key = max(seen)
    known, index = turn.profile.considered[key], turn.index.triggers.get(key)
    verdict = recall(turn, program, key, known)
    same = index is not None and index.by == known.by and program.id in index.ids
    if state == ARCHIVED and (verdict is None or verdict[0]):
        return Judged(at, program.version, False, ARCHIVED, verdict[1] if verdict else [])
    if verdict is None or (verdict[0] and not same):
        return Judged(at, program.version, False, f"no {program.trigger} has been seen since it was published", [])
    return Judged(at, program.version, False, key if verdict[0] else NOT_MET, verdict[1])


def _why_not(turn: Turn, program: Program, state: str, watches: list[dict[str, Any]]) -> str:
    """Why it was never judged."""
    if state == ARCHIVED:
        return ARCHIVED
    if watches:
        return str(watches[-1]["because"] or f"awaits {watches[-1]['due_at']}")
    if program.watches:
        return watch.why_not(turn, program)
    return f"no {program.trigger} has been seen"


def _gone(enrolment: Enrolment) -> dict[str, Any]:
    return {
        "scenario": enrolment.scenario,
        "version": enrolment.version,
        "state": ARCHIVED,
        "entered": True,
        "because": enrolment.trigger.type,
        "judged_at": enrolment.entered_at.isoformat(),
        "conditions": [],
        "watch": [],
        "enrolments": [],
    }


def _conditions(judged: Judged | None) -> list[dict[str, Any]]:
    if judged is None:
        return []
    return [{"path": one.path, "found": one.found, "verdict": one.verdict} for one in judged.conditions]


def _enrolment(enrolment: Enrolment) -> dict[str, Any]:
    return {
        "enrolment": enrolment.id,
        "version": enrolment.version,
        "key": enrolment.key,
        "state": enrolment.state,
        "entered_at": enrolment.entered_at.isoformat(),
        "restarted": enrolment.round,
        "ended_at": enrolment.ended_at.isoformat() if enrolment.ended_at else None,
        "because": enrolment.because,
        "arms": enrolment.arms,
        "steps": [
            {
                "step": taken.step,
                "at": taken.at.isoformat(),
                "verdict": taken.verdict,
                "because": taken.because,
                "message": taken.message,
            }
            for taken in enrolment.steps
        ],
    }


def timeline(profile: Profile) -> list[dict[str, Any]]:
    """What is remembered of the profile's events, oldest first: of each the fields that a scenario looks at."""
    past = [
        (time, type, track.fields(place))
        for type, track in profile.tracks.items()
        for place, time in enumerate(track.times)
    ]
    return [
        {"at": time.isoformat(), "type": type, "data": data}
        for time, type, data in sorted(past, key=lambda one: one[0])
    ]
