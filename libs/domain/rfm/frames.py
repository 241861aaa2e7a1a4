"""Between a database and frames: orders and customers as it copies them out (CSV without a heading), and what a run
gives it to write, column by column."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from libs.domain.rfm.changes import moves
from libs.domain.rfm.cuts import Cuts
from libs.domain.rfm.figures import SCHEMA, Figures, Span, figures
from libs.domain.rfm.model import RfmRules
from libs.domain.rfm.run import ROWS, STORED, Result, stored

MOMENTS: dict[str, Any] = SCHEMA | {"at": pl.Int64}
DAYS: dict[str, Any] = ROWS | {"last_day": pl.Int32}


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a run writes: `customers` columns as of `STORED`, only rows that are others; the profiles that are `gone`;
    `history` profile, from, to, r, f, m, quiet. `changed` is how many have another segment or other scores."""

    customers: list[list[Any]]
    gone: list[Any]
    history: list[list[Any]]
    changed: int


def counted(text: bytes, rules: RfmRules, days: Span) -> Figures:
    """A part of the orders, counted."""
    return figures(orders(text), rules, days)


def kept(text: bytes, cuts: Cuts, day: date) -> Result:
    """The result of the last run."""
    return stored(customers(text), cuts, day)


def written(before: Result | None, after: Result, also: Iterable[Any], quiet: bool) -> Written:
    """What is other after a run; `also` are told again of how they stand. `quiet` holds for every change."""
    rows = after.customers.select(STORED)
    if before is not None:
        rows = rows.join(before.customers.select(STORED), on=STORED, how="anti", nulls_equal=True)
    moved = moves(before, after, also)
    history = moved.with_columns(quiet=pl.lit(quiet))
    return Written(
        customers=[rows[name].to_list() for name in STORED],
        gone=after.gone["profile"].to_list(),
        history=[history[name].to_list() for name in history.columns],
        changed=moved.height,
    )


def orders(text: bytes) -> pl.DataFrame:
    """Columns of `figures.SCHEMA`; `at` is told in microseconds since 1970."""
    return _read(text, MOMENTS).with_columns(pl.col("at").cast(pl.Datetime("us", "UTC")))


def customers(text: bytes) -> pl.DataFrame:
    """Columns of `run.ROWS`; `last_day` is told in days since 1970."""
    return _read(text, DAYS).with_columns(pl.col("last_day").cast(pl.Date))


def _read(text: bytes, schema: dict[str, Any]) -> pl.DataFrame:
    if not text:
        return pl.DataFrame(schema=schema)
    return pl.read_csv(io.BytesIO(text), has_header=False, schema=schema)
