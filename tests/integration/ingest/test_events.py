"""`POST /v1/events`: what is taken, what is refused, and in which form it goes on."""

from typing import Any

from tests.integration.ingest.conftest import Door

ANNA = {"email": "Anna@Example.com"}


async def test_an_event_is_accepted_and_published_in_canonical_form(door: Door) -> None:
    told = await door.take(door.event(**ANNA, phone="601 000 000", first_name="Anna"))
    assert told == {"accepted": 1, "duplicates": 0, "rejected": []}
    ((envelope, event),) = door.events()
    assert (envelope.shop, envelope.type, envelope.id) == ("demo", "cart.updated", "e-1")
    assert envelope.traceparent is not None
    assert event.data == {"cart": {"id": "c-1", "value": "249.00"}, "first_name": "Anna"}
    (contacts,) = door.contacts()
    assert [(c.channel, c.address) for c in contacts.contacts] == [  # type: ignore[union-attr]
        ("email", "anna@example.com"),
        ("sms", "+48601000000"),
    ]
    assert event.contacts_at == {"0": 0}
    assert contacts.profile == event.profile


async def test_repeats_are_duplicates_in_one_request_and_over_two(door: Door) -> None:
    event = door.event(**ANNA)
    assert (await door.take(event, event, event))["duplicates"] == 2
    assert await door.take(event) == {"accepted": 0, "duplicates": 1, "rejected": []}
    assert len(door.events()) == 1
