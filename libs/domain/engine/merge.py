"""Two profiles become one: the losing one hands over all it has, and forwards what still comes."""

from datetime import datetime

from libs.domain.engine import run
from libs.domain.engine.state import (
    CARTS,
    ORDERS,
    Dated,
    Enrolment,
    Profile,
    keep_newest,
    union,
)
from libs.domain.engine.turn import Turn


def hand_over(turn: Turn, into: str) -> Profile:
    """What `into` has to absorb; here every call is cancelled, and only a signpost remains."""
    leaving = turn.profile
    for enrolment in leaving.running():
        run.cancel_wait(turn, enrolment)
    turn.profile = Profile(into=into, seen=leaving.seen)
    return leaving


def absorb(turn: Turn, other: Profile) -> None:
    """Take over the history, traits, carts, orders and enrolments of a profile that was merged into this one."""
    mine = turn.profile
    for name, value in other.traits.items():
        told = other.traits_at.get(name)
        known = mine.traits_at.get(name)
        if name not in mine.traits or (told and known and told > known):
            mine.traits[name] = value
            if told:
                mine.traits_at[name] = told
    _newest_of(mine.carts, other.carts, CARTS)
    _newest_of(mine.orders, other.orders, ORDERS)
    known_ids = {past.id for past in mine.history}
    for past in other.history:
        if past.id not in known_ids:
            mine.remember(past)
    mine.seen = union(other.seen, mine.seen)
    for partition, offset in other.contacts_at.items():
        mine.contacts_at[partition] = max(offset, mine.contacts_at.get(partition, 0))
    for scenario, at in other.entered.items():
        mine.entered[scenario] = max(at, mine.entered.get(scenario, at))
    for scenario, judged in other.judged.items():
        if scenario not in mine.judged or mine.judged[scenario].at < judged.at:
            mine.judged[scenario] = judged
    for enrolment in other.enrolments:
        _take_over(turn, enrolment)
    mine.tidy()


def _newest_of(mine: dict[str, Dated], other: dict[str, Dated], most: int) -> None:
    for key, dated in other.items():
        if key not in mine or mine[key].at < dated.at:
            mine[key] = dated
    keep_newest(mine, most)


def _take_over(turn: Turn, enrolment: Enrolment) -> None:
    """An enrolment comes along. Of two that run for one key the one triggered last goes on."""
    mine = turn.profile
    if any(known.id == enrolment.id for known in mine.enrolments):
        return
    mine.enrolments.append(enrolment)
    if enrolment.state == "ended":
        return
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
        run.end(turn, loser, "profile.merged")
        if loser is enrolment:
            return
    program = turn.programs.get(turn.shop, enrolment.scenario, enrolment.version)
    if program is not None and (left := run.left_since(turn, program, enrolment)):
        run.end(turn, enrolment, left.type, at=left.time)
        return
    run.resume(turn, enrolment)


def _triggered_at(enrolment: Enrolment) -> datetime:
    return enrolment.triggered_at
