"""Which orders count, and what they come to."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from libs.domain.rfm import currencies
from libs.domain.rfm.figures import MOST, figures, span
from libs.domain.rfm.model import RfmRules
from tests.unit.rfm.support import NOW, PLAIN, frame, order, rules


def counted(orders: pl.DataFrame, told: RfmRules = PLAIN, now: datetime = NOW) -> dict[str, dict[str, Any]]:
    return {row["profile"]: row for row in figures(orders, told, span(told, now)).customers.iter_rows(named=True)}


def excluded(orders: pl.DataFrame, told: RfmRules = PLAIN) -> dict[str, int]:
    return figures(orders, told, span(told, NOW)).excluded


def test_figures_of_a_customer() -> None:
    found = counted(frame(order("a", 3, 500), order("a", 40, 700), order("b", 0, 1)))
    assert found["a"] == {
        "profile": "a",
        "last_day": date(2026, 2, 27),
        "orders": 2,
        "frequency": 2,
        "monetary": 1200,
    }
    assert found["b"]["last_day"] == date(2026, 3, 2)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"at": None}, "not_yet"),
        ({"at": NOW + timedelta(days=1)}, "future"),
        ({"status": "cancelled"}, "status"),
        ({"currency": "EUR"}, "currency"),
        ({"currency": None}, "currency"),
        ({"value": None}, "value"),
        ({"value": -1}, "value"),
        ({"value": MOST + 1}, "value"),
        ({"returned": -1}, "value"),
        ({"returned": 10_000}, "returned"),
        ({"returned": 12_000}, "returned"),
        ({"at": NOW - timedelta(days=100)}, "before_window"),
        ({"at": None, "status": "cancelled", "currency": "EUR"}, "not_yet"),
    ],
)
def test_an_order_that_does_not_count_has_its_reason(row: dict[str, Any], reason: str) -> None:
    orders = frame(order("a", 1, **row), order("b", 1))
    assert list(counted(orders)) == ["b"]
    assert excluded(orders) == {reason: 1}


@pytest.mark.parametrize(
    "row", [{"status": None}, {"value": 0}, {"value": MOST}, {"returned": None}, {"status": "new"}]
)
def test_an_order_that_counts(row: dict[str, Any]) -> None:
    orders = frame(order("a", 1) | row)
    assert counted(orders)["a"]["orders"] == 1
    assert excluded(orders) == {}


def test_only_these_statuses_count_when_they_are_named() -> None:
    orders = frame(order("a", 1, status="delivered"), order("b", 1, status="paid"), order("c", 1, status=None))
    assert set(counted(orders, rules(only=("delivered",), excluded=()))) == {"a"}
    assert set(counted(orders, rules(excluded=()))) == {"a", "b", "c"}
    enum = orders.with_columns(pl.col("status").cast(pl.Enum(["delivered", "paid"])))
    assert set(counted(enum, rules(only=("delivered", "closed"), excluded=()))) == {"a"}
    assert set(counted(orders.with_columns(status=pl.lit(None)))) == {"a", "b", "c"}


def test_what_came_back_is_subtracted_and_a_full_return_is_no_order() -> None:
    orders = frame(order("a", 1, 1000, returned=300), order("a", 50, 500, returned=500))
    assert counted(orders)["a"] | {"profile": "a"} == counted(frame(order("a", 1, 700)))["a"]
    kept = counted(orders, rules(returns="ignore"))["a"]
    assert (kept["orders"], kept["monetary"]) == (2, 1500)


def test_the_window_begins_and_ends_at_midnight_in_the_shops_zone() -> None:
    warsaw = rules(window=2, timezone="Europe/Warsaw")
    now = datetime(2026, 3, 29, 20, tzinfo=UTC)  # summer time began this night: the day has 23 hours
    days = span(warsaw, now)
    assert (days.since, days.until) == (datetime(2026, 3, 27, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC))
    moments = {"out": -timedelta(seconds=1), "in": timedelta(), "late": timedelta(hours=25)}
    found = counted(frame(*(order(name, 0, at=days.since + after) for name, after in moments.items())), warsaw, now)
    assert {name: row["last_day"] for name, row in found.items()} == {
        "in": date(2026, 3, 28),
        "late": date(2026, 3, 29),
    }
    assert "out" in counted(frame(order("out", 0, at=days.since - timedelta(seconds=1))), rules(window=3), now)


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Warsaw", "Pacific/Auckland", "America/Santiago", "Africa/Cairo", "Asia/Kolkata"]
)
def test_the_day_of_an_order_is_that_of_the_zone_over_a_year_of_changes(zone: str) -> None:
    told = rules(window=800, timezone=zone)
    moments = [NOW - timedelta(minutes=37 * number) for number in range(31_000)]
    at = pl.DataFrame({"at": moments}, schema={"at": pl.Datetime("us", "UTC")}).with_row_index("profile")
    orders = at.with_columns(status=pl.lit("paid"), currency=pl.lit("PLN"), value=pl.lit(1), returned=pl.lit(0))
    found = figures(orders, told, span(told, NOW)).customers.sort("profile")["last_day"].to_list()
    assert found == [moment.astimezone(ZoneInfo(zone)).date() for moment in moments]


def test_frequency_can_be_days_and_money_a_mean() -> None:
    told = rules(frequency_of="days", monetary_of="mean", timezone="Europe/Warsaw")
    night = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)  # 00:30 of 2 March in Warsaw
    orders = frame(
        order("a", 0, 100, at=night), order("a", 0, 101), order("a", 5, 100), order("b", 1, 2), order("b", 2, 3)
    )
    found = counted(orders, told)
    assert (found["a"]["frequency"], found["a"]["orders"]) == (2, 3)
    assert found["a"]["monetary"] == 100  # 100.33
    assert found["b"]["monetary"] == 3  # 2.5, halves up


def test_other_currencies_come_in_by_their_rates_exactly() -> None:
    told = rules(rates={"EUR": Decimal("4.2567"), "JPY": Decimal("0.0271"), "KWD": Decimal("12.9")}, currency="PLN")
    orders = frame(
        order("a", 1, 1000, currency="EUR", returned=1),  # 9.99 EUR
        order("b", 1, 56, currency="JPY"),  # 1.5176 PLN
        order("c", 1, 1005, currency="KWD"),  # 1.005 KWD: 12.9645 PLN
        order("d", 1, MOST - 1, currency="PLN"),
        order("e", 1, MOST, currency="EUR"),
        order("f", 1, 5, currency="USD"),
    )
    found = {name: row["monetary"] for name, row in counted(orders, told).items()}
    assert found == {"a": 4252, "b": 152, "c": 1296, "d": MOST - 1}
    assert excluded(orders, told) == {"currency": 1, "value": 1}


def test_minor_units_know_how_many_decimals_a_currency_has() -> None:
    assert [currencies.minor(Decimal("12.3"), name) for name in ("PLN", "KWD", "JPY")] == [1230, 12300, None]
    assert currencies.factor(Decimal(150), "USD", "JPY") == (3, 2)  # a cent is one and a half yen
    assert str(currencies.major(1230, "PLN")) == "12.30"
    assert str(currencies.major(1230, "JPY")) == "1230"


@pytest.mark.parametrize(
    "wrong",
    [
        frame().drop("returned"),
        frame().with_columns(pl.col("at").dt.replace_time_zone(None)),
        frame().with_columns(pl.col("value").cast(pl.Float64)),
    ],
)
def test_a_frame_of_another_shape_is_refused(wrong: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match="orders"):
        figures(wrong, PLAIN, span(PLAIN, NOW))


def test_the_type_of_the_profile_is_the_shells_own() -> None:
    orders = frame(order("7", 1)).with_columns(
        pl.col("profile").cast(pl.Int64), pl.col("at").cast(pl.Datetime("ms", "UTC"))
    )
    assert figures(orders, PLAIN, span(PLAIN, NOW)).customers["profile"].to_list() == [7]
