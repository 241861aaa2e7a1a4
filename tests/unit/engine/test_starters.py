"""However many scenarios wait for events of one type: those that it may start are asked, and all are explained."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.domain.engine import events
from libs.domain.engine.registry import Registry
from libs.domain.engine.starters import Starters
from libs.domain.engine.state import encode
from libs.domain.scenario.guards import Index
from libs.domain.scenario.match import History, holds
from libs.domain.scenario.model import All, AnyOf, Compare, Condition, Happened, Not, Relative, Times
from tests.unit.engine.world import MONDAY, World, at, scenario, world_of

PATHS = ("event.n", "event.code", "event.cart.value", "event.cart", "profile.tags", "profile.tags.0", "order.status")
EACH: list[Any] = [
    *[0, 1, 2, 50, 1.0, 0.5, "1", " 1 ", "1.00", "50", "1e1", True, False, None],
    *["a", "A", "ab", "b", "", "nan", "inf", "2026-03-02", "2026-03-02T10:00:00Z", "2026-03", "True"],
    *[float("nan"), 10**12, "ß", "SS", "x" * 300],
]
PLAIN: st.SearchStrategy[Any] = st.sampled_from(EACH)
VALUES = st.one_of(
    PLAIN, st.lists(PLAIN, max_size=3), st.dictionaries(st.sampled_from(["a", "1", "value"]), PLAIN, max_size=2)
)
OPS = st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte", "contains", "starts_with"])
COMPARES = st.one_of(
    st.builds(lambda path, op, value: Compare(path=path, op=op, value=value), st.sampled_from(PATHS), OPS, PLAIN),
    st.builds(
        lambda path, op, value: Compare(path=path, op=op, value=value),
        st.sampled_from(PATHS),
        st.sampled_from(["in", "nin"]),
        st.lists(PLAIN, max_size=3),
    ),
    st.builds(lambda path, value: Compare(path=path, op="exists", value=value), st.sampled_from(PATHS), st.booleans()),
    st.builds(lambda path, value: Compare(path=path, op="eq", value=value), st.sampled_from(PATHS), VALUES),
    st.just(Compare(path="event.code", op="gt", value=Relative(text="today", word="today"))),
    st.just(Compare(path="event.code", op="eq", own_key=True)),
    st.just(Happened(event="order.placed", times=Times(op="lte", value=0))),
)
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    COMPARES,
    lambda inner: st.one_of(
        st.builds(lambda parts: All(of=tuple(parts)), st.lists(inner, max_size=3)),
        st.builds(lambda parts: AnyOf(of=tuple(parts)), st.lists(inner, max_size=3)),
        st.builds(lambda part: Not(of=part), inner),
    ),
    max_leaves=4,
)


@st.composite
def scopes(draw: Callable[..., Any]) -> dict[str, Any]:
    cart = draw(st.one_of(VALUES, st.builds(lambda value: {"id": "c", "value": value}, VALUES)))
    return {
        "event": {"n": draw(VALUES), "code": draw(VALUES), "cart": cart},
        "profile": {"tags": draw(VALUES)},
        "order": draw(st.one_of(st.none(), st.builds(lambda value: {"status": value}, VALUES))),
        "zone": "Europe/Warsaw",
        "key": None,
    }


@settings(max_examples=1_500, deadline=None)
@given(st.lists(st.one_of(st.none(), CONDITIONS), max_size=12), st.lists(scopes(), min_size=1, max_size=4))
def test_whoever_may_hold_is_found(conditions: list[Condition | None], told: list[dict[str, Any]]) -> None:
    index, history = Index(conditions), History(now=MONDAY)
    for scope in told:
        found = index.find(scope)
        assert found == sorted(set(found))
        assert {place for place, one in enumerate(conditions) if one is None or holds(one, scope, history)} <= set(
            found
        )


@pytest.mark.parametrize("op", ["eq", "gt", "gte", "lt", "lte", "contains", "starts_with", "in", "exists"])
def test_of_every_two_values_that_compare_the_one_is_found_by_the_other(op: str) -> None:
    history = History(now=MONDAY)
    conditions = [
        Compare(path="event.n", op=op, value=[one] if op == "in" else bool(one) if op == "exists" else one)
        for one in EACH
    ]
    index = Index(conditions)
    for told in [*EACH, [], *([one, "z"] for one in EACH), {"a": 1}, {"1": "a"}, {"50": 1}]:
        scope = {"event": {"n": told}, "profile": {}, "zone": "Europe/Warsaw"}
        those = {place for place, one in enumerate(conditions) if holds(one, scope, history)}
        assert those <= set(index.find(scope)), told


def compare(path: str, op: str, value: Any) -> Compare:
    return Compare(path=path, op=op, value=value)


def cart(**fields: Any) -> dict[str, Any]:
    return {"event": {"cart": fields}, "profile": {"tags": ["vip", "new"]}}


@pytest.mark.parametrize(
    ("each", "scope", "expected"),
    [
        (lambda n: compare("event.cart.id", "eq", f"c-{n}"), cart(id="c-7"), [7]),
        (lambda n: compare("event.cart.id", "in", [f"c-{n}", n]), cart(id=7), [7]),
        (lambda n: compare("event.cart.value", "gte", n), cart(value="3.50"), [0, 1, 2, 3]),
        (lambda n: compare("event.cart.value", "lt", n), cart(value=197), [197, 198, 199]),
        (lambda n: compare("profile.tags", "contains", "vip" if n == 9 else f"t{n}"), cart(), [9]),
        (lambda n: compare("event.cart.url", "contains", f"/P{n}/"), cart(url="https://x/p5/"), [5]),
        (lambda n: compare("event.cart.url", "starts_with", f"https://{n}."), cart(url="HTTPS://42.x"), [42]),
        (
            lambda n: All(
                of=(compare("event.cart.value", "gte", n * 10), compare("event.cart.value", "lt", n * 10 + 10))
            ),
            cart(value=45),
            [4],
        ),
        (
            lambda n: All(of=(compare("event.cart.currency", "eq", "PLN"), compare("event.cart.id", "eq", str(n)))),
            cart(currency="PLN", id="3"),
            [3],
        ),
        (
            lambda n: AnyOf(of=(compare("event.cart.id", "eq", str(n)), compare("event.cart.id", "eq", str(n + 1)))),
            cart(id="4"),
            [3, 4],
        ),
        (lambda n: All(of=(compare("event.n", "ne", n), compare("event.cart.id", "eq", str(n)))), cart(id="3"), [3]),
    ],
)
def test_of_two_hundred_only_those_that_may_hold(
    each: Callable[[int], Condition], scope: dict[str, Any], expected: list[int]
) -> None:
    assert Index([each(n) for n in range(200)]).find(scope) == expected


WHERES = (
    "{event.n: {gte: 2}}",
    "{event.n: {gte: 1, lt: 3}}",
    "{event.code: x}",
    "{event.code: {in: [x, y]}}",
    "{event.cart.value: {gte: 100}, profile.level: {exists: true}}",
    "{any: [{event.n: 3}, {profile.tags: {contains: red}}]}",
    "{not: {event.code: x}}",
    "{all: [{event.code: y}, {happened: {event: custom.b, within: 2h}}]}",
    "{happened: {event: cart.updated, where: {event.cart.value: 250, profile.level: {gte: 1}}, times: {gte: 2}}}",
    "{event.day: {gt: today-1d}}",
    "{event.cart: {exists: true}}",
    "{event.note: {contains: long}}",
    "{profile.segments: {contains: vip}}",
)
STARTS = (
    *(f"event: {event}, where: {where}" for event in ("custom.a", "cart.updated") for where in WHERES),
    "event: custom.a, nth: 2, where: {event.n: {gte: 2}}",
    "event: order.placed, statuses: [new, paid]",
    "event: order.placed, statuses: [new], where: {event.n: 1}",
    'event: order.placed, statuses: ["True", "[]"]',
    "rfm: {from: [loyal], to: [at-risk]}",
    "rfm: {to: [lost]}",
    "segment: {enters: vip}",
    "segment: {leaves: vip, enters: red}",
    "stock: back",
    "price: {drops: 10%}",
    "tag: {added: red}",
)
NUMBERS = st.sampled_from([1, 2, 3, "2", None])
TOLD: st.SearchStrategy[tuple[str, dict[str, Any]]] = st.one_of(
    st.tuples(
        st.sampled_from(["custom.a", "custom.b"]),
        st.fixed_dictionaries(
            {"n": NUMBERS, "code": st.sampled_from(["x", "y", "z", 1])},
            optional={
                "day": st.sampled_from(["2026-03-01", "2026-03-02", "2027-01-01T00:00:00Z"]),
                "note": st.sampled_from(["long", "x" * 300, "long" * 100]),
            },
        ),
    ),
    st.tuples(
        st.just("cart.updated"),
        st.builds(
            lambda n, value: {"n": n, "cart": {"id": "c", "value": value}}, NUMBERS, st.sampled_from([50, "100", 250])
        ),
    ),
    st.tuples(
        st.just("order.placed"),
        st.builds(
            lambda n, status, at: {"n": n, "order": {"id": "o", at: status}, "status": status},
            NUMBERS,
            st.sampled_from(["new", "paid", "sent", None, True]),
            st.sampled_from(["status", "other"]),
        ),
    ),
    st.tuples(st.just("profile.updated"), st.fixed_dictionaries({"level": st.sampled_from([1, 2])})),
    st.tuples(st.just("profile.tagged"), st.fixed_dictionaries({"tags": st.sampled_from([["red"], ["blue", "red"]])})),
    st.tuples(
        st.just("rfm.changed"),
        st.builds(lambda a, b: {"from": a, "to": b}, *[st.sampled_from(["loyal", "at-risk", "lost"])] * 2),
    ),
    st.tuples(
        st.sampled_from(["segment.entered", "segment.left"]),
        st.fixed_dictionaries({"segment": st.sampled_from(["vip", "red"])}),
    ),
    st.tuples(
        st.sampled_from(["product.viewed", "product.back_in_stock", "product.price_changed"]),
        st.builds(
            lambda id, price: {"product": {"product_id": id, "price": price, "old_price": "100"}},
            st.sampled_from(["p1", "p2"]),
            st.sampled_from(["95", 80, None]),
        ),
    ),
)


def naive(patch: pytest.MonkeyPatch) -> None:
    """Every scenario that waits for a type is judged in full."""
    patch.setattr(Starters, "considered", lambda *_: None)


def play(registry: Registry, told: list[tuple[str, dict[str, Any]]]) -> World:
    world = World(registry=registry)
    for minute, (type, data) in enumerate(told):
        world.event(type, MONDAY + timedelta(minutes=7 * minute), data, id=str(minute))
    return world


def plain(world: World) -> Any:
    """All that was decided, and all that is remembered for the next decision."""
    world.profile.judged.clear()
    world.profile.considered.clear()
    calls = sorted((one.step, one.due_at) for one in world.calls.values())
    return encode(world.profile), calls, world.requests, world.sums, [one.id for one in world.facts]


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from(STARTS), min_size=1, max_size=14),
    st.lists(TOLD, min_size=1, max_size=12),
    st.booleans(),
)
def test_the_index_changes_no_decision_and_no_explanation(
    starts: list[str], told: list[tuple[str, dict[str, Any]]], again: bool
) -> None:
    more = "again: never" if again else "restart: true"
    texts = [
        scenario(f"{{{start}}}", "  - wait: 20m\n  - send: it\n", id=f"s{n}", more=f"{more}\npriority: {n % 3}")
        for n, start in enumerate(starts)
    ]
    registry = world_of(*texts).registry
    quick = play(registry, told)
    with pytest.MonkeyPatch.context() as patch:
        naive(patch)
        slow = play(registry, told)
    for number in range(len(texts)):
        ours, theirs = quick.explain(f"s{number}"), slow.explain(f"s{number}")
        if not theirs["enrolments"]:  # of who runs it says how he entered, and not what came meanwhile
            assert ours == theirs
    assert plain(quick) == plain(slow)


def world_of_many(each: Callable[[int], str], count: int = 200) -> World:
    return world_of(*(scenario(each(n), "  - wait: 1h\n  - send: it\n", id=f"s{n}") for n in range(count)))


def test_what_cannot_start_is_not_asked_and_leaves_nothing_in_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of_many(lambda n: f"{{event: cart.updated, where: {{event.cart.value: {{gte: {1000 + n}}}}}}}")
    asked: list[str] = []
    was = events.met
    monkeypatch.setattr(events, "met", lambda turn, one, asking: (asked.append(one.id), was(turn, one, asking))[1])
    world.cart("10:00", value="1001.00")
    assert asked == ["s0", "s1"]
    assert set(world.profile.judged) == {"s0", "s1"}
    assert world.profile.considered["cart.updated"].kept == {"event.cart.value": "1001.00"}
    assert world.explain("s100")["conditions"] == [{"path": "event.cart.value", "found": "1001.00", "verdict": False}]


def test_what_was_known_of_an_earlier_event_is_not_told_of_a_later_one() -> None:
    world = world_of(scenario("{event: cart.updated, where: {event.cart.value: {gte: 100}}}", "  - send: it\n"))
    world.cart("10:00", value="100")
    assert world.explain("s")["because"] == "cart.updated"
    world.cart("11:00", value="99")
    row = world.explain("s")
    assert (row["because"], row["judged_at"]) == ("conditions not met", at("11:00").isoformat())
    assert row["conditions"][0]["found"] == "99"


def test_a_value_that_is_too_much_to_keep_has_all_of_them_judged() -> None:
    world = world_of_many(lambda n: f"{{event: custom.a, where: {{event.note: {{contains: w{n}.}}}}}}", 3)
    world.tell("custom.a", "10:00", note="x" * 1_000 + "w1.")
    assert [world.explain(f"s{n}")["conditions"][0]["verdict"] for n in range(3)] == [False, True, False]
    assert world.profile.considered == {}
    world.tell("custom.a", "11:00", note="w2.")
    assert [world.explain(f"s{n}")["conditions"][0]["verdict"] for n in range(3)] == [False, False, True]


def test_a_scenario_that_is_published_later_says_so() -> None:
    world = world_of(scenario("{event: custom.a, where: {event.n: {gte: 5}}}", "  - send: it\n"))
    world.tell("custom.a", "10:00", n=3, code="x")
    for id, where in (("late", "{event.code: x}"), ("met", "{event.n: {gte: 3}}"), ("not", "{event.n: {gte: 4}}")):
        world.publish(scenario(f"{{event: custom.a, where: {where}}}", "  - send: it\n", id=id))
    unseen = "no custom.a has been seen since it was published"
    told = {id: world.explain(id)["because"] for id in ("s", "late", "met", "not")}
    assert told == {"s": "conditions not met", "late": unseen, "met": unseen, "not": "conditions not met"}


def test_what_happened_later_does_not_count_in_what_is_told_of_before() -> None:
    where = "{happened: {event: order.placed, times: {gte: 2}}}"
    world = world_of(scenario(f"{{event: custom.go, where: {where}}}", "  - send: it\n"))
    world.order("10:00")
    world.tell("custom.go", "11:00")
    world.order("12:00")
    assert world.explain("s")["conditions"] == [{"path": "happened(order.placed)", "found": 1, "verdict": False}]


def test_two_who_become_one_are_told_of_the_later_event() -> None:
    from libs.domain.engine import merge  # of this test alone

    text = scenario("{event: cart.updated, where: {event.cart.value: {gte: 100}}}", "  - send: it\n")
    world, other = world_of(text), world_of(text)
    world.cart("10:00", value="1")
    other.cart("11:00", value="2")
    turn = world.turn(at("12:00"))
    merge.absorb(turn, other.profile)
    world.absorb(turn)
    assert world.explain("s")["conditions"][0]["found"] == "2"
