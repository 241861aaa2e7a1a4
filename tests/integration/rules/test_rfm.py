"""RFM on a real database: facts of orders, runs, who is told, what scenarios make of it."""

import pytest

from libs.common.db.engine import Database
from libs.contracts import topics
from libs.contracts.messages import MessageRequested
from tests.integration.rules.orders import DAY, Shop, order, profile, said
from tests.unit.engine.world import scenario

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
