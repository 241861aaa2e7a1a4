"""How a shop's RFM stands, for people and machines: money in whole units of the shop's currency, days as of the run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec

from libs.domain.rfm import currencies
from libs.domain.rfm.cuts import FIGURES
from libs.domain.rfm.explain import explain
from libs.domain.rfm.model import AXES, RfmRules
from libs.domain.rfm.plan import Kind, Last

Row = Mapping[str, Any]


def status(last: Last, segments: Iterable[Row], *, known: int, next_at: datetime | None) -> dict[str, Any]:
    """The last run and its segments. `known` is the version of the rules that the next run uses (0: none published)."""
    rows = list(segments)
    rules, cuts = last.rules, last.cuts
    return {
        "run": last.run,
        "version": last.version,
        "known_version": known,
        "computed_at": _iso(last.run_at),
        "full_at": _iso(last.full_at),
        "day": last.day.isoformat() if last.day else None,
        "next_at": _iso(next_at),
        "currency": rules.currency if rules else None,
        "customers": sum(row["customers"] for row in rows),
        "segments": [dict(row) | {"monetary": _money(row["monetary"], rules)} for row in rows],
        "cuts": {axis: list(cuts.points(axis) or ()) for axis in AXES} if cuts else None,
        "excluded": last.excluded or {},
    }


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a run did: how many customers it computed, how many of them have another segment or other scores."""

    run: int
    kind: Kind
    day: date
    customers: int
    changed: int
    quiet: bool


def customer(row: Row, last: Last) -> dict[str, Any]:
    """A customer's figures and scores."""
    return {
        "profile": str(row["profile"]),
        "segment": row["segment"],
        "r": row["r"],
        "f": row["f"],
        "m": row["m"],
        "recency_days": (last.day - row["last_day"]).days if last.day else None,
        "orders": row["orders"],
        "frequency": row["frequency"],
        "monetary": _money(row["monetary"], last.rules),
        "last_day": row["last_day"].isoformat(),
    }


def explained(row: Row, last: Last, history: Iterable[Row]) -> dict[str, Any]:
    """Why a customer is where he is, in words (`text`) and in parts, and how that changed, newest first."""
    assert last.rules is not None
    assert last.cuts is not None
    shown = customer(row, last)
    found = explain({**row, FIGURES["recency"]: shown["recency_days"]}, last.cuts, last.rules)
    told: dict[str, Any] = msgspec.to_builtins(found)
    rows = [dict(one) | {"at": one["at"].isoformat()} for one in history]
    return {**shown, **told, "day": last.day.isoformat() if last.day else None, "text": found.text(), "history": rows}


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _money(minor: int, rules: RfmRules | None) -> str | None:
    return str(currencies.major(minor, rules.currency)) if rules else None
