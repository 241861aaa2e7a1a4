"""Who moved from one segment to another: the rows of `rfm.changed`."""

from typing import Any

import polars as pl

from libs.domain.rfm.run import Result


def changes(before: Result | None, after: Result) -> pl.DataFrame:
    """Columns profile, from, to, r, f, m of everybody in `after` whose segment is another; null is no segment.

    Without `before` (the first run of a shop) everybody comes from null: a shell keeps these rows as the beginning
    of the history and publishes nothing.
    """
    now = after.frame.select("profile", "r", "f", "m", to="segment")
    if before is None:
        found = now.with_columns(pl.lit(None, pl.String).alias("from"))
    else:
        was = before.frame.select("profile", pl.col("segment").alias("from"))
        found = now.join(was, on="profile", how="left")
    return found.filter(pl.col("from").ne_missing(pl.col("to"))).select("profile", "from", "to", "r", "f", "m")


def data(row: dict[str, Any]) -> dict[str, Any]:
    """What `rfm.changed` carries for a row of `changes`."""
    scores = {"r": row["r"], "f": row["f"], "m": row["m"]}
    return {"from": row["from"], "to": row["to"], "scores": scores}
