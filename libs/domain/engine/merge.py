"""Two profiles become one: the losing one hands over all it has, and forwards what still comes."""

from datetime import datetime

from libs.domain.engine import interest, run, segments, watch
from libs.domain.engine.events import settle
from libs.domain.engine.learn import blend
from libs.domain.engine.program import Program
from libs.domain.engine.state import (
    CARTS,
    HISTORY,
    ORDERS,
    Count,
    Dated,
    Enrolment,
    Mark,
    Profile,
    keep_newest,
)
from libs.domain.engine.tracks import join
from libs.domain.engine.turn import Turn


def hand_over(turn: Turn, into: str) -> Profile:
    """What `into` has to absorb; here every call is cancelled, and only a signpost remains.

    An enrolment keeps what it waited for, so that it can wait for that again.
    """
    leaving = turn.profile
    for enrolment in leaving.running():
        wait = enrolment.wait
        run.cancel_wait(turn, enrolment)
        enrolment.wait = wait
    watch.hand_over(turn)
    segments.hand_over(turn)
    turn.profile = Profile(into=into, seen=leaving.seen)
    return leaving


def absorb(turn: Turn, other: Profile, at: datetime | None = None) -> None:
    """Take over the history, traits, carts, orders and enrolments of a profile that was merged into this one."""
    mine = turn.profile
    _traits(mine, other)
    _newest_of(mine.carts, other.carts, CARTS)
    _newest_of(mine.orders, other.orders, ORDERS)
    if other.rfm is not None and (mine.rfm is None or mine.rfm.at < other.rfm.at):
        mine.rfm = other.rfm
    interest.join(mine.wants, other.wants)
    join(mine.tracks, other.tracks, HISTORY)
    mine.first = min((at for at in (mine.first, other.first) if at is not None), default=None)
    for name, count in other.counts.items():
        known = mine.counts.get(name, Count())
        mine.counts[name] = Count(known.seen + count.seen, known.latest or count.latest)
    mine.see_all(other)
    for partition, offset in other.contacts_at.items():
        mine.contacts_at[partition] = max(offset, mine.contacts_at.get(partition, 0))
    for scenario, at in other.entered.items():
        mine.entered[scenario] = max(at, mine.entered.get(scenario, at))
    for scenario, judged in other.judged.items():
        if scenario not in mine.judged or mine.judged[scenario].at < judged.at:
            mine.judged[scenario] = judged
    for type, seen in other.considered.items():
        if type not in mine.considered or mine.considered[type].at < seen.at:
            mine.considered[type] = seen
    for enrolment in list(mine.enrolments):
        _look_back(turn, enrolment)
    for enrolment in other.enrolments:
        _take_over(turn, enrolment)
    mine.looked = turn.index.fingerprint
    watch.take_over(turn, other.watches)
    segments.take_over(turn, other.segments, at or turn.now)
    settle(turn)
    turn.gone += mine.tidy(turn.now)


def _traits(mine: Profile, other: Profile) -> None:
    """The newest of each; tags by their own times."""
    for name, value in other.traits.items():
        told = other.traits_at.get(name)
        known = mine.traits_at.get(name)
        if name not in mine.traits or (told and known and told > known):
            mine.traits[name] = value
            if told:
                mine.traits_at[name] = told
    _marks(mine.tags, other.tags)
    if mine.tags:
        mine.traits["tags"] = sorted(name for name, mark in mine.tags.items() if mark.on)


def _marks(mine: dict[str, Mark], other: dict[str, Mark]) -> None:
    for name, mark in other.items():
        if name not in mine or mine[name].at < mark.at:
            mine[name] = mark


def _newest_of(mine: dict[str, Dated], other: dict[str, Dated], most: int) -> None:
    for key, dated in other.items():
        mine[key] = blend(mine[key], dated) if key in mine else dated
    keep_newest(mine, most)


def _look_back(turn: Turn, enrolment: Enrolment) -> None:
    """What the other has done may be a way out of an enrolment of ours, or what it waits for."""
    program = turn.programs.get(turn.shop, enrolment.scenario, enrolment.version)
    if program is None or (enrolment.state == "ended" and not enrolment.out) or _leave(turn, program, enrolment):
        return
    if enrolment.wait is not None and enrolment.wait.kind == "until":
        run.look_again(turn, enrolment, program)


def _take_over(turn: Turn, enrolment: Enrolment) -> None:
    """An enrolment comes along. Of two that run for one key the one triggered last goes on."""
    mine = turn.profile
    if any(known.id == enrolment.id for known in mine.enrolments):
        return
    mine.enrolments.append(enrolment)
    program = turn.programs.get(turn.shop, enrolment.scenario, enrolment.version)
    if enrolment.state == "ended":
        if program is not None and enrolment.out:
            _leave(turn, program, enrolment)
        return
    waited, enrolment.wait = enrolment.wait, None
    if program is not None and program.key is None:
        enrolment.key = turn.profile_id
    rival = next(
        (
            known
            for known in mine.running()
            if known is not enrolment and (known.scenario, known.key) == (enrolment.scenario, enrolment.key)
        ),
        None,
    )
    if rival is not None:
        loser = min(rival, enrolment, key=_triggered_at)
        if program is None or not _leave(turn, program, loser):
            run.end(turn, loser, "profile.merged")
        if loser is enrolment:
            return
    if program is not None and _leave(turn, program, enrolment):
        return
    run.resume(turn, enrolment, waited)
    if program is not None and enrolment.wait is not None and enrolment.wait.kind == "until":
        run.look_again(turn, enrolment, program)


def _leave(turn: Turn, program: Program, enrolment: Enrolment) -> bool:
    """Whether one of the two had left it by an event that only the other's past tells of."""
    left = run.left_since(turn, program, enrolment.key, enrolment.trigger)
    if left is not None:
        run.exit_by(turn, enrolment, left)
    return left is not None


def _triggered_at(enrolment: Enrolment) -> datetime:
    return enrolment.triggered_at
