"""Identity over HTTP: who an event belongs to, merges told before what follows from them, replicas side by side."""

import asyncio
from collections.abc import Collection

import pytest

from libs.common.db.engine import Connection
from libs.common.errors import Unavailable
from libs.contracts import topics
from libs.contracts.envelope import Envelope
from libs.contracts.events import MERGED
from libs.domain.intake.identity import Holds
from services.ingest import stream
from tests.integration.ingest.conftest import Door, Wire, make_door


async def test_the_till_knows_the_customer_of_the_crm(door: Door) -> None:
    anna = await door.say("profile.updated", user_id="42", email="anna@example.com", loyalty_card="LC-5")
    assert await door.say(loyalty_card="LC-5") == anna
    assert await door.say(email="ANNA@example.com") == anna
    assert await door.resolve(email="anna@example.com") == anna
    assert await door.resolve(email="nobody@example.com") is None
    assert await door.resolve(profile=anna) == anna


async def test_a_merge_is_told_first_on_the_key_of_the_profile_that_ends(door: Door) -> None:
    browser = await door.say("custom.x", anonymous_id="b-1")
    anna = await door.say("custom.x", user_id="42")
    before = len(door.wire.sent)
    assert await door.say(anonymous_id="b-1", user_id="42") == anna
    topic_and_key = [(one.topic, one.key.decode()) for one in door.wire.sent[before:]]
    assert topic_and_key == [
        (topics.CONTACTS.name, browser),
        (topics.EVENTS.name, browser),
        (topics.EVENTS.name, anna),
    ]
    envelope, merged = door.events()[-2]
    assert (envelope.type, merged.data, merged.contacts_at) == (MERGED, {"into": anna}, {"0": before})
    assert door.merges() == [(browser, anna)]
    assert await door.resolve(profile=browser) == anna
    assert await door.resolve(anonymous_id="b-1") == anna


async def test_chains_are_followed(door: Door) -> None:
    first = await door.say("custom.x", anonymous_id="b-1")
    second = await door.say("custom.x", email="anna@example.com")
    assert await door.say(anonymous_id="b-1", email="anna@example.com") == second
    third = await door.say("custom.x", user_id="42")
    assert await door.say(email="anna@example.com", user_id="42") == third
    assert await door.say("custom.x", anonymous_id="b-1") == third
    assert await door.resolve(profile=first) == third
    assert door.merges() == [(first, second), (second, third)]


async def test_two_accounts_that_share_a_telephone_are_not_merged(door: Door) -> None:
    anna = await door.say("custom.x", user_id="42", phone="601000000")
    ben = await door.say("custom.x", user_id="43", phone="+48 601 000 000")
    assert anna != ben
    assert door.merges() == []
    assert await door.resolve(phone="601000000") == ben
    told = [one for one in door.contacts() if one.profile == ben]
    assert len(told) == 1, "Ben's own contact point is told, though the number was known"


async def test_a_known_address_is_told_once_and_again_by_the_profile(door: Door) -> None:
    who = {"email": "anna@example.com"}
    for _ in range(3):
        await door.say("custom.x", **who)
    assert len(door.contacts()) == 1
    await door.say("profile.updated", **who)
    assert len(door.contacts()) == 2


async def test_a_merge_survives_a_crash_before_it_was_told(door: Door) -> None:
    """The transaction that merges keeps the message: whoever comes next tells it, before anything else."""
    browser = await door.say("custom.x", anonymous_id="b-1")
    anna = await door.say("custom.x", user_id="42")
    door.wire.sent.clear()

    async def dies() -> None:
        raise KeyboardInterrupt

    original, door.intake.publish_merges = door.intake.publish_merges, dies  # type: ignore[method-assign]
    answer = asyncio.ensure_future(door.intake._identify(*await _looked(door, anonymous_id="b-1", user_id="42")))
    await answer
    assert door.wire.sent == []
    door.intake.publish_merges = original  # type: ignore[method-assign]
    replica = make_door(door.database, door.wire, door.clock)
    await replica.take(replica.event("custom.x", id="next", user_id="42"))
    kinds = [Envelope.read(one.headers).type for one in door.wire.sent]
    assert kinds == ["kurant.profile.merged", MERGED, "custom.x"]
    assert door.merges() == [(browser, anna)]
    assert not await door.drain.drain()
    assert door.merges() == [(browser, anna)], "told once"


async def _looked(door: Door, **who: str):  # type: ignore[no-untyped-def]
    from services.ingest import handlers, store
    from tests.integration.ingest.conftest import NOW, SECRETS

    told = handlers.read(door.event("custom.x", **who), shop="demo", now=NOW, digest=SECRETS.identifier)
    keys = [("demo", one.digest) for one in told.claim.identifiers]
    async with door.database.connection() as connection:
        return [told], await store.look(connection, [told.unique], keys, ["demo"])


async def test_a_merge_left_by_a_crash_is_told_by_the_drain(door: Door) -> None:
    await door.say("custom.x", anonymous_id="b-1")
    await door.say("custom.x", user_id="42")
    door.wire.away = True
    await door.take(door.event(anonymous_id="b-1", user_id="42"))
    with pytest.raises(Unavailable):
        await door.drain.drain()
    door.wire.away = False
    door.wire.sent.clear()
    while await door.drain.drain():
        pass
    assert [Envelope.read(one.headers).type for one in door.wire.sent] == [
        "kurant.profile.merged",
        MERGED,
        "cart.updated",
    ]


async def test_replicas_that_meet_a_customer_at_once_agree(door: Door) -> None:
    """The same new identifiers, in many requests over three replicas at once: one profile for each customer."""
    replicas = [door, *(make_door(door.database, Wire(), door.clock) for _ in range(2))]
    requests = []
    for number in range(30):
        replica = replicas[number % 3]
        customer = number % 5
        who = [{"email": f"c{customer}@example.com"}, {"user_id": f"u{customer}"}]
        both = who[0] | who[1]
        events = [replica.event("custom.x", id=f"{number}-{i}", **w) for i, w in enumerate((*who, both))]
        requests.append(replica.take(*events))
    await asyncio.gather(*requests)
    profiles = {await door.resolve(email=f"c{n}@example.com") for n in range(5)}
    assert len(profiles) == 5
    for number in range(5):
        assert await door.resolve(email=f"c{number}@example.com") == await door.resolve(user_id=f"u{number}")
    assert await door.fetchval("SELECT count(DISTINCT profile) FROM ingest.identifier") == 5
    ended = await door.fetchval(
        "SELECT count(*) FROM ingest.identifier AS i JOIN ingest.merged AS m ON m.profile = i.profile"
    )
    assert ended == 0, "no identifier points to a profile that ended"


async def test_a_merge_waits_for_another_that_is_under_way(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """One replica has read who is who and not written yet; meanwhile another merges the very profile it means."""
    await door.say("custom.x", anonymous_id="b-1")
    await door.say("custom.x", email="anna@example.com")
    await door.say("custom.x", user_id="42")
    reached, go_on = asyncio.Event(), asyncio.Event()
    original = stream.store.holds

    async def slow(connection: Connection, profiles: Collection[str]) -> Holds:
        found = await original(connection, profiles)
        if not reached.is_set():
            reached.set()
            await go_on.wait()
        return found

    monkeypatch.setattr(stream.store, "holds", slow)
    first = asyncio.ensure_future(door.take(door.event("custom.x", anonymous_id="b-1", email="anna@example.com")))
    await reached.wait()
    replica = make_door(door.database, Wire(), door.clock)
    event = replica.event("custom.x", id="other", email="anna@example.com", user_id="42")
    second = asyncio.ensure_future(replica.take(event))
    await asyncio.wait([second], timeout=0.5)
    go_on.set()
    await asyncio.gather(first, second)
    assert await door.resolve(anonymous_id="b-1") == await door.resolve(user_id="42")


async def test_profiles_of_one_shop_say_nothing_of_another(door: Door) -> None:
    service = {"Authorization": f"Bearer {door.intake.secrets.service_key()}"}
    event = door.event(email="anna@example.com") | {"source": "till"}
    for shop in ("demo", "other"):
        answer = await door.post(event, params={"shop": shop}, headers=service)
        assert answer.json()["accepted"] == 1, answer.text
    (_, here), (_, there) = door.events()
    assert here.profile != there.profile


async def test_no_identifier_is_kept_in_readable_form(door: Door) -> None:
    await door.say("profile.updated", user_id="account-42", email="anna@example.com", phone="601000000")
    door.wire.away = True
    await door.take(door.event(email="anna@example.com"))
    for table in ("identifier", "seen", "merged", "spill"):
        text = await door.fetchval(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM ingest.{table} AS t")
        raw = await door.fetchval("SELECT coalesce(string_agg(encode(sealed, 'escape'), ''), '') FROM ingest.spill")
        raw += await door.fetchval("SELECT string_agg(encode(digest, 'escape'), ' ') FROM ingest.identifier")
        for secret in ("anna", "601000000", "account-42", "249.00"):
            assert secret not in text
            assert secret not in raw
    published = [one for one in door.wire.sent if one.topic != topics.CONTACTS.name]
    assert all(b"anna" not in one.value and b"601000000" not in one.value for one in published)
