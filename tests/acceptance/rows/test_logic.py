"""C7, C9 to C13, C15: what scenarios as a whole do, and what the command line says of them, on the same platform."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cli.local.process import ROOT
from tests.acceptance.rows.conftest import HERE, LIBRARY
from tests.acceptance.rows.several import lots
from tests.acceptance.rows.telling import PATIENCE, Told
from tests.support.running import Running, command
from tests.support.shop import Customer

COUPON = """kurant: 1
id: coupon
name: A discount for the cart that was left
purpose: marketing
trigger: {event: cart.updated}
key: event.cart.id
steps:
  - wait: 1h
  - send: hello
    coupon: {pool: autumn, valid: 72h, only_for: event.cart.id}
"""


@pytest.fixture
def ours(folder: Path) -> Path:
    """A scenario that was begun with one of the library, as it was published."""
    return folder / "ours" / "our-follow-up"


def _run(told: Told, name: str, scenario: str) -> dict[str, Any]:
    (one,) = told.platform.enrolments(Customer(name).email, scenario)
    return one


def _refused(platform: Running, path: Path) -> list[dict[str, Any]]:
    said = platform.cli("scenario", "publish", str(path), "--json")
    assert said.code == 1, said
    errors: list[dict[str, Any]] = said.json[0]["errors"]
    return errors


def test_c7_a_channel_without_a_gateway_is_refused_with_the_reason(told: Told) -> None:
    errors = _refused(told.platform, ROOT / "scenarios" / "not-yet" / "abandoned-cart-escalation")
    assert any("sms" in row["message"] and "gateway" in row["message"] for row in errors)


def test_c9_a_coupon_is_refused_with_the_reason_and_the_place(told: Told, tmp_path: Path) -> None:
    shutil.copytree(HERE / "scenarios" / "care", tmp_path / "coupon")
    (tmp_path / "coupon" / "messages" / "sorry.email.html").rename(tmp_path / "coupon/messages/hello.email.html")
    (tmp_path / "coupon" / "scenario.yaml").write_text(COUPON)
    (error,) = _refused(told.platform, tmp_path / "coupon")
    assert "coupon" in error["message"]
    assert error["path"].startswith("steps/1") and error["line"] in (9, 10) and error["hint"]
    known = {row["id"] for row in told.platform.cli("scenario", "list", "--json").json}
    assert "coupon" not in known


def test_c10_lots_are_drawn_once_for_each_customer(told: Told) -> None:
    arms: Counter[str] = Counter()
    for customer in lots():
        runs = told.platform.enrolments(customer.email, "lots")
        (drawn,) = {run["arms"]["subject"] for run in runs}
        assert len(runs) == 2, "the same lot, whenever he comes"
        arms[drawn] += 1
        mails = [mail["subject"] for mail in told.platform.mails(customer.email)]
        assert mails == {"short": ["Short"] * 2, "long": ["Long, long"] * 2, "holdout": []}[drawn]
        assert {run["because"] for run in runs} == {"holdout" if drawn == "holdout" else "completed"}
    assert arms.keys() == {"short", "long", "holdout"}


def test_c11_a_run_keeps_its_version_when_the_next_is_published(told: Told) -> None:
    assert [_run(told, f"{n}-reader", "edition")["version"] for n in ("first", "second")] == [1, 2]
    rows = told.outbox["first-reader"]
    assert [(row["scenario"], row["version"], row["end"]) for row in rows] == [("edition", 1, "sent")]


def test_c11_an_archived_scenario_lets_nobody_in(told: Told) -> None:
    platform, late = told.platform, Customer("late-reader")
    platform.tell(late.known(platform.now()), late.custom("closing", platform.now()))
    platform.settled(PATIENCE)
    assert platform.enrolments(late.email, "closing") == []
    assert platform.outbox(platform.profile(late.email)) == []


def test_c12_what_was_begun_with_the_library_runs_beside_it(told: Told) -> None:
    for scenario in ("welcome", "our-welcome"):
        rows = [row for row in told.outbox["registered-with-us"] if row["scenario"] == scenario]
        assert [(row["message"], row["end"]) for row in rows] == [("first", "sent")]


def test_c12_one_that_is_not_in_the_library_is_named(tmp_path: Path) -> None:
    said = command("scenario", "new", "--from", "no-such-scenario", "--id", "mine", str(tmp_path / "mine"))
    assert said.code == 2 and "welcome" in said.err
    assert not (tmp_path / "mine").exists()


def test_c13_lint_names_file_line_and_what_to_do(ours: Path, tmp_path: Path) -> None:
    assert command("scenario", "lint", str(ours)).code == 0
    broken = tmp_path / "our-follow-up"
    shutil.copytree(ours, broken)
    text = (broken / "scenario.yaml").read_text()
    (broken / "scenario.yaml").write_text(text.replace("send: follow-up", "sned: follow-up"))
    said = command("scenario", "lint", str(broken))
    line = 1 + text[: text.index("send: follow-up")].count("\n")
    assert said.code == 1
    assert f"{broken}/scenario.yaml:{line}:" in said.out and "send" in said.out


def test_c13_test_runs_on_virtual_time_and_tells_what_is_other(ours: Path) -> None:
    """Ours differs from the library by its two hours: its copied tests say so, those of the library hold."""
    assert command("scenario", "test", str(LIBRARY / "opened-not-clicked")).code == 0
    said = command("scenario", "test", str(ours), "-k", "opened-not-clicked.yaml")
    assert said.code == 1
    assert "follow-up" in said.out and "Tue 2026-03-03 14:00  steps/4 follow-up: sent" in said.out


def test_c13_diff_of_a_published_version_and_a_folder(told: Told, ours: Path, folder: Path) -> None:
    assert told.platform.cli("scenario", "diff", "our-follow-up@1", str(ours), "--json").json == [
        {"id": "our-follow-up", "differences": []}
    ]
    library = told.platform.cli("scenario", "diff", str(LIBRARY / "opened-not-clicked"), str(ours))
    assert "2d" in library.out and "2h" in library.out
    editions = told.platform.cli("scenario", "diff", "edition@1", "edition@2", "--json")
    (row,) = editions.json
    assert [one["path"] for one in row["differences"]] == ["messages/paper.email.html/body"]
    assert told.platform.cli("scenario", "diff", "edition@2", str(folder / "edition"), "--json").json == [
        {"id": "edition", "differences": []}
    ]


def test_c15_explain_of_one_who_entered_step_by_step(told: Told) -> None:
    found = _run(told, "opened-only", "our-follow-up")
    steps = [(step["step"], step["verdict"]) for step in found["steps"]]
    assert [verdict for _, verdict in steps if verdict in ("sent", "then", "else")] == ["sent", "then", "else", "sent"]
    assert all({"step", "at", "verdict", "because"} <= step.keys() for step in found["steps"])
    said = told.platform.cli("explain", "--email", Customer("opened-only").email, "--scenario", "our-follow-up")
    assert said.code == 0 and "our-follow-up version 1: entered" in said.out
    assert "no message.clicked until" in said.out


def test_c15_explain_of_one_who_never_entered_names_the_condition(told: Told) -> None:
    email = Customer("cart-tiny").email
    (row,) = told.platform.cli("explain", "--email", email, "--scenario", "abandoned-cart-by-value", "--json").json[
        "scenarios"
    ]
    assert (row["entered"], row["enrolments"]) == (False, [])
    (condition,) = [one for one in row["conditions"] if one["path"] == "event.cart.value"]
    assert (str(condition["found"]), condition["verdict"]) == ("29.99", False)
    said = told.platform.cli("explain", "--email", email, "--scenario", "abandoned-cart-by-value")
    assert "never entered" in said.out and 'event.cart.value is "29.99": not met' in said.out


def test_d5_explain_says_that_it_was_too_late(told: Told) -> None:
    found = _run(told, "shipped-long-ago", "shipped")
    assert ("expired", "late") in [(step["verdict"], step["because"]) for step in found["steps"]]


def test_the_sums_agree(told: Told) -> None:
    audit = told.platform.settled(PATIENCE)
    assert {audit[group]["difference"] for group in ("events", "steps", "messages")} == {0}
    assert audit["messages"]["expired"] >= 1 and audit["messages"]["unknown"] == 0
