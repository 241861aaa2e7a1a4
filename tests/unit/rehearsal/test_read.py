"""Faults of a test's file: each at its line and column, with what to do."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.rehearse import canonical
from libs.domain.rehearsal.read import read_test
from libs.domain.scenario.source import ScenarioError

GOOD = """\
name: one
given:
  profile: {email: anna@example.com, consents: {email: [marketing]}, timezone: Europe/Warsaw}
when:
  - {at: 2026-03-02T10:00, event: cart.updated, data: {cart: {id: c1, value: 249.00}}}
  - {at: 2026-03-02T12:00, clicked: first}
then:
  - {at: 2026-03-02T11:00, sent: first}
  - {nothing_until: 2026-03-09T00:00}
  - nothing_more
"""


def test_a_good_one_is_read() -> None:
    test = read_test(GOOD, "one.yaml", canonical)
    assert test.name == "one"
    assert [move.at.isoformat() for move in test.moves] == ["2026-03-02T09:00:00+00:00", "2026-03-02T11:00:00+00:00"]
    assert test.moves[0].data == {"cart": {"id": "c1", "value": "249.00"}}
    assert test.given.reachable == {"email": True}
    assert test.given.traits == {"timezone": "Europe/Warsaw"}, "an address is no trait (I1)"
    assert test.given.at < test.moves[0].at
    assert (test.end() - test.moves[1].at).days == 406


@pytest.mark.parametrize(
    ("was", "now", "place", "message"),
    [
        ("name: one\n", "", (1, 1), "name is missing"),
        ("Europe/Warsaw", "Europe/Warsow", (3, 80), "Europe/Warsow is no time zone"),
        ("event: cart.updated", "event: cart.updatd", (5, 35), "no event `cart.updatd` exists"),
        ("clicked: first", "clickd: first", (6, 5), "this line is not known"),
        ("clicked: first", "clicked: first, opened: first", (6, 52), "one line cannot be both clicked and opened"),
        ("id: c1, value", "value", (5, 62), "ingest refuses this: data.cart.id is required"),
        ("249.00", "much", (5, 78), "ingest refuses this: data.cart.value"),
        ("at: 2026-03-02T12:00, clicked", "clicked", (6, 5), "this line does not say when"),
        ("at: 2026-03-02T12:00", "at: noon", (6, 10), "noon is no moment"),
        ("at: 2026-03-02T11:00, sent", "sent", (8, 5), "a line with `sent` says when"),
        ("sent: first", "sent: first, chanel: email", (8, 49), "chanel is not known here"),
        ("sent: first", "sent: first, channel: fax", (8, 50), "fax is no channel"),
        ("nothing_until: 2026-03-09", "nothing_until: 2026-13-09", (9, 21), "is no moment"),
        ("- nothing_more", "- {ended: gone}", (10, 13), "gone is no way to end"),
        ("- nothing_more", "- {at: 2026-03-05T10:00, sent: x}", (10, 5), "nothing is sent then"),
        ("- nothing_more", "- soon", (10, 5), "a line is a mapping"),
        ("- nothing_more", "- {holds: {cart.value: {gtt: 1}}}", (10, 32), "gtt is not known here"),
        ("consents: {email: [marketing]}", "consents: {mail: [marketing]}", (3, 55), "mail is no channel"),
        ("consents: {email: [marketing]}", "consents: {email: {x: yes}}", (3, 60), "yes is no status"),
        ("clicked: first", "event: order.paid, data: {order: {id: o}}, received_at: 2026-02-28", (6, 84), "before it"),
        ("clicked: first", "event: profile.logged_in, repeat: -1", (6, 62), "repeat is how often"),
        ("name: one", "name: one\nwhenever: []", (2, 11), "whenever is not known here"),
        ("name: one", "name: one\nwith: [Other One]", (2, 8), "this is no scenario's id"),
    ],
)
def test_a_fault_is_told_at_its_place(was: str, now: str, place: tuple[int, int], message: str) -> None:
    assert was in GOOD
    with pytest.raises(ScenarioError) as told:
        read_test(GOOD.replace(was, now), "one.yaml", canonical)
    first = told.value.findings[0]
    assert message in first.message
    assert (first.file, first.line, first.column) == ("one.yaml", *place)


def test_every_fault_is_told_at_once() -> None:
    text = GOOD.replace("cart.updated", "cart.up").replace("sent: first", "sent: first, x: 1").replace("12:00", "noon")
    with pytest.raises(ScenarioError) as told:
        read_test(text, "one.yaml", canonical)
    assert [one.line for one in told.value.findings] == [5, 6, 8]


def test_a_test_without_a_moment_says_what_is_missing() -> None:
    with pytest.raises(ScenarioError) as told:
        read_test("name: x\nthen:\n  - nothing_more\n", "one.yaml")
    assert "add `at:" in told.value.findings[0].hint


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-29T02:30", "2026-03-29T01:00:00+00:00"),
        ("2026-10-25T02:30", "2026-10-25T00:30:00+00:00"),
        ("2026-10-25T02:30+01:00", "2026-10-25T01:30:00+00:00"),
        ("2026-03-02", "2026-03-01T23:00:00+00:00"),
        ("2026-03-02 10:00Z", "2026-03-02T10:00:00+00:00"),
    ],
)
def test_local_times_follow_the_customers_clock(text: str, moment: str) -> None:
    test = read_test(
        GOOD.replace("2026-03-02T10:00", text).split("  - {at: 2026-03-02T12")[0] + "then:\n  - nothing_more\n", "x"
    )
    assert test.moves[0].at.isoformat() == moment


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.sampled_from(["", ":", "[", "{", "-", "x", " ", "\n", "null", "1", '"']))
def test_whatever_is_written_there_is_a_test_or_findings(place: int, put: str) -> None:
    text = GOOD[:place] + put + GOOD[place + 1 :]
    try:
        read_test(text, "one.yaml", canonical)
    except ScenarioError as error:
        told = error.findings
    else:
        return
    assert told
    assert all(one.message and one.line >= 1 for one in told)


@pytest.mark.parametrize(
    ("profile", "zone"),
    [
        ("phone: '+81312345678'", "Asia/Tokyo"),
        ("country: JP", "Asia/Tokyo"),
        ("country: US, postal_code: '10001'", "America/New_York"),
        ("country: JP, timezone: Europe/Warsaw", "Europe/Warsaw"),
        ("country: US", "UTC"),
    ],
)
def test_where_the_customer_lives_is_taken_from_telephone_and_address(profile: str, zone: str) -> None:
    """As ingest does; local times of the test are then his."""
    text = f"name: n\ngiven: {{profile: {{email: a@b.example, {profile}}}}}\nwhen: []\nthen: [nothing_more]\n"
    test = read_test(text.replace("when: []", "when: [{at: 2026-03-02T09:00, event: custom.x}]"), "x.yaml", canonical)
    assert test.given.zone == zone
    assert test.moves[0].at == datetime(2026, 3, 2, 9, tzinfo=ZoneInfo(zone))
    assert "phone" not in test.given.traits


def test_an_event_tells_where_the_customer_lives() -> None:
    text = (
        "name: n\nwhen: [{at: 2026-03-02T09:00, event: profile.updated, data: {country: JP, phone: '+81312345678'}}]\n"
        "then: [nothing_more]\n"
    )
    assert read_test(text, "x.yaml", canonical).moves[0].data == {"country": "JP", "timezone_hint": "Asia/Tokyo"}
