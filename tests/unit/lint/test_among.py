"""A scenario among what its shop has published: rings that it closes, segments that nobody has published."""

from libs.domain.lint.among import check_published

HEAD = "kurant: 1\nid: {id}\nname: {id}\npurpose: marketing\n"


def scenario(id: str, trigger: str, *steps: str) -> str:
    return HEAD.format(id=id) + f"trigger: {trigger}\nsteps:\n" + "".join(f"  - {step}\n" for step in steps)


A = scenario("a", "{tag: {added: x}}", "untag: x", "tag: y")
B = scenario("b", "{tag: {added: y}}", "untag: y", "tag: z")
C = scenario("c", "{tag: {added: z}}", "untag: z", "tag: x")


def test_a_ring_is_told_where_the_new_one_takes_part() -> None:
    for new, line, names in ((B, 8, "b -> c -> a -> b"), (C, 8, "c -> a -> b -> c"), (A, 8, "a -> b -> c -> a")):
        (found,) = check_published(new, [one for one in (A, B, C) if one != new], [])
        assert (found.severity, found.line) == ("error", line)
        assert found.message.startswith(f"a ring of scenarios: {names} (")
    assert check_published(C, [A], []) == []


def test_rings_of_others_are_not_its_fault() -> None:
    back = scenario("b", "{tag: {added: y}}", "untag: y", "tag: x")
    assert check_published(scenario("n", "{event: cart.updated}", "tag: w"), [A, back], []) == []


def test_what_was_published_before_and_is_no_scenario_any_more_closes_no_ring() -> None:
    assert check_published(C, [A, B.replace("kurant: 1", "kurant: 9"), "nothing"], []) == []


def test_a_segment_that_nobody_has_published() -> None:
    text = (
        HEAD.format(id="s")
        + "trigger: {segment: {enters: vip}}\nexit:\n"
        + "  - {event: order.placed, where: {profile.segments: {contains: old}}}\nsteps:\n"
        + "  - if: {all: [{profile.segments: {in: [vip, new]}}, {profile.segments: {exists: true}}]}\n"
        + "    then: [{tag: x}]\n"
    )
    assert check_published(text, [], ["vip", "old", "new"]) == []
    found = check_published(text, [], ["vip", "news"])
    assert [(one.line, one.severity, one.message.split()[2]) for one in found] == [
        (7, "warning", "old"),
        (9, "warning", "new"),
    ]
    assert [one.hint for one in found] == [
        "publish it: `kurant segment publish`, with `id: old`",
        "did you mean `news`?",
    ]
    assert [one.line for one in check_published(text, [], ["old", "new"])] == [5, 9]
