"""What a mail server's behaviour comes to: certain not to be sent, sent, refused, or unknown."""

import asyncio
from datetime import timedelta

import pytest

from tests.integration.dispatch.conftest import START, Bench, address, message_id, request, until
from tests.support.mailserver import HANG_UP, SILENCE, Script, always


def once(stage: str, answer: str) -> Script:
    """Misbehave at the first opportunity, then no more."""
    told: list[str] = []

    def script(at: str, _recipient: str) -> str | None:
        if at != stage or told:
            return None
        told.append(at)
        return answer

    return script


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "END"])
async def test_a_temporary_refusal_is_tried_again_and_told_once(bench: Bench, stage: str) -> None:
    bench.mails.script = always(stage, "451 4.7.1 come back later")
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "pending", tries=1, reason="smtp_451", not_before=START + timedelta(seconds=5))
    await bench.clock.move(timedelta(seconds=5))
    await bench.reaches("anna", "pending", tries=2, not_before=START + timedelta(seconds=20))
    assert bench.mails.received == []
    bench.mails.script = lambda _stage, _recipient: None
    await bench.clock.move(timedelta(seconds=15))
    await bench.reaches("anna", "sent", told=True)
    (deferred, _) = await bench.told("anna", "deferred", "sent")
    assert deferred.reason == "smtp_451"
    assert len(bench.mails.to(address("anna"))) == 1


async def test_a_temporary_refusal_until_it_is_too_late(bench: Bench) -> None:
    bench.mails.script = always("RCPT", "450 greylisted")
    bench.start()
    await bench.consume(request("anna", expires_at=START + timedelta(minutes=1)))
    await bench.reaches("anna", "pending", tries=1)
    await bench.clock.move(timedelta(minutes=2))
    await bench.reaches("anna", "expired", reason="smtp_450", told=True)


async def test_without_an_end_of_time_it_is_given_up_after_days(bench: Bench) -> None:
    bench.mails.script = always("RCPT", "450 greylisted")
    bench.start()
    await bench.consume(request("anna", expires_at=None))
    await bench.reaches("anna", "pending", tries=1)
    await bench.clock.move(timedelta(days=6))
    await bench.reaches("anna", "failed", reason="smtp_450")


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "END"])
async def test_a_refusal_is_a_failure_with_the_code_alone(bench: Bench, stage: str) -> None:
    bench.mails.script = once(stage, f"550 5.1.1 <{address('anna')}>: no such user")
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "failed", reason="smtp_550", told=True)
    await bench.consume(request("ben"))
    await bench.reaches("ben", "sent")
    assert bench.mails.connections == 1, "a refusal is no reason to leave"


@pytest.mark.parametrize("how", [HANG_UP, SILENCE, "not a code"])
async def test_no_answer_to_the_final_dot_is_unknown_and_not_sent_again(bench: Bench, how: str) -> None:
    bench.mails.script = once("END", how)
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "unknown", reason="smtp_no_answer", told=True)
    await bench.clock.move(timedelta(hours=1))
    await bench.consume(request("ben"))
    await bench.reaches("ben", "sent")
    assert bench.mails.to(address("anna")) == []
    await bench.told("anna", "unknown")
    assert sum(command == "DATA" for command in bench.mails.commands) == 2


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
async def test_a_connection_lost_before_the_content_is_certainly_not_sent(bench: Bench, stage: str) -> None:
    bench.mails.script = once(stage, HANG_UP)
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "pending", reason="smtp_disconnected")
    await bench.clock.move(timedelta(seconds=5))
    await bench.reaches("anna", "sent")
    assert len(bench.mails.to(address("anna"))) == 1


@pytest.mark.parametrize("end", [HANG_UP, "421 4.4.2 idle for too long"])
async def test_an_idle_connection_that_has_died_costs_nothing(bench: Bench, end: str) -> None:
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "sent")
    bench.mails.script = once("MAIL", end)
    await bench.consume(request("ben"))
    row = await bench.reaches("ben", "sent")
    assert row["tries"] == 0
    assert bench.mails.connections == 2


async def test_connections_are_kept_and_bounded(bench: Bench) -> None:
    bench.mails.pause = 0.01
    bench.start()
    await bench.consume(*(request(f"c{number}") for number in range(60)))
    await until(lambda: len(bench.mails.received) == 60)
    assert bench.mails.connections <= 8
    assert 2 <= bench.mails.most_at_once <= 8


async def test_a_server_that_is_away_is_waited_for(bench: Bench) -> None:
    await bench.mails.stop()
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "pending", reason="smtp_unreachable", tries=1)
    await bench.mails.start()
    await bench.clock.move(timedelta(seconds=5))
    await bench.reaches("anna", "sent")
    await bench.told("anna", "deferred", "sent")


async def test_a_permission_that_has_grown_old_is_asked_for_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a slow server; and who has left meanwhile gets nothing."""
    monkeypatch.setattr("services.dispatch.ticker.FRESH", 0.2)
    bench.mails.pause = 0.5
    bench.start()
    names = [f"c{number}" for number in range(16)]
    await bench.consume(*(request(name) for name in names))
    await until(lambda: len(bench.permissions.asked) == 16 and bench.mails.at_once == 8)
    for name in names:
        bench.permissions.set(name, decision="deny", reason="withdrawn")
    await until(lambda: len(bench.mails.received) == 8)
    for name in names:
        await until(lambda name=name: bench.wire.deliveries(name))  # type: ignore[misc]
    ends = sorted(bench.wire.deliveries(name)[0].status for name in names)
    assert ends == ["sent"] * 8 + ["suppressed"] * 8
    assert len(bench.mails.received) == 8


async def test_an_address_that_changed_meanwhile_is_the_one_written_to(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.dispatch.ticker.FRESH", 0.2)
    bench.mails.pause = 0.5
    bench.start()
    names = [f"c{number}" for number in range(9)]
    await bench.consume(*(request(name) for name in names))
    await until(lambda: len(bench.permissions.asked) == 9 and bench.mails.at_once == 8)
    new = {"decision": "allow", "channel": "email", "address": "new@example.com", "unsubscribe_url": "https://u.e/u"}
    for name in names:
        bench.permissions.set(name, **new)
    await until(lambda: len(bench.mails.received) == 9)
    assert len(bench.mails.to("new@example.com")) == 1


async def test_no_transaction_is_open_while_the_gateway_is_called(bench: Bench) -> None:
    bench.mails.pause = 0.3
    bench.start()
    await bench.consume(request("anna"))
    await until(lambda: bench.mails.at_once)
    open_ones = await bench.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL "
        "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    assert open_ones == 0
    assert (await bench.row("anna"))["state"] == "sending"
    await bench.reaches("anna", "sent")


@pytest.mark.parametrize(
    ("given", "envelope"),
    [
        ("ania@straße.example", "ania@xn--strae-oqa.example"),
        ("o'neil+x@sub.example.com", "o'neil+x@sub.example.com"),
    ],
)
async def test_addresses_as_the_envelope_has_them(bench: Bench, given: str, envelope: str) -> None:
    bench.permissions.set(
        "anna", decision="allow", channel="email", address=given, unsubscribe_url="https://u.example/u"
    )
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "sent")
    assert [one.recipient for one in bench.mails.received] == [envelope]


async def test_a_local_part_in_another_script_needs_a_server_that_knows_it(bench: Bench) -> None:
    told = {"decision": "allow", "channel": "email", "address": "żółw@example.com", "unsubscribe_url": "https://u.e/u"}
    bench.permissions.set("anna", **told)
    bench.permissions.set("ben", **told)
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "failed", reason="smtputf8_unsupported")
    bench.mails.extensions = ("8BITMIME", "SMTPUTF8")
    bench.mails.drop_all()
    await bench.consume(request("ben"))
    await bench.reaches("ben", "sent")
    (mail,) = bench.mails.received
    assert mail.recipient == "żółw@example.com"
    assert "To: <żółw@example.com>".encode() in mail.content
    assert any(c.startswith("MAIL FROM:<news@shop.example> SMTPUTF8") for c in bench.mails.commands)


@pytest.mark.parametrize("bad", ["no-at", "a b@example.com", "a@b.example\r\nRCPT TO:<x@y.z>", "a@b..c", "<a@b.c>"])
async def test_what_is_no_address_fails_and_reaches_no_server(bench: Bench, bad: str) -> None:
    bench.permissions.set("anna", decision="allow", channel="email", address=bad, unsubscribe_url="https://u.e/u")
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "failed", reason="bad_address")
    assert bench.mails.commands == []


async def test_no_value_adds_a_header_or_a_recipient(bench: Bench) -> None:
    evil = "Anna\r\nBcc: everybody@example.com\r\n\r\nHello\r\n.\r\nMAIL FROM:<x@y.z>\x00\u2028"
    context = {"profile": {"first_name": evil}, "cart": {"value": "1"}}
    bench.start()
    await bench.consume(request("anna", context=context, language=None))
    await bench.reaches("anna", "sent")
    (mail,) = bench.mails.received
    assert mail.mail["Bcc"] is None
    assert mail.mail["Subject"] == "Your cart, Anna Bcc: everybody@example.com Hello . MAIL FROM:<x@y.z>"
    assert mail.mail["X-Kurant-Message"] == message_id("anna")
    await asyncio.sleep(0)
    assert sum(command.startswith("MAIL") for command in bench.mails.commands) == 1
