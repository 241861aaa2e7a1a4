"""What is written to the inbox topic, and what the quarantine says of it."""

import json

import pytest

from libs.contracts import topics
from tests.integration.ingest.conftest import Door
from tests.integration.ingest.test_sums import Topic


async def test_half_an_emoji_costs_that_character_alone(door: Door) -> None:
    cut = door.event("custom.x", user_id="42", note="cut \ud83d")
    await Topic(door).take(json.dumps(cut).encode())
    assert [event.data for _, event in door.events()] == [{"note": "cut \ufffd"}]


@pytest.mark.parametrize("value", [b"[]", b'[{"source": "/shops/demo/web"}]', b"null", b"5", b"", None])
async def test_what_is_no_object_is_said_to_be_none(door: Door, value: bytes | None) -> None:
    """A list of events, nothing at all, and a tombstone (a record without a value)."""
    await Topic(door).take(value)
    (refused,) = door.wire.sent
    assert refused.topic == topics.INBOX.quarantine
    assert dict(refused.headers)["kurant-quarantine-cause"] == b"invalid: event: must be an object"
