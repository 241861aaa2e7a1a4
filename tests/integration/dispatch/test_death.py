"""ADR 0008: a worker lives as a database session. Whatever dies where, nothing is lost and nothing is sent twice."""

import asyncio
from typing import Any

from services.dispatch import store
from services.dispatch.handlers import Change
from tests.integration.dispatch.conftest import START, Bench, address, message_id, request, until

SESSIONS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = $1 AND objsubid = 2"


async def held_by_the_dead(bench: Bench, name: str, state: str) -> int:
    """A message as a worker leaves it that is killed: its session is gone. The worker's number."""
    database = bench.parts.database
    async with store.session(database, lambda _by: None) as session, database.connection() as connection:
        jobs = await store.claim(connection, session.worker, START, 1, "messages")
        assert [job.message for job in jobs] == [message_id(name)]
        if state == "sending":
            marks = [(message_id(name), "email", "mail", None)]
            assert await store.mark_sending(connection, session.worker, marks)
    return session.worker


async def drop_sessions(bench: Bench) -> int:
    """The database ends the sessions of all workers: one sends messages, one calls web addresses."""
    async with asyncio.timeout(10):
        while await bench.execute(SESSIONS, store.LOCK) < 2:
            await asyncio.sleep(0.01)
    return int(
        await bench.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_locks "
            "WHERE locktype = 'advisory' AND classid = $1 AND objsubid = 2",
            store.LOCK,
        )
    )


async def test_claimed_by_the_dead_is_sent_by_another(bench: Bench) -> None:
    await bench.consume(request("anna"))
    await held_by_the_dead(bench, "anna", "claimed")
    bench.start()
    await bench.reaches("anna", "sent", told=True)
    assert len(bench.mails.to(address("anna"))) == 1


async def test_sending_by_the_dead_is_unknown_and_never_sent_again(bench: Bench) -> None:
    await bench.consume(request("anna"))
    await held_by_the_dead(bench, "anna", "sending")
    bench.start()
    await bench.reaches("anna", "unknown", reason="worker_died", told=True, channel="email", gateway="mail")
    await bench.consume(request("ben"))
    await bench.reaches("ben", "sent")
    assert bench.mails.to(address("anna")) == []
    (told,) = await bench.told("anna", "unknown")
    assert told.reason == "worker_died"
    assert await bench.execute("SELECT count(*) FROM dispatch.request") == 0


async def test_what_the_living_hold_is_left_alone(bench: Bench) -> None:
    await bench.consume(request("anna"))
    async with store.session(bench.parts.database, lambda _by: None) as session:
        async with bench.parts.database.connection() as connection:
            await store.claim(connection, session.worker, START, 1, "messages")
        bench.start()
        await bench.consume(request("ben"))
        await bench.reaches("ben", "sent")
        back, unknown = await store.recover(bench.parts.database, START, (), "messages")
        assert (back, unknown) == (0, [])
        assert (await bench.row("anna"))["state"] == "claimed"
    await bench.reaches("anna", "sent")


async def test_a_zombie_changes_nothing(bench: Bench) -> None:
    await bench.consume(request("anna"))
    zombie = await held_by_the_dead(bench, "anna", "claimed")
    await store.recover(bench.parts.database, START, (), "messages")
    async with bench.parts.database.connection() as connection:
        assert await store.mark_sending(connection, zombie, [(message_id("anna"), "email", "mail", None)]) == set()
        for was in ("claimed", "sending", "held"):
            change = Change(message=message_id("anna"), was=was, state="sent")  # type: ignore[arg-type]
            assert await store.change(connection, zombie, [change], START) == set()
    assert (await bench.row("anna"))["state"] == "pending"


async def test_a_zombie_changes_nothing_of_what_another_has_claimed_since(bench: Bench) -> None:
    await bench.consume(request("anna"))
    zombie = await held_by_the_dead(bench, "anna", "claimed")
    database, id = bench.parts.database, message_id("anna")
    await store.recover(database, START, (), "messages")
    async with store.session(database, lambda _by: None) as session, database.connection() as connection:
        assert [job.message for job in await store.claim(connection, session.worker, START, 1, "messages")] == [id]
        assert await store.mark_sending(connection, zombie, [(id, "email", "mail", None)]) == set()
        for state in ("pending", "sent", "failed"):
            change = Change(message=id, was="held", state=state)  # type: ignore[arg-type]
            assert await store.change(connection, zombie, [change], START) == set()
        assert (await bench.row("anna"))["state"] == "claimed"
        assert await store.mark_sending(connection, session.worker, [(id, "email", "mail", None)]) == {id}


async def test_a_transition_is_only_made_from_where_it_starts(bench: Bench) -> None:
    await bench.consume(request("anna"))
    database = bench.parts.database
    async with store.session(database, lambda _by: None) as session, database.connection() as connection:
        await store.claim(connection, session.worker, START, 1, "messages")
        sent = Change(message=message_id("anna"), was="sending", state="sent")
        assert await store.change(connection, session.worker, [sent], START) == set()


async def test_a_worker_whose_session_is_dropped_goes_on_with_a_new_one(bench: Bench) -> None:
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "sent")
    assert await drop_sessions(bench) == 2
    await bench.consume(request("ben"))
    await bench.reaches("ben", "sent")
    async with asyncio.timeout(10):
        while await bench.execute("SELECT last_value FROM dispatch.worker") < 4:
            await asyncio.sleep(0.01)


async def test_a_worker_that_loses_its_session_sends_nothing_more(bench: Bench) -> None:
    """Eight are on their way, others wait for a slot: those are given back, and sent by the next shift or process."""
    bench.mails.pause = 0.3
    bench.start()
    names = [f"c{number}" for number in range(24)]
    await bench.consume(*(request(name) for name in names))
    await until(lambda: bench.mails.at_once == 8)
    assert await drop_sessions(bench) == 2
    for name in names:
        await until(lambda name=name: bench.wire.deliveries(name))  # type: ignore[misc]
    sent = [one.recipient for one in bench.mails.received]
    assert len(sent) == len(set(sent)) == 24
    assert [bench.wire.deliveries(name)[0].status for name in names] == ["sent"] * 24, "its own outcomes were known"


async def test_lost_while_sending_another_process_calls_it_unknown(bench: Bench) -> None:
    bench.mails.pause = 0.8
    bench.start()
    await bench.consume(request("anna"))
    await until(lambda: bench.mails.at_once)
    await drop_sessions(bench)
    back, unknown = await store.recover(bench.parts.database, START, (), "messages")
    assert (back, unknown) == (0, [("abandoned-cart", "email")])
    await until(lambda: bench.mails.received)
    await bench.reaches("anna", "unknown", reason="worker_died", told=True)
    await asyncio.sleep(0.1)
    await bench.told("anna", "unknown")


async def test_two_processes_send_everything_once(bench: Bench) -> None:
    bench.another()
    bench.start()
    names = [f"c{number}" for number in range(200)]
    for start in range(0, 200, 20):
        await bench.consume(*(request(name) for name in names[start : start + 20]))
    for name in names:
        await until(lambda name=name: bench.wire.deliveries(name))  # type: ignore[misc]
    sent = [one.recipient for one in bench.mails.received]
    assert len(sent) == len(set(sent)) == 200
    assert all(len(bench.wire.deliveries(name)) == 1 for name in names)


async def test_stopping_finishes_what_is_under_way(bench: Bench) -> None:
    bench.mails.pause = 0.2
    bench.start()
    names = [f"c{number}" for number in range(12)]
    await bench.consume(*(request(name) for name in names))
    await until(lambda: bench.mails.at_once == 8)
    await bench.end()
    states = [(await bench.row(name))["state"] for name in names]
    assert sorted(set(states)) == ["pending", "sent"]
    assert states.count("sent") == len(bench.mails.received)
    for name in names:
        row: dict[str, Any] = await bench.row(name)
        assert len(bench.wire.deliveries(name)) == (1 if row["state"] == "sent" else 0)


async def test_a_mark_whose_commit_nobody_heard_of_is_given_back(bench: Bench) -> None:
    """The database says nothing to `sending`: nothing was sent, whether the mark is there or not."""
    from libs.common.errors import Unavailable

    original, failed = store.mark_sending, []

    async def unheard(connection: Any, worker: int, marks: Any) -> set[str]:
        made = await original(connection, worker, marks)
        if not failed:
            failed.append(made)
            raise Unavailable("database: ConnectionResetError")
        return made

    store.mark_sending = unheard
    try:
        bench.start()
        await bench.consume(request("anna"))
        await bench.reaches("anna", "sent")
    finally:
        store.mark_sending = original
    assert failed
    assert len(bench.mails.received) == 1
