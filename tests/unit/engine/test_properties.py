"""Whatever the order in which events come, and however often: what they lead to is what their times say.

What depends on arrival, because it cannot be undone or is not kept: a message that has gone out, a time-out that has
passed, which of several events ended a wait, which event is the n-th when more than n come in disorder, `again`, a
trigger that came while an enrolment without `restart` was running, whether a tag's arrival is a change when its
removal was heard of first; and by how many enrolments and rounds one got where one is, hence ids.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.domain.engine.registry import Registry
from tests.unit.engine.world import MONDAY, World, at, scenario, world_of

Told = tuple[str, datetime, dict[str, Any]]
CART = scenario(
    "{event: cart.updated, where: {event.cart.value: {gte: 50}}}",
    "  - wait: 1h\n  - send: first\n  - wait: 23h\n  - send: second\n    if: {not: {happened: {event: order.paid}}}\n",
    more="""key: event.cart.id
restart: true
exit:
  - event: order.placed
  - event: cart.cleared
    where: {event.cart.id: {eq: key}}""",
)
LIVE = world_of(CART).registry
FIRST = world_of(CART.replace("restart: true", "restart: false").partition("exit:")[0] + CART[CART.index("\nsteps:") :])
UNTIL = world_of(
    scenario(
        "{event: cart.updated}",
        """
  - until: {event: custom.a, where: {event.n: {gte: 2}}}
    within: 2h
    then: [{wait: 3h}, {send: warm}]
    else: [{send: cold}]
""",
        more="key: event.cart.id\nrestart: true",
    )
)
DATES = world_of(
    scenario(
        '{date: event.order.planned_delivery, before: 1d, at: "09:00"}',
        "  - send: tomorrow\n",
        more="key: event.order.id\nexit: [{event: order.cancelled, where: {event.order.id: {eq: key}}}]",
    )
)
KINDS = st.sampled_from(["cart", "cart", "cart", "small", "order", "cleared", "paid", "viewed"])
STEPS = st.lists(st.tuples(st.integers(0, 49), KINDS, st.sampled_from("ab")), max_size=9, unique_by=lambda one: one[0])


def event(minute: int, kind: str, key: str) -> Told:
    time = MONDAY + timedelta(minutes=minute)
    cart = {"id": key, "value": "10" if kind == "small" else "60"}
    return {
        "cart": ("cart.updated", time, {"cart": cart}),
        "small": ("cart.updated", time, {"cart": cart}),
        "cleared": ("cart.cleared", time, {"cart": {"id": key}}),
        "order": ("order.placed", time, {"order": {"id": f"o{minute}"}}),
        "paid": ("order.paid", time, {}),
        "viewed": ("product.viewed", time, {"product": {"product_id": key}}),
    }[kind]


def play(registry: Registry, told: Sequence[Told], now: datetime | None = None) -> World:
    """Each event comes at its time, or all of them at `now`."""
    world = World(registry=registry)
    for type, time, data in told:
        world.event(type, time, data, now=now, id=f"{type}{time}{data}")
    return world


def outcome(world: World) -> tuple[list[tuple[str, str, datetime]], bool]:
    world.run(MONDAY + timedelta(days=40))
    sent = sorted((one.name, str(one.context["key"]), one.due_at) for one in world.requests)
    return sent, world.balanced()


def reference(told: Sequence[Told]) -> list[tuple[str, str, datetime]]:
    """The abandoned cart, as plainly as it can be said."""
    sent = []
    ordered = sorted(told, key=lambda one: one[1])
    for key in "ab":
        ends = [
            (time, type == "cart.updated")
            for type, time, data in ordered
            if type == "order.placed"
            or (type == "cart.cleared" and data["cart"]["id"] == key)
            or (type == "cart.updated" and data["cart"]["id"] == key and float(data["cart"]["value"]) >= 50)
        ]
        paid = [time for type, time, _ in ordered if type == "order.paid"]
        for place, (time, starts) in enumerate(ends):
            after = ends[place + 1][0] if place + 1 < len(ends) else datetime.max.replace(tzinfo=MONDAY.tzinfo)
            for name, hours in (("first", 1), ("second", 24)):
                due = time + timedelta(hours=hours)
                if starts and due <= after and not (name == "second" and any(one < due for one in paid)):
                    sent.append((name, key, due))
    return sorted(sent)


@settings(max_examples=250, deadline=None)
@given(STEPS, st.data())
def test_the_abandoned_cart_in_any_order_and_any_number_of_times(
    steps: list[tuple[int, str, str]], data: st.DataObject
) -> None:
    told = [event(*step) for step in steps]
    mixed = data.draw(st.permutations(told + told[: len(told) // 2]))
    sent, balanced = outcome(play(LIVE, mixed, now=at("00:55")))
    assert balanced
    assert sent == reference(told)


@settings(max_examples=250, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6000), KINDS, st.sampled_from("ab")), max_size=14, unique_by=lambda one: one[0])
)
def test_the_abandoned_cart_over_days_against_the_plain_model(steps: list[tuple[int, str, str]]) -> None:
    told = sorted((event(*step) for step in steps), key=lambda one: one[1])
    sent, balanced = outcome(play(LIVE, told))
    assert balanced
    assert sent == reference(told)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.data())
def test_what_is_known_of_a_profile_in_any_order(steps: list[tuple[int, str, str]], data: st.DataObject) -> None:
    told = [event(*step) for step in steps]
    told += [
        ("profile.updated", at(f"00:{n}"), {"city": n, "tags": [f"t{n % 3}"], "timezone": zone})
        for n, zone in ((11, "Europe/Warsaw"), (12, "Asia/Tokyo"))
    ]
    told += [(f"profile.{one}", at(f"00:{n}"), {"tags": ["t0"]}) for n, one in ((13, "tagged"), (14, "untagged"))]
    told += [("rfm.changed", at(f"00:{n}"), {"to": n}) for n in (15, 16)]
    told += [(f"segment.{one}", at(f"00:{n}"), {"segment": "s"}) for n, one in ((17, "entered"), (18, "left"))]
    told += [("order.paid", at(f"00:{n}"), {"order": {"id": "o", f"f{n % 2}": n, "x": n}}) for n in (19, 20, 21)]
    told += [("wishlist.added", at("00:22"), {"product": {"product_id": "w"}})]
    straight = play(LIVE, sorted(told, key=lambda one: one[1]), now=at("00:55")).profile
    mixed = play(LIVE, data.draw(st.permutations(told + told[::2])), now=at("00:55")).profile
    assert mixed.traits["tags"] == straight.traits["tags"] == []
    for fact in ("traits", "traits_at", "segments", "rfm", "carts", "orders", "tracks", "first", "wants"):
        assert getattr(mixed, fact) == getattr(straight, fact), fact


@settings(max_examples=100, deadline=None)
@given(STEPS, st.data())
def test_without_restart_the_first_trigger_counts_whichever_comes_first(
    steps: list[tuple[int, str, str]], data: st.DataObject
) -> None:
    told = [event(*step) for step in steps if step[1] in ("cart", "small", "viewed")]
    sent, _ = outcome(play(FIRST.registry, data.draw(st.permutations(told + told)), now=at("00:55")))
    wanted = []
    for key in "ab":
        times = [time for _, time, one in told if one.get("cart") == {"id": key, "value": "60"}]
        if times:
            wanted += [(name, key, min(times) + timedelta(hours=h)) for name, h in (("first", 1), ("second", 24))]
    assert sent == sorted(wanted)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 49), st.sampled_from("cab"), st.integers(1, 3)), max_size=8, unique_by=lambda x: x[0]
    ),
    st.data(),
)
def test_waiting_for_an_event_in_any_order(steps: list[tuple[int, str, int]], data: st.DataObject) -> None:
    told: list[Told] = []
    for minute, kind, n in steps:
        time = MONDAY + timedelta(minutes=minute)
        told.append(
            ("cart.updated", time, {"cart": {"id": "k"}}) if kind == "c" else (f"custom.{kind}", time, {"n": n})
        )
    sent, balanced = outcome(play(UNTIL.registry, data.draw(st.permutations(told + told)), now=at("00:55")))
    assert balanced
    starts = [time for type, time, _ in told if type == "cart.updated"]
    if not starts:
        assert sent == []
        return
    last = max(starts)
    seen = [time for type, time, one in told if type == "custom.a" and one["n"] >= 2 and time >= last]
    if seen:  # of several the one that came first ended the wait
        assert [name for name, _, _ in sent] == ["warm"]
        assert sent[0][2] - timedelta(hours=3) in seen
    else:
        assert [(name, due) for name, _, due in sent if name == "cold"] == [("cold", last + timedelta(hours=2))]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 49), st.sampled_from(["date", "none", "cancel", "other"]), st.integers(10, 20)),
        max_size=8,
        unique_by=lambda one: one[0],
    ),
    st.data(),
)
def test_a_date_that_moves_in_any_order(steps: list[tuple[int, str, int]], data: st.DataObject) -> None:
    told: list[Told] = []
    for minute, kind, day in steps:
        order: dict[str, Any] = {"id": "o"}
        if kind in ("date", "none"):
            order["planned_delivery"] = f"2026-03-{day}" if kind == "date" else None
        type = "order.cancelled" if kind == "cancel" else "order.status_changed"
        told.append((type, MONDAY + timedelta(minutes=minute), {"order": order}))
    world = play(DATES.registry, data.draw(st.permutations(told + told)), now=at("00:55"))
    wanted: datetime | None = None
    for type, _, one in sorted(told, key=lambda one: one[1]):
        if type == "order.cancelled":
            wanted = None
        elif "planned_delivery" in one["order"]:
            date = one["order"]["planned_delivery"]
            wanted = datetime.fromisoformat(f"{date}T09:00:00+00:00") - timedelta(days=1) if date else None
    assert world.due == ([wanted] if wanted else [])
    assert world.balanced()
