"""The catalogue says that a product is back, or costs less: who waits for it gets a mail, and nobody else."""

from datetime import datetime, timedelta

from tests.acceptance.conftest import SPEED
from tests.acceptance.shelf import OLGA, POLA, ROZA, SARA, TOLA, catalogue, product
from tests.acceptance.stories import HOUR, Stories
from tests.support.running import Running
from tests.support.shop import Customer

SLACK = timedelta(seconds=8 * SPEED)


def subjects(platform: Running, customer: Customer) -> list[str]:
    return [mail["subject"] for mail in platform.mails(customer.email)]


def test_back_at_once_and_reminded_a_day_later_while_it_is_there(platform: Running, stories: Stories) -> None:
    assert subjects(platform, OLGA) == ["Back: desk", "Still there: desk"]
    first, second = (datetime.fromisoformat(mail["received_at"]) for mail in platform.mails(OLGA.email))
    assert 24 * HOUR - SLACK <= second - first <= 24 * HOUR + SLACK


def test_no_reminder_of_what_is_sold_out_again(platform: Running, stories: Stories) -> None:
    assert subjects(platform, POLA) == ["Back: lamp"]
    (one,) = platform.enrolments(POLA.email, "again")
    assert [step["verdict"] for step in one["steps"]][-1] == "skipped"
    assert one["because"] == "completed"


def test_a_tenth_less_than_when_it_was_seen(platform: Running, stories: Stories) -> None:
    assert subjects(platform, ROZA) == ["Less: chair"]
    assert "Chair now 178.00" in platform.mails(ROZA.email)[0]["text"]
    assert subjects(platform, SARA) == [], "178 of 180 is no tenth less"
    (row,) = platform.explain(SARA.email, "cheaper")["scenarios"]
    assert row["entered"] is False
    assert [one["path"] for one in row["conditions"] if not one["verdict"]] == ["price drop"]


def test_nothing_to_one_who_has_bought(platform: Running, stories: Stories) -> None:
    assert subjects(platform, TOLA) == []
    for scenario in ("again", "cheaper"):
        assert platform.enrolments(TOLA.email, scenario) == []


def told(platform: Running, customer: Customer) -> int:
    """How often a customer was told that something is back."""
    timeline = platform.ask(f"/v1/profiles/{platform.profile(customer.email)}/timeline", shop="demo")
    return [one["type"] for one in timeline["events"]].count("product.back_in_stock")


def test_the_same_catalogue_again_is_nothing_new_and_a_change_is(platform: Running, stories: Stories) -> None:
    assert told(platform, OLGA) == 1
    for stock in (5, 5, 4, 0, 0, 9, 9, 8):
        catalogue(platform, product("desk", stock))
    platform.await_mails(OLGA.email, 3)
    platform.settled()
    assert told(platform, OLGA) == 2
