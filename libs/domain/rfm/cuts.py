"""Cut points, and scores by them.

A score is one more than the cut points that a figure reaches: "at most so many days" for recency, "at least so much"
for frequency and monetary. Equal figures always have equal scores. By quantiles of n, the cut points are such that a
customer's score is 1 + floor(n * share of customers who are strictly worse).
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

import msgspec
import polars as pl

from libs.domain.rfm.model import AXES, Axis, RfmRules, Scale

Points = tuple[int, ...]
FIGURES: dict[Axis, str] = {"recency": "recency_days", "frequency": "frequency", "monetary": "monetary"}
"""The column of each figure."""


class Cuts(msgspec.Struct, frozen=True, kw_only=True):
    """The cut points of a full run, in order of the scores 2, 3, ...; None where there were too few customers.

    `rules` is the digest of the rules that they belong to, `day` the day and `customers` the number they rest on.
    """

    rules: str
    day: date
    customers: int
    recency: Points | None
    frequency: Points | None
    monetary: Points | None

    def points(self, axis: Axis) -> Points | None:
        """By name."""
        found: Mapping[Axis, Points | None] = {
            "recency": self.recency,
            "frequency": self.frequency,
            "monetary": self.monetary,
        }
        return found[axis]


def find(customers: pl.DataFrame, rules: RfmRules, day: date) -> Cuts:
    """The cut points of these customers (columns `recency_days`, `frequency`, `monetary`)."""
    found = {axis: _points(customers[FIGURES[axis]], rules.scale(axis), axis, rules) for axis in AXES}
    return Cuts(rules=rules.digest(), day=day, customers=customers.height, **found)


def score(axis: Axis, points: Points | None, figure: pl.Expr | None = None) -> pl.Expr:
    """The score of a figure (default: its column); 0 without cut points."""
    return _reached(axis, points, figure)


def kept(axis: Axis, points: Points | None, scale: Scale, figure: pl.Expr | None = None) -> pl.Expr:
    """The best score that hysteresis lets a customer keep who has it."""
    return _reached(axis, None if points is None else tuple(limits(axis, points, scale)), figure)


def limits(axis: Axis, points: Points, scale: Scale) -> list[int]:
    """Up to where (inclusive) the scores 2, 3, ... are kept by those who have them."""
    sign = 1 if axis == "recency" else -1
    return [point + sign * scale.margin.slack(point) for point in points]


def reached(axis: Axis, points: Points, figure: int) -> int:
    """The score of one figure."""
    return 1 + sum(figure <= point if axis == "recency" else figure >= point for point in points)


def _reached(axis: Axis, points: Points | None, figure: pl.Expr | None) -> pl.Expr:
    if points is None:
        return pl.lit(0, pl.UInt8)
    value = pl.col(FIGURES[axis]) if figure is None else figure
    steps: list[Any] = [(value <= point if axis == "recency" else value >= point).cast(pl.UInt8) for point in points]
    return pl.sum_horizontal(pl.lit(1, pl.UInt8), *steps).cast(pl.UInt8)


def _points(figure: pl.Series, scale: Scale, axis: Axis, rules: RfmRules) -> Points | None:
    if not scale.quantiles:
        return scale.thresholds
    count, n = len(figure), scale.quantiles
    if count < max(rules.least_customers, 1):
        return None
    worst_first = figure.sort(descending=axis == "recency")
    better = -1 if axis == "recency" else 1
    # the ceil(k * count / n)-th customer from the worst is the last who must be strictly worse for a score above k
    return tuple(int(worst_first[-(-k * count // n) - 1]) + better for k in range(1, n))
