"""From orders to every customer's figures.

Days are calendar days in the shop's zone, so that a result depends on the date and not on the hour of the run.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from libs.domain.rfm import currencies
from libs.domain.rfm.model import RfmRules
from libs.domain.scenario.times import at_local

MOST = 10**13
"""The dearest order that is believed, in minor units; sums of a customer's orders cannot overflow."""

DAY = timedelta(days=1)
EPOCH = date(1970, 1, 1).toordinal()

SCHEMA: dict[str, Any] = {
    "profile": pl.String,
    "at": pl.Datetime("us", "UTC"),
    "status": pl.String,
    "currency": pl.String,
    "value": pl.Int64,
    "returned": pl.Int64,
}
"""One row per order, as it is now: `profile` (of any type); `at`, the moment that `rules.counts` names (null: not yet);
`status` (null: none told) and `currency` (any kind of text); `value`, and what of it was `returned` so far, in minor
units."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """The days of a run: `first` to `today`, and the instants at which they begin and end.

    `even` has, for each stretch of days of 24 hours, its first instant, its first and its last day as numbers since
    1970: the last may be longer or shorter.
    """

    first: date
    today: date
    since: datetime
    until: datetime
    even: tuple[tuple[datetime, int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was counted. `customers`: profile, last_day, orders, frequency, monetary. `aged`: profile and
    last_day of orders before the window. `excluded`: how many orders did not count, by the first reason of `not_yet`,
    `future`, `status`, `currency`, `value`, `returned`, `before_window`."""

    customers: pl.DataFrame
    aged: pl.DataFrame
    excluded: dict[str, int]


def span(rules: RfmRules, now: datetime) -> Span:
    """The window that ends with the day of `now` in the shop's zone, today included."""
    today = now.astimezone(ZoneInfo(rules.timezone)).date()
    first = today - timedelta(days=rules.window - 1)
    starts = [at_local(first + timedelta(days=day), time(), rules.timezone) for day in range(rules.window + 1)]
    ends = [day for day in range(rules.window) if starts[day + 1] - starts[day] != DAY] + [rules.window - 1]
    begins = [0, *(day + 1 for day in ends)]
    number = first.toordinal() - EPOCH
    even = [
        (starts[begin], number + begin, number + end) for begin, end in zip(begins, ends, strict=False) if begin <= end
    ]
    return Span(first=first, today=today, since=starts[0], until=starts[-1], even=tuple(even))


def figures(orders: pl.DataFrame, rules: RfmRules, days: Span) -> Figures:
    """Count the orders; raises `ValueError` for a frame that is not like `SCHEMA`."""
    orders = _checked(orders)
    tests = _tests(rules, days)
    counts = orders.select(pl.all_horizontal(*tests.values())).to_series()
    net = _net(rules).cast(pl.Int64, strict=False)
    chosen = orders.filter(counts).select("profile", "at", net=net)
    customers = _customers(chosen.lazy(), rules, days).collect()
    why = pl.coalesce(*(pl.when(~test).then(pl.lit(place, pl.UInt8)) for place, test in enumerate(tests.values())))
    rest = orders.filter(~counts).select("profile", "at", why=why)
    told = dict(rest.group_by("why").len().sort("why").iter_rows())
    reasons = list(tests)
    return Figures(
        customers=customers,
        aged=_aged(rest.filter(pl.col("why") == reasons.index("before_window")), rules),
        excluded={reasons[place]: count for place, count in told.items()},
    )


def together(parts: Iterable[Figures]) -> Figures:
    """What was counted in parts, as one."""
    found = list(parts)
    excluded: Counter[str] = Counter()
    for part in found:
        excluded.update(part.excluded)
    return Figures(
        customers=pl.concat(part.customers for part in found),
        aged=pl.concat(part.aged for part in found),
        excluded=dict(excluded),
    )


def _checked(orders: pl.DataFrame) -> pl.DataFrame:
    missing = [name for name in SCHEMA if name not in orders.columns]
    if missing:
        raise ValueError(f"orders have no column {', '.join(missing)}")
    moment = orders.schema["at"]
    if not isinstance(moment, pl.Datetime) or moment.time_zone != "UTC":
        raise ValueError(f"orders: `at` is {moment}, not a time in UTC")
    empty = [pl.col(name).cast(pl.String) for name in ("status", "currency") if orders.schema[name] == pl.Null]
    for name in ("value", "returned"):
        if not orders.schema[name].is_integer() and orders.schema[name] != pl.Null:
            raise ValueError(f"orders: `{name}` is {orders.schema[name]}, not whole minor units")
    wide = [pl.col(name).cast(pl.Int64) for name in ("value", "returned") if orders.schema[name] != pl.Int64]
    return orders.with_columns(*wide, *empty) if wide or empty else orders


def _tests(rules: RfmRules, days: Span) -> dict[str, pl.Expr]:
    """By reason, what an order must fulfil to count; none of them is ever null, so that each order has one reason."""
    at, value, back = pl.col("at"), pl.col("value"), pl.col("returned").fill_null(0)
    status = pl.col("status")
    known = status.is_in(rules.only) if rules.only else ~status.is_in(rules.excluded)
    currency = pl.col("currency").is_in([rules.currency, *rules.rates]).fill_null(False)
    sane = value.is_between(0, MOST).fill_null(False) & (back >= 0)
    if rules.rates:
        sane &= (_net(rules) <= MOST).fill_null(False)
    tests = {
        "not_yet": at.is_not_null(),
        "future": (at < days.until).fill_null(True),
        "status": known.fill_null(not rules.only),
        "currency": currency,
        "value": sane,
    }
    if rules.returns == "subtract":
        tests["returned"] = ((back < value) | (back == 0)).fill_null(True)
    return tests | {"before_window": (at >= days.since).fill_null(True)}


def _net(rules: RfmRules) -> pl.Expr:
    """What an order is worth in the shop's currency: less what came back, then converted, halves up."""
    net = pl.col("value")
    if rules.returns == "subtract":
        net = net - pl.col("returned").fill_null(0)
    if not rules.rates:
        return net
    found = pl.when(pl.col("currency") == rules.currency).then(net.cast(pl.Int128))
    for currency, rate in rules.rates.items():
        over, under = currencies.factor(rate, currency, rules.currency)
        wide = net.clip(-MOST, MOST).cast(pl.Int128) * pl.lit(2 * over, pl.Int128) + pl.lit(under, pl.Int128)
        found = found.when(pl.col("currency") == currency).then(wide // pl.lit(2 * under, pl.Int128))  # type: ignore[assignment]
    return found.otherwise(None)


def _customers(chosen: pl.LazyFrame, rules: RfmRules, days: Span) -> pl.LazyFrame:
    by_days = rules.frequency_of == "days"
    if by_days:
        chosen = chosen.with_columns(day=_day("at", days))
    found = chosen.group_by("profile").agg(
        last=pl.col("at").max(),
        orders=pl.len(),
        net=pl.col("net").sum(),
        **({"frequency": pl.col("day").n_unique()} if by_days else {}),
    )
    count = pl.col("orders").cast(pl.Int64)
    mean = (2 * pl.col("net") + count) // (2 * count)
    return found.select(
        "profile",
        last_day=_day("last", days),
        orders=count,
        frequency=pl.col("frequency").cast(pl.Int64) if by_days else count,
        monetary=mean if rules.monetary_of == "mean" else pl.col("net"),
    )


def _aged(orders: pl.DataFrame, rules: RfmRules) -> pl.DataFrame:
    day = pl.col("last").dt.convert_time_zone(rules.timezone).dt.date()
    return orders.group_by("profile").agg(last=pl.col("at").max()).select("profile", last_day=day)


def _day(column: str, days: Span) -> pl.Expr:
    """The day of an instant within the window, by arithmetic: polars' own conversion to a zone costs more."""
    found: pl.Expr | None = None
    for start, first, last in days.even:
        passed = (pl.col(column) - pl.lit(start, pl.Datetime("us", "UTC"))).dt.total_microseconds() // 86_400_000_000
        day = (passed + first).clip(upper_bound=last).cast(pl.Int32)
        found = day if found is None else pl.when(pl.col(column) >= start).then(day).otherwise(found)
    assert found is not None
    return found.cast(pl.Date)
