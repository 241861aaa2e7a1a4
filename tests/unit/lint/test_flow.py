"""Lint of the order of steps, of windows, and of several scenarios together."""

import pytest

from libs.domain.lint.check import check_bundle, check_bundles
from tests.unit.lint.test_check import HEAD, MAIL, STEPS, bundle, expect
from tests.unit.lint.test_findings import BARE, HEADS, one, steps, told

BOTH = "  - if: {cart.value: 1}\n    then: [exit]\n    else: [exit]\n  - send: second\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (BOTH, 4),
        (BOTH.replace("if: {cart.value: 1}", "until: {event: order.placed}\n    within: 1h"), 5),
        ("  - split: {name: s, arms: {a: 1, holdout: 1}}\n    a: [exit]\n  - send: second\n", 3),
        ("  - if: {cart.value: 1}\n    then:\n      - exit\n      - wait: 1h\n", 4),
    ],
)
def test_what_is_never_reached(text: str, line: int) -> None:
    one(steps(text), line, "warning", "never reached")


def test_an_arm_that_goes_on_reaches_what_follows() -> None:
    split = "  - split: {name: s, arms: {a: 1, b: 1}}\n    a: [exit]\n    b: []\n  - wait: 1h\n  - send: second\n"
    assert steps(split) == []


ASKED = "  - if: {happened: {event: message.clicked, since: sent(second)}}\n    then: [exit]\n"
AWAITED = "  - until: {event: message.clicked, of: second}\n    within: 1d\n"
LATER = "  - wait: 1d\n  - send: second\n"


@pytest.mark.parametrize("ask", [ASKED, AWAITED])
def test_a_message_that_is_asked_about_before_it_is_sent(ask: str) -> None:
    one(steps(ask + LATER), 1, "error", "second has not been sent when this is asked")
    assert steps(LATER + ask) == []
    once = f"  - if: {{cart.value: 1}}\n    then:\n      - wait: 1d\n      - send: second\n{ask}"
    assert steps(once) == []
    other = f"{once.partition(ask)[0]}    else:\n" + "".join(f"    {line}\n" for line in ask.splitlines())
    one(steps(other), 6, "error", "second has not been sent when this is asked")


@pytest.mark.parametrize(
    "wrap", ["{{any: [{}, {{cart.value: 1}}]}}", "{{not: {}}}", "{{all: [{{not: {{any: [{}]}}}}]}}"]
)
def test_wherever_in_a_condition_it_is_asked(wrap: str) -> None:
    asked = wrap.format("{happened: {event: message.clicked, since: sent(second)}}")
    one(steps(f"  - if: {asked}\n    then: [exit]\n{LATER}"), 1, "error", "second has not been sent when this is asked")


def test_in_what_is_waited_for_too() -> None:
    where = "{happened: {event: message.clicked, since: sent(second)}}"
    waits = f"  - until: {{event: order.placed, where: {where}}}\n    within: 1d\n"
    one(steps(waits + LATER), 1, "error", "second has not been sent when this is asked")


@pytest.mark.parametrize("ask", [ASKED, AWAITED])
def test_in_a_scenario_that_begins_anew_it_may_be_of_a_round_before(ask: str) -> None:
    head = HEAD.replace("steps:", "restart: true\nsteps:")
    found = told(head + STEPS + ask + LATER)
    one(found, 12, "warning", "only in a round before")


def test_two_messages_at_once() -> None:
    one(steps("  - send: second\n"), 1, "warning", "second goes out in the same minute as first")
    one(steps("  - tag: x\n  - send: second\n"), 2, "warning", "the same minute as first")
    assert steps("  - wait: 1m\n  - send: second\n") == []
    assert steps("  - send: second\n    if: {cart.value: 1}\n") == []
    one(steps("  - wait: 1d\n  - send: first\n"), 2, "warning", "first may have been sent before")


def test_names_that_are_one_file_on_many_disks() -> None:
    found = told(HEAD + STEPS + "  - wait: 1d\n  - send: First\n", **{"messages/First.email.mjml": MAIL})
    one(found, 12, "warning", "First and first are one file on many disks")


def test_splits_of_one_name() -> None:
    split = "  - split: {name: s, arms: {a: 1, b: 1}}\n    a: []\n    b: []\n"
    one(steps(split + split), 4, "warning", "one name, and so draw one lot")
    assert steps(split + split.replace("name: s", "name: t")) == []


@pytest.mark.parametrize(
    ("shift", "wait", "over"),
    [
        ("after: 1d", "{until: event.order.planned_delivery, before: 1d}", True),
        ("before: 1d", "{until: event.order.planned_delivery, before: 2d}", True),
        ("before: 1d", "{until: order.planned_delivery, before: 1d}", True),
        ("before: 2d", "{until: event.order.planned_delivery, before: 1d}", False),
        ("before: 2d", "{until: event.order.placed_at}", False),
        ('before: 1d, at: "10:00"', "{until: event.order.planned_delivery, before: 1d}", False),
        ('before: 1d, at: "10:00"', "{until: event.order.planned_delivery, before: 2d}", True),
    ],
)
def test_a_moment_that_is_over(shift: str, wait: str, over: bool) -> None:
    head = HEADS.replace("{}", f"{{date: event.order.planned_delivery, {shift}}}")
    found = told(f"{head}  - wait: {wait}\n  - send: first\n")
    assert [(line, "is over by then" in message) for line, _, message in found] == ([(7, True)] if over else [])


def test_a_moment_that_is_over_because_of_the_waits_before() -> None:
    head = HEADS.replace("{}", "{date: event.order.planned_delivery, before: 3d}")
    tail = "  - wait: {until: event.order.planned_delivery, before: 1d}\n  - send: first\n"
    assert told(f"{head}  - wait: 1d\n{tail}") == []
    one(told(f"{head}  - wait: 2d\n{tail}"), 8, "warning", "is over by then")


@pytest.mark.parametrize(
    ("wait", "closed"),
    [
        ('{until: "22:00"}', "at 22:00"),
        ('{for: 2d, at: "08:59"}', "at 08:59"),
        ('{until: "20:00"}', "at 20:00"),
        ('{until: "09:00"}', ""),
        ('{until: "10:00", days: [sat, sun]}', "on sat, sun"),
        ('{until: "10:00", days: [fri, sat]}', ""),
        ("2d", ""),
    ],
)
def test_a_wait_that_ends_when_the_window_is_closed(wait: str, closed: str) -> None:
    window = 'window: {between: ["09:00", "20:00"], days: [mon, tue, wed, thu, fri]}\nsteps:\n'
    found = told(
        f"{HEAD.replace('steps:', window.rstrip())}\n  - wait: {wait}\n  - send: first\n".replace("\n\n", "\n")
    )
    assert [f"the window is closed {closed}" in message for _, _, message in found] == ([True] if closed else [])


@pytest.mark.parametrize(
    ("between", "clock", "closed"),
    [
        ('["09:00", "24:00"]', "08:00", True),
        ('["09:00", "24:00"]', "23:30", False),
        ('["22:00", "02:00"]', "01:00", False),
        ('["22:00", "02:00"]', "23:00", False),
        ('["22:00", "02:00"]', "12:00", True),
    ],
)
def test_windows_to_midnight_and_beyond(between: str, clock: str, closed: bool) -> None:
    head = HEAD.replace("steps:", f"window: {{between: {between}}}\nsteps:")
    found = told(head + f'  - wait: {{until: "{clock}"}}\n  - send: first\n')
    assert any("the window is closed at" in message for _, _, message in found) is closed


def test_without_a_window_any_hour_will_do() -> None:
    assert told(HEAD + '  - wait: {until: "22:00", days: [sun]}\n  - send: first\n') == []


def test_an_exit_that_is_the_nth_trigger_is_none_of_its_own() -> None:
    head = BARE.replace("cart.updated", "order.placed").replace("steps:", "exit: [{event: order.placed}]\nsteps:")
    expect(bundle(head=head), 7, "both starts and ends", "", "warning")
    assert told(head.replace("order.placed\nexit", "order.placed\n  nth: 3\nexit") + STEPS) == []


def ring(*bodies: str, head: str = "") -> list[tuple[str, str, str]]:
    """Findings of scenarios `a`, `b`, `c`, each a trigger and steps."""
    bundles = {}
    for name, body in zip("abc", bodies, strict=False):
        trigger, _, acts = body.partition(" | ")
        text = f"kurant: 1\nid: {name}\nname: {name}\npurpose: marketing\n{head}trigger: {trigger}\nsteps: [{acts}]\n"
        bundles[name] = {"scenario.yaml": text}
    return [(folder, one.severity, one.message) for folder, one in check_bundles(bundles) if "sends" not in one.message]


A = "{tag: {added: x}} | {untag: x}, {tag: y}"
B = "{tag: {added: y}} | {untag: y}, {tag: x}"


def test_scenarios_that_start_each_other_for_ever() -> None:
    assert ring(A, B) == [("a", "error", "a ring of scenarios: a -> b -> a (a: tag y; b: tag x)")]
    assert ring(A, B.replace("y}}", "z}}")) == []
    assert ring(A, B, head="again: never\n") == []
    assert ring(A, B, head="again: {after: 1d}\n") == []


def test_a_ring_that_goes_round_once() -> None:
    found = ring(A.replace("{untag: x}, ", ""), B.replace("{untag: y}, ", ""))
    assert found == [("a", "warning", "a ring of scenarios: a -> b -> a (a: tag y; b: tag x); it goes round once")]


@pytest.mark.parametrize(
    "body",
    [
        "{tag: {added: x}} | {wait: 1d}, {untag: x}, {tag: x}",
        "{tag: {removed: x}} | {tag: x}, {untag: x}",
        "{event: profile.tagged} | {untag: x}, {tag: x}",
        "{event: profile.tagged, where: {event.tags: {contains: x}}} | {untag: x}, {tag: x}",
        "{event: profile.updated} | {set: {n: 1}}, {set: {n: 2}}",
    ],
)
def test_a_scenario_that_starts_itself(body: str) -> None:
    assert [(folder, severity) for folder, severity, _ in ring(body)] == [("a", "error")]


@pytest.mark.parametrize(
    "body",
    [
        "{event: profile.tagged, where: {event.tags: {contains: y}}} | {untag: x}, {tag: x}",
        "{event: profile.tagged, where: {not: {event.by: a}}} | {untag: x}, {tag: x}",
        "{event: profile.tagged, nth: 3} | {untag: x}, {tag: x}",
        "{tag: {added: y}} | {untag: x}, {tag: x}",
    ],
)
def test_a_scenario_that_does_not(body: str) -> None:
    assert ring(body) == []


def test_a_message_that_starts_its_own_scenario() -> None:
    head = BARE.replace("cart.updated", "message.sent")
    expect(bundle(head=head), 9, "a ring of scenarios: cart -> cart (cart: send first)")
    where = head.replace("message.sent\n", "message.sent\n  where: {event.scenario: other}\n")
    assert check_bundle(bundle(head=where)) == []


def test_a_ring_of_three_is_told_once() -> None:
    c = "{tag: {added: z}} | {untag: z}, {tag: x}"
    found = ring(A, "{tag: {added: y}} | {untag: y}, {tag: z}", c)
    assert [(folder, severity) for folder, severity, _ in found] == [("a", "error")]
    assert "a -> b -> c -> a" in found[0][2]


def test_one_id_twice() -> None:
    found = check_bundles({"a/cart": bundle(), "two": bundle(), "c": bundle(head=HEAD.replace("id: cart", "id: c"))})
    assert [(folder, one.file, one.line, one.severity) for folder, one in found] == [
        ("two", "scenario.yaml", 2, "error")
    ]
    assert "cart is the id of a/cart too" in found[0][1].message


@pytest.mark.parametrize("folder", ["", ".", "..", "cart", "some/where/cart", "C:\\some\\cart"])
def test_an_id_that_is_the_folders_name_or_whose_folder_nobody_knows(folder: str) -> None:
    assert check_bundles({folder: bundle()}) == []


def test_an_id_that_is_not_the_folders_name() -> None:
    ((folder, found),) = check_bundles({"some/basket": bundle()})
    assert (folder, found.file, found.line, found.severity) == ("some/basket", "scenario.yaml", 2, "warning")
    assert found.message == "the id is also the folder's name, and this folder is called basket"
