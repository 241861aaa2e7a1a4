"""Frequency caps: a place is taken with the decision, under the customer's lock; what came to nothing gives it back."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from libs.common.bus.records import Record, outgoing
from libs.common.telemetry.metrics import CONSENT_DECISIONS
from libs.contracts import topics
from libs.contracts.contacts import ProfileMerged
from libs.contracts.messages import Delivered
from libs.domain import ids
from libs.domain.consent.caps import Cap
from services.consent import store, tables
from services.consent.app import Consents
from services.consent.handlers import Answer, Asked
from tests.integration.consent.conftest import ADDRESS, ANNA, BEN, PHONE, SHOP, START, Bench, asked, consent, told

DAY = timedelta(days=1)
GRANT, BY_SMS = consent("granted"), consent("granted", channel="sms")
DAILY = Cap(channel="email", most=1, per=DAY)


def message(name: str) -> str:
    return ids.derive("message", name)


def mail(name: str, profile: str = ANNA, priority: int = 50, *channels: str, **more: Any) -> Asked:
    question = asked(profile, *channels, message=message(name), **more)
    return msgspec.structs.replace(question, priority=priority)


def words(answers: list[Answer]) -> list[str]:
    return [one.reason or one.decision for one in answers]


async def ask(bench: Bench, *questions: Asked) -> list[str]:
    return words(await bench.answers(*questions))


async def places(bench: Bench) -> set[tuple[str, str]]:
    rows = await bench.fetch("SELECT message, profile FROM consent.place")
    return {(str(row["message"]), str(row["profile"])) for row in rows}


@pytest.fixture
async def capped(bench: Bench) -> Bench:
    """A shop with one mail a day; Anna and Ben may be written to."""
    bench.consents._caps = {SHOP: (DAILY,)}
    await bench.applier.assign({(topics.DELIVERIES.name, 0): 0})
    await bench.consume(
        (told(ANNA, GRANT, BY_SMS, email=ADDRESS, phone=PHONE), 0), (told(BEN, GRANT, email="ben@example.com"), 0)
    )
    return bench


def ended(offset: int, name: str, status: str, shop: str = SHOP) -> Record:
    delivered = Delivered(
        message=message(name),
        profile=ANNA,
        scenario="cart",
        version=1,
        enrolment=ANNA,
        path="steps/0",
        name="first",
        status=status,  # type: ignore[arg-type]
        at=START,
    )
    made = outgoing(topics.DELIVERIES, delivered, key=ANNA, id=name, source="/kurant/dispatch", shop=shop, time=START)
    return Record(
        topic=made.topic,
        partition=0,
        offset=offset,
        key=made.key,
        value=made.value,
        headers=tuple(made.headers),
        timestamp=0,
    )


async def test_one_a_day_then_put_off_until_the_place_is_free(capped: Bench) -> None:
    now = capped.clock.now()
    assert await ask(capped, mail("one")) == ["allow"]
    await capped.clock.move(timedelta(hours=3))
    (answer,) = await capped.answers(mail("two"))
    assert (answer.decision, answer.reason, answer.until, answer.address) == ("defer", "cap", now + DAY, None)
    assert answer.profile == ANNA
    await capped.clock.move(timedelta(hours=21) - timedelta(microseconds=1))
    assert await ask(capped, mail("two")) == ["cap"]
    await capped.clock.move(timedelta(microseconds=1))
    assert await ask(capped, mail("two")) == ["allow"]


async def test_a_message_counts_once_and_is_allowed_again(capped: Bench) -> None:
    assert await ask(capped, mail("one"), mail("one")) == ["allow", "allow"]
    await capped.clock.move(timedelta(hours=20))
    assert await ask(capped, mail("one")) == ["allow"]
    await capped.clock.move(timedelta(hours=20))
    assert await ask(capped, mail("two"), mail("one")) == ["cap", "allow"], "its place has moved to its last answer"
    assert len(await places(capped)) == 1


async def test_the_more_important_is_judged_first_then_the_order_asked(capped: Bench) -> None:
    asked_for = [mail("low", priority=20), mail("high", priority=80), mail("ben"), mail("high again", priority=80)]
    asked_for[2] = mail("ben", BEN)
    assert await ask(capped, *asked_for) == ["cap", "allow", "allow", "cap"]


async def test_contracts_are_not_capped_and_do_not_count(capped: Bench) -> None:
    orders = [mail(f"order {number}", purpose="transactional") for number in range(3)]
    assert await ask(capped, *orders, mail("one"), *orders) == ["allow"] * 7
    assert await ask(capped, mail("two")) == ["cap"]


async def test_another_channel_another_shop_and_a_denial_take_no_place(capped: Bench) -> None:
    assert await ask(capped, mail("text", ANNA, 50, "sms"), mail("one")) == ["allow", "allow"]
    assert await ask(capped, mail("nobody", ids.derive("nobody"))) == ["no_consent"]
    assert await ask(capped, mail("theirs", shop="other")) == ["no_consent"]
    held = {(message("text"), ANNA), (message("one"), ANNA)}
    assert await places(capped) == held


async def test_all_channels_together(capped: Bench) -> None:
    capped.consents._caps = {SHOP: (Cap(most=2, per=7 * DAY),)}
    answers = await ask(capped, mail("one"), mail("text", ANNA, 50, "sms"), mail("two"), mail("three", ANNA, 50, "sms"))
    assert answers == ["allow", "allow", "cap", "cap"]


async def test_a_shop_without_caps_keeps_no_places(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0))
    assert await ask(bench, mail("one"), mail("two")) == ["allow", "allow"]
    assert await places(bench) == set()


async def test_two_at_once_never_take_the_last_place(capped: Bench) -> None:
    """Two replicas, each with connections of its own: whoever comes second sees what the first has taken."""
    other = Consents(
        database=capped.database,
        producer=capped.wire,  # type: ignore[arg-type]
        clock=capped.clock,
        secrets=capped.secrets,
        public_url="https://c.example",
        caps={SHOP: (DAILY,)},
    )
    for turn in range(20):
        names = [f"{turn}-{number}" for number in range(4)]
        replicas = [capped.consents, other] * 2
        found = await asyncio.gather(
            *(one.decide([mail(name), mail(f"ben {name}", BEN)]) for one, name in zip(replicas, names, strict=True))
        )
        for mine in zip(*(words(answers) for answers in found), strict=True):
            assert sorted(mine) == ["allow", "cap", "cap", "cap"]
        await capped.clock.move(DAY)


async def test_a_decision_waits_for_one_under_way(capped: Bench) -> None:
    async with capped.database.transaction() as connection:
        await capped.consents._know(connection, {(SHOP, ANNA)}, counted=True, patient=True)
        deciding = asyncio.ensure_future(ask(capped, mail("two")))
        await asyncio.sleep(0.1)
        assert not deciding.done()
        at = capped.clock.now()
        await connection.execute(
            "INSERT INTO consent.place VALUES ($1, $2, $3, 'email', $4)", SHOP, message("one"), ANNA, at
        )
    assert await deciding == ["cap"]


async def test_who_is_locked_for_long_is_put_off_and_takes_no_place(
    capped: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.consent.app.LOCK_WAIT", 50)
    async with capped.database.transaction() as connection:
        await store.hold(connection, {(SHOP, ANNA)}, "UPDATE OF p")
        assert await ask(capped, mail("one"), mail("ben", BEN)) == ["busy", "allow"]
    assert await places(capped) == {(message("ben"), BEN)}


@pytest.mark.parametrize("status", ["failed", "expired", "suppressed"])
async def test_what_came_to_nothing_gives_its_place_back(capped: Bench, status: str) -> None:
    assert await ask(capped, mail("one"), mail("two")) == ["allow", "cap"]
    await capped.applier.apply([ended(0, "one", "deferred"), ended(1, "one", status, shop="other")])
    assert await ask(capped, mail("two")) == ["cap"]
    await capped.applier.apply([ended(2, "one", status)])
    assert await ask(capped, mail("two"), mail("three")) == ["allow", "cap"]
    await capped.applier.apply([ended(2, "one", status), ended(3, "one", status)])
    assert await ask(capped, mail("three")) == ["cap"], "told twice, it gives nothing twice"


@pytest.mark.parametrize("status", ["sent", "unknown", "delivered", "bounced", "deferred"])
async def test_what_may_have_arrived_keeps_its_place(capped: Bench, status: str) -> None:
    assert await ask(capped, mail("one")) == ["allow"]
    await capped.applier.apply([ended(0, "one", status)])
    assert await ask(capped, mail("two")) == ["cap"]


async def test_a_delivery_that_cannot_be_read_goes_to_quarantine_and_holds_up_nothing(capped: Bench) -> None:
    assert await ask(capped, mail("one")) == ["allow"]
    wrong = msgspec.structs.replace(ended(0, "one", "failed"), value=b"{}")
    await capped.applier.apply([wrong, ended(1, "one", "failed")])
    assert await places(capped) == set()
    assert [one.topic for one in capped.wire.sent] == ["kurant.deliveries.v1.quarantine"]


async def test_the_release_and_the_offset_are_one_transaction(capped: Bench) -> None:
    """I4: a zombie that reads the same record again frees nothing that is not its own."""
    assert await ask(capped, mail("one")) == ["allow"]
    await capped.applier.apply([ended(0, "one", "failed")])
    rows = await capped.fetch(
        "SELECT next_offset FROM consent.consumer_offset WHERE topic = $1", topics.DELIVERIES.name
    )
    assert rows[0]["next_offset"] == 1


async def test_places_of_two_who_are_one_count_together(capped: Bench) -> None:
    assert await ask(capped, mail("one"), mail("two", BEN)) == ["allow", "allow"]
    await capped.consume((ProfileMerged(profile=BEN, into=ANNA), 1))
    assert await places(capped) == {(message("one"), ANNA), (message("two"), ANNA)}
    await capped.clock.move(timedelta(hours=1))
    assert await ask(capped, mail("three", BEN), mail("two", BEN), mail("four")) == ["cap", "allow", "cap"]


async def test_an_erasure_takes_the_places_and_leaves_the_proof(capped: Bench) -> None:
    assert await ask(capped, mail("one"), mail("two", BEN)) == ["allow", "allow"]
    exported = await capped.get(f"/v1/exports/{ANNA}")
    assert [row["message"] for row in exported["places"]] == [message("one")]
    await capped.consents.erase(SHOP, ANNA)
    assert await places(capped) == {(message("two"), BEN)}
    proof = await capped.get(f"/v1/proof/{message('one')}")
    assert proof["decision"] == "allow"


async def test_old_places_are_tidied_and_no_others(capped: Bench) -> None:
    assert await ask(capped, mail("one")) == ["allow"]
    await capped.clock.move(DAY - timedelta(seconds=1))
    await capped.consents.tidy()
    assert len(await places(capped)) == 1
    await capped.clock.move(timedelta(seconds=1))
    await capped.consents.tidy()
    assert await places(capped) == set()


async def test_a_deferral_is_recorded_and_counted(capped: Bench) -> None:
    labels = {"decision": "defer", "reason": "cap"}
    counter = CONSENT_DECISIONS.labels(**labels)
    before = counter._value.get()
    assert await ask(capped, mail("one"), mail("two")) == ["allow", "cap"]
    assert counter._value.get() == before + 1
    rows = await capped.fetch("SELECT decision, reason, seq FROM consent.decision WHERE message = $1", message("two"))
    assert [(row["decision"], row["reason"]) for row in rows] == [("defer", "cap")]
    assert rows[0]["seq"] is not None, "the consent that it rested on"


async def test_a_withdrawal_goes_before_a_cap(capped: Bench) -> None:
    assert await ask(capped, mail("one"), mail("two")) == ["allow", "cap"]
    await capped.consume((told(ANNA, consent("withdrawn")), 5))
    assert await ask(capped, mail("two")) == ["withdrawn"]


async def test_caps_cost_two_statements_for_any_number_of_questions(
    capped: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    patience = store.patience

    async def listening(connection: Any, milliseconds: int) -> None:
        await patience(connection, milliseconds)
        connection.add_query_logger(lambda record: ran.append(record.query))

    monkeypatch.setattr("services.consent.store.patience", listening)
    await capped.answers(*(mail(f"m{number}", BEN if number % 2 else ANNA) for number in range(50)))
    assert sum("consent." in query for query in ran) == 6


async def test_no_table_is_read_whole(capped: Bench) -> None:
    async with capped.database.connection() as connection:
        await connection.execute(
            "INSERT INTO consent.place SELECT 'demo', gen_random_uuid(), gen_random_uuid(), 'email', "
            "$1::timestamptz + n * interval '1 minute' FROM generate_series(1, 20000) AS n",
            START,
        )
        await connection.execute("ANALYZE consent.place")
        for query, arguments in (
            (tables.PLACES, ([SHOP], [ANNA], [START])),
            (tables.FREE_PLACES, ([SHOP], [message("one")])),
            (tables.TIDY_PLACES, (START, 1000)),
            (tables.MOVE_PLACES, ([SHOP], [ANNA], [BEN])),
        ):
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {query}", *arguments))
            assert "Seq Scan on place" not in plan, plan
