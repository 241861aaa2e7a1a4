"""Who moved from one segment to another: the rows of `rfm.changed`."""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from libs.domain.rfm.run import Result

LETTERS = ("r", "f", "m")


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


def moves(before: Result | None, after: Result, also: Iterable[Any] = ()) -> pl.DataFrame:
    """The same, and everybody whose scores are others in the same segment, and `also` these if they are customers.

    What changed no segment starts nothing either; conditions know the scores as they are.
    """
    known = after.frame if before is None else pl.concat([after.frame, before.frame])
    named = pl.DataFrame({"profile": list(dict.fromkeys(also))}, schema={"profile": known.schema["profile"]})
    now = known.unique("profile", keep="first", maintain_order=True).select("profile", *LETTERS, to="segment")
    if before is None:
        were = pl.DataFrame(schema={"profile": known.schema["profile"], "from": pl.String})
        were = were.with_columns(pl.lit(0, pl.UInt8).alias(f"{letter}_was") for letter in LETTERS)
    else:
        scores = {f"{letter}_was": letter for letter in LETTERS}
        were = before.frame.select("profile", pl.col("segment").alias("from"), **scores)
    joined = now.join(were, on="profile", how="left").join(
        named.with_columns(asked=pl.lit(True)), on="profile", how="left"
    )
    other = pl.any_horizontal(
        pl.col("from").ne_missing(pl.col("to")),
        *(pl.col(letter).ne(pl.col(f"{letter}_was").fill_null(0)) for letter in LETTERS),
        pl.col("asked").fill_null(False),
    )
    return joined.filter(other).select("profile", "from", "to", *LETTERS)


def data(row: Mapping[str, Any], *, quiet: bool = False) -> dict[str, Any]:
    """What `rfm.changed` carries for a row of `changes`; `quiet` says that it only teaches and starts nothing,
    as one from a segment to the same does anyway, and that nobody reacts to segments entered and left by it.
    """
    scores = {letter: row[letter] for letter in LETTERS}
    told = {"from": row["from"], "to": row["to"], "scores": scores}
    return told | {"quiet": True} if quiet else told
