"""Segments and what is around them: scenarios that react, publication and versions, profiles that become one."""

from datetime import datetime

from libs.domain.engine import merge
from libs.domain.scenario.outlook import TICK
from tests.unit.engine.test_segments import DAY, LATELY, TWICE, inside, order, world_with
from tests.unit.engine.world import World, at, scenario, world_of

ON_VIP = scenario("{segment: {enters: vip}}", "  - wait: 1h\n  - send: welcome\n", id="on", more="exit: [{event: x}]")


def test_scenarios_enter_and_end_by_it_in_the_same_turn() -> None:
    entered = ON_VIP.replace("exit: [{event: x}]", "exit: [{event: segment.left, where: {event.segment: {eq: vip}}}]")
    left = scenario("{segment: {leaves: vip}}", "  - send: farewell\n", id="off")
    world = world_with("{profile.tags: {contains: vip}}", entered, left)
    world.tell("profile.tagged", "10:00", tags=["vip"])
    assert [one.scenario for one in world.profile.running()] == ["on"]
    world.tell("profile.untagged", "10:30", tags=["vip"])
    assert (world.names, world.profile.running()) == (["farewell"], [])
    assert next(one for one in world.profile.enrolments if one.scenario == "on").because == "segment.left"
    world.tell("profile.tagged", "11:00", tags=["vip"])
    assert world.end() == [("farewell", at("10:30")), ("welcome", at("12:00"))]


def test_waits_count_from_the_moment_that_time_let_in() -> None:
    world = world_with("{not: {happened: {event: order.placed, within: 30d}}}", ON_VIP)
    order(world, "10:00")
    assert world.end() == [("welcome", at("11:00") + 30 * DAY + TICK)]


def test_conditions_see_the_segments_as_they_are_now() -> None:
    go = scenario("{event: order.placed, where: {profile.segments: {contains: vip}}}", "  - send: thanks\n", id="go")
    no = scenario("{event: order.placed, where: {profile.segments: {nin: [vip]}}}", "  - send: first\n", id="no")
    world = world_with(TWICE, go, no)
    order(world, "10:00")
    order(world, "11:00")
    assert world.names == ["first", "thanks"]


def test_scenarios_that_drive_a_segment_come_to_rest() -> None:
    on = scenario("{segment: {enters: vip}}", "  - untag: vip\n", id="on")
    off = scenario("{segment: {leaves: vip}}", "  - tag: vip\n", id="off")
    world = world_with("{profile.tags: {contains: vip}}", on, off)
    assert world.tell("profile.tagged", "10:00", tags=["vip"])
    assert len(world.profile.enrolments) <= 10
    assert inside(world) is ("vip" in world.profile.traits["tags"])
    assert len({one.id for one in world.facts}) == len(world.facts)


def test_publishing_judges_whoever_is_looked_at_and_archiving_empties() -> None:
    world = World()
    order(world, "10:00")
    world.segment(LATELY)
    assert world.registry.shops() == ["demo"]
    world.look(at("12:00"))
    assert world.moves() == [("+vip", at("12:00"))]
    world.look(at("12:01"))
    world.segment(LATELY, state="archived")
    world.look(at("13:00"))
    assert world.moves()[1:] == [("-vip", at("13:00"))]
    assert (world.due, inside(world)) == ([], False)
    world.look(at("13:01"))
    order(world, "14:00")
    assert len(world.moves()) == 2
    world.segment(LATELY)
    order(world, "15:00")
    assert world.moves()[2:] == [("+vip", at("15:00"))], "lives again, seen at the next event too"
    assert world.balanced()


def test_a_new_version_judges_anew_and_an_older_one_does_not_undo_it() -> None:
    world = world_with("{profile.level: gold}")
    world.tell("profile.updated", "10:00", level="silver")
    old = world.registry
    world.registry = World().registry
    world.segment("{profile.level: {in: [gold, silver]}}", version=2)
    world.tell("custom.any", "11:00")
    assert world.moves() == [("+vip", at("11:00"))]
    world.registry = old
    world.tell("profile.updated", "12:00", level="silver", city="Warsaw")
    assert len(world.moves()) == 1, "a process that has not read version 2 yet leaves the verdict alone"


def test_a_segment_that_is_not_known_here_yet_is_left_alone() -> None:
    world = world_with(LATELY, ON_VIP)
    order(world, "10:00")
    world.registry = world_of(ON_VIP).registry
    world.segment("{profile.level: gold}", id="other")
    world.tell("custom.any", "11:00")
    assert inside(world)
    assert len(world.moves()) == 1


def merged(world: World, other: World, now: datetime) -> None:
    turn = other.turn(now)
    leaving = merge.hand_over(turn, world.id)
    other.absorb(turn)
    turn = world.turn(now)
    merge.absorb(turn, leaving, now)
    world.absorb(turn)


def another(world: World) -> World:
    return World(registry=world.registry, id="22222222-2222-5222-8222-222222222222")


def test_two_profiles_together_may_be_in_what_neither_was_in() -> None:
    world = world_with(TWICE)
    other = another(world)
    order(world, "10:00")
    order(other, "11:00")
    merged(world, other, at("12:00"))
    assert (other.moves(), world.moves()) == ([], [("+vip", at("12:00"))])
    assert world.due == [at("10:00") + 30 * DAY + TICK]


def test_who_was_in_stays_in_without_a_word_and_the_call_moves_along() -> None:
    world = world_with(LATELY)
    other = another(world)
    world.tell("custom.any", "09:00")
    order(other, "10:00")
    assert len(other.due) == 1
    merged(world, other, at("12:00"))
    assert (world.moves(), other.due, inside(world)) == ([], [], True)
    assert world.profile.segments["vip"].at == at("10:00")
    world.end()
    assert world.moves() == [("-vip", at("10:00") + 30 * DAY + TICK)]
    assert world.balanced()
    assert other.balanced()


def test_of_two_who_were_in_it_counts_from_the_first() -> None:
    world = world_with(LATELY)
    other = another(world)
    order(other, "09:00")
    order(world, "10:00")
    merged(world, other, at("12:00"))
    assert world.profile.segments["vip"].at == at("09:00")
    assert world.moves() == [("+vip", at("10:00"))]


def test_who_should_not_be_in_by_what_is_known_of_both_leaves() -> None:
    world = world_with("{all: [{profile.level: gold}, {not: {happened: {event: order.returned}}}]}")
    other = another(world)
    world.tell("order.returned", "09:00", order={"id": "o"})
    other.tell("profile.updated", "10:00", level="gold")
    merged(world, other, at("12:00"))
    assert world.moves() == [("-vip", at("12:00"))]
