"""For any orders: a part of the work gives what the whole gives, and a border is crossed only beyond its margin."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.domain.rfm.cuts import Cuts
from libs.domain.rfm.model import AXES, LETTERS, Axis, Margin, RfmRules, Scale
from libs.domain.rfm.run import Result, apply, due, full, incremental
from tests.unit.rfm.support import NOW, frame, order

WINDOW = 30
MARGINS = st.builds(Margin, percent=st.sampled_from([Decimal(0), Decimal(10), Decimal(40)]), amount=st.integers(0, 2))
QUANTILES = st.builds(Scale, quantiles=st.just(5), margin=MARGINS)


def thresholds(*, falling: bool, most: int) -> st.SearchStrategy[Scale]:
    found = st.lists(st.integers(1, most), min_size=4, max_size=4, unique=True)
    return st.builds(Scale, thresholds=found.map(lambda one: tuple(sorted(one, reverse=falling))), margin=MARGINS)


RULES = st.builds(
    RfmRules,
    currency=st.just("PLN"),
    window=st.just(WINDOW),
    timezone=st.sampled_from(["UTC", "Europe/Warsaw", "Pacific/Auckland"]),
    recency=QUANTILES | thresholds(falling=True, most=WINDOW),
    frequency=QUANTILES | thresholds(falling=False, most=8),
    monetary=QUANTILES | thresholds(falling=False, most=300),
    frequency_of=st.sampled_from(["orders", "days"]),
    monetary_of=st.sampled_from(["sum", "mean"]),
    least_customers=st.sampled_from([0, 4]),
    outside=st.sampled_from(["lost", None]),
)
ORDER = st.fixed_dictionaries(
    {
        "profile": st.sampled_from([f"p{number}" for number in range(9)]),
        "days": st.floats(-4, 1.3 * WINDOW),
        "value": st.integers(0, 100),
        "status": st.sampled_from(["paid", "paid", "paid", "cancelled"]),
        "returned": st.sampled_from([0, 0, 5, 100]),
    }
)
ORDERS = st.lists(ORDER, min_size=1, max_size=30)
TURN = st.tuples(st.integers(0, 6), st.lists(st.tuples(st.integers(0, 50), ORDER | st.none()), max_size=4))
TURNS = st.lists(TURN, min_size=1, max_size=5)
SORTED = ("profile", "last_day", "orders", "frequency", "monetary", "r", "f", "m", "segment")


def known(orders: list[dict[str, Any]]) -> pl.DataFrame:
    return frame(*(order(**one) for one in orders))


def rows(result: Result) -> list[tuple[Any, ...]]:
    return sorted(result.customers.select(SORTED, "recency_days").rows())


@settings(max_examples=150, deadline=None)
@given(RULES, ORDERS, TURNS)
def test_incremental_after_changes_is_full_by_the_same_cuts(
    rules: RfmRules, orders: list[dict[str, Any]], turns: list[tuple[int, list[tuple[int, dict[str, Any] | None]]]]
) -> None:
    now = NOW
    state = full(known(orders), rules, now)
    for passed, edits in turns:
        now += timedelta(days=passed)
        age = (now - NOW).days
        touched = set()
        for place, new in edits:  # an order is added, changed, moved to another customer, or erased
            if place < len(orders):
                touched.add(orders.pop(place)["profile"])
            if new is not None:
                orders.append(new | {"days": new["days"] - age})
                touched.add(new["profile"])
        concerned = touched | set(known(orders).filter(due(state, rules, now).crosses())["profile"])
        changed = known([one for one in orders if one["profile"] in concerned])
        part = incremental(state, changed, rules, now, touched)
        whole = full(known(orders), rules, now, state, state.cuts)
        assert rows(apply(state, part)) == rows(whole)
        assert not set(part.frame.select(SORTED).rows()) & set(state.frame.select(SORTED).rows())
        state = apply(state, part)


FIGURES = st.lists(st.tuples(st.integers(0, 25), st.integers(1, 4), st.integers(1, 300)), min_size=1, max_size=12)
FIXED = st.builds(
    RfmRules,
    currency=st.just("PLN"),
    window=st.just(WINDOW),
    recency=thresholds(falling=True, most=WINDOW),
    frequency=thresholds(falling=False, most=4),
    monetary=thresholds(falling=False, most=300),
)


@settings(max_examples=60, deadline=None)
@given(FIXED, FIGURES, FIGURES)
def test_hysteresis_is_as_it_is_written(
    rules: RfmRules, was: list[tuple[int, int, int]], now: list[tuple[int, int, int]]
) -> None:
    """Against the formula of the documentation, in plain Python, customer by customer and score by score."""

    def bought(figures: list[tuple[int, int, int]]) -> pl.DataFrame:
        rows = [
            {"profile": f"c{number}", "days": days, "value": value if first == 0 else 0}
            for number, (days, count, value) in enumerate(figures)
            for first in range(count)
        ]
        return known(rows)

    def best(axis: Axis, figure: int, *, with_margin: bool) -> int:
        scale, reached = rules.scale(axis), 1
        for point in scale.thresholds:
            slack = (point * int(scale.margin.percent) // 100 + scale.margin.amount) if with_margin else 0
            reached += figure <= point + slack if axis == "recency" else figure >= point - slack
        return reached

    first = full(bought(was), rules, NOW)
    found = {row["profile"]: row for row in full(bought(now), rules, NOW, first).frame.iter_rows(named=True)}
    for number, figures in enumerate(now):
        for place, axis in enumerate(AXES):
            score = best(axis, figures[place], with_margin=False)
            if number < len(was):
                before = best(axis, was[number][place], with_margin=False)
                score = min(max(before, score), best(axis, figures[place], with_margin=True))
            assert found[f"c{number}"][LETTERS[axis]] == score


@settings(max_examples=60, deadline=None)
@given(st.integers(100, 10_000), st.integers(1, 50), st.booleans(), st.lists(st.floats(-1, 1), min_size=2, max_size=8))
def test_noise_within_the_margin_crosses_a_border_once_at_most(
    cut: int, percent: int, moving: bool, noise: list[float]
) -> None:
    """In figures, and just so in cut points that move from run to run."""
    margin = Margin(percent=Decimal(percent))
    rules = RfmRules(currency="PLN", monetary=Scale(quantiles=2, margin=margin))
    state, seen = None, []
    for wave in noise:
        shift = int(wave * margin.slack(cut) / 4)
        point, figure = (cut + shift, cut) if moving else (cut, cut + shift)
        cuts = Cuts(rules=rules.digest(), day=NOW.date(), customers=1, recency=(9,), frequency=(2,), monetary=(point,))
        state = full(known([{"profile": "a", "days": 1, "value": figure}]), rules, NOW, state, cuts)
        seen.append(state.frame["m"][0])
    assert seen == sorted(seen)  # up once, never down
