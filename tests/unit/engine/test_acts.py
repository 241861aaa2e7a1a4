"""Lots, tags, traits, web addresses; and what other scenarios make of them in the same turn."""

from collections import Counter

import pytest

from libs.domain.engine.program import CannotRun, compile_program
from libs.domain.ids import derive
from libs.domain.scenario.parse import parse
from libs.domain.scenario.source import ScenarioError
from tests.unit.engine.world import World, at, scenario, world_of

SPLIT = scenario(
    "{event: custom.go}",
    """
  - split: {name: subject, arms: {a: 45, b: 45, holdout: 10}}
    a: [{send: one}]
    b: [{send: two}]
  - send: both
""",
)


def drawn(live: World, number: int) -> tuple[str, list[str]]:
    world = World(registry=live.registry, id=derive("profile", number))
    world.tell("custom.go", "10:00")
    enrolment = world.profile.enrolments[0]
    return enrolment.arms["subject"], world.names


def test_arms_are_stable_and_shares_are_kept() -> None:
    live = world_of(SPLIT)
    found = [drawn(live, number) for number in range(1500)]
    assert found[:50] == [drawn(live, number) for number in range(50)]
    counts = Counter(arm for arm, _ in found)
    assert 610 < counts["a"] < 740
    assert 610 < counts["b"] < 740
    assert 110 < counts["holdout"] < 195
    assert {(arm, *names) for arm, names in found} == {("a", "one", "both"), ("b", "two", "both"), ("holdout",)}


def test_shares_need_not_be_a_hundred() -> None:
    live = world_of(SPLIT.replace("a: 45, b: 45, holdout: 10", "a: 1, b: 3"))
    counts = Counter(drawn(live, number)[0] for number in range(800))
    assert 150 < counts["a"] < 250


def test_the_lot_is_traced_and_told_with_the_message() -> None:
    world = world_of(SPLIT)
    world.tell("custom.go", "10:00")
    arm = world.profile.enrolments[0].arms["subject"]
    assert world.verdicts()[0] == ("steps/0", f"arm {arm}")
    assert all(request.arms == {"subject": arm} for request in world.requests)


def test_the_holdout_ends_there_and_an_arm_without_steps_goes_on() -> None:
    world = world_of(SPLIT.replace("a: 45, b: 45, holdout: 10", "a: 0, b: 0, holdout: 1"))
    world.tell("custom.go", "10:00")
    assert (world.names, world.profile.enrolments[0].because) == ([], "holdout")
    world = world_of(SPLIT.replace("a: 45, b: 45, holdout: 10", "a: 0, b: 0, c: 1"))
    world.tell("custom.go", "10:00")
    assert world.names == ["both"]


def test_a_holdout_that_is_written_to_is_refused() -> None:
    with pytest.raises(CannotRun):
        compile_program(parse(SPLIT.replace("  - send: both", "    holdout: [{send: x}]")), 1)


@pytest.mark.parametrize("arms", ["{}", "{a: 0}", "{a: -1, b: 2}"])
def test_shares_of_nothing_are_refused(arms: str) -> None:
    with pytest.raises(ScenarioError):
        parse(SPLIT.replace("{a: 45, b: 45, holdout: 10}", arms))


TAGGER = scenario("{event: custom.go}", "  - wait: 1h\n  - tag: {add: [vip, new]}\n  - send: after\n", id="tagger")
ON_TAG = scenario("{tag: {added: vip}}", "  - wait: 2h\n  - send: vip\n", id="on-tag", more="exit: [{event: custom.x}]")


def test_a_tag_is_there_at_once_and_starts_others_in_the_same_turn() -> None:
    world = world_of(TAGGER, ON_TAG)
    world.tell("custom.go", "10:00")
    world.run(at("11:00"))
    assert world.profile.traits["tags"] == ["new", "vip"]
    assert world.due == [at("13:00")]
    assert world.requests[0].context["profile"]["tags"] == ["new", "vip"]
    assert world.end() == [("after", at("11:00")), ("vip", at("13:00"))]
    assert ("steps/1", "tagged") in [pair for e in world.profile.enrolments for pair in _steps(e)]


def _steps(enrolment: object) -> list[tuple[str, str]]:
    return [(taken.step, taken.verdict) for taken in enrolment.steps]  # type: ignore[attr-defined]


def test_a_tag_that_is_there_already_starts_nothing() -> None:
    world = world_of(TAGGER, ON_TAG)
    world.tell("profile.tagged", "09:00", tags=["vip"])
    world.tell("custom.go", "10:00")
    world.end()
    assert len([e for e in world.profile.enrolments if e.scenario == "on-tag"]) == 1


def test_what_a_step_changes_may_be_the_way_out_of_its_own_scenario() -> None:
    more = "exit: [{event: profile.tagged, where: {event.tags: {contains: done}}}]"
    world = world_of(scenario("{event: custom.go}", "  - tag: done\n  - send: never\n", more=more))
    world.tell("custom.go", "10:00")
    assert world.names == []
    assert world.profile.enrolments[0].because == "profile.tagged"


def test_tags_go_and_traits_are_set() -> None:
    world = world_of(
        scenario(
            "{event: custom.go}",
            "  - untag: [old]\n  - set: {level: 2}\n  - if: {profile.level: 2}\n    then: [{send: two}]",
        ),
        scenario("{tag: {removed: old}}", "  - send: gone\n", id="gone"),
        scenario("{event: profile.updated, where: {event.level: {gte: 2}}}", "  - send: level\n", id="level"),
    )
    world.tell("profile.tagged", "09:00", tags=["old", "kept"])
    world.tell("custom.go", "10:00")
    assert sorted(world.names) == ["gone", "level", "two"]
    assert world.profile.traits["tags"] == ["kept"]


PING = scenario("{tag: {added: a}}", "  - untag: a\n  - tag: b\n", id="ping")
PONG = scenario("{tag: {added: b}}", "  - untag: b\n  - tag: a\n", id="pong")


def test_scenarios_that_drive_each_other_come_to_rest() -> None:
    world = world_of(PING, PONG)
    assert world.tell("profile.tagged", "10:00", tags=["a"])
    assert len(world.profile.enrolments) < 20


def test_a_chain_that_is_too_long_ends_and_says_so() -> None:
    chain = [scenario(f"{{tag: {{added: t{n}}}}}", f"  - tag: t{n + 1}\n", id=f"c{n}") for n in range(12)]
    world = world_of(*chain)
    world.tell("profile.tagged", "10:00", tags=["t0"])
    assert [e.scenario for e in world.profile.enrolments] == [f"c{n}" for n in range(9)]
    assert world.verdicts()[-1] == ("steps/0", "not told")
    assert "t9" in world.profile.traits["tags"]
    assert all(e.state == "ended" for e in world.profile.enrolments)


def test_a_webhook_is_asked_for_as_a_message_of_its_own_channel() -> None:
    hook = "  - webhook: {url: 'https://crm.example/hook', name: crm}\n"
    world = world_of(scenario("{event: custom.go}", hook, more='window: {between: ["12:00", "13:00"]}'))
    world.tell("custom.go", "10:00", n=1)
    request = world.requests[0]
    assert (request.name, request.channels) == ("crm", ["webhook"])
    assert request.context["webhook"]["url"] == "https://crm.example/hook"
    assert request.context["event"]["n"] == 1
    assert world.sums["messages.requested"] == 1


def test_a_paused_scenario_calls_no_web_address() -> None:
    world = world_of(scenario("{event: custom.go}", "  - wait: 1h\n  - webhook: https://crm.example\n"))
    world.tell("custom.go", "10:00")
    world.registry.set_state("demo", "s", 1, "paused")
    world.run(at("11:30"))
    assert world.names == []
    assert ("steps/1", "held") in world.verdicts()


@pytest.mark.parametrize("step", ["tag: {x: y}", "tag: {}", "set: x", "webhook: {name: x}", "untag: {add: []}"])
def test_acts_that_do_nothing_are_refused(step: str) -> None:
    with pytest.raises(ScenarioError):
        parse(scenario("{event: custom.go}", f"  - {step}\n"))


def test_of_two_messages_in_one_turn_the_more_important_goes_first() -> None:
    world = world_of(
        scenario("{event: custom.go}", "  - send: low\n", id="a", more="priority: 10"),
        scenario("{event: custom.go}", "  - send: high\n", id="b", more="priority: 90"),
        scenario("{event: custom.go}", "  - tag: x\n", id="c", more="priority: 99"),
        scenario("{tag: {added: x}}", "  - send: highest\n", id="d", more="priority: 95"),
    )
    world.tell("custom.go", "10:00")
    assert world.names == ["highest", "high", "low"]


def test_ids_of_what_scenarios_tell_each_other_are_derived() -> None:
    made = []
    for _ in range(2):
        world: World = world_of(TAGGER, ON_TAG)
        world.tell("custom.go", "10:00")
        world.end()
        made.append([request.message for request in world.requests])
    assert made[0] == made[1]
