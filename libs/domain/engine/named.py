"""A segment made ready to be judged, and a shop's segments by what can change the verdict on a profile."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from libs.domain.engine.learn import TRAIT_EVENTS, Learned
from libs.domain.engine.questions import Asked, asked_by
from libs.domain.engine.state import Happened
from libs.domain.scenario.match import ORDERED, History, holds, is_dated
from libs.domain.scenario.model import All, AnyOf, Compare, Condition, Not, Segment
from libs.domain.scenario.model import Happened as HappenedCondition
from libs.domain.scenario.outlook import cheap_first

Key = tuple[str, str]
"""What can change a verdict: `event` and a type, `trait` and its name; or `tags`, `consents`, `rfm`, `cart`, `order`,
`zone`, with nothing."""
THINGS = ("rfm", "cart", "order")
CONSENT = "consent.changed"
LEFT_ENTERED = ("segment.left", "segment.entered")
"""The events of leaving and entering."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """One version of a segment.

    `quick` is the condition in the order in which it is judged fastest. `keys` are what can change its verdict, apart
    from time. `asks` are the event types whose past it looks at. `empty` is its verdict on somebody of whom nothing is
    known.
    """

    id: str
    version: int
    condition: Condition
    quick: Condition
    keys: frozenset[Key]
    asks: dict[str, Asked]
    empty: bool


@dataclass(frozen=True, kw_only=True)
class Segments:
    """The live segments of a shop; `archived` are those that nobody shall be in any more."""

    live: dict[str, Named]
    archived: frozenset[str]
    keys: dict[Key, tuple[Named, ...]]
    traits: frozenset[str]
    empty: tuple[Named, ...]

    def touched(self, event: Happened, learned: Learned, *, new: bool) -> list[Named]:
        """Those whose verdict the event may change, in the order of their ids; `new`: nothing was known before."""
        data, keys = event.data, [("event", event.type)]
        if event.type in TRAIT_EVENTS or "timezone_hint" in data:
            keys += [("trait", name) for name in data.keys() & self.traits]
        if learned.added or learned.removed:
            keys.append(("tags", ""))
        if event.type == "rfm.changed":
            keys.append(("rfm", ""))
        elif event.type == CONSENT:
            keys.append(("consents", ""))
        keys += [(name, "") for name in ("cart", "order") if name in data]
        found = {one.id: one for key in keys for one in self.keys.get(key, ())}
        if new:
            found |= {one.id: one for one in self.empty}
        return [found[id] for id in sorted(found)]


def compile_segment(segment: Segment, version: int) -> Named:
    """A version, ready to be judged."""
    nothing = History(now=datetime(2000, 1, 1, tzinfo=UTC))
    return Named(
        id=segment.id,
        version=version,
        condition=segment.condition,
        quick=cheap_first(segment.condition),
        keys=frozenset(_keys(segment.condition)),
        asks=asked_by(segment.condition),
        empty=holds(segment.condition, {"profile": {"consents": {}}, "zone": "UTC"}, nothing),
    )


def index(live: Iterable[Named], archived: Iterable[str]) -> Segments:
    """The segments of a shop."""
    known = {one.id: one for one in live}
    keys: dict[Key, list[Named]] = defaultdict(list)
    for one in known.values():
        for key in one.keys:
            keys[key].append(one)
    return Segments(
        live=known,
        archived=frozenset(archived),
        keys={key: tuple(found) for key, found in keys.items()},
        traits=frozenset(name for kind, name in keys if kind == "trait"),
        empty=tuple(one for one in known.values() if one.empty),
    )


def _keys(condition: Condition) -> Iterator[Key]:
    if isinstance(condition, All | AnyOf):
        for part in condition.of:
            yield from _keys(part)
    elif isinstance(condition, Not):
        yield from _keys(condition.of)
    elif isinstance(condition, HappenedCondition):
        yield "event", condition.event
        if condition.where is not None:
            yield from _keys(condition.where)
    else:
        yield from _compared(condition)


def _compared(condition: Compare) -> Iterator[Key]:
    root, _, rest = condition.path.partition(".")
    name = rest.partition(".")[0]
    if root in THINGS:
        yield root, ""
    elif root == "profile":
        yield (name, "") if name in ("tags", "consents") else ("trait", name)
    if condition.op in ORDERED and is_dated(condition.value):
        yield "zone", ""
