"""What ingest took and did not pass on is counted, by shop, once, whatever way it came (the audit, I9)."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from libs.common.bus.apply import Applier
from libs.common.bus.records import Record
from libs.common.clock import ManualClock
from libs.common.db.engine import Connection, Database
from libs.common.errors import Unavailable
from libs.contracts import topics
from services.ingest.stream import Inbox
from tests.integration.ingest.conftest import KEY, NOW, SECRETS, Door, Wire, make_door

SERVICE = {"Authorization": f"Bearer {SECRETS.service_key()}"}


async def audit(door: Door, headers: dict[str, str] = SERVICE, **params: str) -> dict[str, Any]:
    answer = await door.client.get("/v1/audit", headers=headers, params=params)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def of(stopped: int, duplicates: int, quarantined: int) -> dict[str, int]:
    return {"stopped": stopped, "duplicates": duplicates, "quarantined": quarantined}


class Topic:
    """The inbox topic, read by the loop's unit of work."""

    def __init__(self, door: Door) -> None:
        wire: Any = door.wire
        self.inbox = Inbox(door.intake)
        self.applier = Applier(
            schema="ingest",
            database=door.database,
            producer=wire,
            handle=self.inbox.handle,
            refused=self.inbox.refused,
        )
        self.offset = 0

    async def take(self, *values: Any) -> None:
        """One poll."""
        await self.applier.assign({(topics.INBOX.name, 0): 0})
        records = [
            Record(
                topic=topics.INBOX.name,
                partition=0,
                offset=self.offset + place,
                key=None,
                value=value if isinstance(value, bytes | None) else json.dumps(value).encode(),
                headers=(),
                timestamp=0,
            )
            for place, value in enumerate(values)
        ]
        await self.applier.apply(records)
        self.offset += len(values)


@pytest.fixture
async def door(database: Database) -> AsyncIterator[Door]:
    made = make_door(database, Wire(), ManualClock(NOW))
    yield made
    await made.client.aclose()


async def test_repeats_at_the_door_are_counted(door: Door) -> None:
    event = door.event(user_id="42")
    assert (await door.take(event))["accepted"] == 1
    assert (await audit(door))["events"] == of(0, 0, 0)
    assert (await door.take(event, event))["duplicates"] == 2
    call = {"userId": "42", "event": "Seen", "messageId": "m-1"}
    for _ in range(2):
        await door.client.post("/v1/track", json=call, headers=KEY)
    assert (await door.post(door.event(user_id=""))).status_code == 422
    assert (await audit(door))["events"] == of(3, 3, 0), "what is rejected was not received"
    assert len(door.events()) == 2


async def test_the_inbox_topic_is_counted_with_its_offset(door: Door) -> None:
    topic = Topic(door)
    event, other = door.event(user_id="42"), door.event(user_id="43") | {"source": "/shops/other/web"}
    await topic.take(event, event, other, b"{not json", door.event("no.such.type", user_id="1"))
    assert (await audit(door))["events"] == of(3, 1, 2)
    assert (await audit(door, shop="demo"))["events"] == of(2, 1, 1), "the one that is no JSON is nobody's"
    assert (await audit(door, shop="other"))["events"] == of(0, 0, 0)
    await door.take(event)
    assert (await audit(door))["events"] == of(4, 2, 2)


async def test_a_poll_that_is_read_again_is_counted_once(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after the events were published, before the offset moved: then they are repeats, and agree still."""
    topic = Topic(door)
    handle = topic.inbox.handle

    async def killed(connection: Connection, records: Any) -> Any:
        await handle(connection, records)
        raise Unavailable("killed here")

    monkeypatch.setattr(topic.applier, "_handle", killed)
    with pytest.raises(Unavailable):
        await topic.take(door.event(user_id="42", id="e"), b"{")
    assert (await audit(door))["events"] == of(0, 0, 0)
    monkeypatch.setattr(topic.applier, "_handle", handle)
    await topic.take(door.event(user_id="42", id="e"), b"{")
    told = (await audit(door))["events"]
    assert told == of(2, 1, 1)
    on_kafka = len(door.events())
    received = on_kafka + told["stopped"]
    assert received == on_kafka + told["duplicates"] + told["quarantined"] == 3


async def test_what_breaks_the_handler_is_counted_in_its_quarantine(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = Topic(door)

    async def broken(_connection: Connection, _records: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(topic.applier, "_handle", broken)
    await topic.take(door.event(user_id="42"))
    assert (await audit(door))["events"] == of(1, 0, 1)
    assert [one.topic for one in door.wire.sent] == [topics.INBOX.quarantine]


async def test_a_count_that_fails_costs_no_event(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    event = door.event(user_id="42")
    await door.take(event)

    async def away(*_arguments: object, **_more: object) -> None:
        raise Unavailable("database: away")

    monkeypatch.setattr("services.ingest.store.count", away)
    assert (await door.take(event))["duplicates"] == 1


async def test_many_at_once_count_every_repeat(door: Door) -> None:
    event = door.event(user_id="42")
    await door.take(event)
    await asyncio.gather(*(door.take(event) for _ in range(20)))
    assert (await audit(door))["events"] == of(20, 20, 0)


async def test_the_key_of_a_shop_counts_its_own_alone(door: Door) -> None:
    ours, theirs = door.event(user_id="42"), door.event(user_id="43") | {"source": "/shops/other/web"}
    topic = Topic(door)
    await topic.take(ours, ours, theirs, theirs, theirs)
    assert await audit(door, KEY) == {"events": of(1, 1, 0)}, "and no lag, which is of all shops together"
    assert await audit(door) == {"events": of(3, 3, 0), "lag": 0}
    door.wire.away = True
    await door.take(door.event(user_id="44"))
    other = door.event(user_id="45") | {"source": "/shops/other/web"}
    answer = await door.client.post("/v1/events?shop=other", json=[other], headers=SERVICE)
    assert answer.status_code == 202
    seen: dict[str, list[Any]] = {}
    for path in ("/v1/status", "/v1/settled"):
        seen[path] = [(await door.client.get(path, headers=headers)).json() for headers in (KEY, SERVICE)]
    assert seen["/v1/status"] == [{"spilled": 1}, {"spilled": 2, "lag": 0}]
    assert seen["/v1/settled"] == [{"spilled": 1}, {"spilled": 2, "unread": 0}]
    assert (await audit(door))["lag"] == 2, "what is spilled is on its way"
    refused: httpx.Response = await door.client.get("/v1/audit?shop=other", headers=KEY)
    assert refused.status_code == 403
