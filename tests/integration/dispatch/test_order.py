"""Of a customer's messages that are due the most important goes first, one at a time; who waits is woken."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from libs.contracts.messages import MessageRequested
from libs.domain import ids
from services.dispatch import store, tables
from tests.integration.dispatch.conftest import START, Bench, address, message_id, profile_id, request, until
from tests.support.mailserver import always
from tests.support.receiver import receiving

ANNA = profile_id("anna")


def to_anna(name: str, priority: int = 50, **changes: Any) -> MessageRequested:
    """A message of a scenario of its own."""
    late = START + timedelta(days=9)
    return request(name, **({"profile": ANNA, "priority": priority, "expires_at": late} | changes))


def order(bench: Bench) -> list[str]:
    """The messages in the order in which consent was asked about them."""
    return [one["message"] for one in bench.permissions.asked]


async def test_the_most_important_goes_first_then_the_one_asked_for_first(bench: Bench) -> None:
    given = {"a": 20, "b": 80, "c": 50, "d": 80, "e": 20}
    await bench.consume(*(to_anna(name, priority) for name, priority in given.items()))
    bench.start()
    await bench.reaches("e", "sent")
    assert order(bench) == [message_id(name) for name in "bdcae"]


async def test_one_at_a_time_whoever_works(bench: Bench) -> None:
    """Two processes; messages keep coming while others are under way."""
    bench.mails.pause = 0.01
    bench.start()
    second = bench.another()
    under_way: list[int] = []
    query = (
        "SELECT coalesce(max(n), 0)::int FROM (SELECT count(*) AS n FROM dispatch.message "
        "WHERE state IN ('claimed', 'sending') GROUP BY profile) AS busy"
    )

    async def watch() -> None:
        while True:
            under_way.append(await bench.execute(query))
            await asyncio.sleep(0.001)

    watching = asyncio.create_task(watch())
    names = [f"m{number}" for number in range(40)]
    for number, name in enumerate(names):
        await bench.consume(to_anna(name, number % 5, profile=profile_id(f"p{number % 2}")))
        second.worker.wake()
        bench.dispatch.worker.wake()
    for name in names:
        await bench.reaches(name, "sent")
    watching.cancel()
    assert max(under_way) == 1
    assert len(bench.mails.received) == 40


async def test_claims_side_by_side_never_take_two_of_a_customer(bench: Bench) -> None:
    """What one claim does not see yet, because it is not committed, another must not take."""
    database = bench.parts.database
    async with (
        store.session(database, lambda _by: None) as one,
        store.session(database, lambda _by: None) as other,
        database.connection() as first,
        database.connection() as second,
    ):
        await bench.consume(to_anna("low", 20))
        async with first.transaction():
            assert len(await store.claim(first, one.worker, START, 10, "messages")) == 1
            await bench.consume(to_anna("high", 80))
            claiming = asyncio.create_task(store.claim(second, other.worker, START, 10, "messages"))
            await asyncio.sleep(0.1)
        assert await claiming == []


async def test_what_is_put_off_holds_up_no_other_scenario_but_its_own(bench: Bench) -> None:
    tomorrow = START + timedelta(days=1)
    same = {"enrolment": ids.derive("enrolment", "high")}
    bench.permissions.set("high", decision="defer", until=tomorrow.isoformat(), reason="cap")
    await bench.consume(to_anna("high", 80), to_anna("next", 80, **same), to_anna("low", 20))
    bench.start()
    await bench.reaches("low", "sent")
    await bench.reaches("high", "pending", reason="cap", not_before=tomorrow)
    await bench.consume(to_anna("last", 80, **same))
    assert (await bench.reaches("next", "pending"))["not_before"] == tomorrow
    assert (await bench.reaches("last", "pending"))["not_before"] == tomorrow
    bench.permissions.told.clear()
    await bench.clock.move(timedelta(days=1))
    await bench.reaches("last", "sent")
    assert order(bench) == [message_id(name) for name in ("high", "low", "high", "next", "last")]


async def test_a_customer_who_is_another_profile_by_now_takes_his_messages_along(bench: Bench) -> None:
    """Else they would wait for one that is no longer his, or go out beside it."""
    into = profile_id("into")
    allowed = {"channel": "email", "address": "a@b.example", "unsubscribe_url": "https://u.e/u"}
    bench.permissions.set("first", decision="allow", profile=into, **allowed)
    bench.mails.pause = 0.2
    await bench.consume(to_anna("first", 80), to_anna("second", 20))
    bench.start()
    await bench.reaches("first", "sending")
    assert str((await bench.row("second"))["profile"]) == into
    await bench.consume(to_anna("third", 90, profile=into))
    await bench.reaches("second", "sent")
    assert order(bench) == [message_id(name) for name in ("first", "third", "second")]
    assert bench.mails.most_at_once == 1


async def test_a_call_that_waits_for_a_message_is_woken_by_its_end(bench: Bench) -> None:
    """Calls have a worker of their own: the other one must tell it."""
    bench.mails.pause = 0.2
    async with receiving() as receiver:
        context = {"webhook": {"url": receiver.url, "name": "crm"}, "profile": {}, "cart": {}, "event": {}, "key": "k"}
        same = {"enrolment": ids.derive("enrolment", "first"), "channels": ["webhook"], "context": context}
        await bench.consume(to_anna("first"), to_anna("call", **same))
        bench.start()
        await bench.reaches("call", "sent")
        assert [mail.recipient for mail in bench.mails.received] == [address("anna")]
        assert len(receiver.received) == 1


async def test_who_waits_does_not_ask_again_and_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    claims: list[int] = []
    claim = store.claim

    async def counted(*arguments: Any) -> Any:
        jobs = await claim(*arguments)
        if arguments[-1] == "messages":
            claims.append(len(jobs))
        return jobs

    monkeypatch.setattr("services.dispatch.store.claim", counted)
    bench.mails.pause = 0.8
    await bench.consume(to_anna("first", 80), to_anna("second", 20), to_anna("third", 10))
    bench.start()
    await bench.reaches("first", "sending")
    before = len(claims)
    await asyncio.sleep(0.5)
    assert len(claims) - before <= 2
    bench.mails.pause = 0
    await bench.reaches("third", "sent")
    assert sum(claims) == 3


async def test_a_deferral_by_a_cap_that_lasts_is_told_again_with_its_new_end(bench: Bench) -> None:
    first, second = START + timedelta(days=1), START + timedelta(days=2)
    bench.permissions.set("anna", decision="defer", until=first.isoformat(), reason="cap")
    bench.start()
    await bench.consume(to_anna("anna"))
    await bench.reaches("anna", "pending", not_before=first, told=True)
    bench.permissions.set("anna", decision="defer", until=second.isoformat(), reason="cap")
    await bench.clock.move(timedelta(days=1))
    await bench.reaches("anna", "pending", not_before=second, told=True)
    told = await bench.told("anna", "deferred", "deferred")
    assert [one.until for one in told] == [first, second]
    await until(lambda: len({dict(one.headers)["ce_id"] for one in bench.wire.sent}) == 2)


async def test_the_outbox_says_why_and_until_when(bench: Bench) -> None:
    tomorrow = START + timedelta(days=1)
    bench.permissions.set("anna", decision="defer", until=tomorrow.isoformat(), reason="cap")
    bench.start()
    await bench.consume(to_anna("anna"))
    await bench.reaches("anna", "pending", reason="cap")
    async with bench.http() as http:
        (row,) = (await http.get("/v1/outbox", params={"shop": "demo"})).json()
    assert (row["end"], row["reason"], row["until"]) == ("pending", "cap", "2026-03-03T10:00:00Z")


FILL = """
INSERT INTO dispatch.message (message, shop, profile, scenario, version, enrolment, path, name, channels, requested_at,
    priority, state, not_before, ended_at)
SELECT gen_random_uuid(), 'demo', md5('p' || n % 2000)::uuid, 's', 1, md5('e' || n)::uuid, 'x', 'first', '{email}', $1,
    n % 100, CASE WHEN n % 5 < 2 THEN 'pending' ELSE 'sent' END, $1, $1 FROM generate_series(1, 20000) AS n
"""


async def test_no_table_is_read_whole(bench: Bench) -> None:
    async with bench.parts.database.connection() as connection:
        await connection.execute(FILL, START)
        await connection.execute("ANALYZE dispatch.message")
        for query, arguments in (
            (tables.CLAIM_MESSAGES, (START, 100, 1)),
            (tables.NEXT_MESSAGE, (START,)),
            (tables.FOLLOWED, ([message_id("anna")], START)),
        ):
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {query}", *arguments))
            assert "Seq Scan on message" not in plan, plan


async def test_a_message_that_was_held_up_by_one_before_it_keeps_its_distance(bench: Bench) -> None:
    """The gateway is away from ten to three; the second was asked for four hours after the first."""
    bench.mails.script = always("RCPT", "451 later")
    first = request("first", profile=ANNA, expires_at=START + timedelta(days=9))
    run = {"profile": ANNA, "enrolment": first.enrolment, "expires_at": START + timedelta(days=9)}
    bench.start()
    await bench.consume(first, to_anna("other"))
    await bench.reaches("first", "pending", reason="smtp_451")
    later = START + timedelta(hours=4)
    await bench.consume(request("second", requested_at=later, **run), request("beside", requested_at=START, **run))
    await bench.clock.move(timedelta(hours=5))
    bench.mails.script = lambda _stage, _recipient: None
    await bench.clock.move(timedelta(hours=1))
    await bench.reaches("first", "sent")
    until = START + timedelta(hours=10)
    await bench.reaches("second", "pending", reason="earlier_message", not_before=until, told=True)
    assert (await bench.told("second", "deferred"))[0].until == until
    await bench.clock.move(timedelta(hours=4))
    await bench.reaches("second", "sent")
