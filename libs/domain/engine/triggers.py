"""Whether an event meets the trigger of a scenario, with what was found."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from libs.domain.engine.interest import interest, product_id, product_of, seen_price
from libs.domain.engine.program import Program
from libs.domain.engine.state import Count, Happened
from libs.domain.engine.turn import Turn
from libs.domain.money import decimal
from libs.domain.scenario import model
from libs.domain.scenario.match import Found, holds, judge, lookup, past

Verdict = tuple[bool, list[Found]]


@dataclass(slots=True)
class Asking:
    """One event, while scenarios are asked whether it meets their triggers.

    `counted` are the counters (of `nth`) that have counted it, `verdicts` what was found of conditions that several
    scenarios share.
    """

    event: Happened
    scope: dict[str, Any]
    counted: set[str] = field(default_factory=set)
    verdicts: dict[int, Verdict] = field(default_factory=dict)


def met(turn: Turn, program: Program, asking: Asking) -> Verdict:
    """Whether the trigger is met, with what was found."""
    trigger, event = program.on, asking.event
    if isinstance(trigger, model.EventTrigger):
        known = asking.verdicts.get(program.asking)
        if known is None:
            known = asking.verdicts[program.asking] = _event(turn, trigger, asking)
        if known[0] and trigger.nth is not None:
            return _nth(turn, program, trigger, event, (known[1], asking.counted))
        return known
    if isinstance(trigger, model.RfmTrigger):
        return _rfm(trigger, event)
    if isinstance(trigger, model.SegmentTrigger):
        wanted = trigger.enters if event.type == "segment.entered" else trigger.leaves
        return _all([Found("event.segment", event.data.get("segment"), event.data.get("segment") == wanted)])
    if isinstance(trigger, model.StockTrigger):
        return _all([_interest(turn, event)])
    if isinstance(trigger, model.PriceTrigger):
        return _all([_drop(turn, trigger, event), _interest(turn, event)])
    return True, []  # a tag: its key in the index is the whole of the trigger


def _all(found: list[Found]) -> Verdict:
    return all(one.verdict for one in found), found


def _event(turn: Turn, trigger: model.EventTrigger, asking: Asking) -> Verdict:
    event = asking.event
    found: list[Found] = []
    verdict = True
    if trigger.statuses:
        told = lookup(event.data, "order.status")
        told = event.data.get("status") if told is None else told
        verdict = told is not None and str(told) in trigger.statuses
        found.append(Found("event.order.status", told, verdict))
    if trigger.where is not None:
        holds_too, rest = judge(trigger.where, asking.scope, turn.history())
        found += rest
        verdict = verdict and holds_too
    return verdict, found


def _nth(
    turn: Turn, program: Program, trigger: model.EventTrigger, event: Happened, known: tuple[list[Found], set[str]]
) -> Verdict:
    """Count; met by the one that makes it `nth`.

    That is the n-th to arrive. When it is not the last of them by its time, the last of them is what the scenario
    is entered by (`nth_event`). One that comes still later is one too many, whatever its time.
    """
    found, counted = known
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
    verdict = count.seen == trigger.nth
    return verdict, [*found, Found(f"nth({trigger.event})", count.seen, verdict)]


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


def _rfm(trigger: model.RfmTrigger, event: Happened) -> Verdict:
    told = event.data
    found = [Found("event.from", told.get("from"), not trigger.left or told.get("from") in trigger.left)]
    found.append(Found("event.to", told.get("to"), not trigger.to or told.get("to") in trigger.to))
    return _all(found)


def _interest(turn: Turn, event: Happened) -> Found:
    product = product_id(event)
    why = interest(turn.profile, product, event.time) if product else None
    return Found(f"product {product or '?'}", why or "not asked for, wished, viewed or in a cart", why is not None)


def _drop(turn: Turn, trigger: model.PriceTrigger, event: Happened) -> Found:
    """How much less it costs than when the customer saw it last, else than before."""
    product = product_of(event)
    now, id = decimal(product.get("price")), product_id(event)
    before = seen_price(turn.profile, id, product.get("currency")) if id else None
    before = decimal(product.get("old_price")) if before is None else before
    wanted = Decimal(trigger.drops.strip().rstrip("%").strip())
    if now is None or before is None or before <= 0:
        return Found("price drop", None, False)
    drop = (before - now) * 100 / before
    return Found("price drop", f"{drop.quantize(Decimal('0.01'))}% of {before}", drop >= wanted)
