"""Rules as YAML: what they mean, and what is wrong with them."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from libs.domain.rfm.model import AXES, LEVELS, SEGMENTS, Margin, RfmRules
from libs.domain.rfm.parse import Finding, ScenarioError, parse

DOCS = Path(__file__).resolve().parents[3] / "docs" / "rfm.md"


def findings(text: str) -> list[Finding]:
    with pytest.raises(ScenarioError) as caught:
        parse(text)
    return caught.value.findings


def test_the_shortest_rules_have_the_defaults() -> None:
    assert parse("kurant: 1\ncurrency: PLN\n") == RfmRules(currency="PLN")


def test_the_rules_in_the_documentation_are_what_they_say() -> None:
    example = DOCS.read_text().split("```yaml\n")[1].split("```")[0]
    rules = parse(example)
    assert (rules.window, rules.every, rules.timezone) == (365, timedelta(days=1), "Europe/Warsaw")
    assert (rules.counts, rules.excluded, rules.returns) == ("order.placed", ("cancelled", "test"), "subtract")
    assert rules.rates == {"EUR": Decimal("4.30")}
    assert rules.monetary.thresholds == (10_000, 30_000, 100_000, 300_000)
    assert (rules.frequency_of, rules.monetary_of) == ("days", "mean")
    assert rules.recency.margin == Margin(percent=Decimal(10))
    assert rules.frequency.margin == Margin(amount=1)


def test_the_map_in_the_documentation_is_the_ready_made_one() -> None:
    told = DOCS.read_text().split("```yaml\n")[2].split("```")[0]
    assert parse(f"kurant: 1\ncurrency: PLN\n{told}").segments == SEGMENTS


def test_thresholds_of_recency_are_kept_from_the_worst() -> None:
    rules = parse(
        "kurant: 1\ncurrency: JPY\nrecency: {thresholds: [30, 90d, 180, 300]}\nmonetary: {thresholds: [5, 6, 7, 8]}"
    )
    assert rules.recency.thresholds == (300, 180, 90, 30)
    assert rules.monetary.thresholds == (5, 6, 7, 8)


def test_the_ready_made_map_takes_each_of_the_scores_and_uses_each_line() -> None:
    rules = RfmRules(currency="PLN")
    assert rules.levels == LEVELS
    assert parse("kurant: 1\ncurrency: PLN\nsegments: [{segment: all}]").line((2, 0, 5)) is None
    assert {rules.line(scores) for scores in rules.all_scores()} == set(range(len(SEGMENTS)))


@pytest.mark.parametrize(
    ("line", "at", "message", "hint"),
    [
        ("curency: PLN", (3, 10), "curency is not known here", "did you mean `currency`?"),
        ("window: 36h", (3, 9), "the window is of whole days", "365d"),
        ("window: 20y", (3, 9), "20y is out of range", "3650d"),
        ("every: 2y", (3, 8), "longer than the window", "1d"),
        ("every: 1m", (3, 8), "1m is out of range", "from 1h"),
        ("timezone: Europe/Krakow", (3, 11), "no time zone", "Europe/Warsaw"),
        ("orders: {counts: order.payd}", (3, 18), "does not make an order count", "`order.paid`"),
        ("orders: {statuses: {only: [paid], except: [new]}}", (3, 20), "exclude each other", "keep one"),
        ("orders: {returns: add}", (3, 19), "add is not known here", "subtract, ignore"),
        ("rates: {PLN: 1}", (3, 14), "is the currency of the shop", "leave it out"),
        ("rates: {EUR: no}", (3, 14), "is no rate", "4.30"),
        ("recency: {quantiles: 1}", (3, 22), "1 quantiles are not possible", "from 2 to 10"),
        ("recency: {of: days}", (3, 15), "of is not known here", "quantiles"),
        ("frequency: {thresholds: [2, 2, 3, 4]}", (3, 25), "thresholds rise", "sort"),
        ("frequency: {quantiles: 5, thresholds: [2, 3, 4, 5]}", (3, 39), "not both", "remove"),
        ('monetary: {thresholds: ["1.005", 2, 3, 4]}', (3, 25), "no threshold of monetary", "100.00"),
        ("monetary: {margin: lots}", (3, 20), "lots is no threshold", "100.00"),
        ("outside: Lost ones", (3, 10), "no name of a segment", "lower-case"),
        ("segments: []", (3, 11), "segments are a list", "champion"),
        ("segments: [{segment: a, r: 4-6}]", (3, 28), "4-6 are no scores", "from 1 to 5"),
        ("segments: [{segment: a, r: 5}]", (3, 11), "no segment takes r1 f1 m1", "end with a line"),
        ("least_customers: -1", (3, 18), "out of range", "from 0"),
    ],
)
def test_each_fault_says_where_what_and_what_to_do(line: str, at: tuple[int, int], message: str, hint: str) -> None:
    (found,) = findings(f"kurant: 1\ncurrency: PLN\n{line}\n")
    assert (found.line, found.column) == at
    assert message in found.message
    assert hint in found.hint


def test_a_line_that_is_never_reached_is_told_with_its_place() -> None:
    text = "kurant: 1\ncurrency: PLN\nsegments:\n  - {segment: all}\n  - {segment: champion, r: 5}\n"
    (found,) = findings(text)
    assert (found.line, found.column) == (5, 5)
    assert "champion (r 5) is never reached" in found.message


def test_other_scores_need_their_own_map() -> None:
    (found,) = findings("kurant: 1\ncurrency: PLN\nrecency: {quantiles: 3}\n")
    assert "for 5 x 5 x 5 scores, these are 3 x 5 x 5" in found.message


def test_all_faults_are_told_at_once() -> None:
    assert {one.path for one in findings("window: x\nrecency: 5\n")} == {"kurant", "currency", "window", "recency"}
    assert findings("- a")[0].message == "the rules are a mapping"


def test_the_digest_tells_rules_apart_but_not_by_how_often_they_run() -> None:
    plain = RfmRules(currency="PLN")
    assert plain.digest() == RfmRules(currency="PLN", every=timedelta(hours=1)).digest()
    assert plain.digest() != RfmRules(currency="PLN", window=364).digest()
    assert [plain.scale(axis) for axis in AXES] == [plain.recency, plain.frequency, plain.monetary]
