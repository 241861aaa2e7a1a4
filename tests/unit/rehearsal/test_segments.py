"""Segments in tests of scenarios: those that are judged, and those of which the test itself says who is in."""

from libs.domain.rehearsal.read import read_test
from libs.domain.rehearsal.rehearse import Outcome, rehearse
from libs.domain.rehearsal.stage import Stage, prepare, prepare_segment
from tests.unit.rehearsal.world import GIVEN, MAIL, wrong

LATELY = "kurant: 1\nid: lately\nname: Lately\ncondition: {happened: {event: order.placed, within: 30d}}\n"
HEAD = "kurant: 1\nid: it\nname: It\npurpose: marketing\n"
LEFT = f"{HEAD}trigger: {{segment: {{leaves: lately}}}}\nsteps:\n  - wait: {{for: 1h}}\n  - send: first\n"
WHERE = "{profile.segments: {contains: lately}}"
ASKS = f"{HEAD}trigger: {{event: cart.updated, where: {WHERE}}}\nsteps: [{{send: first}}]\n"
ORDER = "  - {at: 2026-03-02T10:00, event: order.placed, data: {order: {id: o1}}}\n"
CART = "  - {at: 2026-03-02T10:00, event: cart.updated, data: {cart: {id: c1, value: 249.00}}}\n"
IN = GIVEN.replace("given: {", "given: {segments: [lately], ")


def play(scenario: str, when: str, then: str, given: str = GIVEN, *, segments: bool = True) -> Outcome:
    stage = Stage(
        prepare({"scenario.yaml": scenario, "messages/first.email.txt": MAIL}),
        segments=[prepare_segment(LATELY, "lately.yaml")] if segments else [],
    )
    return rehearse(stage, read_test(f"{given}when:\n{when}then:\n{then}", "tests/one.yaml"))


def test_a_segment_beside_is_judged_also_when_only_time_passes() -> None:
    then = "  - {at: 2026-04-01T12:00, sent: first}\n  - nothing_more\n"
    outcome = play(LEFT, ORDER, then)
    assert wrong(outcome) == []
    happened = [line.happened for line in outcome.lines()]
    assert "event segment.entered (lately)" in happened
    assert "event segment.left (lately)" in happened


def test_who_is_given_to_be_in_it_is_in_it_whatever_its_condition_says() -> None:
    then = "  - {at: 2026-03-02T10:00, sent: first}\n  - {holds: {profile.segments: {contains: lately}}}\n"
    for segments in (True, False):
        assert wrong(play(ASKS, CART, then, IN, segments=segments)) == []
    assert wrong(play(ASKS, CART, "  - {not_entered: true, because: profile.segments}\n")) == []


def test_a_test_may_tell_of_it_itself() -> None:
    told = "  - {at: 2026-03-02T10:00, event: segment.left, data: {segment: lately}}\n"
    assert wrong(play(LEFT, told, "  - {at: 2026-03-02T11:00, sent: first}\n  - nothing_more\n", IN)) == []


def test_what_is_given_starts_nothing() -> None:
    entered = LEFT.replace("leaves", "enters")
    assert wrong(play(entered, CART, "  - {not_entered: true}\n  - nothing_more\n", IN)) == []
