"""The register: append-only in the database, chained, and what an officer asks of it."""

from typing import Any

import asyncpg
import pytest

from libs.contracts import topics
from libs.contracts.contacts import ProfileMerged
from tests.integration.consent.conftest import (
    ADDRESS,
    ANNA,
    BEN,
    CECIL,
    IP,
    PHONE,
    Bench,
    asked,
    at,
    consent,
    record,
    told,
)

GRANT = consent("granted", clause="newsletter-2026-01", text="I agree…", ip=IP, user_agent="Firefox", how="checkbox")


async def filled(bench: Bench) -> None:
    """Six rows of three people."""
    for minute, person in enumerate((ANNA, BEN, CECIL)):
        await bench.consume((told(person, GRANT, consent("refused", "sms"), email=f"p{minute}@example.com"), minute))


async def verify(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = await bench.get("/v1/consents/verify")
    return found


async def forge(bench: Bench, *statements: str) -> None:
    """What only somebody with the table owner's rights can do."""
    async with bench.database.transaction() as connection:
        await connection.execute("ALTER TABLE consent.register DISABLE TRIGGER ALL")
        for statement in statements:
            await connection.execute(statement)
        await connection.execute("ALTER TABLE consent.register ENABLE TRIGGER ALL")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE consent.register SET status = 'granted'",
        "UPDATE consent.register SET hash = hash WHERE seq = 1",
        "DELETE FROM consent.register WHERE seq = 6",
        "TRUNCATE consent.register",
    ],
)
async def test_the_database_refuses_to_change_the_register(bench: Bench, statement: str) -> None:
    await filled(bench)
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await bench.fetch(statement)
    assert await bench.rows() == 6


async def test_an_honest_chain_is_whole(bench: Bench) -> None:
    await filled(bench)
    found = await verify(bench)
    assert (found["ok"], found["rows"], found["broken"], found["erased"]) == (True, 6, [], 0)
    assert found["head"] == (await bench.fetch("SELECT hash FROM consent.chain"))[0]["hash"].hex()


async def test_a_long_chain_is_read_in_pages(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.consent.routes.officers.VERIFIED_AT_ONCE", 2)
    await filled(bench)
    assert (await verify(bench))["rows"] == 6
    await forge(bench, "DELETE FROM consent.register WHERE seq IN (2, 3, 4)")
    found = await verify(bench)
    assert (found["ok"], found["rows"]) == (False, 3)


@pytest.mark.parametrize(
    ("statements", "place", "why"),
    [
        (["UPDATE consent.register SET status = 'granted' WHERE seq = 4"], 4, "changed"),
        (["UPDATE consent.register SET text = 'I agree to everything' WHERE seq = 3"], 3, "changed"),
        (["UPDATE consent.register SET at = at - interval '1 second' WHERE seq = 1"], 1, "changed"),
        (["UPDATE consent.register SET how = NULL WHERE seq = 5"], 5, "changed"),
        (["DELETE FROM consent.register WHERE seq = 3"], 3, "missing"),
        (["DELETE FROM consent.register WHERE seq = 1"], 1, "missing"),
        (["DELETE FROM consent.register WHERE seq = 6"], 6, "missing"),
        (["DELETE FROM consent.register WHERE seq = 6", "UPDATE consent.chain SET seq = 5"], 5, "head"),
        (
            [
                "UPDATE consent.register SET seq = 60 WHERE seq = 3",
                "UPDATE consent.register SET seq = 3 WHERE seq = 4",
                "UPDATE consent.register SET seq = 4 WHERE seq = 60",
            ],
            3,
            "does not follow",
        ),
        (["UPDATE consent.evidence SET sealed = sealed || 'x' WHERE seq = 5"], 5, "evidence is another"),
        (["DELETE FROM consent.evidence WHERE seq = 5"], 5, "evidence is gone"),
    ],
)
async def test_a_changed_removed_or_reordered_row_is_found(
    bench: Bench, statements: list[str], place: int, why: str
) -> None:
    await filled(bench)
    await forge(bench, *statements)
    found = await verify(bench)
    assert not found["ok"]
    first = found["broken"][0]
    assert (first["seq"], why in first["why"]) == (place, True), found["broken"]


async def test_a_permission_in_force_without_its_row_is_found(bench: Bench) -> None:
    await filled(bench)
    await bench.fetch("UPDATE consent.state SET status = 'granted' WHERE channel = 'sms' AND profile = $1", ANNA)
    found = await verify(bench)
    assert (found["ok"], found["breaks"], found["states_without_row"]) == (False, 0, 1)


async def test_each_shop_has_its_own_chain(bench: Bench) -> None:
    await filled(bench)
    body = {"shop": "other", "profile": ANNA, "consents": [{"channel": "email", "purpose": "x", "status": "granted"}]}
    assert (await bench.http.post("/v1/consents", json=body, headers=bench.service)).status_code == 200
    assert (await bench.get("/v1/consents/verify", shop="other"))["rows"] == 1
    assert (await verify(bench))["rows"] == 6


async def test_replicas_append_to_one_chain_without_a_gap(bench: Bench) -> None:
    import asyncio

    from libs.domain.consent.choices import unsubscribing

    await filled(bench)
    await asyncio.gather(
        *(
            bench.consents.turn("demo", p, unsubscribing(c, "marketing"), who="link", source="x", evidence={})
            for p in (ANNA, BEN, CECIL)
            for c in ("email", "sms", "push")
        )
    )
    found = await verify(bench)
    assert (found["ok"], found["rows"]) == (True, 15)


async def test_what_is_known_of_a_profile_is_shown_without_addresses(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS, phone=PHONE), 0), (told(ANNA, consent("withdrawn")), 5))
    answer = await bench.http.get("/v1/consents", params={"shop": "demo", "profile": ANNA}, headers=bench.service)
    shown = answer.json()
    assert shown["consents"]["email"]["marketing"] == {"status": "withdrawn", "since": "2026-03-02T10:05:00Z", "row": 2}
    assert shown["reachable"] == {"email": True, "sms": True}
    assert [(row["status"], row["clause"]) for row in shown["history"]] == [
        ("granted", "newsletter-2026-01"),
        ("withdrawn", None),
    ]
    for secret in (ADDRESS, PHONE, IP):
        assert secret not in answer.text
    unknown = await bench.http.get("/v1/consents", params={"shop": "demo", "profile": BEN}, headers=bench.service)
    assert unknown.status_code == 404


async def by_hand(bench: Bench, expected: int = 200, **body: Any) -> Any:
    answer = await bench.http.post("/v1/consents", json={"shop": "demo", **body}, headers=bench.service)
    assert answer.status_code == expected, answer.text
    return answer.json()


async def test_a_consent_recorded_by_hand_counts_like_one_that_was_told(bench: Bench) -> None:
    agreed = {"channel": "email", "purpose": "marketing", "status": "granted", "how": "on paper, at the till"}
    await by_hand(bench, profile=ANNA, consents=[agreed], contacts={"email": ADDRESS}, at=at(0).isoformat())
    assert [one.address for one in await bench.answers()] == [ADDRESS]
    assert [one.status for one in await bench.changes()] == ["granted"]
    await by_hand(bench, profile=ANNA, consents=[agreed], contacts={"email": ADDRESS}, at=at(0).isoformat())
    assert await bench.rows() == 1
    for bad in (
        {"profile": ANNA, "consents": [agreed | {"status": "maybe"}]},
        {"profile": "anna"},
        {"profile": ANNA, "contacts": {"email": "no address"}},
        {"profile": ANNA, "consents": [agreed], "at": "2026-03-02T10:00:00"},
    ):
        problem = await by_hand(bench, 422, **bad)
        assert "no address" not in problem["detail"]


@pytest.mark.parametrize(
    ("wrong", "field", "known"),
    [
        ({"channel": "fax"}, "consents[0].channel", "email, push, sms, viber, whatsapp"),
        ({"status": "maybe"}, "consents[0].status", "granted, refused, requested, withdrawn"),
        ({"purpose": "Me & You"}, "consents[0].purpose", "marketing, transactional, or a name of the shop's own"),
    ],
)
async def test_an_error_lists_the_known_values(bench: Bench, wrong: dict[str, str], field: str, known: str) -> None:
    agreed = {"channel": "email", "purpose": "marketing", "status": "granted"}
    problem = await by_hand(bench, 422, profile=ANNA, consents=[agreed | wrong])
    assert problem["field"] == field
    assert problem["detail"].startswith(f"{field}: ") and known in problem["detail"]
    (value,) = wrong.values()
    assert value not in problem["detail"], "what was sent is not repeated"


async def test_an_address_by_hand_needs_a_channel_that_is_known(bench: Bench) -> None:
    problem = await by_hand(bench, 422, profile=ANNA, contacts={"fax": "+48601000000"})
    assert "email, push, sms, viber, whatsapp" in problem["detail"]


async def test_all_that_is_held_about_a_person_is_exported(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0), (told(BEN, email="b@example.com"), 1))
    await bench.consume((ProfileMerged(profile=ANNA, into=BEN), 2))
    await bench.answers()
    held = await bench.get(f"/v1/exports/{ANNA}")
    assert (held["profile"], sorted(held["known_as"])) == (BEN, sorted([ANNA, BEN]))
    assert {one["address"] for one in held["contacts"]} == {ADDRESS, "b@example.com"}
    (row,) = held["register"]
    assert (row["ip"], row["user_agent"], row["clause"]) == (IP, "Firefox", "newsletter-2026-01")
    assert [one["decision"] for one in held["decisions"]] == ["allow"]


async def test_erasure_forgets_withdraws_and_leaves_the_chain_whole(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS, phone=PHONE), 0), (told(BEN, GRANT, email=ADDRESS), 0))
    await bench.consume((ProfileMerged(profile=CECIL, into=ANNA), 1))
    await bench.changes()
    body = {"shop": "demo", "profile": CECIL}
    done = (await bench.http.post("/v1/erasures", json=body, headers=bench.service)).json()
    assert done == {"profile": ANNA, "addresses": 2, "evidence": 1, "withdrawn": 1}
    assert await bench.may(asked(ANNA), asked(ANNA, purpose="transactional"), asked(BEN)) == [
        "withdrawn",
        "no_address",
        "email",
    ]
    assert [(one.profile, one.status, one.because) for one in await bench.changes()] == [(ANNA, "withdrawn", "erasure")]
    held = await bench.get(f"/v1/exports/{ANNA}")
    assert held["contacts"] == []
    assert "ip" not in held["register"][0]
    found = await verify(bench)
    assert (found["ok"], found["erased"], found["rows"]) == (True, 1, 3)
    again = (await bench.http.post("/v1/erasures", json=body, headers=bench.service)).json()
    assert (again["addresses"], again["evidence"]) == (0, 0)
    assert (await bench.http.post("/v1/erasures", json={"profile": ANNA}, headers=bench.service)).status_code == 422


async def test_what_was_said_before_an_erasure_and_comes_after_it_brings_no_address_back(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0))
    body = {"shop": "demo", "profile": ANNA}
    await bench.http.post("/v1/erasures", json=body, headers=bench.service)
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 5))
    assert await bench.may(asked(), asked(purpose="transactional")) == ["withdrawn", "no_address"]
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 9_000))
    assert await bench.may() == ["email"], "who comes back and agrees anew is a customer again"


async def test_status_and_audit(bench: Bench) -> None:
    await filled(bench)
    assert await bench.get("/v1/status") == {"lag": 0, "outbox": 6}
    await bench.changes()
    assert await bench.get("/v1/audit") == {"register": 6, "outbox": 0, "lag": 0}


async def test_the_key_of_a_shop_counts_its_own_alone(bench: Bench) -> None:
    await filled(bench)
    theirs = record(0, told(CECIL, GRANT, email="c@example.com"), shop="other", partition=1)
    await bench.applier.assign({(topics.CONTACTS.name, 1): 0})
    await bench.applier.apply([theirs])
    demo = {"Authorization": "Bearer kurant-demo-key"}
    for params in ({}, {"shop": "demo"}):
        assert (await bench.http.get("/v1/status", params=params, headers=demo)).json() == {"outbox": 6}
        assert (await bench.http.get("/v1/audit", params=params, headers=demo)).json() == {"outbox": 6, "register": 6}
    for path in ("/v1/status", "/v1/audit"):
        answer = await bench.http.get(path, params={"shop": "other"}, headers=demo)
        assert answer.status_code == 403
        whole = (await bench.http.get(path, headers=bench.service)).json()
        assert (whole["outbox"], whole["lag"]) == (7, 0)
    theirs_alone = (await bench.http.get("/v1/audit", params={"shop": "other"}, headers=bench.service)).json()
    assert theirs_alone == {"register": 1, "outbox": 1, "lag": 0}


async def test_another_shops_question_about_a_message_does_not_hide_its_proof(bench: Bench) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 0))
    (answer,) = await bench.answers()
    await bench.answers(asked(ANNA, message=answer.message, shop="other"))
    demo = {"Authorization": "Bearer kurant-demo-key"}
    for params, headers in (({}, demo), ({"shop": "demo"}, bench.service)):
        proof = (await bench.http.get(f"/v1/proof/{answer.message}", params=params, headers=headers)).json()
        assert (proof["decision"], proof["earlier"]) == ("allow", [])
    unsaid = await bench.http.get(f"/v1/proof/{answer.message}", headers=bench.service)
    assert (unsaid.status_code, "?shop=" in unsaid.json()["detail"]) == (422, True)
