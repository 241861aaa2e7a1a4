"""What was expected against what happened: which line met which, and what is wrong."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from libs.domain.rehearsal.model import Expected, Rehearsal, Seen, minute
from libs.domain.rehearsal.world import FAULT, Played
from libs.domain.scenario.match import zone

MESSAGE = ("sent", "suppressed", "deferred", "expired", "failed", "skipped", "webhook")
"""What may become of a message."""
HAPPENS = (*MESSAGE, "entered", "ended")
SAME = ("scenario", "key", "channel", "language", "because")


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One thing that is wrong, at a line of the test."""

    path: str
    message: str


@dataclass(kw_only=True)
class Verdict:
    """`met` pairs an expected line (by index) with what happened (by index): exactly, or as near as anything came."""

    failures: list[Failure] = field(default_factory=list)
    met: dict[int, int] = field(default_factory=dict)
    near: dict[int, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether all that was expected came, and no message that was not."""
        return not self.failures


def judge(test: Rehearsal, played: Played) -> Verdict:
    """Compare; nothing is forgiven: each thing that happened meets one line at most."""
    verdict = Verdict(failures=[Failure(path=path, message=text) for path, text in played.faults])
    happens = [index for index, one in enumerate(test.expected) if one.kind in HAPPENS]
    for index in happens:
        free = (place for place in range(len(played.seen)) if place not in verdict.met.values())
        exact = next((place for place in free if not differences(test.expected[index], played.seen[place], test)), None)
        if exact is not None:
            verdict.met[index] = exact
    for index in happens:
        if index not in verdict.met:
            verdict.failures.append(_missed(index, test, played, verdict))
    verdict.failures += _states(test, played)
    verdict.failures += _unlisted(test, played, verdict)
    verdict.failures.sort(key=lambda one: test.source.positions.get(one.path, (0, 0)))
    return verdict


def differences(wanted: Expected, seen: Seen, test: Rehearsal) -> list[str]:
    """In what a thing that happened is not what a line says, as words; empty when it is."""
    found: list[str] = []
    if wanted.kind != seen.kind:
        found.append(f"{seen.kind}{f' ({seen.because})' if seen.because else ''}")
    if wanted.name and wanted.name != seen.name:
        found.append(f"{seen.name or seen.kind}, not {wanted.name}")
    if wanted.at is not None and minute(wanted.at) != minute(seen.at):
        found.append(f"at {local(seen.at, test)}, not {local(wanted.at, test)}")
    if wanted.until is not None and (seen.until is None or minute(wanted.until) != minute(seen.until)):
        found.append(f"until {local(seen.until, test) if seen.until else 'no time'}")
    for name in SAME:
        asked, told = getattr(wanted, name), getattr(seen, name)
        if asked and asked != told and (name != "because" or (wanted.kind == seen.kind and told != seen.name)):
            found.append(f"{name} {told or 'none'}, not {asked}")
    for name in ("subject", "text"):
        asked, told = getattr(wanted, name), getattr(seen, name)
        if asked and asked not in told:
            found.append(f"{name} “{_short(told)}”, without “{asked}”")
    return found


def _missed(index: int, test: Rehearsal, played: Played, verdict: Verdict) -> Failure:
    """A line that nothing met, and what came nearest to it."""
    wanted = test.expected[index]
    taken = {*verdict.met.values(), *verdict.near.values()}
    alike = [
        place
        for place, seen in enumerate(played.seen)
        if place not in taken and seen.kind in HAPPENS and _alike(wanted, seen)
    ]
    what = described(wanted, test)
    if not alike:
        return Failure(path=wanted.path, message=f"{what}: this did not happen")
    near = min(alike, key=lambda place: _distance(wanted, played.seen[place], test))
    verdict.near[index] = near
    return Failure(path=wanted.path, message=f"{what}: found {', '.join(differences(wanted, played.seen[near], test))}")


def _alike(wanted: Expected, seen: Seen) -> bool:
    """Whether the two are about the same thing."""
    if wanted.kind in MESSAGE:
        return seen.kind in MESSAGE and seen.name == wanted.name and wanted.scenario in ("", seen.scenario)
    return seen.kind == wanted.kind and wanted.scenario in ("", seen.scenario)


def _distance(wanted: Expected, seen: Seen, test: Rehearsal) -> tuple[int, float]:
    apart = abs((seen.at - wanted.at).total_seconds()) if wanted.at else 0.0
    return len(differences(wanted, seen, test)) + (wanted.kind != seen.kind), apart


def _unlisted(test: Rehearsal, played: Played, verdict: Verdict) -> Iterator[Failure]:
    """Messages that went out, or broke, and that no line of the test speaks of."""
    spoken = {*verdict.met.values(), *verdict.near.values()}
    silences = [one for one in test.expected if one.kind in ("nothing_until", "nothing_more")]
    for place, seen in enumerate(played.seen):
        broken = seen.kind == "failed" and (seen.because.startswith(FAULT) or seen.because == "no_template")
        if place in spoken or not (seen.kind == "sent" or broken):
            continue
        path = next((one.path for one in silences if one.at is None or seen.at < one.at), "then")
        happened = f"failed ({seen.because})" if broken else f"was sent by {seen.channel}"
        message = f"{seen.name} {happened} at {local(seen.at, test)}, and no line says so"
        yield Failure(path=path, message=message)


def _states(test: Rehearsal, played: Played) -> Iterator[Failure]:
    """Lines about how things stand at the end."""
    for wanted in test.expected:
        if wanted.kind == "waiting_until" and wanted.until is not None:
            rows = [one for one in played.waiting if wanted.scenario in ("", one.scenario)]
            rows = [one for one in rows if wanted.key in ("", one.key)]
            if not any(minute(one.at) == minute(wanted.until) for one in rows):
                told = ", ".join(f"{one.scenario} until {local(one.at, test)}" for one in rows) or "nothing waits"
                yield Failure(path=wanted.path, message=f"{described(wanted, test)}: {told}")
        elif wanted.kind == "holds" and not played.conditions.get(wanted.path, (False, ""))[0]:
            yield Failure(path=wanted.path, message=f"this does not hold: {played.conditions[wanted.path][1]}")
        elif wanted.kind == "not_entered":
            yield from _not_entered(wanted, played.why)


def _not_entered(wanted: Expected, why: Sequence[dict[str, Any]]) -> Iterator[Failure]:
    rows = [one for one in why if wanted.scenario in ("", one["scenario"])]
    if not rows:
        yield Failure(path=wanted.path, message=f"{wanted.scenario} is not one of the scenarios of this test")
    for row in rows:
        if row["enrolments"]:
            entered = row["enrolments"][0]["entered_at"]
            yield Failure(path=wanted.path, message=f"{row['scenario']} was entered at {entered}")
        elif wanted.because and not _because(wanted.because, row):
            found = ", ".join(f"{one['path']} is {one['found']}" for one in row["conditions"] if not one["verdict"])
            message = f"{row['scenario']} was not entered because of “{row['because']}”{f': {found}' if found else ''}"
            yield Failure(path=wanted.path, message=message)


def _because(wanted: str, row: dict[str, Any]) -> bool:
    """A reason is given by (a part of) its words, or by the path of a condition that did not hold."""
    failed = {one["path"] for one in row["conditions"] if not one["verdict"]}
    return wanted in failed or wanted.casefold() in str(row["because"]).casefold()


def described(wanted: Expected, test: Rehearsal) -> str:
    """A line of `then` in words."""
    words = {
        "waiting_until": f"waiting until {local(wanted.until, test) if wanted.until else ''}",
        "not_entered": "not entered",
        "holds": "a condition holds",
        "webhook": f"web address {wanted.name} called",
        "nothing_until": "nothing",
        "nothing_more": "nothing more",
        "entered": "entered",
        "ended": f"ended: {wanted.name}",
    }.get(wanted.kind, f"{wanted.name} {wanted.kind}")
    if wanted.scenario:
        words += f" {wanted.scenario}"
    if wanted.key:
        words += f" {wanted.key}"
    words += f" by {wanted.channel}" if wanted.channel else ""
    words += f" in {wanted.language}" if wanted.language else ""
    words += f" “{wanted.subject}”" if wanted.subject else ""
    words += f" because {wanted.because}" if wanted.because else ""
    return words + (f" until {local(wanted.until, test)}" if wanted.until and wanted.kind == "deferred" else "")


def local(at: datetime | None, test: Rehearsal) -> str:
    """A moment as the customer's clock shows it."""
    return at.astimezone(zone(test.given.zone)).strftime("%a %Y-%m-%d %H:%M") if at else ""


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 80 else f"{flat[:79]}…"
