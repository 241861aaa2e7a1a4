"""The words of the demo: when, who, what, why, in every line."""

from datetime import UTC, datetime

import pytest

from cli import demo_words as words

AT = datetime(2026, 11, 25, 10, 8, 23, tzinfo=UTC)


def test_a_line_has_its_four_parts() -> None:
    assert words.line(AT, "Ben", "waits", "he must") == "Wed 25 Nov 10:08  Ben    waits (he must)"
    assert words.line("2026-11-25T10:08:23.939168Z", "Anna", "waits") == "Wed 25 Nov 10:08  Anna   waits"
    assert words.when(None) == ""


@pytest.mark.parametrize(
    ("end", "reason", "told"),
    [
        ("sent", None, ("first mail sent", "1 hour after the cart, not bought")),
        ("suppressed", "no_consent", ("first mail not sent", "has never agreed to mails: no_consent")),
        ("suppressed", "cap", ("first mail not sent", "cap")),
        ("failed", "550", ("first mail failed", "550")),
        ("pending", None, ("first mail on its way", "")),
    ],
)
def test_what_became_of_a_message(end: str, reason: str | None, told: tuple[str, str]) -> None:
    assert words.outcome({"message": "first", "end": end, "reason": reason}) == told


def test_a_message_of_another_scenario_has_no_due_time() -> None:
    assert words.outcome({"message": "hello", "end": "sent", "reason": None}) == ("hello mail sent", "")


def test_why_a_scenario_is_over() -> None:
    assert words.ending("cart", "order.placed") == ("cart ends, no more mails", "has bought: order.placed")
    assert words.ending("cart", "completed")[0] == "cart is through"
    assert words.ending("cart", "archived") == ("cart ends, no more mails", "archived")


def test_a_stranger_is_told_whose_time_it_is() -> None:
    told = " ".join(words.head(2160, 13, "http://inbox"))
    assert "the platform's clock, in UTC" in told
    assert "a second here is 36 minutes there" in told
    assert words.pace(60) == "60 seconds"
