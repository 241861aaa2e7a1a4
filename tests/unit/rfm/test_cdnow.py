"""CDNOW: figures that others have published, and scores computed in another way, without Kurant's code or polars."""

import csv
import gzip
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from libs.domain.rfm.figures import SCHEMA
from libs.domain.rfm.model import RfmRules, Scale
from libs.domain.rfm.run import Result, full
from tests.unit.rfm.support import NO_MARGIN, table

import polars as pl  # isort: skip

DATA = Path(__file__).with_name("data")
END, MIDDLE = date(1998, 6, 30), date(1997, 9, 30)
FIVE = Scale(quantiles=5, margin=NO_MARGIN)


class Sale(NamedTuple):
    """One line of the master file."""

    customer: str
    day: date
    discs: int
    cents: int


def lines(name: str) -> list[str]:
    with gzip.open(DATA / f"{name}.gz", "rt") as file:
        return file.read().splitlines()


@cache
def sales() -> list[Sale]:
    found = (line.split() for line in lines("CDNOW_master.txt")[1:])
    return [Sale(a, datetime.strptime(b, "%Y%m%d").date(), int(c), int(Decimal(d) * 100)) for a, b, c, d in found]  # noqa: DTZ007


def ran(rules: RfmRules, day: date) -> Result:
    rows = [
        (one.customer, datetime.combine(one.day, datetime.min.time(), UTC), None, "USD", one.cents, 0)
        for one in sales()
    ]
    orders = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return full(orders, rules, datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=9))


def rules(recency: Scale = FIVE, frequency: Scale = FIVE, monetary: Scale = FIVE) -> RfmRules:
    return RfmRules(currency="USD", window=3650, recency=recency, frequency=frequency, monetary=monetary)


def test_the_data_are_the_published_ones() -> None:
    """Fader and Hardie: 23,570 customers, first bought January to March 1997, 69,659 transactions until June 1998."""
    first: dict[str, date] = {}
    for one in sales():
        first[one.customer] = min(first.get(one.customer, one.day), one.day)
    assert (len(sales()), len(first)) == (69_659, 23_570)
    assert (min(first.values()), max(first.values())) == (date(1997, 1, 1), date(1997, 3, 25))
    assert max(one.day for one in sales()) == END
    assert sum(one.discs for one in sales()) == 167_881


def test_the_figures_are_the_published_ones() -> None:
    """The summary of the sample: repeat purchases by days, weeks between first and last, weeks since the first."""
    everyone = ran(RfmRules(currency="USD", window=3650, frequency_of="days"), MIDDLE)
    found = table(everyone, "frequency", "last_day", "monetary")
    place = {fields[1].lstrip("0"): fields[0] for fields in map(str.split, lines("CDNOW_sample.txt"))}
    spent: dict[str, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    for one in sales():
        spent[one.customer][one.day] += one.cents
    published = list(csv.DictReader(lines("cdnow_customers_summary_with_transactions.csv")))
    assert len(published) == 2_357
    for row in published:
        customer = place[row["ID"]]
        (days, last, cents), first = found[customer], min(spent[customer])
        assert days - 1 == int(row["x"])
        assert abs((last - first).days / 7 - float(row["t_x"])) < 0.006
        assert abs((MIDDLE - first).days / 7 - float(row["T"])) < 0.006
        repeated = cents - spent[customer][first]
        assert abs(repeated / 100 / max(days - 1, 1) - float(row["zbar"])) < 0.006


def figures() -> dict[str, tuple[int, int, int]]:
    """Recency, frequency and money of each customer, in plain Python."""
    found: dict[str, tuple[int, int, int]] = {}
    for one in sales():
        days, count, cents = found.get(one.customer, (10_000, 0, 0))
        found[one.customer] = (min(days, (END - one.day).days), count + 1, cents + one.cents)
    return found


def by_rank(values: dict[str, int], n: int, better: Callable[[int], int]) -> dict[str, int]:
    """1 + floor(n * share of customers who are strictly worse)."""
    order = sorted(map(better, values.values()))
    return {name: 1 + n * bisect_left(order, better(value)) // len(order) for name, value in values.items()}


@pytest.mark.parametrize("n", [3, 5, 10])
def test_scores_by_quantiles_are_those_by_rank(n: int) -> None:
    scale = Scale(quantiles=n, margin=NO_MARGIN)
    found = table(ran(rules(scale, scale, scale), END), "r", "f", "m")
    plain = figures()
    ranks = [
        by_rank({name: row[axis] for name, row in plain.items()}, n, (lambda days: -days) if axis == 0 else int)
        for axis in range(3)
    ]
    assert found == {name: tuple(rank[name] for rank in ranks) for name in plain}
    assert {scores[0] for scores in found.values()} == set(range(1, n + 1))


def test_scores_by_thresholds_are_those_by_comparison() -> None:
    days, often, cents = (30, 90, 180, 365), (2, 3, 5, 10), (2_000, 5_000, 10_000, 25_000)
    told = rules(*(Scale(thresholds=one, margin=NO_MARGIN) for one in (days[::-1], often, cents)))
    found = table(ran(told, END), "recency_days", "frequency", "monetary", "r", "f", "m")
    expected = {}
    for name, (recency, count, money) in figures().items():
        r = next((5 - place for place, most in enumerate(days) if recency <= most), 1)
        f = max([1, *(place + 2 for place, least in enumerate(often) if count >= least)])
        m = max([1, *(place + 2 for place, least in enumerate(cents) if money >= least)])
        expected[name] = (recency, count, money, r, f, m)
    assert found == expected
