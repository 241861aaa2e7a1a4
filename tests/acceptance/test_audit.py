"""Every way in counts: what was sent is applied, a repeat, or in quarantine, and the audit says how many of each."""

import asyncio
import json
from typing import Any

import pytest

from libs.common.bus.kafka import Producer
from libs.common.bus.records import Outgoing
from libs.contracts import topics
from tests.support.running import Running, eventually

SHOP = "counting"


@pytest.fixture(scope="module")
def key(platform: Running) -> str:
    """A key of a shop of which nobody else sends anything."""
    scopes = ("--scope", "ingest", "--scope", "read", "--scope", "admin")
    return str(platform.cli("keys", "create", "--shop", SHOP, *scopes, "--json").json["key"])


def event(platform: Running, id: str, **change: Any) -> dict[str, Any]:
    told = {"specversion": "1.0", "id": id, "source": f"/shops/{SHOP}/web", "type": "custom.counted"}
    return told | {"time": platform.now().isoformat(), "data": {"user_id": id}} | change


def write(platform: Running, *values: bytes) -> None:
    """What a platform writes to the inbox topic itself."""

    async def send() -> None:
        producer = await Producer.connect(f"127.0.0.1:{platform.ports.named()['kafka']}", name="test")
        try:
            await producer.send([Outgoing(topic=topics.INBOX.name, key=b"k", value=one, headers=[]) for one in values])
        finally:
            await producer.close()

    asyncio.run(send())


def test_every_event_is_counted_once_whatever_way_it_came(platform: Running, key: str) -> None:
    before = platform.settled()["events"]
    batch = [event(platform, f"e-{number}") for number in range(5)]
    for _ in range(2):
        assert platform.post(batch, key).status_code == 202
    assert platform.post([event(platform, "bad", type="no.such.type")], key).status_code == 422
    good = json.dumps(event(platform, "inbox")).encode()
    bad = json.dumps(event(platform, "bad", type="no.such.type")).encode()
    write(platform, good, good, bad, b"{not json")

    def whole() -> dict[str, Any] | None:
        found = platform.ask("/v1/audit", key)
        return found if found["ok"] and found["events"]["quarantined"] == 1 else None

    expected = {"received": 13, "applied": 6, "duplicates": 6, "quarantined": 1, "difference": 0}
    assert eventually(whole, 20, "the shop's audit has all of it")["events"] == expected
    after = platform.settled()["events"]
    assert after["quarantined"] - before["quarantined"] == 2, "one of them says of no shop"
    assert after["duplicates"] - before["duplicates"] >= 6
    assert platform.cli("audit").code == 0
