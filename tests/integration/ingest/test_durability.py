"""I10: 202 only when it is durable; the spill keeps order; nothing waits for a broker known to be away."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from libs.common.bus.records import Outgoing
from libs.common.errors import Unavailable
from libs.common.telemetry.metrics import page
from libs.contracts import topics
from services.ingest import stream
from tests.integration.ingest.conftest import SECRETS, Door, Wire, make_door

ANNA = {"email": "anna@example.com"}


async def drain(door: Door) -> None:
    while await door.drain.drain():
        pass


async def test_kafka_away_is_202_and_everything_comes_in_order(door: Door) -> None:
    door.wire.away = True
    for number in range(3):
        assert (await door.take(door.event("custom.x", id=f"a-{number}", **ANNA)))["accepted"] == 1
    assert await door.fetchval("SELECT count(*) FROM ingest.spill") == 3
    assert (await door.client.get("/v1/status", headers=_key())).json()["spilled"] == 3
    with pytest.raises(Unavailable):
        await door.drain.drain()
    assert b"kurant_events_spilled 3.0" in page("ingest")[0]
    door.wire.away = False
    await door.take(door.event("custom.x", id="a-3", **ANNA))
    assert door.events() == [], "while something waits, the new waits behind it"
    await drain(door)
    assert b"kurant_events_spilled 0.0" in page("ingest")[0]
    assert [envelope.id for envelope, _ in door.events()] == ["a-0", "a-1", "a-2", "a-3"]
    assert door.wire.sent[0].topic == topics.CONTACTS.name
    assert door.events()[0][1].contacts_at == {"0": 0}
    assert await door.fetchval("SELECT count(*) FROM ingest.spill") == 0
    await door.take(door.event("custom.x", id="a-4", **ANNA))
    assert door.events()[-1][0].id == "a-4"


def _service() -> dict[str, str]:
    return {"Authorization": f"Bearer {SECRETS.service_key()}"}


def _key() -> dict[str, str]:
    return {"Authorization": "Bearer kurant-demo-key"}


async def test_what_is_spilled_is_not_settled(door: Door) -> None:
    """Rules asks this before it judges a wake-up call: a purchase in the spill must not be overtaken."""
    settled = {"spilled": 0, "unread": 0}
    assert (await door.client.get("/v1/settled", headers=_service())).json() == settled
    door.wire.away = True
    await door.take(door.event("order.placed", order={"id": "o-1", "value": "1.00"}, **ANNA))
    door.wire.away = False
    assert (await door.client.get("/v1/settled", headers=_service())).json() == settled | {"spilled": 1}
    await drain(door)
    assert (await door.client.get("/v1/settled", headers=_service())).json() == settled
    assert (await door.client.get("/v1/settled")).status_code == 401


async def test_another_replica_spills_behind_too(door: Door) -> None:
    door.wire.away = True
    await door.take(door.event("custom.x", id="a-0", **ANNA))
    replica = make_door(door.database, Wire(), door.clock)
    await replica.take(replica.event("custom.x", id="a-1", **ANNA))
    assert replica.events() == []
    await drain(replica)
    assert [envelope.id for envelope, _ in replica.events()] == ["a-0", "a-1"]


async def test_what_is_spilled_is_a_duplicate_when_it_comes_again(door: Door) -> None:
    door.wire.away = True
    event = door.event(**ANNA)
    await door.take(event)
    assert (await door.take(event))["duplicates"] == 1


async def test_an_unacknowledged_drain_keeps_the_spill(door: Door) -> None:
    """Deleted only after the acknowledgement."""
    door.wire.away = True
    await door.take(door.event("custom.x", **ANNA))
    door.wire.away = False
    door.wire.fails_after = 1
    with pytest.raises(Unavailable):
        await door.drain.drain()
    assert await door.fetchval("SELECT count(*) FROM ingest.spill") == 1
    door.wire.fails_after, door.wire.away = None, False
    await drain(door)
    assert len(door.events()) == 1


async def test_nobody_waits_for_a_broker_known_to_be_away(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first request waits as long as patience lasts, the next ones not at all."""
    monkeypatch.setattr(stream, "PATIENCE", 0.3)
    asked = 0

    async def never(_records: Sequence[Outgoing]) -> list[tuple[int, int]]:
        nonlocal asked
        asked += 1
        await asyncio.sleep(3600)
        return []

    monkeypatch.setattr(door.wire, "send", never)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await door.take(door.event("custom.x", user_id="1"))
    assert loop.time() - begun >= 0.3
    begun = loop.time()
    for number in range(5):
        await door.take(door.event("custom.x", user_id=str(number)))
    assert loop.time() - begun < 0.3
    assert asked == 1


async def test_events_go_straight_again_once_kafka_is_back(door: Door) -> None:
    door.wire.away = True
    await door.take(door.event("custom.x", **ANNA))
    assert door.intake.away
    door.wire.away = False
    await drain(door)
    assert not door.intake.away


async def test_both_away_is_503_with_retry_after(door: Door) -> None:
    await door.take(door.event("custom.x", **ANNA))
    await door.database.pool.close()
    door.wire.away = True
    answer = await door.post(door.event("custom.x", **ANNA))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_client_that_hangs_up_leaves_nothing_half_done(door: Door) -> None:
    """The whole batch is published and noted, though nobody waits for the answer."""
    reached, go_on = asyncio.Event(), asyncio.Event()
    original = door.wire.send

    async def slow(records: Sequence[Outgoing]) -> list[tuple[int, int]]:
        reached.set()
        await go_on.wait()
        return await original(records)

    door.wire.send = slow  # type: ignore[method-assign]
    events = [door.event("custom.x", id=f"b-{n}", user_id=str(n)) for n in range(5)]
    request = asyncio.ensure_future(door.post(*events))
    await reached.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    go_on.set()
    door.wire.send = original  # type: ignore[method-assign]
    answer = await door.take(*events)
    assert answer["duplicates"] == 5
    assert len(door.events()) == 5


async def test_nothing_is_noted_as_seen_before_it_is_durable(door: Door) -> None:
    """ADR 0004: written after the acknowledgement. Both ways out closed, the repeat is no duplicate."""
    event = door.event("custom.x", **ANNA)
    door.wire.away = True

    async def full(_events: object, _keys: object) -> None:
        raise Unavailable("database: full")

    original, door.intake._spill = door.intake._spill, full  # type: ignore[method-assign]
    assert (await door.post(event)).status_code == 503
    door.intake._spill = original  # type: ignore[method-assign]
    door.wire.away = door.intake.away = False
    assert (await door.take(event))["accepted"] == 1


async def test_a_partly_failed_publication_is_sent_whole_again(door: Door) -> None:
    """Contacts acknowledged, events not: both come again, contacts first."""
    door.wire.fails_after = 1
    await door.take(door.event("custom.x", **ANNA))
    door.wire.fails_after, door.wire.away = None, False
    await drain(door)
    assert [one.topic for one in door.wire.sent] == [topics.CONTACTS.name, topics.CONTACTS.name, topics.EVENTS.name]
    assert door.events()[0][1].contacts_at == {"0": 1}


async def test_repeats_are_known_for_thirty_days_and_forgotten_by_weeks(door: Door) -> None:
    event = door.event("custom.x", **ANNA)
    await door.take(event)
    await door.clock.move(timedelta(days=30))
    assert await door.drain.tidy() == []
    assert (await door.take(event))["duplicates"] == 1
    await door.take(door.event("custom.x", **ANNA))
    await door.clock.move(timedelta(days=10))
    assert await door.drain.tidy() == ["seen_20260302"]
    assert (await door.take(event))["accepted"] == 1


async def test_the_drain_runs_by_itself_until_it_is_stopped(door: Door) -> None:
    stop = asyncio.Event()
    running = asyncio.ensure_future(door.drain.run(stop))
    door.wire.away = True
    await door.take(door.event("custom.x", **ANNA))
    door.wire.away = False
    async with asyncio.timeout(10):
        while not door.events():
            await asyncio.sleep(0.02)
    stop.set()
    async with asyncio.timeout(5):
        await running
