"""What a test expected and what happened, as two timelines side by side, and the engine's own account of why."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.domain.rehearsal.judge import HAPPENS, Verdict, described, local
from libs.domain.rehearsal.model import Rehearsal, Seen
from libs.domain.rehearsal.world import Played
from libs.domain.scenario.match import moment

WIDEST = 60


@dataclass(frozen=True, kw_only=True)
class Line:
    """What was expected and what happened at a moment.

    `mark`: `=` it came, `!` something like it came, `-` nothing came, `+` nobody expected it. `place` orders what
    happened at one moment.
    """

    at: datetime
    mark: str
    expected: str = ""
    happened: str = ""
    place: int = 0


def timeline(test: Rehearsal, played: Played, verdict: Verdict) -> list[Line]:
    """Both timelines in one, by time."""
    lines: list[Line] = []
    shown: set[int] = set()
    for index, wanted in enumerate(test.expected):
        place = verdict.met.get(index, verdict.near.get(index))
        words = described(wanted, test)
        if place is not None:
            seen = played.seen[place]
            shown.add(place)
            mark = "=" if index in verdict.met else "!"
            lines.append(Line(at=seen.at, mark=mark, expected=words, happened=_seen(seen, test), place=place))
        elif wanted.kind in HAPPENS:
            lines.append(Line(at=wanted.at or test.end(), mark="-", expected=words, place=len(played.seen)))
        elif wanted.kind == "nothing_until" and wanted.at:
            lines.append(Line(at=wanted.at, mark=" ", expected="nothing until here", place=-1))
    for place, seen in enumerate(played.seen):
        if place not in shown:
            mark = "+" if seen.kind in ("sent", "failed") else " "
            lines.append(Line(at=seen.at, mark=mark, happened=_seen(seen, test), place=place))
    return sorted(lines, key=lambda line: (line.at, line.place))


def _seen(seen: Seen, test: Rehearsal) -> str:
    about = " ".join(part for part in (seen.scenario, seen.key) if part)
    if seen.kind == "event":
        words = f"event {seen.name}"
    elif seen.kind == "step":
        words = f"  {seen.scenario}: {seen.name}"
    elif seen.kind in ("entered", "restarted"):
        return f"  {seen.kind} {about}"
    elif seen.kind == "ended":
        return f"  ended {about}: {seen.name}" + (f" because {seen.because}" if seen.because != seen.name else "")
    else:
        words = f"  {seen.name} {seen.kind}"
    words += f" by {seen.channel}" if seen.channel else ""
    words += f" in {seen.language}" if seen.language else ""
    words += f" “{seen.subject}”" if seen.subject else ""
    words += f" ({seen.because})" if seen.because else ""
    return words + (f" until {local(seen.until, test)}" if seen.until else "")


def table(test: Rehearsal, lines: list[Line]) -> Iterator[str]:
    """The timelines as text: mark, moment, expected | happened."""
    width = min(WIDEST, max([len("expected"), *(len(line.expected) for line in lines)]))
    yield f"  {'':20}  {'expected':{width}} | happened ({test.given.zone})"
    for line in lines:
        expected = line.expected if len(line.expected) <= width else f"{line.expected[: width - 1]}…"
        yield f"{line.mark} {local(line.at, test):20}  {expected:{width}} | {line.happened}".rstrip()


def why(test: Rehearsal, scenarios: list[dict[str, Any]]) -> Iterator[str]:
    """The engine's account, as `kurant explain` gives it."""
    for row in scenarios:
        if not row["enrolments"]:
            yield f"{row['scenario']}: not entered, {row['because']}"
            for one in row["watch"]:
                yield f"  awaits {_at(one['due_at'], test) or 'nothing'}" + (
                    f" ({one['because']})" if one["because"] else ""
                )
            for one in row["conditions"]:
                yield f"  {'holds' if one['verdict'] else 'fails'}  {one['path']} is {one['found']}"
        for run in row["enrolments"]:
            end = f"ended {_at(run['ended_at'], test)} because {run['because']}" if run["ended_at"] else "still running"
            about = f"{row['scenario']} {run['key']}".rstrip()
            yield f"{about}: entered {_at(run['entered_at'], test)}, {end}"
            for step in run["steps"]:
                because = f" ({step['because']})" if step["because"] else ""
                name = f" {step['name']}" if step["name"] else ""
                yield f"  {_at(step['at'], test)}  {step['step']}{name}: {step['verdict']}{because}"


def _at(text: str, test: Rehearsal) -> str:
    return local(moment(text, {}), test)
