"""The answer of `explain` in words, for whoever talks to the customer. Pure."""

import json
from collections.abc import Iterator
from typing import Any

from cli.demo_words import WHY_NOT

LIVE = "live"
REFUSED = {
    "paused": "it was paused",
    "archived": "it is archived",
    "conditions not met": "its conditions were not met",
}
"""Why somebody did not enter, in words, where the platform has a code for it."""


def scenario(part: dict[str, Any]) -> Iterator[str]:
    """The lines on one scenario: who entered when and why, or why not; what was found; each step."""
    state = part.get("state") or LIVE
    entered = "entered" if part["entered"] else "never entered"
    yield f"{part['scenario']} version {part['version']}{'' if state == LIVE else f', {state}'}: {entered}"
    yield from _because(part)
    for known in part.get("watch") or ():
        yield f"  {_watch(known)}"
    for condition in part["conditions"]:
        yield f"  {_condition(condition)}"
    for enrolment in part["enrolments"]:
        yield f"  {_enrolment(enrolment)}"
        for taken in enrolment["steps"]:
            yield f"    {_step(taken)}"


def segment(part: dict[str, Any]) -> Iterator[str]:
    """The lines on one segment."""
    since = f" since {part['since']}" if part["since"] else ""
    again = f", judged again at {part['judged_again_at']}" if part.get("judged_again_at") else ""
    yield f"segment {part['segment']} version {part['version']}: {'in' if part['in'] else 'not in'}{since}{again}"
    for condition in part["conditions"]:
        yield f"  {_condition(condition)}"


def _because(part: dict[str, Any]) -> Iterator[str]:
    """How its trigger was judged last; what is awaited says so itself."""
    because, at = part.get("because"), part.get("judged_at")
    if not because or (at is None and part.get("watch")):
        return
    when = f" (judged at {at})" if at else ""
    if because not in REFUSED and " " not in because:  # the type of an event
        yield f"  by {because}{when}"
        return
    last = "last time not, " if part["entered"] else ""
    yield f"  {last}because {REFUSED.get(because, because)}{when}"


def _watch(known: dict[str, Any]) -> str:
    own = f"{known['key']}: " if known.get("key") else ""
    if not known["due_at"]:
        return f"{own}awaits nothing, because {known['because'] or 'no moment is known'}"
    return f"{own}awaits {known['due_at']}" + (f", for {known['date']}" if known.get("date") else "")


def _condition(one: dict[str, Any]) -> str:
    found = "not known" if one["found"] is None else json.dumps(one["found"], ensure_ascii=False)
    return f"{one['path']} is {found}: {'met' if one['verdict'] else 'not met'}"


def _enrolment(one: dict[str, Any]) -> str:
    version = f", version {one['version']}" if one.get("version") else ""
    told = [f"enrolment {one['key']}{version}: {one['state']}", f"entered {one['entered_at']}"]
    told += [f"arm {arm} of {split}" for split, arm in (one.get("arms") or {}).items()]
    if times := one.get("restarted"):
        told.append(f"restarted {times} time{'' if times == 1 else 's'}")
    if one.get("ended_at"):
        told.append(f"ended {one['ended_at']}" + (f" because {one['because']}" if one.get("because") else ""))
    return ", ".join(told)


def _step(taken: dict[str, Any]) -> str:
    name = f" {taken['name']}" if taken.get("name") else ""
    verdict = "waiting until then" if taken["verdict"] == "waiting" else taken["verdict"]
    return f"{taken['at']}  {taken['step']}{name}: {verdict}{_why(taken.get('because'))}"


def _why(code: str | None) -> str:
    if not code:
        return ""
    return f" ({WHY_NOT[code]}: {code})" if code in WHY_NOT else f" ({code})"
