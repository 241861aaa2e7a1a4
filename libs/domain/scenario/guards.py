"""Which of many conditions may hold, found by the values at their paths instead of by judging each.

A guard of a condition is a set of tests of which one is met whenever the condition holds: what it finds is never too
little. Whoever is found is judged as ever, so a guard decides nothing; it only spares the look at those that cannot
hold. `index` picks for each condition the guard that it shares with the fewest others.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from libs.domain.money import decimal
from libs.domain.scenario.match import Scope
from libs.domain.scenario.model import All, AnyOf, Compare, Condition, Not

Kind = Literal["same", "part", "starts", "range", "exists"]
Token = Decimal | str
"""A value that is compared by its number, or as text."""
Range = tuple[Decimal | None, Decimal | None]
HALF = Decimal("0.5")


@dataclass(frozen=True)
class Test:
    """Something that is seen at a glance from the value at a path."""

    path: str
    kind: Kind
    value: Token | Range | bool


Guard = tuple[Test, ...]


def guards(condition: Condition | None) -> list[Guard]:
    """Every guard that is known of a condition; none where it may hold whatever is found at its paths."""
    if isinstance(condition, Compare):
        return _compared(condition)
    if isinstance(condition, All):
        return _narrowed([guard for part in condition.of for guard in guards(part)])
    if isinstance(condition, AnyOf):
        each = [guards(part) for part in condition.of]
        return [tuple(test for known in each for test in min(known, key=_rank))] if all(each) else []
    return []


def _compared(condition: Compare) -> list[Guard]:
    path, op, wanted = condition.path, condition.op, condition.value
    if condition.own_key:
        return []
    if op in ("eq", "in"):
        tokens = [_token(one) for one in (wanted if op == "in" else [wanted])]
        return [tuple(Test(path, "same", one) for one in tokens if one is not None)] if None not in tokens else []
    if op in ("gt", "gte", "lt", "lte"):
        number = _token(wanted)
        if not isinstance(number, Decimal):
            return []
        return [(Test(path, "range", (number, None) if op in ("gt", "gte") else (None, number)),)]
    if op == "contains" and (token := _token(wanted)) is not None:
        return [(Test(path, "part", token if isinstance(token, Decimal) else str(wanted)),)]
    if op == "starts_with":
        return [(Test(path, "starts", str(wanted).casefold()),)]
    return [(Test(path, "exists", bool(wanted)),)] if op == "exists" else []


def _token(value: Any) -> Token | None:
    """By what the value is equal to others; None where that depends on more than the two (days, zones, truth)."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    number = decimal(value)
    if number is not None:
        return number
    return value if isinstance(value, str) and not (len(value) >= 10 and value[4] == "-") else None


def _narrowed(found: list[Guard]) -> list[Guard]:
    """Two ranges of one path are one."""
    kept: list[Guard] = []
    ranges: dict[str, Range] = {}
    for guard in found:
        if len(guard) == 1 and guard[0].kind == "range" and isinstance(guard[0].value, tuple):
            low, high = guard[0].value
            was = ranges.get(guard[0].path, (None, None))
            lows, highs = (
                [one for one in (low, was[0]) if one is not None],
                [n for n in (high, was[1]) if n is not None],
            )
            ranges[guard[0].path] = (max(lows, default=None), min(highs, default=None))
        else:
            kept.append(guard)
    return kept + [(Test(path, "range", both),) for path, both in ranges.items()]


def _rank(guard: Guard) -> tuple[int, int]:
    order: tuple[Kind, ...] = ("same", "starts", "part", "range", "exists")
    return max((order.index(test.kind) for test in guard), default=0), len(guard)


@dataclass(slots=True)
class _Ranges:
    """Ranges of numbers; which of them a number may be in. What has one end only is found by halving."""

    lows: list[tuple[Decimal, int]] = field(default_factory=list)
    highs: list[tuple[Decimal, int]] = field(default_factory=list)
    both: list[tuple[Decimal, Decimal, int]] = field(default_factory=list)
    ends: list[Decimal] = field(default_factory=list)
    known: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def add(self, told: Range, rank: int) -> None:
        low, high = told
        if low is not None and high is not None:
            self.both.append((low, high, rank))
        elif low is not None:
            self.lows.append((low, rank))
        elif high is not None:
            self.highs.append((high, rank))

    def close(self) -> None:
        self.lows.sort()
        self.highs.sort()
        self.ends = sorted({end for low, high, _ in self.both for end in (low, high)})

    def find(self, number: Decimal) -> Iterator[int]:
        yield from (rank for _, rank in self.lows[: bisect_right(self.lows, number, key=_first)])
        yield from (rank for _, rank in self.highs[bisect_left(self.highs, number, key=_first) :])
        if self.both:
            place = bisect_left(self.ends, number)
            between = 2 * place + (place < len(self.ends) and self.ends[place] == number)
            found = self.known.get(between)
            if found is None:
                found = tuple(rank for low, high, rank in self.both if low <= number <= high)
                self.known[between] = found
            yield from found

    def all(self) -> Iterator[int]:
        yield from (one[-1] for one in (*self.lows, *self.highs))
        yield from (rank for _, _, rank in self.both)


def _first(pair: tuple[Decimal, int]) -> Decimal:
    return pair[0]


@dataclass(slots=True)
class _At:
    """The tests of one path, with the conditions (by their place) that each may let through."""

    parts: tuple[str, ...]
    same: dict[Token, list[int]] = field(default_factory=lambda: defaultdict(list))
    part: dict[Token, list[int]] = field(default_factory=lambda: defaultdict(list))
    starts: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    lengths: tuple[int, ...] = ()
    ranges: _Ranges = field(default_factory=_Ranges)
    exists: dict[bool, list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, test: Test, rank: int) -> None:
        if isinstance(test.value, tuple):
            self.ranges.add(test.value, rank)
        else:
            getattr(self, test.kind)[test.value].append(rank)

    def close(self) -> None:
        self.ranges.close()
        self.lengths = tuple(sorted({len(text) for text in self.starts}))
        for name in ("same", "part", "starts", "exists"):
            setattr(self, name, dict(getattr(self, name)))

    def find(self, scope: Scope) -> Iterator[int]:
        """Those that the value may let through."""
        found: Any = scope
        for part in self.parts:
            if isinstance(found, dict):
                found = found.get(part)
            elif isinstance(found, list) and part.isdigit():
                found = found[int(part)] if int(part) < len(found) else None
            else:
                found = None
                break
        if self.exists:
            yield from self.exists.get(found is not None, ())
        if found is None:
            return
        items = found if isinstance(found, list) else [found]
        if self.same:
            for one in items:
                yield from self.same.get(_told(one), ())
        if isinstance(found, str):
            number = decimal(found)
            yield from self.ranges.all() if number is None else self.ranges.find(number)
            yield from self._in_text(found)
        elif isinstance(found, int | float | Decimal) and not isinstance(found, bool):
            number = decimal(found)
            if number is not None:
                yield from self.ranges.find(number)
        elif self.part:
            for one in items:
                yield from self.part.get(_told(one), ())
            if isinstance(found, dict):
                yield from (rank for ranks in self.part.values() for rank in ranks)

    def _in_text(self, found: str) -> Iterator[int]:
        """What is part of a text, or how it begins, whatever the case."""
        if self.part or self.starts:
            folded = found.casefold()
            for token, ranks in self.part.items():
                if isinstance(token, Decimal) or token.casefold() in folded:
                    yield from ranks
            for length in self.lengths:
                yield from self.starts.get(folded[:length], ())


def _told(value: Any) -> Token:
    """The token of something found; what has none is equal to no token."""
    if isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str | int | float | Decimal):
        number = decimal(value)
        return number if number is not None else str(value)
    return ""


class Index:
    """Conditions by their guards. `find` gives the places of those that may hold, in order."""

    def __init__(self, conditions: Sequence[Condition | None]) -> None:
        known = [guards(one) for one in conditions]
        crowd = Counter(test for each in known for guard in each for test in set(guard))
        ranged = Counter(test.path for test in crowd.elements() if test.kind == "range")
        self._always: list[int] = []
        at: dict[str, _At] = {}
        for place, each in enumerate(known):
            if not each:
                self._always.append(place)
                continue
            for test in min(each, key=lambda guard: sum(_shared(test, crowd, ranged) for test in guard)):
                at.setdefault(test.path, _At(tuple(test.path.split(".")))).add(test, place)
        for one in at.values():
            one.close()
        self._at = tuple(at.values())

    def find(self, scope: Scope) -> list[int]:
        """The places of all conditions that may hold, and of few others."""
        found = [rank for at in self._at for rank in at.find(scope)]
        if not found:
            return self._always
        return sorted({*self._always, *found})


def _shared(test: Test, crowd: Counter[Test], ranged: Counter[str]) -> Decimal:
    """With how many others a test lets a value through, as far as one can say."""
    if isinstance(test.value, tuple):
        return ranged[test.path] * (HALF if None in test.value else HALF * HALF)
    return Decimal(crowd[test])


def compared(condition: Condition | None) -> Iterator[Compare]:
    """Every comparison of a condition with something else than a past event."""
    if isinstance(condition, Compare):
        yield condition
    elif isinstance(condition, All | AnyOf):
        for part in condition.of:
            yield from compared(part)
    elif isinstance(condition, Not):
        yield from compared(condition.of)
    elif condition is not None:
        yield from (one for one in compared(condition.where) if one.path.partition(".")[0] != "event")
