"""I1, I2: permission is judged at the last moment, ordered by the database, and what is in doubt is never allowed."""

import asyncio
from typing import Any

import msgspec
import pytest

from libs.contracts.contacts import ProfileMerged
from libs.domain.consent.choices import unsubscribing
from services.consent import store
from services.consent.app import Consents
from services.consent.handlers import Batch
from tests.integration.consent.conftest import ADDRESS, ANNA, BEN, CECIL, PHONE, Bench, asked, consent, told

GRANT, WITHDRAW = consent("granted"), consent("withdrawn")


async def test_reasons_in_their_order_of_precedence(bench: Bench) -> None:
    await bench.consume(
        (told(ANNA, WITHDRAW, email=ADDRESS), 0),
        (told(BEN, GRANT), 0),
        (told(CECIL, consent("requested"), email="cecil@example.com"), 0),
    )
    answers = await bench.may(
        asked(ANNA),
        asked(BEN),
        asked(CECIL),
        asked(ANNA, "sms", "email"),
        asked(ANNA, "email", "sms"),
        asked(ANNA, "sms"),
    )
    assert answers == ["withdrawn", "no_address", "unconfirmed", "withdrawn", "withdrawn", "no_consent"]


async def test_somebody_never_heard_of(bench: Bench) -> None:
    (answer,) = await bench.answers(asked(ANNA))
    assert (answer.decision, answer.reason, answer.address) == ("deny", "no_consent", None)
    assert await bench.may(asked(ANNA, purpose="transactional")) == ["no_address"]


async def test_a_contract_needs_no_consent_but_an_address_that_works(bench: Bench) -> None:
    await bench.consume((told(ANNA, WITHDRAW, email=ADDRESS, phone=PHONE), 0))
    assert await bench.may(asked(ANNA, "email", purpose="transactional")) == ["email"]
    await suppress(bench, channel="email", address=ADDRESS.upper(), reason="hard bounce")
    answers = await bench.may(
        asked(ANNA, "email", purpose="transactional"), asked(ANNA, "email", "sms", purpose="transactional")
    )
    assert answers == ["suppressed", "sms"]


async def suppress(bench: Bench, expected: int = 200, **body: str) -> Any:
    answer = await bench.http.post("/v1/suppressions", json={"shop": "demo", **body}, headers=bench.service)
    assert answer.status_code == expected, answer.text
    return answer.json()


async def test_a_suppressed_address_stays_so_for_every_profile_and_a_new_one_is_free(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0), (told(BEN, GRANT, email=ADDRESS), 0))
    assert (await suppress(bench, channel="email", address=ADDRESS, reason="hard bounce"))["changed"]
    assert not (await suppress(bench, channel="email", address=ADDRESS, reason="complaint"))["changed"]
    assert await bench.may(asked(ANNA), asked(BEN)) == ["suppressed"] * 2
    await bench.consume((told(ANNA, email="new@example.com"), 1))
    assert await bench.may(asked(ANNA), asked(BEN)) == ["email", "suppressed"]


async def test_a_bounce_is_reported_by_message_without_an_address(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0))
    (answer,) = await bench.answers()
    await suppress(bench, message=answer.message, reason="hard bounce")
    assert await bench.may() == ["suppressed"]
    await suppress(bench, 404, message=ANNA, reason="hard bounce")
    await suppress(bench, 422, channel="email", reason="hard bounce")


async def test_a_withdrawal_that_committed_first_is_obeyed(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0))
    await bench.consents.turn("demo", ANNA, unsubscribing("email", "marketing"), who="link", source="x", evidence={})
    assert await bench.may() == ["withdrawn"]


async def test_a_decision_waits_for_a_withdrawal_under_way_and_obeys_it(bench: Bench) -> None:
    """Two connections: the withdrawal is written and not committed; the decision is asked meanwhile."""
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0))
    async with bench.database.transaction() as connection:
        await bench.consents._turn(connection, "demo", ANNA, unsubscribing("email", "marketing"), "link", "x", {})
        deciding = asyncio.ensure_future(bench.may())
        await waits_for_lock(bench)
        assert not deciding.done()
    assert await deciding == ["withdrawn"]


async def test_a_withdrawal_waits_for_a_decision_under_way(bench: Bench) -> None:
    """The other order: who asked first is answered first, and the withdrawal is not confirmed before that."""
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0))
    async with bench.database.transaction() as connection:
        known = await bench.consents._know(connection, {("demo", ANNA)}, patient=True)
        assert known.states[("demo", ANNA)][("email", "marketing")].status == "granted"
        choose = unsubscribing("email", "marketing")
        clicking = asyncio.ensure_future(bench.consents.turn("demo", ANNA, choose, who="link", source="x", evidence={}))
        await waits_for_lock(bench)
        assert not clicking.done(), "a withdrawal was confirmed while an older permission could still be used"
    await clicking
    assert await bench.may() == ["withdrawn"]


async def test_a_decision_waits_for_a_merge_under_way(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0), (told(BEN, WITHDRAW), 1))
    async with bench.database.transaction() as connection:
        batch = Batch(merges=[("demo", ANNA, BEN)])
        await bench.consents.write(connection, batch)
        deciding = asyncio.ensure_future(bench.answers(asked(ANNA)))
        await waits_for_lock(bench)
    (answer,) = await deciding
    assert (answer.profile, answer.reason) == (BEN, "withdrawn")


async def waits_for_lock(bench: Bench) -> None:
    """Return when some connection waits for a lock of another."""
    query = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    for _ in range(400):
        if (await bench.fetch(query))[0]["n"]:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("nobody waits")


async def test_a_profile_that_somebody_holds_too_long_is_put_off_and_the_others_are_answered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.consent.app.LOCK_WAIT", 50)
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0), (told(BEN, GRANT, email="ben@example.com"), 0))
    async with bench.database.transaction() as connection:
        await store.hold(connection, {("demo", ANNA)}, "UPDATE OF p")
        first, second = await bench.answers(asked(ANNA), asked(BEN))
    assert (first.decision, first.reason, first.until is not None) == ("defer", "busy", True)
    assert second.decision == "allow"


async def test_contacts_that_are_on_their_way_are_waited_for(bench: Bench) -> None:
    question = asked(ANNA, contacts_at={"0": 0})
    deciding = asyncio.ensure_future(bench.may(question))
    await asyncio.sleep(0.05)
    assert not deciding.done()
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0))
    assert await deciding == ["email"]


async def test_contacts_that_another_replica_reads_are_waited_for(bench: Bench) -> None:
    """The offset is that of a partition which this process does not own: only the database knows it."""
    deciding = asyncio.ensure_future(bench.may(asked(ANNA, contacts_at={"3": 41})))
    await asyncio.sleep(0.02)
    move = (
        "INSERT INTO consent.consumer_offset VALUES ('kurant.contacts.v1', 3, $1) "
        "ON CONFLICT (topic, partition) DO UPDATE SET next_offset = $1"
    )
    await bench.fetch(move, 41)
    await asyncio.sleep(0.12)
    assert not deciding.done(), "record 41 has not been applied when 41 is the next one"
    await bench.fetch(move, 42)
    assert await deciding == ["no_consent"]


async def test_contacts_that_do_not_come_put_the_decision_off(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.consent.app.PATIENCE", 0.1)
    await bench.consume((told(BEN, GRANT, email=ADDRESS), 0))
    late, ready = await bench.answers(asked(ANNA, contacts_at={"0": 7}), asked(BEN, contacts_at={"0": 0}))
    assert (late.decision, late.reason) == ("defer", "contacts_behind")
    assert late.until is not None and late.until > bench.clock.now()
    assert ready.decision == "allow"
    assert await bench.fetch("SELECT * FROM consent.decision WHERE profile = $1", ANNA) == []


async def test_an_address_that_cannot_be_decrypted_is_not_an_allow(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0))
    await bench.fetch("UPDATE consent.contact SET address = 'k9:' || substr(address, 4)")
    (answer,) = await bench.answers()
    assert (answer.decision, answer.address) == ("defer", None)


async def test_the_proof_of_a_message_is_what_it_rested_on_then(bench: Bench) -> None:
    granted = consent("granted", clause="newsletter-2026-01", text="I agree…", ip="203.0.113.9", user_agent="Firefox")
    await bench.consume((told(ANNA, granted, email=ADDRESS), 0))
    (answer,) = await bench.answers()
    await bench.consume((told(ANNA, WITHDRAW), 5))
    await bench.answers()
    proof = await bench.get(f"/v1/proof/{answer.message}")
    assert (proof["decision"], proof["reason"], proof["rested_on"]["status"]) == ("deny", "withdrawn", "withdrawn")
    (earlier,) = proof["earlier"]
    assert (earlier["decision"], earlier["row"]) == ("allow", 1)
    other = asked(ANNA, "sms", message=CECIL)
    await bench.answers(other)
    assert (await bench.get(f"/v1/proof/{CECIL}"))["rested_on"] is None
    await bench.consume((told(ANNA, granted), 6))
    await bench.answers()
    proof = await bench.get(f"/v1/proof/{answer.message}")
    assert proof["intact"]
    row = proof["rested_on"]
    assert (row["clause"], row["text"], row["ip"], row["user_agent"]) == (
        "newsletter-2026-01", "I agree…", "203.0.113.9", "Firefox",
    )  # fmt: skip
    assert (await bench.http.get(f"/v1/proof/{BEN}", headers=bench.service)).status_code == 404


async def test_what_dispatch_hears_over_http(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0))
    question = {"message": BEN, "shop": "demo", "profile": ANNA, "channels": ["sms", "email"], "purpose": "marketing"}
    body = {"requests": [question, question | {"profile": CECIL, "message": CECIL, "contacts_at": {}, "scenario": "c"}]}
    answer = await bench.http.post("/v1/decisions", json=body, headers=bench.service)
    first, second = answer.json()["decisions"]
    assert first | {"unsubscribe_url": "", "preferences_url": ""} == {
        "message": BEN, "decision": "allow", "channel": "email", "address": ADDRESS, "profile": ANNA,
        "unsubscribe_url": "", "preferences_url": "",
    }  # fmt: skip
    assert first["unsubscribe_url"].startswith("https://c.example/u/")
    assert first["preferences_url"].startswith("https://c.example/p/")
    assert second == {"message": CECIL, "decision": "deny", "profile": CECIL, "reason": "no_consent"}
    page = (await bench.http.get("/metrics")).text
    assert 'kurant_consent_decisions_total{decision="allow",reason=""}' in page
    assert ADDRESS not in page


@pytest.mark.parametrize(
    "body",
    ["{", '{"requests":[{}]}', '{"requests":[{"message":"x"}]}', '{"requests":{}}', "[]", '{"requests": "\xff"}'],
)
async def test_a_malformed_question_is_said_to_be_so(bench: Bench, body: str) -> None:
    answer = await bench.http.post("/v1/decisions", content=body.encode("latin-1"), headers=bench.service)
    assert answer.status_code == (400 if body == "{" else 422)


async def test_only_who_may_ask_is_answered(bench: Bench) -> None:
    assert (await bench.http.post("/v1/decisions", json={"requests": []})).status_code == 401
    question = {"message": BEN, "shop": "other", "profile": ANNA, "channels": ["email"], "purpose": "marketing"}
    demo = {"Authorization": "Bearer kurant-demo-key"}
    answer = await bench.http.post("/v1/decisions", json={"requests": [question]}, headers=demo)
    assert answer.status_code == 403
    for path in (f"/v1/consents?profile={ANNA}", f"/v1/exports/{ANNA}", "/v1/consents/verify"):
        joiner = "&" if "?" in path else "?"
        assert (await bench.http.get(f"{path}{joiner}shop=other", headers=demo)).status_code == 403
        assert (await bench.http.get(path)).status_code == 401


async def test_decisions_and_withdrawals_at_once_never_allow_after_a_confirmed_withdrawal(bench: Bench) -> None:
    """Many of both; every decision begun after a withdrawal was confirmed must deny."""
    names = [f"{n:08d}-0000-4000-8000-000000000000" for n in range(30)]
    await bench.consume(*((told(name, GRANT, email=f"a{n}@example.com"), 0) for n, name in enumerate(names)))
    gone: set[str] = set()
    wrong: list[str] = []

    async def withdraw(name: str) -> None:
        choose = unsubscribing("email", "marketing")
        await bench.consents.turn("demo", name, choose, who="link", source="x", evidence={})
        gone.add(name)

    async def decide(consents: Consents) -> None:
        for _ in range(8):
            sure = set(gone)
            for one in await consents.decide([asked(name) for name in names]):
                if one.decision == "allow" and one.profile in sure:
                    wrong.append(one.message)

    await asyncio.gather(*(withdraw(name) for name in names), *(decide(bench.consents) for _ in range(2)))
    assert (wrong, len(gone)) == ([], 30)
    assert await bench.may(*(asked(name) for name in names)) == ["withdrawn"] * 30


async def test_two_hundred_at_once_cost_as_many_statements_as_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{n:08d}-0000-4000-8000-000000000000" for n in range(200)]
    await bench.consume(*((told(name, GRANT, email=f"a{n}@example.com"), 0) for n, name in enumerate(names)))
    ran: list[str] = []
    patience = store.patience

    async def listening(connection: Any, milliseconds: int) -> None:
        await patience(connection, milliseconds)
        connection.add_query_logger(heard)

    def heard(record: Any) -> None:
        ran.append(record.query)

    monkeypatch.setattr("services.consent.store.patience", listening)
    counts = []
    for questions in ([asked(names[0])], [asked(name) for name in names]):
        ran.clear()
        assert len(await bench.answers(*questions)) == len(questions)
        counts.append(sum("consent." in query for query in ran))
    assert counts == [4, 4], "locks, states, addresses, the record"


async def test_a_merged_profile_is_asked_about_by_its_old_name(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0), (ProfileMerged(profile=ANNA, into=BEN), 1))
    (answer,) = await bench.answers(asked(ANNA))
    assert (answer.decision, answer.profile) == ("allow", BEN)


async def test_one_odd_question_does_not_spoil_the_answers_of_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.consent.app.PATIENCE", 0.02)
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0))
    odd = [asked(purpose="a\x00b"), asked(ANNA, "fax\x00"), asked(contacts_at={"x": 0}), asked(contacts_at={"²": 0})]
    odd.append(msgspec.structs.replace(asked(), channels=[]))
    answers = await bench.answers(*odd, asked())
    assert [one.decision for one in answers] == ["deny", "deny", "defer", "defer", "deny", "allow"]
