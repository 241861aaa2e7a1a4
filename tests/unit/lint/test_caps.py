"""Lint of frequency caps: what a scenario by itself asks for and the shop's caps cannot let through at its time."""

from datetime import timedelta

import pytest

from libs.domain.consent.caps import Cap
from libs.domain.lint.check import check_bundle
from libs.domain.scenario.durations import shown
from tests.unit.lint.test_check import HEAD, MAIL

DAY = timedelta(days=1)
DAILY = (Cap(channel="email", most=1, per=DAY),)


def told(steps: str, caps: tuple[Cap, ...] = DAILY, head: str = HEAD) -> list[str]:
    """The steps that lint says something of caps about."""
    names = ("first", "second", "third")
    files = {"scenario.yaml": head + steps} | {f"messages/{name}.email.mjml": MAIL for name in names if name in steps}
    found = [one for one in check_bundle(files, caps) if one.message.startswith("cap by construction")]
    assert {one.severity for one in found} <= {"warning"}
    return [one.path for one in found]


def test_a_second_message_within_the_window() -> None:
    assert told("  - send: first\n  - wait: 23h\n  - send: second\n") == ["steps/2/send"]


def test_what_is_said_of_it() -> None:
    steps = "  - send: first\n  - wait: 1h\n  - {send: second, late: 6h}\n"
    files = {"scenario.yaml": HEAD + steps, "messages/first.email.mjml": MAIL, "messages/second.email.mjml": MAIL}
    (found,) = check_bundle(files, DAILY)
    assert (found.line, found.column, found.severity) == (11, 12, "warning")
    assert found.message == (
        "cap by construction: within 1d this scenario alone asks for 2 messages by email, and the shop lets 1 through: "
        "second is put off for 23h and, too late by then (`late` is 6h), expires"
    )
    assert found.hint == "wait longer before it, or give it a longer `late`"
    assert check_bundle(files) == []


@pytest.mark.parametrize(
    "steps",
    [
        "  - send: first\n  - wait: 1d\n  - send: second\n",
        "  - send: first\n  - wait: {until: '09:00'}\n  - send: second\n",
        "  - send: first\n  - wait: {until: event.cart.id}\n  - send: second\n",
        "  - send: first\n  - until: {event: order.placed}\n    within: 24h\n    then: [{send: second}]\n",
        "  - if: {cart.value: {gte: 5}}\n    then: [{send: first}]\n    else: [{send: second}]\n",
        "  - split: {name: s, arms: {a: 1, b: 1, holdout: 1}}\n    a: [{send: first}]\n    b: [{send: second}]\n",
        "  - send: first\n  - exit\n  - send: second\n",
        "  - {send: first, channels: [sms, email]}\n  - send: second\n",
    ],
)
def test_what_is_far_enough_apart_or_never_together(steps: str) -> None:
    assert told(steps) == []


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        ("  - send: first\n  - if: {cart.value: {gte: 5}}\n    then: [{send: second}]\n", "steps/1/then/0/send"),
        ("  - {send: first, if: {cart.value: {gte: 5}}}\n  - send: second\n", "steps/1/send"),
        (
            "  - send: first\n  - until: {event: order.placed}\n    within: 2h\n    else: [{send: second}]\n",
            "steps/1/else/0/send",
        ),
        (
            "  - split: {name: s, arms: {a: 1, b: 1}}\n    a: [{send: first}]\n  - send: second\n",
            "steps/1/send",
        ),
    ],
)
def test_one_way_through_is_enough(steps: str, path: str) -> None:
    assert told(steps) == [path]


def test_each_cap_for_itself_and_all_channels_together() -> None:
    caps = (*DAILY, Cap(most=2, per=7 * DAY))
    steps = "  - send: first\n  - wait: 2d\n  - send: second\n  - wait: 2d\n  - send: third\n"
    assert told(steps, caps) == ["steps/4/send"]
    assert told(steps, (Cap(most=1, per=3 * DAY),)) == ["steps/2/send", "steps/4/send"]


def test_contracts_are_not_capped() -> None:
    head = HEAD.replace("purpose: marketing", "purpose: transactional\nlegal_basis: contract")
    assert told("  - send: first\n  - send: second\n", head=head) == []


def test_very_many_ways_end() -> None:
    branch = "  - {send: first, if: {cart.value: {gte: %d}}}\n  - wait: %dm\n"
    steps = "".join(branch % (number, number + 1) for number in range(30))
    assert "steps/2/send" in told(steps, (Cap(most=1, per=DAY),))


@pytest.mark.parametrize(
    ("length", "text"),
    [(DAY, "1d"), (DAY * 7, "7d"), (timedelta(hours=36), "36h"), (timedelta(minutes=90), "90m"), (DAY / 86_400, "1s")],
)
def test_lengths_as_authors_write_them(length: timedelta, text: str) -> None:
    assert shown(length) == text
