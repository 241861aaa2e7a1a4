"""Documents of the first form, in which everything was a map: brought to the form of today when they are read."""

from typing import Any

Json = dict[str, Any]


def renew(document: Any) -> Json:
    """The plain values of a document of today, from those of one of the first form."""
    renewed = dict(document)
    history = renewed.pop("history", None) or []
    if history:
        renewed["tracks"] = _tracks(history)
        renewed["first"] = min(past["time"] for past in history)
    for name in ("carts", "orders"):
        if name in renewed:
            renewed[name] = {key: [one["at"], one["data"]] for key, one in renewed[name].items()}
    if "judged" in renewed:
        renewed["judged"] = {name: _judged(one) for name, one in renewed["judged"].items()}
    if "enrolments" in renewed:
        renewed["enrolments"] = [_enrolment(one) for one in renewed["enrolments"]]
    return renewed


def _tracks(history: list[Json]) -> Json:
    tracks: Json = {}
    for past in sorted(history, key=lambda one: one["time"]):
        total, times, data, dropped = tracks.setdefault(past["type"], [0, [], [], None])
        times.append(past["time"])
        data.append(past.get("data", {}))
        tracks[past["type"]] = [total + 1, times, data, dropped]
    return tracks


def _judged(one: Json) -> list[Any]:
    conditions = [[found["path"], found["found"], found["verdict"]] for found in one.get("conditions", [])]
    return [one["at"], one["version"], one["entered"], one["because"], conditions]


def _enrolment(one: Json) -> Json:
    renewed = dict(one)
    trigger = one["trigger"]
    renewed["trigger"] = [trigger["type"], trigger["time"], trigger["id"], trigger.get("data", {})]
    if one.get("wait"):
        renewed["wait"] = [one["wait"]["step"], one["wait"]["due_at"]]
    renewed["steps"] = [
        [taken["step"], taken["at"], taken["verdict"], taken.get("because"), taken.get("message")]
        for taken in one.get("steps", [])
    ]
    return renewed
