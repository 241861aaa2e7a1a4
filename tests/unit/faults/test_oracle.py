"""The oracle of the kill test: a run as it should be has no discrepancy, and each kind of wrong is found."""

import ast
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.faults import facts, journal, oracle, pace, verdict
from tests.faults.facts import Outage
from tests.faults.oracle import Rules, settled
from tests.faults.pace import Pace
from tests.faults.verdict import Judge, Verdict

PACE = Pace(real=1_000.0, platform=datetime(2026, 3, 2, 8, tzinfo=UTC), speed=3_600.0)
RULES = Rules(dues=(("first", 10.0), ("second", 30.0)), margin=2.0)
"""An hour of the platform is a second: mails are due 10 and 30 seconds after the cart."""


@dataclass
class Run:
    """Journals of one customer, made by hand; times are real seconds after 1000."""

    folder: Path
    told: list[dict[str, Any]] = field(default_factory=list)
    mails: list[dict[str, Any]] = field(default_factory=list)
    kills: list[dict[str, Any]] = field(default_factory=list)
    outbox: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        customers = [{"name": "anna", "email": "anna@example.com", "story": "by hand"}]
        self.told.append({"kind": "play", "real": 1_000.0, "pace": PACE.entry(), "customers": customers})
        self.event("k-1", 0, "consent.changed", {"email": "e", "consents": [{"status": "granted"}]})

    def event(self, id: str, at: float, kind: str, data: dict[str, Any], took: float = 0.1) -> None:
        """Told at a time, acknowledged `took` later."""
        told = {"id": id, "type": kind, "time": PACE.at(1_000 + at).isoformat(), "data": data}
        events = [{"customer": "anna", "event": told}]
        self.told.append({"kind": "intent", "request": len(self.told), "real": 1_000 + at, "events": events})
        self.told.append({"kind": "ack", "request": len(self.told) - 1, "real": 1_000 + at + took, "duplicates": 0})

    def cart(self, at: float, revision: int = 1) -> None:
        data = {"email": "e", "cart": {"id": "c", "url": f"u/{revision}"}}
        self.event(f"c-{revision}", at, "cart.updated", data)

    def order(self, at: float, took: float = 0.1) -> None:
        self.event("o", at, "order.placed", {"email": "e"}, took)

    def withdraw(self, at: float) -> None:
        self.event("k-2", at, "consent.changed", {"email": "e", "consents": [{"status": "withdrawn"}]})

    def sent(self, at: float, name: str, revision: int = 1, end: str = "sent") -> None:
        """In the sink, and in the outbox with that end."""
        mail = {"to": ["anna@example.com"], "subject": f"{name} u/{revision}", "mood": "kind"}
        mail["message_id"] = f"<{self.next_id()}@x>"
        self.mails.append({"real": 1_000 + at, **mail})
        self.row(name, end)

    def next_id(self) -> str:
        return f"00000000-0000-0000-0000-{len(self.outbox):012}"

    def row(self, name: str, end: str, reason: str | None = None) -> None:
        row = {"message_id": self.next_id(), "profile": "p", "message": name, "end": end, "reason": reason}
        self.outbox.append({**row, "customer": "anna"})

    def away(self, part: str, begin: float, end: float) -> None:
        pid = len(self.kills)
        self.kills.append({"kind": "kill", "victim": part, "pid": pid, "real": 1_000 + begin})
        self.kills.append({"kind": "back", "victim": part, "pid": pid, "real": 1_000 + end})

    def verdict(self) -> Verdict:
        for name, entries in (("told", self.told), ("mails", self.mails), ("kills", self.kills)):
            (self.folder / f"{name}.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
        return Judge(facts.load(self.folder, self.outbox), RULES).judge()

    def wrongs(self) -> list[str]:
        return [one.kind for one in self.verdict().discrepancies]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def both_mails(run: Run) -> None:
    run.cart(5)
    run.sent(15.2, "first")
    run.sent(35.3, "second")


def test_a_run_as_it_should_be(run: Run) -> None:
    both_mails(run)
    found = run.verdict()
    assert not found.discrepancies
    assert found.expected == {"must": 2} and found.mails == 2
    assert [round(late, 1) for late in found.lateness] == [0.2, 0.3]


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (lambda run: run.mails.pop(), {"lost", "outbox differs"}),
        (lambda run: (run.mails.pop(), run.outbox.pop()), {"lost", "unaccounted"}),
        (lambda run: run.mails.append(run.mails[0]), {"twice"}),
        (lambda run: run.row("first", "sent"), {"unaccounted", "outbox differs"}),
        (lambda run: run.outbox[0].update(end="failed"), {"outbox differs"}),
        (lambda run: run.mails[0].update(real=1_014.0), {"early"}),
        (lambda run: run.mails[1].update(real=1_070.0), {"late"}),
        (lambda run: run.mails.append({**run.mails[0], "to": ["ben@example.com"]}), {"strange", "outbox differs"}),
        (lambda run: run.outbox[0].update(customer=""), {"strange", "unaccounted", "outbox differs"}),
        (lambda run: run.told.append({"kind": "wrong", "real": 1.0, "says": "500"}), {"wrong answer"}),
    ],
)
def test_each_kind_of_wrong_is_found(run: Run, change: Callable[[Run], object], kinds: set[str]) -> None:
    both_mails(run)
    change(run)
    assert set(run.wrongs()) == kinds


def test_unknown_may_be_in_the_sink_or_not_and_even_twice(run: Run) -> None:
    both_mails(run)
    run.away("dispatch", 15, 16)
    run.outbox[0]["end"] = "unknown"
    assert not run.wrongs()
    run.mails.append({**run.mails[0]})
    assert not run.wrongs()
    del run.mails[0], run.mails[-1]
    assert not run.wrongs()


def test_unknown_that_was_sent_excuses_nothing_else(run: Run) -> None:
    run.away("dispatch", 15, 16)
    for number in (1, 2):
        run.event(f"r-{number}", 5, "custom.receipt", {"email": "e", "receipt": {"number": f"u/{number}"}})
        run.sent(5.5, "receipt", number, end="unknown")
    assert not run.wrongs()
    run.outbox[0]["end"] = "sent"
    run.mails.pop(0)
    assert run.wrongs() == ["lost", "outbox differs"]


def test_what_is_pending_is_not_lost_but_unfinished(run: Run) -> None:
    both_mails(run)
    run.mails.pop(), run.outbox[1].update(end="pending")
    assert run.wrongs() == ["unfinished"]


def test_unknown_excuses_no_more_than_was_under_way(run: Run) -> None:
    run.cart(5)
    run.sent(15.2, "first", end="unknown")
    run.sent(35.3, "second")
    assert run.wrongs() == ["too many unknown"]
    run.away("rules", 15, 16)
    assert run.wrongs() == ["too many unknown"]
    run.away("dispatch", 15, 16)
    assert not run.wrongs()
    del run.kills[:]
    run.mails[0]["mood"] = "cut"
    assert not run.wrongs()


def test_a_purchase_well_before_the_due_time_forbids_the_mail(run: Run) -> None:
    both_mails(run)
    run.order(20)
    assert run.wrongs() == ["after an end", "unaccounted"]
    run.mails.pop(), run.outbox.pop()
    assert not run.wrongs()


@pytest.mark.parametrize("at", [33.5, 36.0])
def test_a_purchase_close_to_the_due_time_leaves_both_ways_open(run: Run, at: float) -> None:
    both_mails(run)
    run.order(at)
    assert not run.wrongs()
    run.mails.pop(), run.outbox.pop()
    assert not run.wrongs()


def test_a_purchase_after_the_due_time_forbids_nothing(run: Run) -> None:
    both_mails(run)
    run.order(39.5)
    assert not run.wrongs()
    run.mails.pop(), run.outbox.pop()
    assert run.wrongs() == ["lost", "unaccounted"]


def test_a_purchase_while_the_mail_cannot_go_out_may_take_it_back(run: Run) -> None:
    both_mails(run)
    run.order(45)
    run.mails.pop(), run.outbox.pop()
    run.row("second", "suppressed", "exit")
    assert run.wrongs() == ["lost"]
    run.away("dispatch", 34, 50)
    assert not run.wrongs()
    run.outbox.pop()
    assert run.wrongs() == ["unaccounted"], "it was asked for"


def test_what_was_away_could_not_know(run: Run) -> None:
    both_mails(run)
    run.order(20)
    run.away("rules", 21, 34)
    assert not run.wrongs()
    run.kills[-1]["real"] = 1_032.0
    assert "after an end" in run.wrongs()
    run.away("dispatch", 21, 34)  # not one through whom a purchase goes
    assert "after an end" in run.wrongs()


def test_a_purchase_older_than_the_cart_is_no_reason_to_leave(run: Run) -> None:
    run.order(1)
    both_mails(run)
    assert not run.wrongs()
    del run.mails[:], run.outbox[:]
    assert run.wrongs().count("lost") == 2


def test_a_changed_cart_begins_anew(run: Run) -> None:
    run.cart(5)
    run.cart(10, revision=2)
    run.sent(20, "first", revision=2)
    run.sent(40, "second", revision=2)
    assert not run.wrongs()
    run.sent(15, "first", revision=1)
    assert run.wrongs() == ["after an end", "unaccounted"]


def test_without_a_consent_nothing_may_be_sent(run: Run) -> None:
    del run.told[1:]
    both_mails(run)
    assert run.wrongs() == ["without consent", "without consent"]
    del run.mails[:]
    for row in run.outbox:
        row.update(end="suppressed", reason="no_consent")
    assert not run.wrongs()
    run.outbox.pop()
    assert run.wrongs() == ["unaccounted"]


def test_after_a_withdrawal_nothing_may_be_sent(run: Run) -> None:
    both_mails(run)
    run.withdraw(20)
    assert run.wrongs() == ["without consent"]
    run.mails.pop(), run.outbox[1].update(end="suppressed", reason="withdrawn")
    assert not run.wrongs()


def test_an_old_permission_told_again_does_not_count(run: Run) -> None:
    run.cart(5)
    run.withdraw(16)
    run.event("k-1", 20, "consent.changed", {"email": "e", "consents": [{"status": "granted"}]})
    run.sent(15.2, "first")
    run.sent(35.3, "second")
    assert run.wrongs() == ["without consent"]


def test_a_confirmed_click_counts_at_once_even_for_a_mail_that_is_late(run: Run) -> None:
    run.cart(5)
    run.sent(15.2, "first")
    run.sent(40.0, "second")
    run.told.append({"kind": "unsubscribe", "customer": "anna", "real": 1_036.0})
    run.told.append({"kind": "unsubscribed", "customer": "anna", "real": 1_036.1})
    run.away("consent", 30, 39)
    assert run.wrongs() == ["without consent"]
    run.mails[-1]["real"] = 1_037.0  # on its way when the click came
    assert not run.wrongs()


def test_never_acknowledged_may_be_sent_or_not(run: Run) -> None:
    both_mails(run)
    del run.told[4]
    assert not run.wrongs()
    del run.mails[:], run.outbox[:]
    assert not run.wrongs()


def test_settled_waits_for_a_quiet_stretch() -> None:
    outages = [Outage(part="rules", begin=10, end=15), Outage(part="kafka", begin=16, end=20)]
    assert settled(outages, 5, ("rules", "kafka"), 2) == 7
    assert settled(outages, 9, ("rules", "kafka"), 2) == 22
    assert settled(outages, 9, ("rules",), 2) == 17
    assert settled(outages, 9, ("consent",), 2) == 11


def test_the_oracle_shares_no_code_with_the_platform() -> None:
    for module in (oracle, facts, verdict, pace, journal):
        assert module.__file__ is not None
        tree = ast.parse(Path(module.__file__).read_text())
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                own = name.startswith("tests.faults.") and name.split(".")[2] in ("facts", "oracle", "pace", "journal")
                assert own or name.split(".")[0] in sys.stdlib_module_names, f"{module.__name__} imports {name}"
