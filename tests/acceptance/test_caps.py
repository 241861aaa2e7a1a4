"""C16, D3: of three messages at one moment the most important goes, the others are put off, none is dropped unsaid."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.acceptance import calm
from tests.acceptance.calm import Sale
from tests.support.running import Running, eventually
from tests.support.shop import Customer

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture(scope="module")
def over(platform: Running, sale: Sale) -> calm.Rows:
    """The outbox when the second mail is out."""
    found = eventually(lambda: _over(platform, sale), 60, "a day is over")
    platform.await_mails(sale.customer.email, 2)
    return found


def _over(platform: Running, sale: Sale) -> calm.Rows | None:
    found = calm.rows(platform, sale)
    return found if found["quiet"]["end"] == "sent" else None


def moment(row: dict[str, Any], name: str) -> datetime:
    return datetime.fromisoformat(row[name])


def test_the_most_important_goes_at_once_and_the_others_say_why_and_until_when(sale: Sale) -> None:
    first = sale.first
    assert first["loud"]["end"] == "sent"
    assert moment(first["loud"], "ended_at") < sale.at + 5 * HOUR
    for name in ("quiet", "brief"):
        assert first[name]["end"] in ("pending", "expired")
        assert first[name]["reason"] == "cap"
    assert sale.at + DAY < moment(first["quiet"], "until") < sale.at + DAY + 5 * HOUR


def test_explain_says_it_too(platform: Running, sale: Sale, over: calm.Rows) -> None:
    before = {row["scenario"]: row["enrolments"][0]["steps"][0] for row in sale.why if row["enrolments"]}
    assert (before["loud"]["verdict"], before["quiet"]["verdict"]) == ("sent", "deferred")
    assert before["quiet"]["because"] == f"cap until {sale.first['quiet']['until']}"
    told = platform.ask("/v1/explain", sale.key, shop=calm.SHOP, email=sale.customer.email)["scenarios"]
    after = {row["scenario"]: row["enrolments"][0]["steps"][0] for row in told if row["enrolments"]}
    assert (after["quiet"]["verdict"], after["brief"]["verdict"], after["brief"]["because"]) == (
        "sent",
        "expired",
        "cap",
    )


def test_the_other_arrives_a_day_later_and_what_is_too_late_by_then_expires(
    platform: Running, sale: Sale, over: calm.Rows
) -> None:
    found = over
    assert (found["quiet"]["end"], found["brief"]["end"], found["brief"]["reason"]) == ("sent", "expired", "cap")
    assert (
        moment(found["quiet"], "ended_at") >= moment(sale.first["quiet"], "until") > moment(found["loud"], "ended_at")
    )
    assert sale.at + 6 * HOUR < moment(found["brief"], "ended_at") < sale.at + DAY
    mails = platform.mails(sale.customer.email)
    assert [mail["subject"] for mail in mails] == ["Loud", "Quiet"]


def test_who_buys_meanwhile_gets_no_other(platform: Running, sale: Sale) -> None:
    """`quiet` has done its only step, and its exit still takes the mail back; `brief` has no exit."""
    dora = Customer("dora", shop=calm.SHOP)
    now, first = calm.tell(platform, sale.key, dora)
    assert first["quiet"]["end"] == "pending"
    assert platform.post([dora.order(now)], sale.key).status_code == 202
    bought = replace(sale, customer=dora)
    quiet = eventually(lambda: _ended(platform, bought, "quiet"), 20, "the mail is taken back")
    assert (quiet["end"], quiet["reason"]) == ("suppressed", "exit")
    assert moment(quiet, "ended_at") < moment(first["quiet"], "until")
    (row,) = platform.ask("/v1/explain", sale.key, shop=calm.SHOP, email=dora.email, scenario="quiet")["scenarios"]
    (run,) = row["enrolments"]
    assert (run["because"], run["steps"][0]["verdict"], run["steps"][0]["because"]) == (
        "completed",
        "suppressed",
        "exit",
    )


def _ended(platform: Running, sale: Sale, name: str) -> dict[str, Any] | None:
    row = calm.rows(platform, sale)[name]
    return None if row["end"] == "pending" else row


def test_it_is_counted(platform: Running, sale: Sale) -> None:
    text = platform.http.get(f"{platform.url('consent')}/metrics").text
    (line,) = [
        one
        for one in text.splitlines()
        if one.startswith('kurant_consent_decisions_total{decision="defer",reason="cap"')
    ]
    assert float(line.rpartition(" ")[2]) >= 2
    platform.settled()


def test_publishing_warns_of_what_a_cap_cannot_let_through(platform: Running, sale: Sale) -> None:
    files = {
        "scenario.yaml": "kurant: 1\nid: hasty\nname: Hasty\npurpose: marketing\ntrigger: {event: custom.never}\n"
        "steps:\n  - send: one\n  - wait: 1h\n  - send: two\n",
        "messages/one.email.txt": "---\nsubject: x\n---\n{{ unsubscribe_url }}",
        "messages/two.email.txt": "---\nsubject: x\n---\n{{ unsubscribe_url }}",
    }
    answer = platform.http.post(
        f"{platform.url('console')}/v1/scenarios",
        json={"shop": calm.SHOP, "files": files},
        headers={"Authorization": f"Bearer {sale.key}"},
    )
    assert answer.status_code == 201
    (warning,) = answer.json()["warnings"]
    assert (warning["line"], warning["message"].partition(":")[0]) == (9, "cap by construction")
