"""What the rules of a shop's RFM say, as types, and the segments they begin with."""

from datetime import timedelta
from decimal import Decimal
from hashlib import blake2b
from itertools import product
from typing import Literal

import msgspec

Axis = Literal["recency", "frequency", "monetary"]
AXES: tuple[Axis, ...] = ("recency", "frequency", "monetary")
LETTERS: dict[Axis, str] = {"recency": "r", "frequency": "f", "monetary": "m"}
MOST_LEVELS = 10
Scores = tuple[int, int, int]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """Base: immutable, by keyword."""


class Margin(Node, frozen=True, kw_only=True):
    """How far beyond a cut point a customer must fall to lose its score: so much, or so many percent of it."""

    percent: Decimal = Decimal(0)
    amount: int = 0

    def slack(self, cut: int) -> int:
        """The margin at this cut point, in whole units, rounded down."""
        return self.amount + int(cut * self.percent / 100)


class Scale(Node, frozen=True, kw_only=True):
    """How a figure becomes a score: by `quantiles` of all customers, or by fixed `thresholds`.

    Thresholds stand in order of the scores 2, 3, ...: recency "at most so many days" (falling), frequency and
    monetary "at least" (rising; money in minor units).
    """

    quantiles: int = 0
    thresholds: tuple[int, ...] = ()
    margin: Margin = Margin()

    @property
    def levels(self) -> int:
        """The best score; the worst is 1."""
        return self.quantiles or len(self.thresholds) + 1


class Pattern(Node, frozen=True, kw_only=True):
    """One line of the segment map: the scores that `segment` takes; an empty side takes all."""

    segment: str
    r: tuple[int, ...] = ()
    f: tuple[int, ...] = ()
    m: tuple[int, ...] = ()

    def matches(self, scores: Scores) -> bool:
        """Whether these scores are of this line."""
        return all(not side or score in side for side, score in zip((self.r, self.f, self.m), scores, strict=True))

    def text(self) -> str:
        """As a person reads it: `r 4-5, f 4-5`."""
        sides = [f"{name} {_span(side)}" for name, side in (("r", self.r), ("f", self.f), ("m", self.m)) if side]
        return ", ".join(sides) or "everyone else"


SEGMENTS: tuple[Pattern, ...] = (
    Pattern(segment="champion", r=(4, 5), f=(4, 5), m=(4, 5)),
    Pattern(segment="loyal", r=(3, 4, 5), f=(4, 5)),
    Pattern(segment="cannot-lose", r=(1, 2), f=(4, 5), m=(4, 5)),
    Pattern(segment="at-risk", r=(1, 2), f=(3, 4, 5)),
    Pattern(segment="potential-loyalist", r=(4, 5), f=(2, 3)),
    Pattern(segment="new", r=(5,), f=(1,)),
    Pattern(segment="promising", r=(4,), f=(1,)),
    Pattern(segment="needs-attention", r=(3,), f=(2, 3)),
    Pattern(segment="about-to-sleep", r=(3,), f=(1,)),
    Pattern(segment="hibernating", r=(2,)),
    Pattern(segment="lost", r=(1,)),
)
"""The map for scores of 1 to 5; the first line that matches wins."""

LEVELS = (5, 5, 5)


class RfmRules(Node, frozen=True, kw_only=True):
    """The rules of one shop. `counts` is the event, or `status:<word>`, whose moment makes an order count.

    `only` and `excluded` are statuses; with `only` nothing else counts. `rates` bring other currencies into
    `currency`; an order in any other is left out and counted. `outside` is the segment of those who bought before
    the window and not within it (None: they leave).
    """

    currency: str
    window: int = 365
    every: timedelta = timedelta(days=1)
    timezone: str = "UTC"
    counts: str = "order.placed"
    only: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ("cancelled",)
    returns: Literal["subtract", "ignore"] = "subtract"
    rates: dict[str, Decimal] = {}
    recency: Scale = Scale(quantiles=5, margin=Margin(percent=Decimal(10)))
    frequency: Scale = Scale(quantiles=5, margin=Margin(percent=Decimal(10)))
    monetary: Scale = Scale(quantiles=5, margin=Margin(percent=Decimal(10)))
    frequency_of: Literal["orders", "days"] = "orders"
    monetary_of: Literal["sum", "mean"] = "sum"
    least_customers: int = 25
    segments: tuple[Pattern, ...] = SEGMENTS
    outside: str | None = "lost"

    @property
    def levels(self) -> Scores:
        """The best score of each of r, f, m."""
        return self.recency.levels, self.frequency.levels, self.monetary.levels

    def scale(self, axis: Axis) -> Scale:
        """By name."""
        found = {"recency": self.recency, "frequency": self.frequency, "monetary": self.monetary}
        return found[axis]

    def line(self, scores: Scores) -> int | None:
        """The first line of the map that matches; None for scores that it does not cover, such as 0."""
        if 0 in scores:
            return None
        return next((index for index, line in enumerate(self.segments) if line.matches(scores)), None)

    def segment(self, scores: Scores) -> str | None:
        """What the map says."""
        found = self.line(scores)
        return None if found is None else self.segments[found].segment

    def all_scores(self) -> list[Scores]:
        """Every combination there can be, in the order of a table of (r, f, m)."""
        r, f, m = self.levels
        return list(product(range(1, r + 1), range(1, f + 1), range(1, m + 1)))

    def digest(self) -> str:
        """Tells rules apart whose results cannot be compared; how often they run is no part of it."""
        same = msgspec.structs.replace(self, every=timedelta())
        return blake2b(msgspec.json.encode(same, order="sorted"), digest_size=8).hexdigest()


def _span(scores: tuple[int, ...]) -> str:
    first, last = scores[0], scores[-1]
    if len(scores) > 1 and scores == tuple(range(first, last + 1)):
        return f"{first}-{last}"
    return " or ".join(map(str, scores))
