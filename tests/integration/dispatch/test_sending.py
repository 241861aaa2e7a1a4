"""From a request to one of the ends of I6, with permission asked at the last moment (I2)."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from libs.common.errors import Unavailable
from libs.domain import ids
from tests.integration.dispatch.conftest import (
    FILES,
    START,
    Bench,
    address,
    message_id,
    profile_id,
    request,
    until,
)


async def test_an_allowed_message_is_sent_once_and_told(bench: Bench) -> None:
    bench.start()
    await bench.consume(request("anna"))
    row = await bench.reaches("anna", "sent", told=True)
    (mail,) = bench.mails.to(address("anna"))
    assert mail.mail["Subject"] == "Your cart, Anna"
    assert mail.mail["From"] == "Sofas <news@shop.example>"
    assert mail.mail["Message-ID"] == f"<{message_id('anna')}@shop.example>"
    assert mail.mail["List-Unsubscribe"] == "<https://shop.example/u/token>"
    assert mail.mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "249.00 PLN" in mail.part("plain") and "249.00 PLN" in mail.part("html")
    assert (row["channel"], row["gateway"], row["reason"], row["ended_at"]) == ("email", "mail", None, START)
    (told,) = await bench.told("anna", "sent")
    assert (told.profile, told.channel, told.at, told.path) == (profile_id("anna"), "email", START, "steps/1")
    assert await bench.execute("SELECT count(*) FROM dispatch.request") == 0


async def test_the_same_request_again_sends_nothing_more(bench: Bench) -> None:
    bench.start()
    await bench.consume(request("anna"), request("anna"))
    await bench.reaches("anna", "sent", told=True)
    await bench.consume(request("anna"), request("ben"))
    await bench.reaches("ben", "sent", told=True)
    assert len(bench.mails.received) == 2
    await bench.told("anna", "sent")


async def test_consent_is_asked_what_the_contract_says(bench: Bench) -> None:
    bench.start()
    await bench.consume(request("anna", contacts_at={"2": 17}, channels=["push", "email"], priority=80))
    await bench.reaches("anna", "sent")
    assert bench.permissions.asked == [
        {
            "message": message_id("anna"),
            "shop": "demo",
            "profile": profile_id("anna"),
            "channels": ["email"],
            "purpose": "marketing",
            "scenario": "abandoned-cart",
            "contacts_at": {"2": 17},
            "priority": 80,
        }
    ]


@pytest.mark.parametrize("reason", ["no_consent", "withdrawn", "suppressed"])
async def test_a_denied_message_is_suppressed_with_the_reason(bench: Bench, reason: str) -> None:
    bench.permissions.set("ben", decision="deny", reason=reason)
    bench.start()
    await bench.consume(request("ben"))
    await bench.reaches("ben", "suppressed", reason=reason, told=True)
    (told,) = await bench.told("ben", "suppressed")
    assert told.reason == reason
    assert bench.mails.received == []


async def test_a_deferred_message_waits_and_is_asked_about_again(bench: Bench) -> None:
    later = START + timedelta(hours=3)
    bench.permissions.set("anna", decision="defer", until=later.isoformat(), reason="quiet_hours")
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "pending", reason="quiet_hours", not_before=later, told=True)
    bench.permissions.told.clear()
    await bench.clock.move(timedelta(hours=2, minutes=59))
    assert bench.mails.received == []
    await bench.clock.move(timedelta(minutes=1))
    await bench.reaches("anna", "sent", told=True)
    (deferred, _) = await bench.told("anna", "deferred", "sent")
    assert (deferred.until, deferred.reason) == (later, "quiet_hours")


async def test_messages_of_one_enrolment_go_out_one_after_the_other(bench: Bench) -> None:
    """After an outage: what was asked for first goes first, though it was put off; others do not wait for it."""
    later = START + timedelta(hours=3)
    bench.permissions.set("first", decision="defer", until=later.isoformat(), reason="quiet_hours")
    bench.start()
    names = [f"m{number}" for number in range(9)]
    same = {"enrolment": ids.derive("enrolment", "first"), "expires_at": START + timedelta(hours=90)}
    await bench.consume(request("first"), *(request(name, **same) for name in names), request("ben"))
    await bench.reaches("first", "pending", reason="quiet_hours")
    await bench.reaches("ben", "sent")
    assert {(await bench.row(name))["state"] for name in names} == {"pending"}
    bench.permissions.told.clear()
    await bench.clock.move(timedelta(hours=3))
    await bench.reaches("m8", "sent")
    assert [mail.recipient for mail in bench.mails.received] == [address(name) for name in ("ben", "first", *names)]


async def test_a_withdrawal_while_it_was_deferred_is_seen(bench: Bench) -> None:
    later = START + timedelta(hours=3)
    bench.permissions.set("anna", decision="defer", until=later.isoformat(), reason="quiet_hours")
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "pending", reason="quiet_hours")
    bench.permissions.set("anna", decision="deny", reason="withdrawn")
    await bench.clock.move(timedelta(hours=3))
    await bench.reaches("anna", "suppressed", reason="withdrawn")
    assert bench.mails.received == []


async def test_what_is_too_late_expires_without_a_question(bench: Bench) -> None:
    bench.start()
    await bench.consume(request("anna", expires_at=START - timedelta(seconds=1)))
    await bench.reaches("anna", "expired", reason="late", told=True)
    assert bench.permissions.asked == []
    assert bench.mails.received == []


async def test_what_is_put_off_beyond_its_time_expires_when_that_comes(bench: Bench) -> None:
    bench.permissions.set("anna", decision="defer", until=(START + timedelta(days=9)).isoformat(), reason="cap")
    bench.start()
    await bench.consume(request("anna", expires_at=START + timedelta(hours=1)))
    await bench.reaches("anna", "pending", reason="cap")
    await bench.clock.move(timedelta(hours=1, seconds=1))
    await bench.reaches("anna", "expired", reason="cap", told=True)


async def test_consent_away_means_that_nothing_is_sent(bench: Bench) -> None:
    """I2: fail closed, and go on when it is back."""
    bench.permissions.away = True
    bench.start()
    await bench.consume(request("anna"), request("ben"))
    await until(lambda: len(bench.web.asked) >= 2)
    assert bench.mails.received == []
    assert (await bench.row("anna"))["state"] in ("pending", "claimed")
    bench.permissions.away = False
    await bench.reaches("anna", "sent")
    await bench.reaches("ben", "sent")


@pytest.mark.parametrize(
    "garbled",
    [{}, {"decisions": []}, {"decisions": [{"message": "other", "decision": "allow"}]}, {"decisions": "yes"}, [1]],
)
async def test_an_answer_that_is_none_sends_nothing(bench: Bench, garbled: object) -> None:
    bench.permissions.garbled = garbled
    bench.start()
    await bench.consume(request("anna"))
    await until(lambda: len(bench.web.asked) >= 2)
    assert bench.mails.received == []
    bench.permissions.garbled = None
    await bench.reaches("anna", "sent")


@pytest.mark.parametrize(
    "changed", [{"address": None}, {"channel": "sms"}, {"unsubscribe_url": None}, {"channel": "pigeon"}]
)
async def test_an_allow_that_cannot_be_acted_on_sends_nothing(bench: Bench, changed: dict[str, str | None]) -> None:
    allowed = {"channel": "email", "address": "a@b.example", "unsubscribe_url": "https://u.example/u"}
    bench.permissions.set("anna", decision="allow", **(allowed | changed))
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "pending", reason="consent_unclear")
    assert bench.mails.received == []


async def test_nothing_to_send_by_and_nothing_to_send(bench: Bench) -> None:
    bench.start()
    await bench.consume(
        request("push", channels=["push"]),
        request("missing", name="second"),
        request("broken", name="broken"),
    )
    await bench.reaches("push", "suppressed", reason="no_gateway")
    await bench.reaches("missing", "failed", reason="no_template")
    await bench.reaches("broken", "failed", reason="template_error")
    assert bench.mails.received == []


async def test_another_channel_goes_through_its_own_gateway(bench: Bench, tmp_path: Path) -> None:
    bench.permissions.set("anna", decision="allow", channel="sms", address="+48601000000")
    bench.start()
    await bench.consume(request("anna", channels=["email", "sms"]))
    await bench.reaches("anna", "sent", channel="sms", gateway="texts")
    line = json.loads((tmp_path / "sms.jsonl").read_text())
    assert (line["message_id"], line["to"], line["text"]) == (message_id("anna"), "+48601000000", "Hello Anna")


async def test_a_version_that_comes_a_moment_later(bench: Bench) -> None:
    bench.start()
    await bench.consume(request("anna", version=2))
    await bench.reaches("anna", "claimed")
    bench.publish(version=2)
    await bench.reaches("anna", "sent")


async def test_a_version_that_does_not_come_is_waited_for(bench: Bench) -> None:
    bench.start()
    await bench.consume(request("anna", version=3))
    await bench.reaches("anna", "pending", reason="version_unknown")
    bench.publish(version=3)
    await bench.clock.move(timedelta(minutes=1))
    await bench.reaches("anna", "sent")


async def test_a_version_keeps_what_it_was_published_with(bench: Bench) -> None:
    """I8."""
    bench.publish(version=1, files=FILES | {"messages/first.email.html": "---\nsubject: other\n---\nother"})
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "sent")
    assert bench.mails.received[0].mail["Subject"] == "Your cart, Anna"


async def test_paused_is_held_and_archived_is_ended(bench: Bench) -> None:
    bench.set_state("paused")
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "pending", reason="paused")
    bench.set_state("live")
    await bench.clock.move(timedelta(minutes=5))
    await bench.reaches("anna", "sent")
    bench.set_state("archived")
    await bench.consume(request("ben"))
    await bench.reaches("ben", "suppressed", reason="archived")


async def test_what_belongs_to_another_profile_by_now_is_told_of_that_one(bench: Bench) -> None:
    into = profile_id("into")
    bench.permissions.set(
        "anna", decision="allow", channel="email", address="a@b.example", profile=into, unsubscribe_url="https://u.e/u"
    )
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "sent")
    (told,) = await bench.told("anna", "sent")
    assert told.profile == into
    assert str((await bench.row("anna"))["profile"]) == into


async def test_every_request_has_one_end(bench: Bench) -> None:
    """I6: requested is the sum of the ends."""
    reasons = {"deny": "no_consent", "allow": ""}
    names = [f"c{number}" for number in range(60)]
    for number, name in enumerate(names):
        if number % 3 == 0:
            bench.permissions.set(name, decision="deny", reason=reasons["deny"])
    bench.start()
    late = START - timedelta(hours=1)
    await bench.consume(*(request(n, **({"expires_at": late} if i % 5 == 0 else {})) for i, n in enumerate(names)))
    for name in names:
        await until(lambda name=name: bench.wire.deliveries(name))  # type: ignore[misc]
    async with bench.http() as http:
        sums = (await http.get("/v1/audit")).json()["messages"]
    assert sums == {"sent": 32, "suppressed": 16, "failed": 0, "expired": 12, "unknown": 0, "pending": 0}
    assert len(bench.mails.received) == 32
    assert all(len(bench.wire.deliveries(name)) == 1 for name in names)


async def test_an_end_is_told_when_kafka_is_back(bench: Bench) -> None:
    bench.wire.fails = Unavailable("kafka: away")
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "sent", told=False)
    bench.wire.fails = None
    await bench.reaches("anna", "sent", told=True)
    await bench.told("anna", "sent")


async def test_an_end_that_another_process_left_untold_is_told(bench: Bench) -> None:
    await bench.consume(request("anna"))
    await bench.execute("UPDATE dispatch.message SET state = 'failed', reason = 'smtp_550', told = false")
    bench.start()
    await bench.told("anna", "failed")
    await bench.reaches("anna", "failed", told=True)


async def test_a_malformed_record_goes_to_quarantine_alone(bench: Bench) -> None:
    bench.start()
    wrong = request("wrong", message="no-uuid")
    naive = request("naive", requested_at=START.replace(tzinfo=None))
    await bench.consume(wrong, request("anna"), naive)
    await bench.reaches("anna", "sent")
    quarantined = [one for one in bench.wire.sent if one.topic.endswith(".quarantine")]
    assert len(quarantined) == 2
    assert await bench.execute("SELECT count(*) FROM dispatch.message") == 1
