"""A message that rules takes back: whoever has it in hand lets it go, unless it has gone out (ADR 0024)."""

from datetime import timedelta

import pytest

from libs.contracts.messages import MessageCancelled
from tests.integration.dispatch.conftest import START, Bench, message_id, profile_id, request, until
from tests.support.mailserver import always

LATER = (START + timedelta(hours=6)).isoformat()


def cancel(name: str, because: str = "exit") -> MessageCancelled:
    return MessageCancelled(message=message_id(name), profile=profile_id("anna"), because=because)  # type: ignore[arg-type]


@pytest.mark.parametrize("because", ["exit", "restart"])
async def test_one_that_was_put_off_ends_at_once(bench: Bench, because: str) -> None:
    bench.permissions.set("anna", decision="defer", until=LATER, reason="cap")
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "pending", reason="cap", told=True)
    await bench.consume(cancel("anna", because))
    row = await bench.reaches("anna", "suppressed", reason=because, told=True)
    assert row["ended_at"] == START
    assert [one.reason for one in await bench.told("anna", "deferred", "suppressed")] == ["cap", because]
    assert await bench.execute("SELECT count(*) FROM dispatch.request") == 0
    assert bench.mails.received == []


async def test_one_that_the_gateway_did_not_want_yet_is_tried_no_more(bench: Bench) -> None:
    bench.mails.script = always("RCPT", "451 later")
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "pending", reason="smtp_451")
    await bench.consume(cancel("anna"))
    await bench.reaches("anna", "suppressed", reason="exit")
    assert [verb for verb in bench.mails.commands if verb.startswith("RCPT")] != []
    assert bench.mails.received == []


async def test_one_that_was_on_its_way_and_was_not_wanted_yet_is_tried_no_more(bench: Bench) -> None:
    bench.mails.script = always("END", "451 later")
    bench.mails.pause = 0.5
    bench.start()
    await bench.consume(request("anna"))
    await bench.reaches("anna", "sending")
    await bench.consume(cancel("anna"))
    await bench.reaches("anna", "suppressed", reason="exit")
    assert bench.mails.received == []


async def test_one_about_which_consent_is_being_asked_does_not_go_out(bench: Bench) -> None:
    """It was claimed already; the allow comes after the cancellation."""
    bench.permissions.open.clear()
    bench.start()
    await bench.consume(request("anna"))
    await until(lambda: len(bench.permissions.asked) == 1)
    await bench.consume(cancel("anna"))
    assert (await bench.row("anna"))["state"] == "claimed"
    bench.permissions.open.set()
    await bench.reaches("anna", "suppressed", reason="exit", told=True)
    assert bench.mails.received == []
    assert len(bench.permissions.asked) == 1, "it is not asked about again"


async def test_one_that_is_put_off_after_it_was_cancelled_does_not_wait(bench: Bench) -> None:
    bench.permissions.set("anna", decision="defer", until=LATER, reason="cap")
    bench.permissions.open.clear()
    bench.start()
    await bench.consume(request("anna"))
    await until(lambda: len(bench.permissions.asked) == 1)
    await bench.consume(cancel("anna"))
    bench.permissions.open.set()
    await bench.reaches("anna", "suppressed", reason="exit")


async def test_what_is_asked_for_and_cancelled_in_one_batch(bench: Bench) -> None:
    await bench.consume(request("anna"), cancel("anna"), request("ben"))
    bench.start()
    await bench.reaches("anna", "suppressed", reason="exit")
    await bench.reaches("ben", "sent")
    assert [one["message"] for one in bench.permissions.asked] == [message_id("ben")]


async def test_another_shop_takes_nothing_back(bench: Bench) -> None:
    bench.permissions.set("anna", decision="defer", until=LATER, reason="cap")
    bench.start()
    await bench.consume(request("anna"))
    before = await bench.reaches("anna", "pending", reason="cap", told=True)
    await bench.consume(cancel("anna"), shop="other")
    assert await bench.row("anna") == before


async def test_what_was_too_late_already_ends_as_that(bench: Bench) -> None:
    await bench.consume(request("anna", expires_at=START - timedelta(seconds=1)), cancel("anna"))
    bench.start()
    await bench.reaches("anna", "expired", reason="late")


async def test_what_has_gone_out_stays_as_it_is(bench: Bench) -> None:
    bench.start()
    await bench.consume(request("anna"))
    before = await bench.reaches("anna", "sent", told=True)
    await bench.consume(cancel("anna"), cancel("nobody"))
    assert await bench.row("anna") == before


async def test_the_next_one_of_the_customer_does_not_wait_for_it(bench: Bench) -> None:
    """The first of a run is put off, and with it the second; both are taken back; another scenario's goes out."""
    bench.permissions.set("anna", decision="defer", until=LATER, reason="quiet_hours")
    bench.start()
    first = request("anna")
    run = {"profile": first.profile, "enrolment": first.enrolment}
    await bench.consume(first, request("second", **run))
    await bench.reaches("anna", "pending", reason="quiet_hours")
    await bench.consume(cancel("anna"), cancel("second"), request("other", profile=first.profile))
    await bench.reaches("anna", "suppressed", reason="exit")
    await bench.reaches("second", "suppressed", reason="exit")
    await bench.reaches("other", "sent")
    assert len(bench.mails.received) == 1
