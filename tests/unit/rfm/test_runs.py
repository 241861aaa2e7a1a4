"""Scores, segments, hysteresis, what an incremental run does, and who moved."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import polars as pl
import pytest

from libs.domain.rfm.changes import changes, data
from libs.domain.rfm.model import Margin, RfmRules, Scale
from libs.domain.rfm.run import Result, apply, due, full, incremental, stored
from tests.unit.rfm.support import NOW, PLAIN, frame, order, rules, table

QUARTERS = rules(
    recency=Scale(quantiles=4), frequency=Scale(quantiles=3), monetary=Scale(quantiles=3), least_customers=0
)


def later(days: int) -> datetime:
    return NOW + timedelta(days=days)


def test_a_threshold_belongs_to_the_better_score() -> None:
    ages = {"a": 10, "b": 11, "c": 30, "d": 31, "e": 60, "f": 61}
    found = full(frame(*(order(name, days) for name, days in ages.items())), PLAIN, NOW)
    assert table(found, "r") == {"a": 4, "b": 3, "c": 3, "d": 2, "e": 2, "f": 1}
    money = {"a": 9_999, "b": 10_000, "c": 49_999, "d": 50_000}
    found = full(frame(*(order(name, 1, value) for name, value in money.items())), PLAIN, NOW)
    assert table(found, "m") == {"a": 1, "b": 2, "c": 2, "d": 3}
    often = {"a": 1, "b": 2, "c": 3, "d": 4}
    found = full(frame(*(order(name, day) for name, count in often.items() for day in range(count))), PLAIN, NOW)
    assert table(found, "f", "segment") == {"a": (1, "good"), "b": (2, "good"), "c": (2, "good"), "d": (3, "best")}


def test_quantiles_give_equal_customers_equal_scores_that_of_the_worst_place() -> None:
    money = {"a": 1, "b": 1, "c": 1, "d": 1, "e": 2, "f": 3}
    found = full(frame(*(order(name, 1, value) for name, value in money.items())), QUARTERS, NOW)
    assert table(found, "m") == {"a": 1, "b": 1, "c": 1, "d": 1, "e": 3, "f": 3}  # 4 of 6 and 5 of 6 are worse
    assert set(table(found, "r").values()) == {1}
    assert found.cuts.monetary == (2, 2)
    ages = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7, "h": 8}
    found = full(frame(*(order(name, days) for name, days in ages.items())), QUARTERS, NOW)
    assert table(found, "r") == {"a": 4, "b": 4, "c": 3, "d": 3, "e": 2, "f": 2, "g": 1, "h": 1}
    assert found.cuts.recency == (6, 4, 2)


def test_too_few_customers_for_quantiles_have_no_segment() -> None:
    orders = frame(order("a", 1), order("b", 2))
    few = rules(QUARTERS, least_customers=3)
    found = full(orders, few, NOW)
    assert table(found, "r", "f", "m", "segment") == {"a": (0, 0, 0, None), "b": (0, 0, 0, None)}
    assert found.cuts.recency is None
    assert incremental(found, frame(order("a", 0), order("a", 1)), few, NOW).frame["segment"].to_list() == [None]
    enough = full(frame(order("a", 1), order("b", 2), order("c", 3)), few, NOW, found)
    assert None not in table(enough, "segment").values()


def test_nobody_bought_anything() -> None:
    found = full(frame(), RfmRules(currency="PLN"), NOW)
    assert found.frame.is_empty()
    assert incremental(found, frame(), RfmRules(currency="PLN"), NOW).frame.is_empty()


WIDE = rules(recency=Scale(thresholds=(60, 30, 10), margin=Margin(percent=Decimal(10))),
             monetary=Scale(thresholds=(10_000, 50_000), margin=Margin(percent=Decimal(5)))
             )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "now", "score"),
    [(10_000, 9_500, 2), (10_000, 9_499, 1), (50_000, 47_500, 3), (50_000, 47_499, 2), (50_000, 9_499, 1),
     (50_000, 9_600, 2), (9_499, 9_500, 1), (9_999, 10_000, 2), (10_000, 50_000, 3)],
)  # fmt: skip
def test_a_score_is_lost_only_beyond_the_margin_and_won_at_once(before: int, now: int, score: int) -> None:
    was = full(frame(order("a", 1, before)), WIDE, NOW)
    orders = frame(order("a", 1, now))
    assert table(full(orders, WIDE, NOW, was), "m") == {"a": score}
    assert table(apply(was, incremental(was, orders, WIDE, NOW)), "m") == {"a": score}


def test_recency_is_held_by_days_beyond_the_cut_point() -> None:
    was = full(frame(order("a", 30)), WIDE, NOW)
    scores = [table(full(frame(order("a", 30)), WIDE, later(day), was), "r")["a"] for day in (0, 1, 3, 4)]
    assert scores == [3, 3, 3, 2]  # kept to 33 days


def test_after_a_change_of_the_rules_nothing_is_held() -> None:
    was = full(frame(order("a", 1, 10_000)), WIDE, NOW)
    other = rules(WIDE, window=99)
    assert table(full(frame(order("a", 1, 9_999)), other, NOW, was), "m") == {"a": 1}
    with pytest.raises(ValueError, match="rules have changed"):
        incremental(was, frame(), other, NOW)
    with pytest.raises(ValueError, match="other rules"):
        full(frame(), other, NOW, cuts=was.cuts)


def test_a_noisy_border_does_not_flap() -> None:
    noisy = [10_000, 9_990, 10_010, 9_600, 10_400, 9_501] * 3
    flaps = {}
    for name, told in (("with", WIDE), ("without", PLAIN)):
        state: Result | None = None
        seen = []
        for value in noisy:
            state = full(frame(order("a", 1, value)), told, NOW, state)
            seen.append(table(state, "m")["a"])
        flaps[name] = sum(a != b for a, b in pairwise(seen))
    assert flaps == {"with": 0, "without": 17}


def test_who_has_no_order_in_the_window_is_outside_or_gone() -> None:
    was = full(frame(order("old", 99), order("undone", 5), order("both", 5), order("stays", 5)), PLAIN, NOW)
    cancelled: dict[str, Any] = {"status": "cancelled"}
    orders = frame(
        order("undone", 5, **cancelled), order("both", 5, **cancelled), order("both", 200), order("stays", 5)
    )
    expected = {"old": ("lost", date(2025, 11, 23)), "undone": (None, None), "both": ("lost", date(2025, 8, 14))}
    now = later(1)
    everybody = full(orders, PLAIN, now, was)
    assert {name: row for name, row in table(everybody, "segment", "last_day").items() if name != "stays"} == expected
    some = incremental(was, orders.filter(pl.col("profile") != "stays"), PLAIN, now, ["old"])
    assert table(some, "segment", "last_day") == expected
    assert some.gone["profile"].to_list() == ["undone"]
    assert set(table(apply(was, some), "r")) == {"old", "both", "stays"}
    assert table(everybody, "r", "f", "m", "frequency", "monetary")["old"] == (0, 0, 0, 0, 0)
    again = full(orders, PLAIN, later(2), everybody)
    assert changes(everybody, again).is_empty()
    back = incremental(again, frame(order("old", -2), order("old", 99)), PLAIN, later(2))
    assert table(back, "segment", "frequency") == {"old": ("good", 1)}


def test_an_order_of_the_windows_first_day_that_is_cancelled_is_not_one_before_it() -> None:
    was = full(frame(order("edge", 99)), PLAIN, NOW)
    cancelled = frame(order("edge", 99, status="cancelled"))
    assert table(full(cancelled, PLAIN, NOW, was), "segment") == {"edge": None}
    assert table(full(cancelled, PLAIN, later(1), was), "segment") == {"edge": "lost"}


def test_without_an_outside_segment_the_aged_leave() -> None:
    told = rules(outside=None)
    was = full(frame(order("old", 99), order("older", 200)), told, NOW)
    assert set(table(was, "r")) == {"old"}
    after = full(frame(order("old", 99), order("older", 200)), told, later(1), was)
    assert after.gone["profile"].to_list() == ["old"]
    assert after.customers.is_empty()


def test_time_alone_changes_whom_due_names() -> None:
    orders = frame(order("falls", 30), order("ages", 2), order("ages", 99), order("same", 5), order("outside", 300))
    was = full(orders, WIDE, NOW)
    when = due(was, WIDE, later(4))
    assert was.frame.filter(when.falls())["profile"].to_list() == ["falls"]
    assert orders.filter(when.crosses())["profile"].to_list() == ["ages"]
    assert was.frame.filter(due(was, WIDE, later(3)).falls()).is_empty()
    assert orders.filter(due(was, WIDE, NOW).crosses()).is_empty()
    assert (when.spans[0][0], when.worse[3]) == (datetime(2025, 11, 23, tzinfo=UTC), date(2026, 2, 1))
    ahead = frame(order("ahead", -3))
    assert full(ahead, WIDE, NOW).excluded == {"future": 1}
    assert ahead.filter(when.crosses()).height == 1
    ages = orders.filter(pl.col("profile") == "ages")
    assert table(incremental(was, ages, WIDE, later(4)), "r", "frequency") == {"falls": (2, 1), "ages": (4, 1)}
    part = stored(was.frame.filter(when.falls() | (pl.col("profile") == "ages")), was.cuts, was.day)
    assert table(incremental(part, ages, WIDE, later(4)), "r", "frequency") == {"falls": (2, 1), "ages": (4, 1)}


def test_an_incremental_run_tells_only_what_is_not_as_it_was() -> None:
    orders = frame(order("a", 1), order("b", 1))
    was = full(orders, PLAIN, NOW)
    assert incremental(was, orders, PLAIN, later(3)).frame.is_empty()
    new = frame(order("a", 1), order("a", 0), order("c", 0))
    after = incremental(was, new, PLAIN, NOW)
    assert table(after, "frequency", "f") == {"a": (2, 2), "c": (1, 1)}
    merged = apply(was, after)
    assert table(merged, "frequency") == {"a": 2, "b": 1, "c": 1}
    assert merged.cuts is was.cuts


def test_changes_are_those_of_the_segment() -> None:
    was = full(frame(order("a", 1), order("b", 1), order("c", 1)), PLAIN, NOW)
    first = changes(None, was)
    assert set(first["from"].to_list()) == {None}
    assert first.height == 3
    orders = frame(*(order("a", day) for day in range(4)), order("b", 1, 60_000), order("c", 1, status="cancelled"))
    found = changes(was, full(orders, PLAIN, NOW, was)).sort("profile")
    assert found.rows() == [("a", "good", "best", 4, 3, 2), ("c", "good", None, 0, 0, 0)]
    row = found.row(0, named=True)
    assert data(row) == {"from": "good", "to": "best", "scores": {"r": 4, "f": 3, "m": 2}}
