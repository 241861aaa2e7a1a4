"""A platform that is stopped and started again goes on: nothing lost, nothing twice, its time never back."""

import signal
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from cli.local.ports import Ports, is_free
from tests.acceptance.stories import CART, HOUR, Stories
from tests.support.running import Running, eventually, free_base, kurant
from tests.support.shop import Customer, visit

PEOPLE = 12


@dataclass(frozen=True)
class Restarted:
    """What was so before the restart. `code` is how `kurant up` ended, `left` which processes it left."""

    customers: list[Customer]
    asked: datetime
    stopped: datetime
    outbox: list[dict[str, Any]]
    scenarios: list[dict[str, Any]]
    mails: int
    audit: dict[str, Any]
    code: int
    left: list[psutil.Process]
    free: bool


@pytest.fixture(scope="module")
def restarted(platform: Running, stories: Stories) -> Restarted:
    """A day's wait is under way for some customers when the platform is stopped, and started again."""
    customers = [Customer(visit("patient")) for _ in range(PEOPLE)]
    now = platform.now()
    platform.tell(*(told for one in customers for told in (one.known(now - HOUR), one.consent(now - HOUR))))
    asked = platform.now().replace(microsecond=0)
    platform.tell(*(one.custom("patience", asked) for one in customers))
    platform.tell(customers[0].custom("enough", asked))
    for one in customers[1:]:
        eventually(lambda one=one: platform.enrolments(one.email, "patient"), 15, "the wait is under way")  # type: ignore[misc]
    outbox = platform.ask("/v1/outbox", shop="demo")
    scenarios = platform.ask("/v1/scenarios", shop="demo")
    mails = len(platform.http.get(f"{platform.url('inbox')}/api/messages").json())
    audit = platform.ask("/v1/audit", platform.service_key)
    processes = platform.processes()
    stopped = platform.now()
    code = platform.stop(signal.SIGTERM)
    _, left = psutil.wait_procs(processes, timeout=5)
    free = all(is_free(port) for port in platform.ports.named().values())
    platform.start()
    return Restarted(customers, asked, stopped, outbox, scenarios, mails, audit, code, left, free)


def test_sigterm_stops_everything(restarted: Restarted) -> None:
    assert restarted.code == 0
    assert restarted.left == []
    assert restarted.free


def test_the_clock_goes_on(platform: Running, restarted: Restarted) -> None:
    """Never back; and not much ahead: while nothing runs it stands still."""
    assert platform.now() > restarted.stopped


def test_pending_steps_go_on(platform: Running, restarted: Restarted) -> None:
    due = restarted.asked + 24 * HOUR
    for one in restarted.customers[1:]:
        platform.await_mails(one.email, 1, 60)
    platform.settled()
    for one in restarted.customers[1:]:
        (mail,) = platform.mails(one.email)
        assert datetime.fromisoformat(mail["received_at"]) >= due
        (row,) = platform.outbox(platform.profile(one.email))
        assert (row["end"], row["scenario"]) == ("sent", "patient")
    assert platform.mails(restarted.customers[0].email) == []


def test_nothing_is_sent_twice(platform: Running, restarted: Restarted) -> None:
    """Every mail has one Message-ID, every sent message one mail."""
    platform.settled()
    mails = platform.http.get(f"{platform.url('inbox')}/api/messages").json()
    ids = [mail["headers"]["Message-ID"] for mail in mails]
    assert len(ids) == len(set(ids))
    audit = platform.ask("/v1/audit", platform.service_key)
    assert len(mails) == audit["messages"]["sent"]
    assert audit["messages"]["unknown"] == 0


def test_what_was_told_before_is_still_told(platform: Running, restarted: Restarted, stories: Stories) -> None:
    after = {row["message_id"]: row for row in platform.ask("/v1/outbox", shop="demo", limit="10000")}
    ended = [row for row in restarted.outbox if row["end"] != "pending"]
    assert [row for row in ended if after.get(row["message_id"]) != row] == []
    assert platform.ask("/v1/scenarios", shop="demo") == restarted.scenarios
    (one,) = platform.enrolments(stories["bea"].email, CART)
    assert one["because"] == "order.placed"
    now = platform.ask("/v1/audit", platform.service_key)
    assert now["events"]["applied"] >= restarted.audit["events"]["applied"]


def test_a_second_platform_on_the_same_ports_is_told_in_one_line(platform: Running, tmp_path: Path) -> None:
    said = kurant("up", "--data", str(tmp_path / "other"), "--port-base", str(platform.base))
    assert said.code == 2
    told = [line for line in said.err.splitlines() if line.startswith("kurant: ")]
    assert len(told) == 1 and "ports in use" in told[0] and "--port-base" in told[0]


def test_one_taken_port_is_named(tmp_path: Path) -> None:
    base = free_base()
    with socket.socket() as other:
        other.bind(("127.0.0.1", Ports(base).service("ingest")))
        other.listen()
        said = kurant("up", "--data", str(tmp_path / "data"), "--port-base", str(base))
    assert said.code == 2
    assert f"ports in use: {base + 1} (ingest)" in said.err


def test_a_second_platform_in_the_same_folder_is_told(platform: Running) -> None:
    said = kurant("up", "--data", str(platform.data), "--port-base", str(free_base()))
    assert said.code == 2
    assert "in use by a running platform" in said.err
