"""What makes a test pass and what makes it fail: nothing expected may be missing, nothing may be sent beside it."""

import pytest

from libs.domain.rehearsal import world
from libs.domain.rehearsal.read import read_test
from libs.domain.rehearsal.rehearse import rehearse
from libs.domain.rehearsal.stage import Stage, prepare
from libs.domain.scenario.source import ScenarioError
from tests.unit.rehearsal.world import CART, GIVEN, HEAD, bundle, play, wrong

BOTH = "  - {at: 2026-03-02T11:00, sent: first}\n  - {at: 2026-03-03T10:00, sent: second}\n"
ORDER = "  - {at: 2026-03-02T12:00, event: order.placed, data: {order: {id: o1}}}\n"


def test_a_test_that_says_it_all_passes() -> None:
    outcome = play(
        "  - {at: 2026-03-02T10:00, entered: cart, key: c1}\n"
        "  - {at: 2026-03-02T11:00, sent: first, channel: email, subject: 'Anna: 249.00', text: of c1}\n"
        "  - {at: 2026-03-03T10:00, sent: second}\n"
        "  - {at: 2026-03-03T10:00, ended: completed, key: c1, scenario: cart}\n"
        "  - nothing_more\n"
    )
    assert wrong(outcome) == []
    assert outcome.ok


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{at: 2026-03-02T11:01, sent: first}", "first sent: found at Mon 2026-03-02 11:00, not Mon 2026-03-02 11:01"),
        ("{at: 2026-03-02T11:00, sent: firsd}", "firsd sent: this did not happen"),
        ("{at: 2026-03-02T11:00, sent: first, channel: sms}", "first sent by sms: found channel email, not sms"),
        ("{at: 2026-03-02T11:00, sent: first, language: pl}", "first sent in pl: found language none, not pl"),
        (
            "{at: 2026-03-02T11:00, sent: first, subject: Ann:}",
            "first sent “Ann:”: found subject “Anna: 249.00”, without “Ann:”",
        ),
        (
            "{at: 2026-03-02T11:00, suppressed: first, because: no_consent}",
            "first suppressed because no_consent: found sent",
        ),
        ("{at: 2026-03-02T11:00, sent: first, scenario: other}", "first sent other: this did not happen"),
        ("{at: 2026-03-02T11:00, deferred: first, until: 2026-03-02T12:00}", "found sent, until no time"),
        ("{ended: exit}", "ended: exit: this did not happen"),
        ("{entered: cart, key: c2}", "entered cart c2: found key c1, not c2"),
        ("{waiting_until: 2026-03-03T11:00}", "waiting until Tue 2026-03-03 11:00: cart until Mon 2026-03-02 11:00"),
        ("{not_entered: true}", "cart was entered at 2026-03-02T09:00:00+00:00"),
        ("{not_entered: other}", "other is not one of the scenarios of this test"),
        ("{holds: {cart.value: {gt: 300}}}", "this does not hold: cart.value is 249.00"),
    ],
)
def test_a_line_that_is_not_met_fails_at_its_place(line: str, told: str) -> None:
    outcome = play(f"  - {{nothing_until: 2026-03-02T11:00}}\n  - {line}\n")
    first = next(one for one in outcome.findings() if one.line == 7)
    assert told in first.message
    assert (first.file, first.column) == ("tests/one.yaml", 5)


def test_a_message_that_no_line_speaks_of_fails_the_test() -> None:
    assert wrong(play("  - {at: 2026-03-03T10:00, sent: second}\n")) == [
        "5: first was sent by email at Mon 2026-03-02 11:00, and no line says so"
    ]


def test_silence_is_watched_until_the_last_moment_and_no_longer() -> None:
    assert play("  - {at: 2026-03-02T11:00, sent: first}\n").ok
    one = "  - {at: 2026-03-02T11:00, sent: first}\n  - {nothing_until: 2026-03-03T10:00}\n"
    assert play(one).ok
    later = one.replace("03T10:00", "03T10:01")
    assert wrong(play(later)) == ["7: second was sent by email at Tue 2026-03-03 10:00, and no line says so"]
    forever = "  - {at: 2026-03-02T11:00, sent: first}\n  - {nothing_more: true}\n"
    assert wrong(play(forever)) == ["7: second was sent by email at Tue 2026-03-03 10:00, and no line says so"]


def test_one_line_is_met_by_one_thing_only() -> None:
    twice = CART + CART.replace("c1", "c2")
    lines = "  - {at: 2026-03-02T11:00, sent: first}\n"
    assert "and no line says so" in wrong(play(lines, when=twice))[0]
    assert play(lines * 2, when=twice).ok
    assert wrong(play(lines * 2)) == ["7: first sent: this did not happen"]


def test_an_exit_with_its_reason() -> None:
    lines = "  - {at: 2026-03-02T11:00, sent: first}\n  - {ended: exit, because: order.placed}\n  - nothing_more\n"
    assert play(lines, when=CART + ORDER).ok
    other = lines.replace("order.placed", "order.paid")
    assert wrong(play(other, when=CART + ORDER)) == [
        "8: ended: exit because order.paid: found because order.placed, not order.paid"
    ]


def test_who_did_not_enter_and_why() -> None:
    small = CART.replace("249.00", "49.99")
    for because in ("event.cart.value", "conditions not met", "CONDITIONS"):
        assert play(f"  - {{not_entered: cart, because: {because}}}\n  - nothing_more\n", when=small).ok
    (told,) = wrong(play("  - {not_entered: cart, because: paused}\n", when=small))
    assert "because of “conditions not met”: event.cart.value is 49.99" in told


def test_consent_decides_as_it_does_in_life() -> None:
    told = "  - {at: 2026-03-02T11:30, consent: {email: withdrawn}}\n"
    lines = (
        "  - {at: 2026-03-02T11:00, sent: first}\n  - {at: 2026-03-03T10:00, suppressed: second, because: withdrawn}\n"
    )
    assert play(lines, when=CART + told).ok
    older = told.replace("11:30", "08:00, received_at: 2026-03-02T11:30").replace("withdrawn", "{marketing: granted}")
    assert play(lines, when=CART + told + older).ok, "an older word does not stand against a newer one"
    event = (
        "  - {at: 2026-03-02T11:30, event: consent.changed, "
        "data: {consents: [{channel: email, purpose: marketing, status: withdrawn}]}}\n"
    )
    assert play(lines, when=CART + event).ok
    other = told.replace("email: withdrawn", "email: {surveys: withdrawn}")
    assert play(BOTH, when=CART + other).ok
    nobody = GIVEN.replace("email: anna@example.com, ", "")
    assert play("  - {at: 2026-03-02T11:00, suppressed: first, because: no_address}\n", given=nobody).ok


def test_late_and_repeated_events() -> None:
    late = CART.replace("10:00,", "10:00, received_at: 2026-03-02T10:20, repeat: 3,")
    outcome = play(BOTH + "  - nothing_more\n", when=late)
    assert outcome.ok
    assert [one.because for one in outcome.played.seen if one.kind == "event"] == ["late", "again", "again", "again"]
    very = CART.replace("10:00,", "10:00, received_at: 2026-03-06T10:20,")
    lines = "  - {at: 2026-03-06T10:20, expired: first, because: late}\n"
    assert wrong(play(lines + "  - nothing_more\n", when=very)) == []


def test_what_nobody_knows_yet_stops_nothing() -> None:
    late = ORDER.replace("12:00,", "10:30, received_at: 2026-03-02T12:00,")
    lines = "  - {at: 2026-03-02T11:00, sent: first}\n  - {at: 2026-03-02T10:30, ended: exit}\n  - nothing_more\n"
    assert wrong(play(lines, when=CART + late)) == []


def test_the_same_id_is_the_same_event() -> None:
    first, second = CART.replace("event:", "id: e1, event:"), CART.replace("10:00", "10:30").replace("c1", "c2")
    lines = BOTH + "  - nothing_more\n"
    assert play(lines, when=first + second.replace("event:", "id: e1, event:")).ok
    assert not play(lines, when=first + second.replace("event:", "id: e2, event:")).ok


CLICKED = bundle("""\
  - send: first
  - until: {event: message.clicked, of: first}
    within: 48h
    then: [{tag: {add: [keen]}}, exit]
  - send: second
""")


def test_a_click_on_a_message_that_was_sent() -> None:
    lines = (
        "  - {at: 2026-03-02T10:00, sent: first}\n  - {at: 2026-03-02T15:00, ended: exit}\n"
        "  - {holds: {profile.tags: {contains: keen}}}\n  - nothing_more\n"
    )
    click = "  - {at: 2026-03-02T15:00, clicked: first, url: https://shop.example/c}\n"
    assert wrong(play(lines, when=CART + click, files=CLICKED)) == []
    opened = click.replace("clicked: first, url: https://shop.example/c", "opened: first")
    after = "  - {at: 2026-03-02T10:00, sent: first}\n  - {at: 2026-03-04T10:00, sent: second}\n"
    assert play(after, when=CART + opened, files=CLICKED).ok


def test_a_click_on_what_was_not_sent_fails_the_test() -> None:
    click = "  - {at: 2026-03-02T15:00, clicked: second}\n"
    assert wrong(play("  - {at: 2026-03-02T10:00, sent: first}\n", when=CART + click, files=CLICKED)) == [
        "5: second cannot be clicked: it has not been sent by then"
    ]


def test_a_template_that_fails_fails_the_test_even_if_nothing_is_said_of_it() -> None:
    files = bundle(second_email="---\nsubject: x\n---\n{{ 1 / 0 }}{{ unsubscribe_url }}")
    told = wrong(play("  - {at: 2026-03-02T11:00, sent: first}\n  - nothing_more\n", files=files))
    assert told == ["7: second failed (template: invalid operation) at Tue 2026-03-03 10:00, and no line says so"]
    del files["messages/second.email.txt"]
    told = wrong(play("  - {at: 2026-03-02T11:00, sent: first}\n  - nothing_more\n", files=files))
    assert told == ["7: second failed (no_template) at Tue 2026-03-03 10:00, and no line says so"]


def test_a_window_defers() -> None:
    files = bundle(head=HEAD.replace("steps:", 'window: {between: ["09:00", "20:00"]}\nsteps:'))
    lines = (
        "  - {at: 2026-03-02T20:30, deferred: first, because: window, until: 2026-03-03T09:00}\n"
        "  - {at: 2026-03-03T09:00, sent: first}\n"
    )
    assert wrong(play(lines, when=CART.replace("10:00", "19:30"), files=files)) == []


def test_a_birthday_needs_no_event() -> None:
    head = HEAD.replace("{event: cart.updated, where: {event.cart.value: {gte: 50}}}", "{date: profile.birthday}")
    files = bundle("  - send: first\n", head=head.replace("key: event.cart.id\n", ""))
    given = GIVEN.replace("given: {", "given: {at: 2026-01-01T00:00, ").replace(
        "first_name:", "birthday: 2026-03-09, x:"
    )
    assert (
        wrong(play("  - {at: 2026-03-09T00:00, sent: first}\n  - nothing_more\n", when="", given=given, files=files))
        == []
    )
    waiting = "  - {nothing_until: 2026-03-01T00:00}\n  - {waiting_until: 2026-03-09T00:00, scenario: cart}\n"
    assert wrong(play(waiting, when="", given=given, files=files)) == []


def test_what_is_given_was_before_and_starts_nothing() -> None:
    given = GIVEN.replace(
        "given: {",
        "given: {cart: {id: c0, value: 900}, rfm: loyal, tags: [vip], "
        "history: [{at: 2026-02-01T10:00, event: order.placed, data: {order: {id: o0}}}], ",
    )
    files = bundle("""\
  - send: first
    if: {all: [{rfm.segment: loyal}, {profile.tags: {contains: vip}}, {happened: {event: order.placed, within: 60d}}]}
  - send: second
    if: {happened: {event: order.placed, within: 20d}}
""")
    lines = (
        "  - {at: 2026-03-02T10:00, sent: first}\n  - {at: 2026-03-02T10:00, skipped: second, because: if}\n"
        "  - nothing_more\n"
    )
    assert wrong(play(lines, given=given, files=files)) == []


def test_which_arm_is_drawn_can_be_said() -> None:
    files = bundle("""\
  - split: {name: subject, arms: {a: 1, b: 1, holdout: 98}}
    a: [{send: first}]
    b: [{send: second}]
  - webhook: {url: "https://crm.example/hook", name: crm}
""")
    for arm, lines in (
        ("a", "  - {at: 2026-03-02T10:00, sent: first}\n  - {at: 2026-03-02T10:00, webhook: crm}\n"),
        ("b", "  - {at: 2026-03-02T10:00, sent: second}\n  - {at: 2026-03-02T10:00, webhook: crm}\n"),
        ("holdout", "  - {ended: holdout}\n  - nothing_more\n"),
    ):
        given = GIVEN.replace("given: {", f"given: {{arms: {{subject: {arm}}}, ")
        assert wrong(play(lines, given=given, files=files)) == []
    given = GIVEN.replace("given: {", "given: {arms: {subject: c}, ")
    assert "2: no split of these scenarios draws these arms" in wrong(
        play("  - nothing_more\n", given=given, files=files)
    )


def test_scenarios_that_never_rest_end_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "RESTLESS", 50)
    prepared = []
    for mine, yours in (("ping", "pong"), ("pong", "ping")):
        head = HEAD.replace("key: event.cart.id\n", "").replace("id: cart", f"id: of-{mine}")
        head = head.replace("event: cart.updated, where: {event.cart.value: {gte: 50}}", f"tag: {{added: {mine}}}")
        prepared.append(prepare(bundle(f"  - wait: 1m\n  - untag: {mine}\n  - tag: {yours}\n", head=head)))
    when = "  - {at: 2026-03-02, event: profile.tagged, data: {tags: [ping]}}\n"
    outcome = rehearse(Stage(*prepared), read_test(f"{GIVEN}when:\n{when}then:\n  - nothing_more\n", "x"))
    assert wrong(outcome) == ["5: after 50 wake-up calls the scenarios still do not rest"]


def test_of_two_scenarios_at_one_moment_the_more_important_goes_first() -> None:
    one = bundle("  - send: first\n")
    two = bundle("  - send: second\n", head=HEAD.replace("id: cart", "id: other\npriority: 80"))
    test = read_test(f"{GIVEN}when:\n{CART}then:\n  - nothing_more\n", "x")
    outcome = rehearse(Stage(prepare(one), prepare(two)), test)
    sent = [(seen.scenario, seen.name) for seen in outcome.played.seen if seen.kind == "sent"]
    assert sent == [("other", "second"), ("cart", "first")]


def test_a_scenario_that_is_wrong_is_told_as_by_lint() -> None:
    with pytest.raises(ScenarioError) as told:
        prepare({"scenario.yaml": HEAD})
    assert told.value.findings[0].message == "steps is missing"
    with pytest.raises(ScenarioError):
        prepare({})


def test_two_timelines_side_by_side_and_why() -> None:
    outcome = play(
        "  - {at: 2026-03-02T11:00, sent: first}\n  - {nothing_until: 2026-03-09T00:00}\n", when=CART + ORDER
    )
    assert outcome.ok
    broken = play("  - {at: 2026-03-02T10:30, sent: first}\n  - {at: 2026-03-03T09:00, sent: third}\n")
    assert [(line.mark, line.expected, line.happened) for line in broken.lines()] == [
        (" ", "", "event cart.updated"),
        (" ", "", "  entered cart c1"),
        ("!", "first sent", "  first sent by email “Anna: 249.00”"),
        ("-", "third sent", ""),
    ]
    text = broken.text()
    assert text[0] == "                        expected   | happened (Europe/Warsaw)"
    assert text[3] == "! Mon 2026-03-02 11:00  first sent |   first sent by email “Anna: 249.00”"

    assert "  cart c1: entered Mon 2026-03-02 10:00, still running" in text
    assert "    Mon 2026-03-02 11:00  steps/1 first: sent" in text
    shown = broken.shown()
    assert shown["ok"] is False
    assert shown["timeline"][2]["mark"] == "!"
    assert shown["explain"][0]["scenario"] == "cart"


def test_what_arrives_at_one_moment_is_read_before_anything_is_decided() -> None:
    """After an outage: the cart, its changes and the purchase reach us together, long after the wait is over."""
    late = "received_at: 2026-03-02T20:00"
    cart = "event: cart.updated, data: {cart: {id: c1, value: 249.00}}"
    carts = "".join(f"  - {{at: 2026-03-02T{hour}:00, {late}, {cart}}}\n" for hour in (10, 11, 12))
    order = f"  - {{at: 2026-03-02T12:30, {late}, event: order.placed}}\n"
    assert wrong(play("  - nothing_more\n", when=carts + order)) == []
    once = bundle("  - wait: 1h\n  - send: first\n", head=HEAD.replace("steps:", "restart: true\nsteps:"))
    assert wrong(play("  - {at: 2026-03-02T20:00, sent: first}\n  - nothing_more\n", when=carts, files=once)) == []
