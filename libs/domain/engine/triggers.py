"""Whether an event meets the trigger of a scenario, and with what was found."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from libs.domain.engine.interest import interest, price_before, product_id, product_of
from libs.domain.engine.program import Program
from libs.domain.engine.state import Considered, Count, Happened
from libs.domain.engine.tracks import until
from libs.domain.engine.turn import Turn
from libs.domain.money import decimal
from libs.domain.scenario import model
from libs.domain.scenario.guards import compared
from libs.domain.scenario.match import Found, holds, judge, lookup, past, renamed

Verdict = tuple[bool, list[Found]]
Json = dict[str, Any]
NOT_MET = "conditions not met"
FLAT = "\N{MIDDLE DOT}"
"""Stands for the dots of a path whose value was kept by itself."""


@dataclass(slots=True)
class Asking:
    """One event, while scenarios are asked whether it meets their triggers.

    `counted` are the counters (of `nth`) that have counted it, `verdicts` what became of conditions that several
    scenarios share.
    """

    event: Happened
    scope: Json
    counted: set[str] = field(default_factory=set)
    verdicts: dict[int, bool] = field(default_factory=dict)


def met(turn: Turn, program: Program, asking: Asking) -> bool:
    """Whether the trigger is met. Asked once for an event: it counts."""
    trigger, event = program.on, asking.event
    if isinstance(trigger, model.EventTrigger):
        verdict = asking.verdicts.get(program.asking)
        if verdict is None:
            verdict = not trigger.statuses or _status(trigger, event.data, event.data.get("status")).verdict
            verdict = verdict and (trigger.where is None or holds(trigger.where, asking.scope, turn.history()))
            asking.verdicts[program.asking] = verdict
        return verdict and (trigger.nth is None or _nth(turn, program, trigger, event, asking.counted))
    return all(one.verdict for one in found(turn, program, asking))


def found(turn: Turn, program: Program, asking: Asking) -> list[Found]:
    """What is found, after `met`; a tag finds nothing: its key in the index is the whole of the trigger."""
    trigger, event = program.on, asking.event
    if isinstance(trigger, model.EventTrigger):
        told = [_status(trigger, event.data, event.data.get("status"))] if trigger.statuses else []
        told += judge(trigger.where, asking.scope, turn.history())[1] if trigger.where is not None else []
        return told + _counted(turn, program, trigger, all(one.verdict for one in told))
    data = event.data
    if isinstance(trigger, model.RfmTrigger):
        return _rfm(trigger, data.get("from"), data.get("to"))
    if isinstance(trigger, model.SegmentTrigger):
        return [_segment(trigger, event.type, data.get("segment"))]
    if isinstance(trigger, model.StockTrigger | model.PriceTrigger):
        product, price = product_id(event), product_of(event).get("price")
        why = interest(turn.profile, product, event.time) if product else None
        return _product(trigger, product, why, price, price_before(turn.profile, event))
    return []


def recall(turn: Turn, program: Program, key: str, seen: Considered) -> Verdict | None:
    """What `met` and `found` said of an event that was considered, or would have; None when too little was kept."""
    trigger, kept = program.on, seen.kept
    if isinstance(trigger, model.RfmTrigger):
        told = _rfm(trigger, kept.get("event.from"), kept.get("event.to"))
    elif isinstance(trigger, model.SegmentTrigger):
        told = [_segment(trigger, key, kept.get("event.segment"))]
    elif isinstance(trigger, model.StockTrigger | model.PriceTrigger):
        if "product" not in kept:
            return None
        told = _product(trigger, kept["product"], kept["interest"], kept["price"], kept["before"])
    elif isinstance(trigger, model.EventTrigger):
        if any(one.path not in kept for one in compared(trigger.where)):
            return None
        told = []
        if trigger.statuses:
            told = [_status(trigger, {"order": {"status": kept.get("event.order.status")}}, kept.get("event.status"))]
        verdict = all(one.verdict for one in told)
        if trigger.where is not None:
            holds_too, rest = _recall_where(turn, trigger.where, seen)
            verdict, told = verdict and holds_too, told + rest
        told += _counted(turn, program, trigger, verdict)
        return verdict and (trigger.nth is None or told[-1].verdict), told
    else:
        told = []
    return all(one.verdict for one in told), told


def _recall_where(turn: Turn, where: model.Condition, seen: Considered) -> Verdict:
    """Judge a condition by the values that were kept, and by the past as it was then."""
    scope = {path.replace(".", FLAT): value for path, value in seen.kept.items()}
    then = max(seen.now, seen.at)
    tracks = {type: until(track, then) for type, track in turn.profile.tracks.items()}
    scope |= {"zone": seen.kept.get("zone") or turn.zone(), "key": None}
    verdict, told = judge(renamed(where, FLAT), scope, replace(turn.history(), now=seen.now, tracks=tracks))
    return verdict, [Found(one.path.replace(FLAT, "."), one.found, one.verdict) for one in told]


def _status(trigger: model.EventTrigger, data: Json, other: Any) -> Found:
    told = lookup(data, "order.status")
    told = other if told is None else told
    return Found("event.order.status", told, told is not None and str(told) in trigger.statuses)


def _counted(turn: Turn, program: Program, trigger: model.EventTrigger, counts: bool) -> list[Found]:
    """Of a trigger with `nth`, when all else is met: how many there have been."""
    count = turn.profile.counts.get(program.counter) if trigger.nth is not None and counts else None
    return [] if count is None else [Found(f"nth({trigger.event})", count.seen, count.seen == trigger.nth)]


def _segment(trigger: model.SegmentTrigger, type: str, told: Any) -> Found:
    wanted = trigger.enters if type == "segment.entered" else trigger.leaves
    return Found("event.segment", told, told == wanted)


def _nth(turn: Turn, program: Program, trigger: model.EventTrigger, event: Happened, counted: set[str]) -> bool:
    """Count; met by the one that makes it `nth`.

    That is the n-th to arrive. When it is not the last of them by its time, the last of them is what the scenario
    is entered by (`nth_event`). One that comes still later is one too many, whatever its time.
    """
    count = turn.profile.counts.get(program.counter)
    if count is None:
        count = turn.profile.counts[program.counter] = Count(_before(turn, trigger, event))
    if program.counter not in counted:
        counted.add(program.counter)
        count.seen += 1
        if count.seen > (trigger.nth or 0):
            count.latest = None
        elif count.latest is None or count.latest.time <= event.time:
            count.latest = event
    return count.seen == trigger.nth


def nth_event(turn: Turn, program: Program, event: Happened) -> Happened:
    """Of the n events that have come, the n-th by time."""
    count = turn.profile.counts.get(program.counter) if program.counter else None
    return count.latest if count is not None and count.latest is not None else event


def _before(turn: Turn, trigger: model.EventTrigger, event: Happened) -> int:
    """How many there were before anybody counted: all when there is no condition, else those remembered."""
    track = turn.profile.tracks.get(trigger.event)
    if track is None:
        return 0
    if trigger.where is None and not trigger.statuses:
        return track.total - 1
    own = track.since(event.time)
    seen = 0
    for place in range(len(track.times)):
        if place == own:
            continue
        data = track.fields(place)
        scope = {**turn.scope(event, None), "event": past(trigger.event, track, place)}
        status = lookup(data, "order.status") or data.get("status")
        if trigger.statuses and str(status) not in trigger.statuses:
            continue
        if trigger.where is None or holds(trigger.where, scope, turn.history()):
            seen += 1
    return seen


def _rfm(trigger: model.RfmTrigger, left: Any, to: Any) -> list[Found]:
    return [
        Found("event.from", left, not trigger.left or left in trigger.left),
        Found("event.to", to, not trigger.to or to in trigger.to),
    ]


def _product(
    trigger: model.StockTrigger | model.PriceTrigger, product: str | None, why: str | None, price: Any, before: Any
) -> list[Found]:
    """By how much it is cheaper, where that matters, and why the product matters to the profile."""
    told = [_drop(trigger, price, before)] if isinstance(trigger, model.PriceTrigger) else []
    found_why = why or "not asked for, wished, viewed or in a cart"
    return [*told, Found(f"product {product or '?'}", found_why, why is not None)]


def _drop(trigger: model.PriceTrigger, price: Any, old: Any) -> Found:
    now, before = decimal(price), decimal(old)
    wanted = Decimal(trigger.drops.strip().rstrip("%").strip())
    if now is None or before is None or before <= 0:
        return Found("price drop", None, False)
    drop = (before - now) * 100 / before
    return Found("price drop", f"{drop.quantize(Decimal('0.01'))}% of {before}", drop >= wanted)
