"""Why something was sent, deferred, suppressed or never started: the answer of `kurant explain`."""

from typing import Any

from libs.domain.engine.registry import Registry
from libs.domain.engine.state import Enrolment, Judged, Profile


def explain(registry: Registry, shop: str, profile_id: str, profile: Profile, scenario: str | None) -> dict[str, Any]:
    """The answer in the shape promised in the interface, for one scenario or all current ones."""
    rows: dict[str, dict[str, Any]] = {}
    for program, state in registry.current(shop):
        judged = profile.judged.get(program.id)
        rows[program.id] = {
            "scenario": program.id,
            "version": judged.version if judged else program.version,
            "state": state,
            "entered": False,
            "because": judged.because if judged else f"no {program.trigger} has been seen",
            "judged_at": judged.at.isoformat() if judged else None,
            "conditions": _conditions(judged),
            "enrolments": [],
        }
    for enrolment in sorted(profile.enrolments, key=lambda one: one.entered_at):
        row = rows.setdefault(enrolment.scenario, _gone(enrolment))
        row["entered"] = True
        row["enrolments"].append(_enrolment(enrolment))
    chosen = [row for name, row in rows.items() if scenario in (None, name)]
    return {"profile": profile_id, "scenarios": chosen}


def _gone(enrolment: Enrolment) -> dict[str, Any]:
    return {
        "scenario": enrolment.scenario,
        "version": enrolment.version,
        "state": "archived",
        "entered": True,
        "because": enrolment.trigger.type,
        "judged_at": enrolment.entered_at.isoformat(),
        "conditions": [],
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
    """What is remembered of the profile's events, oldest first."""
    return [{"at": past.time.isoformat(), "type": past.type, "data": past.data} for past in profile.history]
