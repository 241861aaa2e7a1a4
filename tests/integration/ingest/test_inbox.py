"""What is written to the inbox topic, and what the quarantine says of it."""

import json

from tests.integration.ingest.conftest import Door
from tests.integration.ingest.test_sums import Topic


async def test_half_an_emoji_costs_that_character_alone(door: Door) -> None:
    cut = door.event("custom.x", user_id="42", note="cut \ud83d")
    await Topic(door).take(json.dumps(cut).encode())
    assert [event.data for _, event in door.events()] == [{"note": "cut \ufffd"}]
