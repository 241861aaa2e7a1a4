"""What support and machines read."""

import msgspec

from libs.domain.rfm.explain import explain
from libs.domain.rfm.model import Margin, Scale
from libs.domain.rfm.run import full
from tests.unit.rfm.support import NOW, PLAIN, frame, order, rules

HELD = rules(monetary=Scale(thresholds=(10_000, 50_000), margin=Margin(amount=500)),
             recency=Scale(thresholds=(60, 30, 10), margin=Margin(amount=5)))  # fmt: skip


def test_figures_cuts_line_and_what_hysteresis_held() -> None:
    was = full(frame(order("a", 30, 10_000)), HELD, NOW)
    found = full(frame(order("a", 34, 9_750)), HELD, NOW, was)
    told = explain(found.frame.row(0, named=True), found.cuts, HELD)
    assert told.text().splitlines() == [
        "segment: good (line 2 of the map: r 3-4)",
        "recency: 34 days, score 3; at most 60 days, 30 days, 10 days for 2 to 4",
        "  the figure alone says 2; 3 is kept to 35 days",
        "frequency: 1 order, score 1; at least 2 orders, 4 orders for 2 to 3",
        "monetary: 97.50 PLN, score 2; at least 100.00 PLN, 500.00 PLN for 2 to 3",
        "  the figure alone says 1; 2 is kept to 95.00 PLN",
        "without hysteresis: rest",
    ]
    as_json = msgspec.json.decode(msgspec.json.encode(told))
    assert (as_json["segment"], as_json["line"], as_json["by_figures"]) == ("good", 2, "rest")
    assert as_json["parts"][0]["kept_to"] == "35 days"


def test_nothing_held_is_not_spoken_of() -> None:
    found = full(frame(order("a", 1), order("a", 2)), rules(frequency_of="days"), NOW)
    told = explain(found.frame.row(0, named=True), found.cuts, rules(frequency_of="days"))
    assert "alone" not in told.text() and "without" not in told.text()
    assert "frequency: 2 days, score 2" in told.text()
    assert told.by_figures is None


def test_who_has_no_scores_is_told_why() -> None:
    quantiles = rules(monetary=Scale(quantiles=5), least_customers=3)
    few = full(frame(order("a", 1)), quantiles, NOW)
    told = explain(few.frame.row(0, named=True), few.cuts, quantiles)
    assert "segment: none\n1 customers are too few for quantiles, which need 3" in told.text()
    was = full(frame(order("a", 1), order("b", 1)), PLAIN, NOW)
    after = full(frame(order("a", 1, status="cancelled"), order("b", 300)), PLAIN, NOW, was)
    texts = {row["profile"]: explain(row, after.cuts, PLAIN).text() for row in after.frame.iter_rows(named=True)}
    assert texts == {"a": "segment: none\nno order counts", "b": "segment: lost\nno order within 100 days"}
