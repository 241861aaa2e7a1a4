"""Frequency caps on virtual time, as consent and dispatch have them."""

import pytest

from libs.domain.rehearsal.read import read_test
from libs.domain.rehearsal.rehearse import Outcome, rehearse
from libs.domain.rehearsal.stage import Stage, prepare
from libs.domain.scenario.source import ScenarioError
from tests.unit.rehearsal.world import CART, GIVEN, HEAD, MAIL, bundle, wrong

DAILY = "{channel: email, most: 1, per: 1d}"


def capped(caps: str) -> str:
    return GIVEN.rstrip("\n").removesuffix("}") + f", caps: [{caps}]}}\n"


def high_and_low(then: str, caps: str = DAILY, *, late: str = "3d", when: str = CART, wait: str = "") -> Outcome:
    """Two scenarios on one event: `low` of 20 sends `first`, `high` of 80 sends `second`."""
    low = bundle(f"{wait}  - {{send: first, late: {late}}}\n", head=HEAD.replace("id: cart", "id: low\npriority: 20"))
    high = bundle(f"{wait}  - send: second\n", head=HEAD.replace("id: cart", "id: high\npriority: 80"))
    test = read_test(f"{capped(caps)}when:\n{when}then:\n{then}", "x")
    return rehearse(Stage(prepare(low), prepare(high)), test)


@pytest.mark.parametrize("wait", ["", "  - wait: 2h\n"])
def test_the_higher_priority_goes_the_other_a_day_later(wait: str) -> None:
    hour = "12" if wait else "10"
    outcome = high_and_low(
        f"  - {{at: 2026-03-02T{hour}:00, sent: second, scenario: high}}\n"
        f"  - {{at: 2026-03-02T{hour}:00, deferred: first, because: cap, until: 2026-03-03T{hour}:00}}\n"
        f"  - {{at: 2026-03-03T{hour}:00, sent: first, scenario: low, channel: email}}\n"
        "  - nothing_more\n",
        wait=wait,
    )
    assert wrong(outcome) == []
    assert "Tue 2026-03-03" in "\n".join(outcome.text())


def test_what_is_too_late_by_then_expires_because_of_the_cap() -> None:
    outcome = high_and_low(
        "  - {at: 2026-03-02T10:00, sent: second}\n"
        "  - {at: 2026-03-02T16:00, expired: first, because: cap}\n"
        "  - nothing_more\n",
        late="6h",
    )
    assert wrong(outcome) == []


def test_without_caps_both_go() -> None:
    both = "  - {at: 2026-03-02T10:00, sent: second}\n  - {at: 2026-03-02T10:00, sent: first}\n  - nothing_more\n"
    assert wrong(high_and_low(both, caps="")) == []
    assert wrong(high_and_low(both, caps="{channel: sms, most: 1, per: 1d}")) == []
    assert wrong(high_and_low(both, caps="{most: 2, per: 1d}")) == []


def test_a_withdrawal_while_it_waits_is_seen() -> None:
    outcome = high_and_low(
        "  - {at: 2026-03-02T10:00, sent: second}\n  - {at: 2026-03-03T10:00, suppressed: first, because: withdrawn}\n",
        when=CART + "  - {at: 2026-03-02T12:00, consent: {email: withdrawn}}\n",
    )
    assert wrong(outcome) == []


@pytest.mark.parametrize(("restart", "because"), [("", "exit"), ("restart: true", "restart")])
def test_who_leaves_or_begins_anew_gets_it_no_more(restart: str, because: str) -> None:
    """The run of `low` has taken its only step; what it asked for is put off, and taken back."""
    low = bundle("  - send: first\n", head=HEAD.replace("id: cart", f"id: low\npriority: 20\n{restart}"))
    high = bundle("  - send: second\n", head=HEAD.replace("id: cart", "id: high\npriority: 80\nagain: never"))
    meanwhile = CART.replace("10:00", "12:00") if restart else "  - {at: 2026-03-02T12:00, event: order.placed}\n"
    then = (
        "  - {at: 2026-03-02T10:00, sent: second}\n"
        "  - {at: 2026-03-02T10:00, deferred: first, because: cap, until: 2026-03-03T10:00}\n"
        f"  - {{at: 2026-03-02T12:00, suppressed: first, because: {because}}}\n"
    )
    if restart:
        then += "  - {at: 2026-03-03T10:00, sent: first}\n"
    test = read_test(f"{capped(DAILY)}when:\n{CART}{meanwhile}then:\n{then}  - nothing_more\n", "x")
    assert wrong(rehearse(Stage(prepare(low), prepare(high)), test)) == []


def test_what_waits_for_an_earlier_message_keeps_its_distance() -> None:
    """The first is put off for a day; the second, asked for three hours after it, comes three hours after it."""
    low = bundle(
        "  - send: first\n  - wait: 3h\n  - send: second\n", head=HEAD.replace("id: cart", "id: low\npriority: 20")
    )
    high = bundle("  - send: second\n", head=HEAD.replace("id: cart", "id: high\npriority: 80"))
    then = (
        "  - {at: 2026-03-02T10:00, sent: second, scenario: high}\n"
        "  - {at: 2026-03-02T10:00, deferred: first, because: cap, until: 2026-03-02T12:00}\n"
        "  - {at: 2026-03-02T12:00, sent: first, scenario: low}\n"
    )
    soon = "  - {at: 2026-03-02T14:00, sent: second, scenario: low}\n  - nothing_more\n"
    test = read_test(f"{capped('{most: 1, per: 2h}')}when:\n{CART}then:\n{then}{soon}", "x")
    assert wrong(rehearse(Stage(prepare(low), prepare(high)), test)) == [], "asked for in time, it had not to wait"
    late = then.replace("2026-03-02T12:00", "2026-03-03T10:00")
    held = (
        "  - {at: 2026-03-03T10:00, deferred: second, because: earlier_message, until: 2026-03-03T13:00}\n"
        "  - {at: 2026-03-03T13:00, deferred: second, because: cap, until: 2026-03-04T10:00}\n"
        "  - {at: 2026-03-04T10:00, sent: second, scenario: low}\n  - nothing_more\n"
    )
    test = read_test(f"{capped(DAILY)}when:\n{CART}then:\n{late}{held}", "x")
    assert wrong(rehearse(Stage(prepare(low), prepare(high)), test)) == []


def test_contracts_go_whatever_is_full() -> None:
    head = HEAD.replace("id: cart", "id: bill").replace("purpose: marketing", "purpose: transactional\nlegal_basis: x")
    bill = bundle("  - send: second\n", head=head)
    test = read_test(
        f"{capped(DAILY)}when:\n{CART}then:\n  - {{at: 2026-03-02T10:00, sent: first}}\n"
        "  - {at: 2026-03-02T10:00, sent: second}\n  - nothing_more\n",
        "x",
    )
    assert wrong(rehearse(Stage(prepare(bundle("  - send: first\n")), prepare(bill)), test)) == []


def test_messages_of_one_run_keep_their_order() -> None:
    """The second waits for the first of its run, though it comes when there is a place again."""
    run = bundle("  - send: first\n  - wait: 1h\n  - send: second\n", head=HEAD.replace("id: cart", "id: run"))
    other = bundle("  - send: first\n", head=HEAD.replace("id: cart", "id: other\npriority: 80"))
    test = read_test(
        f"{capped('{most: 1, per: 2h}')}when:\n{CART}then:\n"
        "  - {at: 2026-03-02T10:00, sent: first, scenario: other}\n"
        "  - {at: 2026-03-02T10:00, deferred: first, because: cap, until: 2026-03-02T12:00}\n"
        "  - {at: 2026-03-02T12:00, sent: first, scenario: run}\n"
        "  - {at: 2026-03-02T12:00, deferred: second, because: earlier_message, until: 2026-03-02T13:00}\n"
        "  - {at: 2026-03-02T13:00, deferred: second, because: cap, until: 2026-03-02T14:00}\n"
        "  - {at: 2026-03-02T14:00, sent: second, scenario: run}\n"
        "  - nothing_more\n",
        "x",
    )
    assert wrong(rehearse(Stage(prepare(run), prepare(other)), test)) == []


def test_what_breaks_gives_its_place_back() -> None:
    low = bundle("  - send: first\n", head=HEAD.replace("id: cart", "id: low\npriority: 20"))
    head = HEAD.replace("id: cart", "id: high\npriority: 80")
    broken = bundle("  - send: second\n", head=head, second_email=MAIL + "{{ cart.value * 'x' }}")
    test = read_test(
        f"{capped(DAILY)}when:\n{CART}then:\n  - {{at: 2026-03-02T10:00, failed: second}}\n"
        "  - {at: 2026-03-02T10:00, sent: first}\n  - nothing_more\n",
        "x",
    )
    assert wrong(rehearse(Stage(prepare(low), prepare(broken)), test)) == []


@pytest.mark.parametrize(
    ("caps", "told"),
    [
        ("{most: 0, per: 1d}", "most is how many messages are let through"),
        ("{most: 1}", "per is a length of time"),
        ("{most: 1, per: 1d, channel: fax}", "fax is no channel"),
        ("{most: 1, per: 1d, each: 1}", "each is not known here"),
        ("7", "a cap is a mapping"),
    ],
)
def test_caps_that_are_none_are_told_with_their_place(caps: str, told: str) -> None:
    with pytest.raises(ScenarioError) as error:
        read_test(f"{capped(caps)}when:\n{CART}then:\n  - nothing_more\n", "x")
    (found,) = error.value.findings
    assert found.message.startswith(told)
    assert found.line == 2
