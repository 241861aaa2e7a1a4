"""What shops tell: the newest word by event time stands; replays, merges and late records change nothing wrongly."""

from datetime import timedelta
from itertools import permutations

import pytest

from libs.common.errors import Unavailable
from libs.contracts.contacts import ContactsTold, ProfileMerged
from tests.integration.consent.conftest import ADDRESS, ANNA, BEN, CECIL, PHONE, Bench, asked, at, consent, record, told

GRANT, WITHDRAW = consent("granted"), consent("withdrawn")
Said = tuple[ContactsTold | ProfileMerged, float]


async def test_granted_with_an_address_is_allowed(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0))
    (answer,) = await bench.answers()
    assert (answer.decision, answer.channel, answer.address, answer.profile) == ("allow", "email", ADDRESS, ANNA)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([(GRANT, 0), (WITHDRAW, 1)], "withdrawn"),
        ([(WITHDRAW, 1), (GRANT, 0)], "withdrawn"),
        ([(GRANT, 1), (WITHDRAW, 0)], "email"),
        ([(WITHDRAW, 0), (GRANT, 1)], "email"),
        ([(GRANT, 1), (WITHDRAW, 1)], "withdrawn"),
        ([(WITHDRAW, 1), (GRANT, 1)], "withdrawn"),
        ([(consent("requested"), 1)], "unconfirmed"),
        ([(consent("refused"), 1)], "refused"),
        ([(consent("refused"), 1), (consent("requested"), 1)], "refused"),
    ],
)
@pytest.mark.parametrize("together", [True, False])
async def test_the_newest_word_by_event_time_stands(bench: Bench, said: list, expected: str, together: bool) -> None:  # type: ignore[type-arg]
    messages: list[Said] = [(told(ANNA, word, email=ADDRESS), time) for word, time in said]
    if together:
        await bench.consume(*messages)
    else:
        for message in messages:
            await bench.consume(message)
    assert await bench.may(asked()) == [expected]
    assert await bench.rows() == len(said)


async def test_a_grant_from_a_clock_that_is_ahead_does_not_outlive_a_withdrawal(bench: Bench) -> None:
    ahead = ContactsTold(profile=ANNA, received_at=at(0), consents=[GRANT], contacts=told(ANNA, email=ADDRESS).contacts)
    await bench.consume((ahead, 1_000_000))
    assert await bench.may(asked()) == ["email"]
    await bench.consume((ContactsTold(profile=ANNA, received_at=at(5), consents=[WITHDRAW]), 5))
    assert await bench.may(asked()) == ["withdrawn"]


async def test_a_batch_that_comes_again_appends_nothing(bench: Bench) -> None:
    """Kafka replays (same offsets), and a producer's repetition (other offsets, same event)."""
    batch = [
        record(n, told(person, GRANT, WITHDRAW, email=ADDRESS), id=f"e{n}") for n, person in enumerate((ANNA, BEN))
    ]
    await bench.applier.apply(batch)
    await bench.applier.apply(batch)
    assert await bench.rows() == 4
    again = [
        record(n + 2, told(person, GRANT, WITHDRAW, email=ADDRESS), id=f"e{n}") for n, person in enumerate((ANNA, BEN))
    ]
    await bench.applier.apply(again)
    assert await bench.rows() == 4
    assert bench.wire.sent == [], "a repetition is no poison"
    assert len(await bench.changes()) == 2
    assert (await bench.get("/v1/consents/verify"))["ok"]


async def test_one_event_twice_in_a_batch_is_one_row(bench: Bench) -> None:
    await bench.applier.apply([record(n, told(ANNA, GRANT), id="same") for n in range(3)])
    assert await bench.rows() == 1


async def test_an_event_id_used_again_for_a_withdrawal_is_not_taken_for_a_repetition(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0), id="always-the-same")
    await bench.consume((told(ANNA, WITHDRAW), 1), id="always-the-same")
    assert await bench.may(asked()) == ["withdrawn"]


async def test_a_failed_transaction_leaves_no_row_and_no_gap(bench: Bench) -> None:
    """I4: nothing of a batch remains when its transaction fails; the chain goes on without a gap."""
    original = bench.applier._handle

    async def broken(connection, records):  # type: ignore[no-untyped-def]
        await original(connection, records)
        raise Unavailable("database: gone")

    bench.applier._handle = broken
    with pytest.raises(Unavailable):
        await bench.consume((told(ANNA, GRANT), 0))
    assert (await bench.rows(), await bench.changes()) == (0, [])
    bench.applier._handle, bench.offset = original, 0
    await bench.consume((told(ANNA, GRANT), 0))
    assert (await bench.get("/v1/consents/verify"))["rows"] == 1


async def test_null_characters_do_not_lose_a_withdrawal(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0))
    await bench.consume((told(ANNA, consent("withdrawn", how="by\x00mail", text="\x00", page="\x00x")), 1))
    assert await bench.may(asked()) == ["withdrawn"]


async def test_a_record_that_is_not_ours_goes_to_quarantine_alone(bench: Bench) -> None:
    broken = record(0, told(ANNA, GRANT))
    wrong = type(broken)(**{name: getattr(broken, name) for name in broken.__slots__} | {"value": b"{"})
    no_uuid = record(1, told("anna", GRANT))
    await bench.applier.apply([wrong, no_uuid, record(2, told(BEN, GRANT, email=ADDRESS))])
    assert [one.topic for one in bench.wire.sent] == ["kurant.contacts.v1.quarantine"] * 2
    assert await bench.may(asked(BEN)) == ["email"]


async def test_the_newest_address_is_used_and_consent_stays_with_the_person(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email="new@example.com"), 10), (told(ANNA, email="old@example.com"), 5))
    assert [one.address for one in await bench.answers()] == ["new@example.com"]
    await bench.consume((told(ANNA, email="newest@example.com"), 20))
    assert [one.address for one in await bench.answers()] == ["newest@example.com"]
    held = await bench.get(f"/v1/exports/{ANNA}")
    assert [c["address"] for c in held["contacts"]] == ["newest@example.com", "new@example.com", "old@example.com"]


@pytest.mark.parametrize(
    "address", ["a@b.example\r\nBcc: x@y.example", "no address", "a@b@c", "<a@b.c>", "a,b@c.de", ""]
)
async def test_what_cannot_be_an_address_is_not_used_and_the_consent_beside_it_is(bench: Bench, address: str) -> None:
    bad = ContactsTold(
        profile=ANNA,
        received_at=at(1),
        contacts=[type(told(email="x@y.z").contacts[0])(channel="email", address=address)],
        consents=[GRANT],
    )
    await bench.consume((bad, 0))
    assert await bench.may() == ["no_address"]


async def test_channels_and_purposes_are_separate(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, consent("withdrawn", "sms"), email=ADDRESS, phone=PHONE), 0))
    answers = await bench.may(
        asked(ANNA, "email"),
        asked(ANNA, "sms"),
        asked(ANNA, "sms", "email"),
        asked(ANNA, "email", purpose="ads_audience"),
    )
    assert answers == ["email", "withdrawn", "email", "no_consent"]


MERGE_ORDERS: list[Said] = [
    (told(ANNA, GRANT, email=ADDRESS), 0),
    (told(BEN, WITHDRAW), 5),
    (ProfileMerged(profile=ANNA, into=BEN), 3),
    (ProfileMerged(profile=BEN, into=CECIL), 4),
]


@pytest.mark.parametrize("together", [True, False])
async def test_merges_in_any_order_and_the_newer_withdrawal_wins(bench: Bench, together: bool) -> None:
    """Every order of two words and two merges, in one batch and in four; each order in a shop of its own."""
    for order in permutations(MERGE_ORDERS):
        shop = f"shop-{bench.offset}"
        records = [
            record(bench.offset + n, message, at(minute), shop=shop) for n, (message, minute) in enumerate(order)
        ]
        bench.offset += len(records)
        for batch in [records] if together else [[one] for one in records]:
            await bench.applier.apply(batch)
        answers = await bench.answers(*(asked(profile, shop=shop) for profile in (ANNA, BEN, CECIL)))
        assert [(one.profile, one.reason) for one in answers] == [(CECIL, "withdrawn")] * 3, order
        await bench.applier.apply([record(bench.offset, told(ANNA, GRANT, phone=PHONE), at(10), shop=shop)])
        bench.offset += 1
        (answer,) = await bench.answers(asked(CECIL, shop=shop))
        assert (answer.decision, answer.address) == ("allow", ADDRESS), order
    assert (await bench.get("/v1/consents", profile=ANNA, shop=shop))["profile"] == CECIL
    assert (await bench.get("/v1/consents/verify", shop=shop))["ok"]


async def test_repeated_and_circular_merges_do_no_harm(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0))
    for _ in range(2):
        await bench.consume((ProfileMerged(profile=ANNA, into=BEN), 1))
    await bench.consume((ProfileMerged(profile=BEN, into=ANNA), 2), (ProfileMerged(profile=BEN, into=BEN), 2))
    assert await bench.may(asked(ANNA), asked(BEN)) == ["email", "email"]
    assert {one.profile for one in await bench.answers(asked(ANNA), asked(BEN))} == {BEN}


async def test_two_losers_with_the_same_things_meet_at_one_winner(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 2), (told(BEN, WITHDRAW, email=ADDRESS), 1))
    await bench.consume((ProfileMerged(profile=ANNA, into=CECIL), 3), (ProfileMerged(profile=BEN, into=CECIL), 3))
    assert await bench.may(asked(CECIL)) == ["email"]


async def test_shops_do_not_see_each_other(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0))
    assert await bench.may(asked(shop="other")) == ["no_consent"]


async def test_changes_are_published_with_the_whole_picture_and_only_when_something_changed(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, consent("refused", "sms"), email=ADDRESS), 0))
    first = await bench.changes()
    whole = {"email": {"marketing": "granted"}, "sms": {"marketing": "refused"}}
    assert [(one.profile, one.channel, one.status, one.consents) for one in first] == [
        (ANNA, "email", "granted", whole),
        (ANNA, "sms", "refused", whole),
    ]
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 1))
    assert await bench.changes() == []
    await bench.consume((ProfileMerged(profile=ANNA, into=BEN), 2))
    assert {(one.profile, one.because, one.channel) for one in await bench.changes()} == {
        (BEN, "merged", "email"),
        (BEN, "merged", "sms"),
    }
    assert {one.key for one in bench.wire.sent} == {ANNA.encode(), BEN.encode()}


async def test_the_last_record_tells_what_stands_even_if_changes_are_published_late(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT), 0))
    await bench.consume((told(ANNA, WITHDRAW), 1))
    assert [one.consents for one in await bench.changes()] == [{"email": {"marketing": "withdrawn"}}] * 2


async def test_the_clock_is_the_platforms(bench: Bench) -> None:
    await bench.clock.move(timedelta(days=3))
    await bench.consume((told(ANNA, GRANT), 0))
    (row,) = (await bench.get("/v1/consents", profile=ANNA))["history"]
    assert (row["at"], row["recorded_at"]) == ("2026-03-02T10:00:00Z", "2026-03-06T10:00:00Z")
