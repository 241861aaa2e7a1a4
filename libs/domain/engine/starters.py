"""The scenarios that events of one type may start: which of them to ask, and what to keep for the others' `explain`.

An event costs what the scenarios cost that it may start, not what all cost that wait for its type: the others are
passed over by the index of their conditions, and of them nothing is kept but the values that they all look at, once.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from libs.domain.engine.interest import interest, price_before, product_id, product_of
from libs.domain.engine.program import Program
from libs.domain.engine.state import Considered, Happened, Profile
from libs.domain.scenario import model
from libs.domain.scenario.guards import Index, compared
from libs.domain.scenario.match import Scope, is_dated
from libs.domain.scenario.model import All, AnyOf, Compare, Condition

RFM = ("event.from", "event.to")
STATUS = ("event.order.status", "event.status")
WORD = re.compile(r"(?!(?i:true|false)$)[\w. -]+")
"""A status that nothing but a text or a number reads as."""
FEW = 2
"""So many scenarios are asked at once: to look into the index costs as much."""
LONGEST, MOST = 200, 200
"""What is longer, or has more entries, is not kept: then every scenario is judged, as if there were no index."""
Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A path that conditions look at; `whole` unless they ask only whether there is something."""

    path: str
    parts: tuple[str, ...]
    whole: bool


@dataclass(frozen=True, kw_only=True)
class Starters:
    """The current scenarios of a shop that events of a type may start, the most important first.

    `by` is the same wherever the same versions of them are known.
    """

    programs: tuple[Program, ...]
    ids: frozenset[str]
    by: int
    index: Index
    looked: tuple[Looked, ...]
    zoned: bool
    products: bool

    def candidates(self, scope: Scope) -> list[Program]:
        """All whose trigger may be met, in their order."""
        programs = self.programs
        if len(programs) <= FEW:
            return list(programs)
        return [programs[place] for place in self.index.find(scope)]

    def considered(self, profile: Profile, event: Happened, scope: Scope, now: datetime) -> Considered | None:
        """What the event was asked, to be told later; None when it is too much to keep."""
        kept: Json = {}
        for one in self.looked:
            value: Any = scope
            for part in one.parts:
                if isinstance(value, dict):
                    value = value.get(part)
                elif isinstance(value, list) and part.isdigit():
                    value = value[int(part)] if int(part) < len(value) else None
                else:
                    value = None
                    break
            if value is not None and not isinstance(value, int | float) and not _small(value):
                if one.whole:
                    return None
                value = f"({len(value)} entries)" if isinstance(value, dict | list) else str(value)[:LONGEST]
            kept[one.path] = value
        if self.zoned:
            kept["zone"] = scope["zone"]
        if self.products:
            kept |= _of_product(profile, event)
        return Considered(event.time, now, self.by, kept)


def _small(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST
    return (
        isinstance(value, list)
        and len(value) <= MOST
        and all(isinstance(one, int | float) or (isinstance(one, str) and len(one) <= LONGEST) for one in value)
    )


def _of_product(profile: Profile, event: Happened) -> Json:
    """What triggers of stock and price look at."""
    product = product_id(event)
    kept: Json = {"product": product, "interest": interest(profile, product, event.time) if product else None}
    prices = {"price": product_of(event).get("price"), "before": price_before(profile, event)}
    for name, value in prices.items():
        kept[name] = value if isinstance(value, str | int | float) and len(str(value)) <= LONGEST else None
    return kept


def starters(key: str, programs: Sequence[Program]) -> Starters:
    """Of the programs that are listed under a key of the index of triggers."""
    asked = [asks(program, key) for program in programs]
    of_rfm = any(isinstance(program.on, model.RfmTrigger) for program in programs)
    whole: dict[str, bool] = dict.fromkeys(RFM, True) if of_rfm else {}
    zoned = False
    for one in (each for condition in asked for each in compared(condition)):
        whole[one.path] = whole.get(one.path, False) or one.op != "exists"
        zoned = zoned or any(is_dated(value) for value in (one.value if isinstance(one.value, list) else [one.value]))
    known = ";".join(sorted(f"{program.id}@{program.version}" for program in programs))
    return Starters(
        programs=tuple(programs),
        ids=frozenset(program.id for program in programs),
        by=int.from_bytes(blake2b(known.encode(), digest_size=4).digest()),
        index=Index(asked),
        looked=tuple(Looked(path=path, parts=tuple(path.split(".")), whole=all) for path, all in whole.items()),
        zoned=zoned,
        products=any(program.products for program in programs),
    )


def asks(program: Program, key: str) -> Condition | None:
    """What a trigger asks of an event, as a condition that holds whenever it is met."""
    trigger = program.on
    parts: Iterable[Condition | None] = ()
    if isinstance(trigger, model.EventTrigger):
        parts = (_statuses(trigger.statuses), trigger.where)
    elif isinstance(trigger, model.RfmTrigger):
        parts = (_among("event.from", trigger.left), _among("event.to", trigger.to))
    elif isinstance(trigger, model.SegmentTrigger):
        wanted = trigger.enters if key == "segment.entered" else trigger.leaves
        parts = (_among("event.segment", (wanted,) if wanted else ()),)
    known = tuple(part for part in parts if part is not None)
    return All(of=known) if known else None


def _among(path: str, wanted: tuple[str, ...]) -> Condition | None:
    return Compare(path=path, op="in", value=list(wanted)) if wanted else None


def _statuses(wanted: tuple[str, ...]) -> Condition | None:
    if not wanted:
        return None
    if all(WORD.fullmatch(status) for status in wanted):
        return AnyOf(of=tuple(Compare(path=path, op="in", value=list(wanted)) for path in STATUS))
    return AnyOf(of=(*(Compare(path=path, op="exists", value=True) for path in STATUS),))


def under(programs: Iterable[Program]) -> Iterator[tuple[str, list[Program]]]:
    """Programs by the keys that start them, each in the order given."""
    found: dict[str, list[Program]] = {}
    for program in programs:
        for key in program.keys:
            found.setdefault(key, []).append(program)
    yield from found.items()
