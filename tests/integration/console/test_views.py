"""Outbox, explain, timeline, audit and status, as composed from what the other services say."""

import copy
import time
from collections.abc import Callable
from typing import Any

import pytest

from services.console.routes import sums
from tests.integration.console.conftest import AWAY, SECRETS, START, Console, Peers
from tests.support.web import Asked

PROFILE = "11111111-1111-5111-8111-111111111111"
OLD = "22222222-2222-5222-8222-222222222222"
ROW = {
    "message_id": "m-1",
    "shop": "demo",
    "profile": PROFILE,
    "scenario": "cart",
    "version": 1,
    "message": "first",
    "channel": "email",
    "gateway": None,
    "requested_at": "2026-03-02T11:00:00+00:00",
    "end": "suppressed",
    "reason": "no_consent",
    "ended_at": "2026-03-02T11:00:01+00:00",
}


def step(verdict: str, message: str | None = None) -> dict[str, Any]:
    return {
        "step": "steps/1",
        "at": "2026-03-02T11:00:00+00:00",
        "verdict": verdict,
        "because": None,
        "message": message,
    }


def explained(*steps: dict[str, Any]) -> dict[str, Any]:
    enrolment = {
        "key": "c-1",
        "state": "waiting",
        "entered_at": START.isoformat(),
        "ended_at": None,
        "because": None,
        "steps": list(steps),
    }
    scenario = {"scenario": "cart", "version": 1, "entered": True, "conditions": [], "enrolments": [enrolment]}
    return {"profile": PROFILE, "scenarios": [scenario]}


async def test_the_outbox_is_asked_of_dispatch(console: Console, peers: Peers) -> None:
    peers.answers["dispatch", "/v1/outbox"] = 200, [ROW]
    key = await console.key("demo", "read")
    answer = await console.ask("GET", f"/v1/outbox?profile={PROFILE}&channel=email", key=key)
    assert answer.json() == [ROW]
    (asked,) = peers.asked("dispatch")
    assert asked.query == {"shop": "demo", "profile": PROFILE, "channel": "email"}
    assert {name.lower(): told for name, told in asked.headers.items()}["authorization"] == (
        f"Bearer {SECRETS.service_key()}"
    )


async def test_a_service_that_is_away_is_named(console: Console, peers: Peers) -> None:
    peers.away = {"dispatch"}
    answer = await console.ask("GET", "/v1/outbox?shop=demo")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert "dispatch is away" in answer.json()["detail"]
    peers.away = {"ingest"}
    answer = await console.ask("GET", "/v1/explain?shop=demo&email=a@example.com")
    assert (answer.status_code, "ingest is away" in answer.text) == (503, True)


async def test_a_service_with_another_secret_is_no_fault_of_the_caller(console: Console, peers: Peers) -> None:
    peers.answers["dispatch", "/v1/outbox"] = 401, {"detail": "this key is not known"}
    answer = await console.ask("GET", "/v1/outbox?shop=demo")
    assert answer.status_code == 503
    assert "dispatch does not take the service key" in answer.json()["detail"]


async def test_explain_by_email_shows_what_became_of_each_message(console: Console, peers: Peers) -> None:
    peers.answers["ingest", "/v1/profiles/resolve"] = 200, {"profile": PROFILE}
    peers.answers["rules", "/v1/explain"] = 200, explained(step("woken"), step("requested", "m-1"))
    peers.answers["dispatch", "/v1/outbox"] = 200, [ROW]
    answer = await console.ask("GET", "/v1/explain?shop=demo&email=anna@example.com&scenario=cart")
    assert answer.status_code == 200
    waited, sent = answer.json()["scenarios"][0]["enrolments"][0]["steps"]
    assert waited == step("woken")
    assert (sent["verdict"], sent["because"], sent["at"]) == ("suppressed", "no_consent", ROW["ended_at"])
    assert (sent["name"], sent["channel"]) == ("first", "email")
    assert peers.asked("ingest")[0].body == {"shop": "demo", "email": "anna@example.com"}
    assert peers.asked("rules")[0].query == {"shop": "demo", "profile": PROFILE, "scenario": "cart"}


async def test_explain_of_a_merged_profile_finds_its_older_messages(console: Console, peers: Peers) -> None:
    peers.answers["rules", "/v1/explain"] = 200, explained(step("requested", "m-1"))

    def outbox(asked: Asked) -> tuple[int, Any]:
        return 200, [ROW] if asked.query["profile"] == OLD else []

    peers.answers["dispatch", "/v1/outbox"] = outbox
    answer = await console.ask("GET", f"/v1/explain?shop=demo&profile={OLD}")
    assert answer.json()["scenarios"][0]["enrolments"][0]["steps"][0]["verdict"] == "suppressed"


async def test_a_message_that_was_put_off_says_why(console: Console, peers: Peers) -> None:
    peers.answers["rules", "/v1/explain"] = 200, explained(step("requested", "m-1"), step("requested", "m-2"))
    pending = ROW | {"end": "pending", "reason": "frequency", "ended_at": None}
    peers.answers["dispatch", "/v1/outbox"] = 200, [pending, pending | {"message_id": "m-2", "reason": None}]
    answer = await console.ask("GET", f"/v1/explain?shop=demo&profile={PROFILE}")
    steps = answer.json()["scenarios"][0]["enrolments"][0]["steps"]
    assert [(one["verdict"], one["because"]) for one in steps] == [("deferred", "frequency"), ("requested", None)]


async def test_an_unknown_customer_is_404_without_the_address(console: Console, peers: Peers) -> None:
    peers.answers["ingest", "/v1/profiles/resolve"] = 404, {"detail": "no profile for zoe@example.com"}
    answer = await console.ask("GET", "/v1/explain?shop=demo&email=zoe@example.com")
    assert answer.status_code == 404
    assert "zoe" not in answer.text
    peers.answers["rules", "/v1/explain"] = 404, {"detail": "no event of it has arrived"}
    answer = await console.ask("GET", f"/v1/explain?shop=demo&profile={PROFILE}")
    assert (answer.status_code, answer.json()["detail"]) == (404, "no event of it has arrived")


@pytest.mark.parametrize("query", ["", f"&email=a@example.com&profile={PROFILE}", "&profile=nobody"])
async def test_explain_is_about_one_customer(console: Console, query: str) -> None:
    assert (await console.ask("GET", f"/v1/explain?shop=demo{query}")).status_code == 422


async def test_the_timeline_has_events_and_messages(console: Console, peers: Peers) -> None:
    event = {"at": START.isoformat(), "type": "cart.updated", "data": {}}
    peers.answers["rules", "/v1/timeline"] = 200, {"profile": PROFILE, "events": [event]}
    peers.answers["dispatch", "/v1/outbox"] = 200, [ROW]
    answer = await console.ask("GET", f"/v1/profiles/{PROFILE}/timeline?shop=demo")
    assert answer.json() == {"profile": PROFILE, "events": [event], "messages": [ROW]}


RULES = {
    "events": {"received": 10, "applied": 7, "duplicates": 2, "quarantined": 1},
    "steps": {"scheduled": 9, "fired": 4, "cancelled": 2, "expired": 1},
    "messages": {"requested": 6},
    "lag": 0,
}
DISPATCH = {
    "messages": {"sent": 2, "suppressed": 1, "failed": 1, "expired": 0, "unknown": 1, "pending": 1},
    "lag": 0,
}


INGEST = {"events": {"stopped": 3, "duplicates": 2, "quarantined": 1}, "lag": 0}


def agree(peers: Peers) -> None:
    peers.answers["ingest", "/v1/audit"] = 200, INGEST
    peers.answers["rules", "/v1/audit"] = 200, RULES
    peers.answers["scheduler", "/v1/audit"] = 200, {"pending": 2, "lag": 0}
    peers.answers["dispatch", "/v1/audit"] = 200, DISPATCH


async def test_the_sums_agree(console: Console, peers: Peers) -> None:
    agree(peers)
    found = (await console.ask("GET", "/v1/audit")).json()
    assert found["ok"] is True
    assert found["events"] == {"received": 13, "applied": 7, "duplicates": 4, "quarantined": 2, "difference": 0}
    assert found["steps"] == RULES["steps"] | {"pending": 2, "difference": 0}
    assert found["messages"] == {"requested": 6, **DISPATCH["messages"], "difference": 0}


@pytest.mark.parametrize(
    ("service", "change", "part", "difference"),
    [
        ("rules", lambda told: told["events"].update(received=11), "events", 1),
        ("ingest", lambda told: told["events"].update(quarantined=0), "events", 1),
        ("scheduler", lambda told: told.update(pending=1), "steps", 1),
        ("dispatch", lambda told: told["messages"].update(sent=4), "messages", -2),
    ],
)
async def test_a_difference_that_stays_is_told(
    console: Console,
    peers: Peers,
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    change: Callable[[Any], None],
    part: str,
    difference: int,
) -> None:
    agree(peers)
    monkeypatch.setattr(sums, "AGAIN", 0.01)
    status, told = peers.answers[service, "/v1/audit"]
    wrong = copy.deepcopy(told)
    change(wrong)
    peers.answers[service, "/v1/audit"] = status, wrong
    found = (await console.ask("GET", "/v1/audit")).json()
    assert (found["ok"], found[part]["difference"]) == (False, difference)
    assert len(peers.asked(service)) == sums.CALM + 1


async def test_a_difference_of_work_in_progress_is_waited_for(
    console: Console, peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    agree(peers)
    monkeypatch.setattr(sums, "AGAIN", 0.01)
    behind = copy.deepcopy(RULES) | {"lag": 3}
    behind["events"] = {"received": 13, "applied": 7, "duplicates": 2, "quarantined": 1}  # type: ignore[assignment]

    def rules(_asked: Asked) -> tuple[int, Any]:
        return 200, behind if len(peers.asked("rules")) <= 20 else RULES

    peers.answers["rules", "/v1/audit"] = rules
    found = (await console.ask("GET", "/v1/audit")).json()
    assert (found["ok"], found["lag"]) == (True, {"rules": 0, "scheduler": 0, "dispatch": 0, "ingest": 0})
    assert len(peers.asked("rules")) == 21


async def test_the_audit_does_not_wait_for_ever(
    console: Console, peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    agree(peers)
    monkeypatch.setattr(sums, "AGAIN", 0.01)
    monkeypatch.setattr(sums, "SETTLE", 0.1)
    peers.answers["scheduler", "/v1/audit"] = 200, {"pending": 0, "lag": 5}
    started = time.monotonic()
    found = (await console.ask("GET", "/v1/audit")).json()
    assert (found["ok"], found["steps"]["difference"], found["lag"]["scheduler"]) == (False, 2, 5)
    assert time.monotonic() - started < 2


async def test_the_status_tells_of_every_service(console: Console, peers: Peers) -> None:
    for name in ("ingest", "consent", "dispatch", "rules"):
        peers.answers[name, "/readyz"] = 200, {"ready": True}
        peers.answers[name, "/v1/status"] = 200, {"lag": {"a": 1, "b": 2} if name == "rules" else 0}
    peers.answers["scheduler", "/readyz"] = 503, {"ready": False}
    peers.answers["scheduler", "/v1/status"] = 200, {"lag": 4, "pending": 12, "oldest_due": START.isoformat()}
    peers.away = {"consent"}
    answer = await console.ask("GET", "/v1/status")
    assert answer.status_code == 200
    assert answer.json() == {
        "now": START.isoformat(),
        "services": {
            "console": {"ready": True, "lag": 0},
            "ingest": {"ready": True, "lag": 0},
            "consent": {"ready": False, "lag": None},
            "dispatch": {"ready": True, "lag": 0},
            "rules": {"ready": True, "lag": 3},
            "scheduler": {"ready": False, "lag": 4},
        },
        "steps": {"pending": 12, "oldest_due": START.isoformat()},
    }


async def test_the_status_of_a_console_that_kafka_does_not_hear(console: Console, peers: Peers) -> None:
    peers.away = {"scheduler"}
    console.wire.fails = AWAY
    found = (await console.ask("GET", "/v1/status")).json()
    assert found["services"]["console"] == {"ready": False, "lag": None}
    assert found["steps"] == {"pending": None, "oldest_due": None}


async def test_the_key_of_a_shop_sees_its_own_sums_and_no_lag(console: Console, peers: Peers) -> None:
    """I9: what is asked of the others names the shop, and what concerns all shops is left out."""
    agree(peers)
    key = await console.key("demo", "admin")
    found = (await console.ask("GET", "/v1/audit", key=key)).json()
    assert found.keys() == {"ok", "events", "steps", "messages"}
    for name in ("rules", "scheduler", "dispatch", "ingest"):
        assert [one.query for one in peers.asked(name)] == [{"shop": "demo"}]
        peers.answers[name, "/readyz"] = 200, {"ready": True}
        peers.answers[name, "/v1/status"] = 200, {"lag": 7, "pending": 3, "oldest_due": None}
    peers.away = {"consent"}
    status = (await console.ask("GET", "/v1/status?shop=demo", key=key)).json()
    assert {row["lag"] for row in status["services"].values()} == {None}
    assert status["services"]["rules"]["ready"] and not status["services"]["consent"]["ready"]
    assert status["steps"] == {"pending": 3, "oldest_due": None}
    assert [one.query for one in peers.asked("scheduler") if one.path.endswith("status")] == [{"shop": "demo"}]
    for path in ("/v1/audit", "/v1/status"):
        assert (await console.ask("GET", f"{path}?shop=other", key=key)).status_code == 403


async def test_the_service_key_may_ask_for_one_shop(console: Console, peers: Peers) -> None:
    agree(peers)
    found = (await console.ask("GET", "/v1/audit?shop=demo")).json()
    assert found["lag"]["rules"] == 0
    assert [one.query for one in peers.asked("dispatch")] == [{"shop": "demo"}]


async def test_a_shops_audit_waits_for_what_is_not_read_yet(
    console: Console, peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its `received` is what was read, so the sums agree at once: also while the rest is on its way."""
    agree(peers)
    monkeypatch.setattr(sums, "AGAIN", 0.01)

    def rules(_asked: Asked) -> tuple[int, Any]:
        return 200, RULES | {"lag": 3 if len(peers.asked("rules")) <= 5 else 0}

    peers.answers["rules", "/v1/audit"] = rules
    found = (await console.ask("GET", "/v1/audit", key=await console.key("demo", "admin"))).json()
    assert (found["ok"], len(peers.asked("rules"))) == (True, 6)
