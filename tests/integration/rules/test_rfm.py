"""RFM on a real database: facts of orders, runs, who is told, what scenarios make of it."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from libs.common.db.engine import Database
from libs.contracts import topics
from libs.contracts.events import EventOccurred
from libs.contracts.messages import MessageRequested
from libs.domain.rfm import plan
from libs.domain.rfm.parse import parse
from services.rules import store
from tests.integration.rules.orders import DAY, NOW, RULES, Shop, event, order, profile, said
from tests.unit.engine.world import scenario

HOUR = timedelta(hours=1)
LOST = scenario("{rfm: {from: [best], to: [good, rest]}}", "  - send: come-back\n", id="lost")
ANY = scenario("{rfm: {to: [best, good, rest]}}", "  - send: hello\n", id="any")


@pytest.fixture
async def shop(database: Database) -> Shop:
    return await Shop(database).begin()


async def test_from_an_order_to_a_message(shop: Shop) -> None:
    """Orders, a first run that writes to nobody, time, another run, and the message that the scenario asks for."""
    shop.publish(LOST)
    shop.publish(ANY)
    await shop.tell(*(order("anna", days, "200.00") for days in (1, 2, 3, 4)), order("bob", 70))
    ran = await shop.compute(everybody=True)
    assert (ran.kind, ran.customers, ran.changed, ran.quiet) == ("full", 2, 2, True)
    assert await shop.scores() == {profile("anna"): ("best", 4, 3, 3), profile("bob"): ("rest", 1, 1, 2)}
    first = await shop.changes()
    assert said(first) == sorted([(profile("anna"), None, "best", True), (profile("bob"), None, "rest", True)])
    assert await shop.tell(*first) == [], "it only teaches: even a scenario without `from` writes to nobody"
    known = (await shop.document("anna")).rfm
    assert known is not None
    assert (known.data["segment"], known.data["r"], known.data["m"]) == ("best", 4, 3)

    await shop.clock.move(15 * DAY)
    await shop.compute()
    told = await shop.changes()
    assert said(told) == [(profile("anna"), "best", "good", False)]
    sent = await shop.tell(*told)
    names = sorted(MessageRequested.decode(one.value).name for one in sent if one.topic == topics.MESSAGES.name)
    assert names == ["come-back", "hello"]
    assert await shop.changes() == [], "told once"


async def test_what_events_say_of_an_order_in_any_order(shop: Shop) -> None:
    """Told late, told twice, told in parts: one row, each part as told last."""
    await shop.tell(
        order("anna", 2, None, type="order.delivered", id="o", status="delivered"),
        order("anna", 5, "300.00", id="o", status="new"),
        order("anna", 4, "250.00", type="order.paid", id="o", status="paid"),
        order("anna", 1, "20.00", type="order.returned", id="o"),
        order("anna", 0.5, "30.5", type="order.returned", id="o"),
    )
    (row,) = await shop.rows(
        "SELECT placed_at, paid_at, shipped_at, delivered_at, status, value, currency, returned, whole, statuses"
        " FROM rules.order_fact"
    )
    assert row[:4] == (NOW - 5 * DAY, NOW - 4 * DAY, None, NOW - 2 * DAY)
    assert row[4:9] == ("delivered", 25_000, "PLN", 5_050, False)
    assert sorted(row[9]) == ["delivered", "new", "paid"]
    returned = order("anna", 0.4, "1.00", type="order.returned", id="o")
    for again in (order("anna", 6, "400.00", id="o", status="draft"), returned, returned):
        await shop.tell(again)
    (row,) = await shop.rows("SELECT placed_at, status, value, returned, statuses FROM rules.order_fact")
    assert row[:4] == (NOW - 6 * DAY, "delivered", 25_000, 5_150), "older news, and a repeat"
    assert sorted(row[4]) == ["delivered", "draft", "new", "paid"]


async def test_in_one_batch_and_in_many_it_is_the_same(shop: Shop, database: Database) -> None:
    told = [
        order("anna", 5, "300.00", id="o", status="new"),
        order("anna", 7, "310.00", id="o", status="draft"),
        order("anna", 1, "20.00", type="order.returned", id="o"),
        order("anna", 2, None, type="order.status_changed", id="o", status="packed"),
        order("anna", 3, None, type="order.status_changed", id="o", status="draft"),
        order("anna", 1, "20.00", type="order.returned", id="o"),
        order("anna", 2, None, type="order.cancelled", id="o2"),
    ]
    fields = "placed_at, status, status_at, value, value_at, returned, whole, statuses"
    await shop.tell(*told)
    together = await shop.rows(f'SELECT "order", {fields} FROM rules.order_fact ORDER BY 1')
    await shop.rows("DELETE FROM rules.order_fact")
    await shop.rows("DELETE FROM rules.profile")
    shop.rules.forget()
    for one in told:
        await shop.tell(one)
    alone = await shop.rows(f'SELECT "order", {fields} FROM rules.order_fact ORDER BY 1')
    assert [row[:-1] for row in together] == [row[:-1] for row in alone]
    assert moments(together[0][-1]) == moments(alone[0][-1])
    assert moments(alone[0][-1]) == {"new": NOW - 5 * DAY, "draft": NOW - 7 * DAY, "packed": NOW - 2 * DAY}
    assert together[1][2] == "cancelled"


def moments(statuses: dict[str, str]) -> dict[str, datetime]:
    """When each status was told first."""
    return {word: datetime.fromisoformat(at) for word, at in statuses.items()}


@pytest.mark.parametrize(("size", "least", "most"), [(1, 2, 7), (10**6, 1, 1)])
async def test_all_orders_of_a_customer_are_read_together(shop: Shop, size: int, least: int, most: int) -> None:
    """In parts of about a size, and none is lost."""
    await shop.tell(*(order(f"c{number % 7}", number) for number in range(40)))
    parts: list[list[str]] = []

    async def take(text: bytes) -> None:
        parts.append([line[:36] for line in text.decode().splitlines()])

    async with shop.database.transaction() as connection:
        await store.all_orders(connection, "demo", "order.placed", size, take)
    assert sum(map(len, parts)) == 40
    assert sum(len(set(part)) for part in parts) == 7
    assert least <= len(parts) <= most


async def test_returns_and_cancellations_count(shop: Shop) -> None:
    """Partly returned is less money, returned or cancelled is no order."""
    await shop.tell(order("anna", 3, "600.00", id="a"), order("bob", 3, "50.00", id="b"), order("eve", 3, id="c"))
    await shop.compute()
    assert (await shop.scores())[profile("anna")] == ("good", 4, 1, 3)
    await shop.settle()
    lines = [{"product_id": "p", "price": "100.00", "quantity": 2}]
    await shop.tell(
        order("anna", 0, None, type="order.returned", id="a", items=lines),
        order("bob", 0, None, type="order.returned", id="b"),
        order("eve", 0, None, type="order.cancelled", id="c"),
    )
    ran = await shop.compute()
    assert ran.kind == "incremental"
    assert await shop.scores() == {profile("anna"): ("good", 4, 1, 2)}
    told = await shop.changes()
    assert said(told) == sorted(
        [
            (profile("anna"), "good", "good", False),
            (profile("bob"), "good", None, False),
            (profile("eve"), "good", None, False),
        ]
    )
    await shop.tell(*told)
    anna, bob = (await shop.document("anna")).rfm, (await shop.document("bob")).rfm
    assert anna is not None and bob is not None
    assert (anna.data["m"], anna.data["previous"], anna.data["since"]) == (2, None, NOW.isoformat())
    assert (bob.data["segment"], bob.data["previous"]) == (None, "good")


async def test_an_incremental_run_gives_what_a_full_one_would(shop: Shop, database: Database) -> None:
    """Orders change, days pass, customers age: after each, the rows are those of a full run over the same facts."""
    names = [f"c{number}" for number in range(30)]
    await shop.tell(*(order(name, 1 + 3 * place, f"{40 * place + 10}.00") for place, name in enumerate(names)))
    await shop.compute(everybody=True)
    for step in range(6):
        await shop.clock.move(timedelta(days=7 * step, hours=5))
        later = (shop.clock.now() - NOW) / DAY
        await shop.tell(
            order(names[step], 1 - later, "900.00"),
            order(names[step + 7], -later, None, type="order.cancelled", id=f"gone-{step}"),
            order(f"new{step}", 2 - later),
        )
        ran = await shop.compute(most=10 if step == 3 else 1_000)
        assert ran.kind == "incremental"
        incremental = await shop.scores()
        await shop.rows("DELETE FROM rules.rfm")
        await shop.compute(everybody=True, part=step * 150)
        assert await shop.scores() == incremental
    assert len({row[0] for row in incremental.values()}) > 2


async def test_killed_between_publishing_and_marking(shop: Shop) -> None:
    """The same events under the same ids come again, and profiles take them for what they are: repeats."""
    shop.publish(ANY)
    await shop.tell(*(order(name, 1) for name in ("anna", "bob")))
    await shop.compute()
    await shop.settle()
    await shop.tell(order("anna", 0), order("anna", 0), order("anna", 0), order("eve", 0))
    await shop.compute()
    shop.wire.fails = RuntimeError("killed after the acknowledgement, before the commit")
    await shop.changes()
    first = shop.wire.sent[-2:]
    shop.wire.fails = None
    second = await shop.changes()
    assert sorted(one.value for one in first) == sorted(one.value for one in second)
    assert sorted(dict(one.headers)["ce_id"] for one in first) == sorted(dict(one.headers)["ce_id"] for one in second)
    asked = await shop.tell(*first, *second)
    sent = [MessageRequested.decode(one.value).profile for one in asked if one.topic == topics.MESSAGES.name]
    assert sorted(sent) == sorted([profile("anna"), profile("eve")]), "one message each"


async def test_killed_before_a_run_is_committed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is there, and what was touched is touched still."""
    await shop.tell(order("anna", 1))

    async def killed(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as broken:
        broken.setattr(store, "save_run", killed)
        with pytest.raises(RuntimeError, match="killed"):
            await shop.compute()
    assert await shop.scores() == {}
    assert await shop.changes() == []
    assert len(await shop.rows("SELECT 1 FROM rules.rfm_touched")) == 1
    assert (await shop.compute()).run == 1
    assert len(await shop.changes()) == 1


async def test_two_replicas_take_turns(shop: Shop) -> None:
    """Both are asked and both are due at once: each run is made by one, each change told once."""
    await shop.tell(*(order(f"c{number}", 1) for number in range(40)))
    scorers = [shop.scorer(chunk=7) for _ in range(2)]
    runs = await asyncio.gather(*(one.compute("demo", everybody=True, quiet=False) for one in scorers))
    assert sorted(ran.run for ran in runs if ran) == [1, 2]
    await shop.clock.move(2 * DAY)
    await shop.tell(*(order(f"c{number}", -1) for number in range(10)))
    stop = asyncio.Event()
    await asyncio.gather(*(one.turn(stop) for one in scorers))
    for one in scorers:
        await one.turn(stop)
    assert len(shop.wire.sent) == 50
    assert len({dict(one.headers)["ce_id"] for one in shop.wire.sent}) == 50
    assert await shop.rows("SELECT run FROM rules.rfm_shop") == [(3,)]


async def test_a_merged_profile_is_one_customer(shop: Shop) -> None:
    """Orders move, an order that both knew is one, the row of the loser goes, and what is left is taught anew."""
    await shop.tell(
        *(order("old", days, "100.00", id=f"o{days}") for days in (1, 2)),
        *(order("new", days, "100.00", id=f"n{days}") for days in (20, 21)),
        order("new", 2, None, type="order.paid", id="o2", status="paid"),
    )
    await shop.compute()
    await shop.settle()
    assert (await shop.scores())[profile("new")] == ("good", 3, 2, 2)
    absorbed = await shop.tell(event("profile.merged", "old", NOW, {"into": profile("new")}))
    await shop.tell(*absorbed)
    ran = await shop.compute()
    assert ran.kind == "incremental"
    assert await shop.scores() == {profile("new"): ("best", 4, 3, 2)}
    assert len(await shop.rows("SELECT 1 FROM rules.order_fact WHERE profile = $1", profile("new"))) == 4
    told = await shop.changes()
    assert said(told) == [(profile("new"), "good", "best", False)]
    await shop.tell(*told)
    known = (await shop.document("new")).rfm
    assert known is not None and known.data["segment"] == "best"
    late = order("old", 3, "100.00", id="late")
    forwarded = await shop.tell(late)
    await shop.tell(*forwarded)
    assert len(await shop.rows("SELECT 1 FROM rules.order_fact WHERE profile = $1", profile("new"))) == 5


async def test_merged_into_one_who_never_bought(shop: Shop) -> None:
    """He takes the row over, with its history; nothing has changed, and his conditions know it."""
    await shop.tell(order("old", 1), event("profile.updated", "new", NOW, {"first_name": "Anna"}))
    await shop.compute()
    await shop.changes()  # told, and lost on the way: the loser's document never learns of it
    await shop.tell(*await shop.tell(event("profile.merged", "old", NOW, {"into": profile("new")})))
    await shop.compute()
    assert await shop.scores() == {profile("new"): ("good", 4, 1, 2)}
    assert said(await shop.changes()) == [(profile("new"), "good", "good", False)]
    assert len(await shop.rows("SELECT 1 FROM rules.rfm_history WHERE profile = $1", profile("new"))) == 2


async def test_a_chain_of_merges_that_is_heard_of_from_its_end(shop: Shop) -> None:
    await shop.tell(order("a", 1), order("b", 2), event("profile.updated", "c", NOW, {"first_name": "Anna"}))
    await shop.tell(event("profile.merged", "b", NOW, {"into": profile("c")}))
    await shop.compute()
    assert set(await shop.scores()) == {profile("a"), profile("c")}
    absorbed = await shop.tell(event("profile.merged", "a", NOW, {"into": profile("b")}))
    forwarded = await shop.tell(*absorbed)
    await shop.tell(*forwarded)
    await shop.compute()
    assert await shop.scores() == {profile("c"): ("good", 4, 2, 2)}
    await shop.clock.move(3 * DAY)
    await shop.compute()
    assert await shop.rows("SELECT 1 FROM rules.merged") == [], "forgotten after a day"


async def test_a_chain_whose_middle_never_bought(shop: Shop) -> None:
    """The middle has become another before the orders of the first come to it; what comes there goes on."""
    await shop.tell(order("a", 1), *(event("profile.updated", name, NOW, {"x": 1}) for name in "bc"))
    await shop.tell(event("profile.merged", "b", NOW, {"into": profile("c")}))
    absorbed = await shop.tell(event("profile.merged", "a", NOW, {"into": profile("b")}))
    await shop.tell(*await shop.tell(*absorbed))
    await shop.compute()
    assert await shop.scores() == {profile("c"): ("good", 4, 1, 2)}


async def test_what_is_told_of_a_loser_reaches_nobody(shop: Shop) -> None:
    await shop.tell(order("old", 1), order("new", 50))
    await shop.compute()
    told = await shop.changes()
    await shop.tell(event("profile.merged", "old", NOW, {"into": profile("new")}))
    assert await shop.tell(*(one for one in told if one.key.decode() == profile("old"))) == []


async def test_other_rules_teach_and_start_nothing(shop: Shop) -> None:
    shop.publish(ANY)
    await shop.tell(order("anna", 20))
    await shop.compute()
    await shop.settle()
    shop.registry.set_rfm("demo", 2, parse(RULES.replace("r: 3-4", "r: 4")))
    told = await shop.changes()
    assert said(told) == [(profile("anna"), "good", "rest", True)]
    assert await shop.tell(*told) == []
    behind = Shop(shop.database)
    behind.registry.set_rfm("demo", 1, parse(RULES))
    assert await behind.scorer().turn(asyncio.Event()) == plan.NEVER, "who knows older rules leaves it alone"


async def test_without_rules_the_defaults_in_the_currency_of_most_orders(database: Database) -> None:
    shop = await Shop(database).begin(rules=None)
    shop.registry.set_zone("demo", "Europe/Warsaw")
    await shop.tell(*(order(f"c{number}", number, currency="EUR" if number < 20 else "PLN") for number in range(30)))
    soonest = await shop.scorer().turn(asyncio.Event())
    assert soonest == NOW + DAY
    assert await shop.changes() == []
    await shop.clock.move(DAY)
    assert await shop.changes() == [], "20 customers are too few for quantiles"
    (row,) = await shop.rows("SELECT rules, excluded, run FROM rules.rfm_shop")
    assert (row[0]["currency"], row[0]["timezone"], row[1]) == ("EUR", "Europe/Warsaw", {"currency": 10})
    await shop.tell(*(order(f"d{number}", 0, currency="EUR") for number in range(20)))
    await shop.clock.move(DAY)
    told = await shop.changes()
    assert len(told) == 40
    assert {row[3] for row in said(told)} == {True}, "scores begin: that is no change of a customer"


async def test_it_wakes_by_itself(shop: Shop) -> None:
    """At the first run, then at each midnight of the shop, on a clock that a test moves."""
    stop = asyncio.Event()
    scorer = shop.scorer()
    task = asyncio.create_task(scorer.run(stop))
    try:
        await shop.tell(order("anna", 29))
        scorer.hear()
        for runs, change in ((1, DAY), (2, 14 * HOUR), (3, DAY)):
            await shop.clock.move(change)
            async with asyncio.timeout(10):
                while (await shop.rows("SELECT run FROM rules.rfm_shop"))[0][0] < runs:
                    await asyncio.sleep(0.02)
        async with asyncio.timeout(10):
            while len(shop.wire.sent) < 2:
                await asyncio.sleep(0.02)
    finally:
        stop.set()
        await task
    first, second = (EventOccurred.decode(one.value) for one in shop.wire.sent)
    assert (first.data["to"], first.data["scores"]["r"]) == ("good", 3)
    assert (second.data["from"], second.data["to"], second.received_at) == ("good", "rest", NOW + DAY + 14 * HOUR)


async def test_a_shop_that_cannot_be_computed_holds_up_no_other(shop: Shop) -> None:
    await shop.tell(order("anna", 1), order("bob", 1, shop="other"))
    await shop.rows("UPDATE rules.rfm_shop SET run = 1, rules = '{}'::jsonb WHERE shop = 'aaa'")
    shop.registry.set_rfm("other", 1, parse(RULES))
    broken = shop.scorer()
    real = broken._compute

    async def compute(connection: Any, case: Any, *more: Any) -> Any:
        if case.shop == "demo":
            raise ValueError("broken")
        return await real(connection, case, *more)

    broken._compute = compute  # type: ignore[method-assign, assignment]
    await shop.clock.move(DAY)
    await broken.turn(asyncio.Event())
    assert await shop.rows("SELECT shop, run FROM rules.rfm_shop ORDER BY shop") == [("demo", 0), ("other", 1)]


async def test_no_shop_sees_another(shop: Shop) -> None:
    """I9: the same customer, and the same order id, in two shops."""
    await shop.tell(order("anna", 1, id="o"), order("anna", 70, id="o", shop="other"))
    shop.registry.set_rfm("other", 1, parse(RULES))
    await shop.compute()
    assert await shop.rows("SELECT shop FROM rules.rfm") == [("demo",)]
    assert await shop.rows("SELECT shop FROM rules.rfm_touched") == [("other",)]


@pytest.mark.parametrize("counts", ["order.paid", "{status: sent}"])
async def test_what_counts_may_come_later(shop: Shop, counts: str) -> None:
    """By another event, or by a status; also the orders that leave the window are found by it."""
    shop.registry.set_rfm("demo", 2, parse(RULES + f"orders: {{counts: {counts}}}\noutside: gone\n"))
    await shop.tell(order("anna", 120, id="o"), order("bob", 5))
    await shop.compute()
    assert await shop.scores() == {}
    await shop.tell(order("anna", 90, None, type="order.paid", id="o", status="sent"))
    await shop.compute()
    assert await shop.scores() == {profile("anna"): ("rest", 1, 1, 2)}
    await shop.clock.move(11 * DAY)
    assert (await shop.compute()).kind == "incremental"
    assert await shop.scores() == {profile("anna"): ("gone", 0, 0, 0)}
