"""Orders as tests write them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import polars as pl

from libs.domain.rfm.figures import SCHEMA
from libs.domain.rfm.model import Margin, Pattern, RfmRules, Scale
from libs.domain.rfm.run import Result

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
NO_MARGIN = Margin()

PLAIN = RfmRules(
    currency="PLN",
    window=100,
    recency=Scale(thresholds=(60, 30, 10)),
    frequency=Scale(thresholds=(2, 4)),
    monetary=Scale(thresholds=(10_000, 50_000)),
    segments=(Pattern(segment="best", r=(4,), f=(3,)), Pattern(segment="good", r=(3, 4)), Pattern(segment="rest")),
)
"""Fixed thresholds, no margins: 4 x 3 x 3 scores."""


def rules(base: RfmRules = PLAIN, **changed: Any) -> RfmRules:
    return msgspec.structs.replace(base, **changed)


def order(profile: str, days: float, value: int = 10_000, **told: Any) -> dict[str, Any]:
    """An order so many days before NOW."""
    row = {"profile": profile, "at": NOW - timedelta(days=days), "status": "paid", "currency": "PLN"}
    return row | {"value": value, "returned": 0} | told


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SCHEMA)


def table(result: Result, *columns: str) -> dict[str, Any]:
    """The rows by profile: one column's value, or a tuple of several."""
    chosen = result.frame.select("profile", *columns).rows()
    return {row[0]: row[1] if len(columns) == 1 else row[1:] for row in chosen}
