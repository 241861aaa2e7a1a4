"""The verbs of the command line: what they print for other programs, and their exit codes."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import SCENARIOS
from tests.acceptance.stories import CART, HOUR
from tests.support.running import Running, command, eventually, kurant
from tests.support.shop import Customer, visit

OUTBOX = {
    *("message_id", "shop", "profile", "scenario", "version", "message", "channel", "gateway"),
    *("requested_at", "end", "reason", "ended_at", "delivered_at", "opened_at", "clicked_at", "bounced_at"),
}
ENDS = {"pending", "sent", "suppressed", "failed", "expired", "unknown"}
SUMS = {
    "events": {"received", "applied", "duplicates", "quarantined", "difference"},
    "steps": {"scheduled", "fired", "cancelled", "expired", "pending", "difference"},
    "messages": {"requested", "sent", "suppressed", "failed", "expired", "unknown", "pending", "difference"},
}
SERVICES = {"console", "ingest", "consent", "dispatch", "rules", "scheduler"}


@pytest.fixture(scope="module")
def customer(platform: Running) -> Customer:
    """One who got a greeting and has a cart."""
    made = Customer(visit("cli"))
    now = platform.now()
    platform.tell(made.known(now - HOUR), made.consent(now - HOUR))
    platform.tell(made.custom("hello", now), made.cart(now))
    platform.await_mails(made.email, 1)
    return made


def test_status(platform: Running) -> None:
    said = platform.cli("status", "--json")
    assert said.code == 0, said
    found = said.json
    assert {"now", "services", "steps"} <= found.keys()
    assert found["services"].keys() >= SERVICES
    assert all(row["ready"] is True and "lag" in row for row in found["services"].values())
    assert {"pending", "oldest_due"} <= found["steps"].keys()
    assert isinstance(found["steps"]["pending"], int)
    for name in SERVICES:
        assert name in platform.cli("status").out


def test_outbox(platform: Running, customer: Customer) -> None:
    profile = platform.profile(customer.email)
    said = platform.cli("outbox", "--shop", "demo", "--profile", profile, "--channel", "email", "--json")
    assert said.code == 0, said
    assert isinstance(said.json, list) and said.json
    for row in said.json:
        assert OUTBOX - {"delivered_at", "opened_at", "clicked_at", "bounced_at"} <= row.keys()
        assert row["end"] in ENDS
        assert (row["shop"], row["profile"]) == ("demo", profile)
    first = said.json[0]
    assert (first["scenario"], first["version"], first["message"]) == ("greeting", 1, "hello")
    assert (first["channel"], first["gateway"], first["end"], first["reason"]) == ("email", "mail", "sent", None)
    assert first["requested_at"] <= first["ended_at"]
    assert platform.cli("outbox", "--profile", profile, "--channel", "sms", "--json").json == []
    assert "sent" in platform.cli("outbox", "--profile", profile).out


def test_explain(platform: Running, customer: Customer) -> None:
    said = platform.cli("explain", "--shop", "demo", "--email", customer.email, "--json")
    assert said.code == 0, said
    assert {"profile", "scenarios"} <= said.json.keys()
    found = {row["scenario"]: row for row in said.json["scenarios"]}
    assert {CART, "greeting", "held", "patient", "basket", "receipt"} <= found.keys()
    for row in found.values():
        assert {"scenario", "version", "entered", "conditions", "enrolments"} <= row.keys()
    assert (found["greeting"]["entered"], found["held"]["entered"]) == (True, False)
    (enrolment,) = found[CART]["enrolments"]
    assert {"key", "state", "entered_at", "ended_at", "because", "steps"} <= enrolment.keys()
    assert enrolment["key"] == f"c-{customer.name}"
    assert all({"step", "at", "verdict", "because"} <= step.keys() for step in enrolment["steps"])
    assert all({"path", "found", "verdict"} <= one.keys() for one in found[CART]["conditions"])
    profile = said.json["profile"]
    one = platform.cli("explain", "--profile", profile, "--scenario", CART, "--json").json
    assert (one["profile"], [row["scenario"] for row in one["scenarios"]]) == (profile, [CART])
    assert "greeting version 1: entered" in platform.cli("explain", "--email", customer.email).out


def test_explain_of_nobody_is_called_wrong(platform: Running) -> None:
    assert platform.cli("explain", "--email", "nobody@nowhere.example").code == 2
    assert platform.cli("explain").code == 2
    assert platform.cli("explain", "--profile", "not-a-uuid").code == 2


def test_audit(platform: Running) -> None:
    platform.settled()
    eventually(lambda: platform.cli("audit").code == 0, 20, "audit ends with 0")
    found = platform.cli("audit", "--json").json
    assert found["ok"] is True
    for group, names in SUMS.items():
        assert names <= found[group].keys()
        assert found[group]["difference"] == 0
    events, steps, messages = found["events"], found["steps"], found["messages"]
    assert events["received"] == events["applied"] + events["duplicates"] + events["quarantined"]
    assert steps["scheduled"] == steps["fired"] + steps["cancelled"] + steps["expired"] + steps["pending"]
    assert messages["requested"] == sum(count for name, count in messages.items() if name in ENDS)


def test_scenario_lint(platform: Running, tmp_path: Path) -> None:
    assert command("scenario", "lint", str(SCENARIOS)).code == 0
    assert command("scenario", "lint", "scenarios").code == 0
    broken = _scenario(tmp_path / "broken", text="kurant: 1\nid: broken\nname: B\npurpose: marketing\nsteps: []\n")
    said = command("scenario", "lint", str(broken), "--json")
    assert said.code == 1
    assert {"file", "line", "column", "path", "message", "hint", "severity"} <= said.json[0].keys()
    assert any("trigger" in row["message"] for row in said.json)
    assert command("scenario", "lint", str(tmp_path / "nowhere")).code == 2


def _scenario(folder: Path, *, subject: str = "One", text: str | None = None) -> Path:
    (folder / "messages").mkdir(parents=True, exist_ok=True)
    made = (SCENARIOS / "greeting" / "scenario.yaml").read_text().replace("id: greeting", f"id: {folder.name}")
    (folder / "scenario.yaml").write_text(text or made.replace("custom.hello", f"custom.{folder.name}"))
    body = '<html><body><p>Good day.</p><a href="{{ unsubscribe_url }}">No more</a></body></html>'
    (folder / "messages" / "hello.email.html").write_text(f'---\nsubject: "{subject}"\n---\n{body}\n')
    return folder


def test_scenario_publish_and_list(platform: Running, tmp_path: Path) -> None:
    folder = _scenario(tmp_path / "published")
    for subject, version, changed in (("One", 1, True), ("One", 1, False), ("Two", 2, True)):
        _scenario(folder, subject=subject)
        said = platform.cli("scenario", "publish", str(folder), "--json")
        assert said.code == 0, said
        (row,) = said.json
        assert (row["id"], row["version"], row["changed"]) == ("published", version, changed)
    listed = {row["id"]: row for row in platform.cli("scenario", "list", "--json").json}
    assert {CART, "greeting", "published"} <= listed.keys()
    assert (listed["published"]["version"], listed["published"]["state"]) == (2, "live")
    assert "published" in platform.cli("scenario", "list").out


def test_a_scenario_with_an_error_is_not_published(platform: Running, tmp_path: Path) -> None:
    folder = _scenario(tmp_path / "unpublished")
    text = (folder / "scenario.yaml").read_text()
    (folder / "scenario.yaml").write_text(text.replace("send: hello", "send: no-such-message"))
    said = platform.cli("scenario", "publish", str(folder), "--json")
    assert said.code == 1
    assert said.json[0]["errors"][0]["message"]
    assert "unpublished" not in {row["id"] for row in platform.cli("scenario", "list", "--json").json}


def test_pause_holds_and_resume_goes_on(platform: Running) -> None:
    """Who waits when a scenario is paused gets nothing until it goes on; who comes meanwhile does not enter."""
    before, meanwhile = Customer(visit("held")), Customer(visit("held"))
    now = platform.now()
    platform.tell(*(told for one in (before, meanwhile) for told in (one.known(now - HOUR), one.consent(now - HOUR))))
    said = platform.cli("scenario", "pause", "held", "--json")
    assert said.code == 0 and said.json["state"] == "paused", said
    _await_state(platform, "paused")
    assert platform.cli("scenario", "resume", "held").code == 0
    _await_state(platform, "live")
    at = platform.now()
    platform.tell(before.custom("held", at))
    assert platform.cli("scenario", "pause", "held").code == 0
    _await_state(platform, "paused")
    assert platform.mails(before.email) == [], "the pause came later than the mail: four hours, or five seconds"
    platform.tell(meanwhile.custom("held", platform.now()))
    platform.wait_until(at + 6 * HOUR)
    assert platform.mails(before.email) == []
    (one,) = platform.enrolments(before.email, "held")
    assert one["state"] == "waiting"
    assert "paused" in {step["because"] for step in one["steps"]}
    assert platform.cli("scenario", "resume", "held", "--json").json["state"] == "live"
    platform.await_mails(before.email, 1)
    (row,) = platform.explain(meanwhile.email, "held")["scenarios"]
    assert (row["entered"], row["enrolments"]) == (False, [])
    assert platform.mails(meanwhile.email) == []


def _await_state(platform: Running, state: str) -> None:
    def look() -> bool:
        url, headers = f"{platform.url('rules')}/v1/scenarios", {"Authorization": "Bearer kurant-demo-key"}
        rows = platform.http.get(url, params={"shop": "demo"}, headers=headers).json()
        return any((row["id"], row["state"]) == ("held", state) for row in rows)

    eventually(look, 20, f"rules hears that the scenario is {state}")


def test_changing_a_scenario_that_is_not_there_is_called_wrong(platform: Running) -> None:
    for verb in ("pause", "resume"):
        said = platform.cli("scenario", verb, "no-such-scenario")
        assert said.code == 2
        assert said.err.count("\n") == 1 and said.err.startswith("kurant: ")


def test_keys_create_list_revoke(platform: Running) -> None:
    said = platform.cli("keys", "create", "--shop", "keyed", "--scope", "ingest", "--json")
    assert said.code == 0, said
    made = said.json
    assert {"id", "key", "shop", "scopes"} <= made.keys()
    assert (made["shop"], made["scopes"]) == ("keyed", ["ingest"])
    customer = Customer(visit("keyed"), shop="keyed")
    assert platform.post([customer.known(platform.now())], made["key"]).status_code == 202
    assert platform.get("/v1/outbox", made["key"]).status_code == 403, "ingest alone may not read"
    listed = platform.cli("keys", "list", "--json").json
    row = next(row for row in listed if row["id"] == made["id"])
    assert "key" not in row and made["key"] not in json.dumps(listed)
    assert platform.cli("keys", "revoke", made["id"]).code == 0
    revoked = time.monotonic()

    def refused() -> bool:
        return platform.post([customer.known(platform.now())], made["key"]).status_code == 401

    eventually(refused, 15, "a revoked key is refused")
    assert time.monotonic() - revoked < 12
    assert platform.cli("keys", "revoke", made["id"]).code == 2
    plain = platform.cli("keys", "create", "--shop", "keyed")
    assert plain.out.startswith("kurant_") and plain.out.count("\n") == 1


@pytest.mark.parametrize("scope", ["read", "admin"])
def test_what_a_scope_may_do(platform: Running, scope: str) -> None:
    key = platform.cli("keys", "create", "--shop", "scoped", "--scope", scope, "--json").json["key"]
    assert platform.get("/v1/outbox", key).status_code == 200
    told = platform.post([Customer("scoped", shop="scoped").known(platform.now())], key).status_code
    assert told == (202 if scope == "admin" else 403)
    made = platform.http.post(
        f"{platform.url('console')}/v1/keys", json={"scopes": ["read"]}, headers={"Authorization": f"Bearer {key}"}
    )
    assert made.status_code in ((200, 201) if scope == "admin" else (403,))


def test_reset_refuses_what_runs_and_what_is_not_ours(platform: Running, tmp_path: Path) -> None:
    said = command("reset", "--data", str(platform.data))
    assert said.code == 2 and "in use" in said.err
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "love.txt").write_text("dear")
    assert command("reset", "--data", str(tmp_path / "letters")).code == 2
    assert (tmp_path / "letters" / "love.txt").exists()
    said = command("reset", "--data", str(tmp_path / "none"))
    assert said.code == 2 and "does not exist" in said.err


def test_called_wrong_is_exit_code_2_in_one_line(tmp_path: Path) -> None:
    """As processes of their own, as a script would see it."""
    calls: list[tuple[str, ...]] = [("status", "--data", str(tmp_path / "none")), ("no-such-verb",)]
    for arguments in calls:
        said = kurant(*arguments)
        assert said.code == 2, said
        assert said.out == "" and len(said.err.strip().splitlines()) == 1, said


def test_a_platform_elsewhere_is_found_by_its_address_and_key(platform: Running) -> None:
    environment = {"KURANT_URL": platform.url("console"), "KURANT_KEY": "kurant-demo-key"}
    said = kurant("outbox", "--json", **environment)
    assert said.code == 0, said
    rows: list[dict[str, Any]] = said.json
    assert {row["shop"] for row in rows} == {"demo"}
    assert kurant("outbox", KURANT_URL=platform.url("console"), KURANT_KEY="wrong").code == 2
