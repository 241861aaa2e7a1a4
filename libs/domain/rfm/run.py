"""One run over a shop: everybody (`full`), or those whose figures changed since (`incremental`).

A customer gets a better score at once and a worse one only when his figure is beyond the cut point by its margin
(`Scale.margin`): score = min(max(score before, score by the figure), best score that the margin lets him keep).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

import polars as pl

from libs.domain.rfm.cuts import Cuts, find, kept, limits, score
from libs.domain.rfm.figures import EPOCH, Figures, Span, figures, span, together
from libs.domain.rfm.model import AXES, LETTERS, RfmRules
from libs.domain.scenario.times import at_local

FIGURED = ("last_day", "orders", "frequency", "monetary")
SCORED = ("r", "f", "m", "segment")
ROWS: dict[str, Any] = {
    "profile": pl.String,
    "last_day": pl.Date,
    "orders": pl.Int64,
    "frequency": pl.Int64,
    "monetary": pl.Int64,
    "r": pl.UInt8,
    "f": pl.UInt8,
    "m": pl.UInt8,
    "segment": pl.String,
}
"""What a shell keeps of a customer, with types; `recency_days` follows from `last_day` and the day of the run."""

STORED = tuple(ROWS)


@dataclass(frozen=True, kw_only=True)
class Result:
    """Rows of customers (`STORED` and `recency_days`), the cut points they were scored by, and the day.

    A row with orders 0 is a customer who has none within the window: with `last_day` he is in the segment
    `rules.outside`, without it he is a customer no more (`gone`), and his stored row is to be deleted.
    """

    frame: pl.DataFrame
    cuts: Cuts
    day: date
    excluded: dict[str, int] = field(default_factory=dict)

    @property
    def gone(self) -> pl.DataFrame:
        """Those who are customers no more."""
        return self.frame.filter(pl.col("last_day").is_null())

    @property
    def customers(self) -> pl.DataFrame:
        """The others."""
        return self.frame.filter(pl.col("last_day").is_not_null())


@dataclass(frozen=True, kw_only=True)
class Due:
    """Whom time alone changes, as conditions that a database can look up by an index.

    An order of theirs has left the window since the last run, or entered it (it was dated ahead): its `at` lies in one
    of the `spans` (from, until), so their orders must be read. Or `r = score and last_day < day`, for each of `worse`:
    the recency score falls; nothing need be read.
    """

    spans: tuple[tuple[datetime, datetime], tuple[datetime, datetime]]
    worse: dict[int, date]

    def crosses(self) -> pl.Expr:
        """The first condition, on orders."""
        return pl.any_horizontal(
            *(pl.col("at").is_between(*each, closed="left").fill_null(False) for each in self.spans)
        )

    def falls(self) -> pl.Expr:
        """The second one, on rows of customers."""
        each = ((pl.col("r") == level) & (pl.col("last_day") < day) for level, day in self.worse.items())
        return pl.any_horizontal(pl.lit(False), *each).fill_null(False) & (pl.col("orders") > 0)


def full(
    orders: pl.DataFrame, rules: RfmRules, now: datetime, before: Result | None = None, cuts: Cuts | None = None
) -> Result:
    """Everybody, by new cut points (or by `cuts`); `before` gives the scores that hysteresis holds on to.

    Orders before the window may be left out: who is in `before` then ages out by what is known there. After a change
    of the rules nothing is held.
    """
    return total([figures(orders, rules, span(rules, now))], rules, now, before, cuts)


def total(
    parts: Iterable[Figures],
    rules: RfmRules,
    now: datetime,
    before: Result | None = None,
    cuts: Cuts | None = None,
) -> Result:
    """`full`, of orders that were counted in parts: all orders of a customer in the same one."""
    if cuts is not None and cuts.rules != rules.digest():
        raise ValueError("these cut points belong to other rules")
    days = span(rules, now)
    found = together(parts)
    customers = _with_recency(found.customers, days)
    cuts = cuts or find(customers, rules, days.today)
    known = None if before is None else before.customers
    hold = before is not None and before.cuts.rules == rules.digest()
    scored = _scored(customers, known if hold else None, rules, cuts)
    rest = _without_orders(found, known, rules, days)
    return Result(frame=_together(scored, rest), cuts=cuts, day=days.today, excluded=found.excluded)


def stored(rows: pl.DataFrame, cuts: Cuts, day: date) -> Result:
    """The result that a shell has kept: `rows` as of `ROWS`, the cut points and day of the last run."""
    recency = (pl.lit(day) - pl.col("last_day")).dt.total_days().cast(pl.Int32)
    frame = rows.with_columns(recency_days=recency).select("profile", "recency_days", *FIGURED, *SCORED)
    return Result(frame=frame, cuts=cuts, day=day)


def due(before: Result, rules: RfmRules, now: datetime) -> Due:
    """Whom time alone has changed since the last run (of which the cut points and the day are enough)."""
    days, points = span(rules, now), before.cuts.recency
    ends = limits("recency", points, rules.recency) if points is not None else []
    worse = {level: days.today - timedelta(days=end) for level, end in enumerate(ends, start=2)}
    first, tomorrow = before.day - timedelta(days=rules.window - 1), before.day + timedelta(days=1)
    since, until = (at_local(day, time(), rules.timezone) for day in (first, tomorrow))
    return Due(spans=((since, days.since), (until, days.until)), worse=worse)


def incremental(
    before: Result,
    changed_orders: pl.DataFrame,
    rules: RfmRules,
    now: datetime,
    touched: Iterable[Any] | None = None,
) -> Result:
    """Those who are not as they were, by the cut points of the last full run: the result has no other rows.

    `changed_orders` has all orders of every customer with a changed order or one that `due(...).crosses()`; `touched`
    names such customers who have no order at all. `before` has at least the rows of these, and of those of whom
    `due(...).falls()`. Raises `ValueError` when the rules have changed since.
    """
    if before.cuts.rules != rules.digest():
        raise ValueError("the rules have changed since the last full run: run `full`")
    days = span(rules, now)
    ids = _ids(before, changed_orders, touched)
    known = before.customers
    concerned = known.join(ids, on="profile", how="semi")
    found = figures(changed_orders, rules, days)
    falling = known.filter(due(before, rules, now).falls()).join(ids, on="profile", how="anti")
    current = pl.concat([found.customers, falling.select(found.customers.columns)])
    were = pl.concat([concerned, falling])
    scored = _scored(_with_recency(current, days), were, rules, before.cuts)
    rest = _without_orders(found, concerned, rules, days)
    rows = _together(scored, rest).join(were.select(STORED), on=STORED, how="anti", nulls_equal=True)
    return Result(frame=rows, cuts=before.cuts, day=days.today, excluded=found.excluded)


def apply(before: Result, after: Result) -> Result:
    """`before` with what an incremental run changed; recency is told as of the later day."""
    same = before.customers.join(after.frame, on="profile", how="anti")
    return stored(pl.concat([same, after.customers]), after.cuts, after.day)


def _ids(before: Result, orders: pl.DataFrame, touched: Iterable[Any] | None) -> pl.DataFrame:
    kind = before.frame.schema["profile"]
    named = pl.DataFrame({"profile": list(touched or ())}, schema={"profile": kind})
    return pl.concat([named, orders.select(pl.col("profile").cast(kind))]).unique()


def _with_recency(customers: pl.DataFrame, days: Span) -> pl.DataFrame:
    recency = pl.lit(days.today.toordinal() - EPOCH) - pl.col("last_day").to_physical()
    return customers.with_columns(recency_days=recency.cast(pl.Int32))


def _scored(customers: pl.DataFrame, known: pl.DataFrame | None, rules: RfmRules, cuts: Cuts) -> pl.DataFrame:
    """With scores and segment; `known` has the scores that hysteresis holds on to."""
    scored = customers.with_columns(score(axis, cuts.points(axis)).alias(LETTERS[axis]) for axis in AXES)
    if known is not None:
        scored = _held(scored, known, rules, cuts)
    return scored.with_columns(segment=_segments(scored, rules))


def _held(scored: pl.DataFrame, known: pl.DataFrame, rules: RfmRules, cuts: Cuts) -> pl.DataFrame:
    """Scores are held on to by customers within a margin; only they are looked up, since looking up is dear."""
    best = {LETTERS[axis]: kept(axis, cuts.points(axis), rules.scale(axis)) for axis in AXES}
    within = scored.select(pl.any_horizontal(*(most > pl.col(letter) for letter, most in best.items()))).to_series()
    border = scored.filter(within)
    was = known.join(border, on="profile", how="semi").select(
        "profile", *(pl.col(one).alias(f"{one}_was") for one in best)
    )
    border = border.join(was, on="profile", how="left").with_columns(
        pl.min_horizontal(pl.max_horizontal(letter, f"{letter}_was"), most).alias(letter)
        for letter, most in best.items()
    )
    return pl.concat([scored.filter(~within), border.select(scored.columns)])


def _segments(scored: pl.DataFrame, rules: RfmRules) -> pl.Series:
    """By a table of all combinations, which is one look-up a customer."""
    table = pl.Series([None, *(rules.segment(scores) for scores in rules.all_scores())], dtype=pl.String)
    _, f, m = rules.levels
    wide = [pl.col(letter).cast(pl.Int32) for letter in LETTERS.values()]
    place = (wide[0] - 1) * (f * m) + (wide[1] - 1) * m + wide[2]
    whole = pl.all_horizontal(*(pl.col(letter) > 0 for letter in LETTERS.values()))
    return table.gather(scored.select(pl.when(whole).then(place).otherwise(0)).to_series())


def _without_orders(found: Figures, known: pl.DataFrame | None, rules: RfmRules, days: Span) -> pl.DataFrame:
    """Who has no order in the window: outside when one before it is known, else gone."""
    aged = found.aged.join(found.customers, on="profile", how="anti")
    if known is not None:
        missing = known.join(found.customers, on="profile", how="anti")
        old = pl.when(pl.col("was") < days.first).then("was")
        aged = aged.join(missing.select("profile", was="last_day"), on="profile", how="full", coalesce=True)
        aged = aged.select("profile", last_day=pl.coalesce("last_day", old))
    if rules.outside is None:
        aged = aged.with_columns(last_day=pl.lit(None, pl.Date))
        aged = aged.join(known, on="profile", how="semi") if known is not None else aged.clear()
    nothing = pl.lit(0, pl.Int64)
    aged = aged.with_columns(orders=nothing, frequency=nothing, monetary=nothing)
    segment = pl.when(pl.col("last_day").is_not_null()).then(pl.lit(rules.outside, pl.String))
    scores = {letter: pl.lit(0, pl.UInt8) for letter in LETTERS.values()}
    return _with_recency(aged, days).with_columns(**scores, segment=segment)


def _together(scored: pl.DataFrame, rest: pl.DataFrame) -> pl.DataFrame:
    columns = ["profile", "recency_days", *FIGURED, *SCORED]
    return pl.concat([scored.select(columns), rest.select(columns)]) if rest.height else scored.select(columns)
