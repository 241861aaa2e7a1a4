"""Plays the demo day through ingest, and shows what was sent and what was not while it happens."""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from rich.live import Live
from rich.table import Table

from cli import demo_day
from cli.client import Away, Refused, Target, Unreachable, decoded, request
from cli.terminal import OUT, CliError, line, show_table
from libs.common.clock import PlatformClock
from libs.common.http.demo import DEMO_KEY, DEMO_SHOP

COLUMNS = ("customer", "what happens", "message", "end", "reason", "ended (UTC)")
LOOK = 0.7
"""Real seconds between looks at the outbox."""
SETTLE = 45.0
"""Real seconds given to the last messages after the last day."""


@dataclass
class Row:
    """One line of the table."""

    customer: str
    story: str
    message: str
    end: str
    reason: str
    ended: str

    def cells(self) -> tuple[str, ...]:
        return (self.customer, self.story, self.message, self.end, self.reason, self.ended)


@dataclass(kw_only=True)
class Demo:
    """One playing of the day. `stop` ends it early."""

    target: Target
    inbox: str
    clock: PlatformClock
    stop: threading.Event
    run: int
    profiles: dict[str, str] = field(default_factory=dict)
    """Profile id to customer name."""

    def __post_init__(self) -> None:
        self.day = demo_day.make(self.clock.now(), self.run)
        self._told: set[tuple[str, str]] = set()
        self._live: Live | None = None

    def play(self) -> None:
        """Play to the end; trouble is told in one line and ends the demo, not the platform."""
        line(f"the demo day opens at {self.day.opening:%Y-%m-%d %H:%M} UTC; mails: {self.inbox}")
        try:
            if OUT.is_terminal:
                with Live(console=OUT, auto_refresh=False) as self._live:
                    self._play()
            else:
                self._play()
        except (CliError, httpx.HTTPError) as error:
            line(f"the demo ends: {error}")
            return
        if not self.stop.is_set():
            show_table(COLUMNS, [row.cells() for row in self.rows()], title="What was sent, and what was not")
            line(f"the demo day is over; the mails are at {self.inbox}; Ctrl-C stops the platform")

    def _play(self) -> None:
        for call in self.day.calls:
            if not self._wait_until(call.at):
                return
            self._tell(f"{self.clock.now():%a %H:%M}  {call.says}")
            self._do(call)
        self._wait_until(self.day.over)
        for _ in range(int(SETTLE / LOOK)):
            self._look()
            if not any(row["end"] == "pending" for row in self._outbox()) or self.stop.wait(LOOK):
                return

    def _wait_until(self, moment: datetime) -> bool:
        """False when asked to stop; shows news meanwhile."""
        while (left := self.clock.seconds_until(moment)) > 0:
            if self.stop.wait(min(left, LOOK)):
                return False
            if left > LOOK:
                self._look()
        return not self.stop.is_set()

    def _do(self, call: demo_day.Call) -> None:
        if call.unsubscribe:
            self._unsubscribe(call.unsubscribe)
            return
        assert self.target.ingest is not None
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        content = json.dumps(call.events).encode()
        answer = decoded(_patiently(self.target.ingest + "/v1/events", content, headers, self.stop))
        for rejected in answer["rejected"]:
            self._tell(f"           ingest refuses one: {rejected['error']}")
        if answer["duplicates"]:
            self._tell(f"           ingest knows {answer['duplicates']} of them already")

    def _unsubscribe(self, email: str) -> None:
        """What a mail program does for the button: the one-click POST of RFC 8058 from the mail's header."""
        mails = httpx.get(f"{self.inbox}/api/messages", params={"to": email}, timeout=10, trust_env=False).json()
        links = [
            link.strip(" <>")
            for mail in mails
            for name, value in mail["headers"].items()
            if name.lower() == "list-unsubscribe"
            for link in value.split(",")
        ]
        link = next((found for found in links if found.startswith("http")), None)
        if link is None:
            self._tell("           but there is no mail with such a link")
            return
        httpx.post(link, data={"List-Unsubscribe": "One-Click"}, timeout=10, trust_env=False).raise_for_status()

    def _outbox(self) -> list[dict[str, Any]]:
        """The messages of this run's customers; of all when they are not known yet."""
        self._learn_profiles()
        found: list[dict[str, Any]] = self.target.ask("GET", "/v1/outbox", params={"shop": DEMO_SHOP})
        return [row for row in found if row["profile"] in self.profiles]

    def _learn_profiles(self) -> None:
        known = set(self.profiles.values())
        for customer in self.day.customers:
            if customer.name not in known:
                try:
                    self.profiles[self._explain(customer.email)["profile"]] = customer.name
                except Refused:
                    return  # not told to the platform yet

    def _explain(self, email: str) -> dict[str, Any]:
        found: dict[str, Any] = self.target.ask("GET", "/v1/explain", params={"shop": DEMO_SHOP, "email": email})
        return found

    def _look(self) -> None:
        """Show what is new. A platform whose part is just restarting is looked at again later."""
        try:
            rows = self._outbox()
        except (Refused, Away):
            return
        if self._live is not None:
            self._live.update(_table([self._sent(row).cells() for row in rows]), refresh=True)
            return
        for row in rows:
            if row["end"] != "pending" and (row["message_id"], row["end"]) not in self._told:
                self._told.add((row["message_id"], row["end"]))
                shown = self._sent(row)
                reason = f": {shown.reason}" if shown.reason else ""
                line(f"{shown.ended}  {shown.customer} {shown.message} {shown.end}{reason}")

    def _tell(self, text: str) -> None:
        """A line of what happens; on a terminal it scrolls above the live table."""
        line(text)

    def _sent(self, row: dict[str, Any]) -> Row:
        name = self.profiles.get(row["profile"], "?")
        story = next((customer.story for customer in self.day.customers if customer.name == name), "")
        ended = str(row["ended_at"] or "")[:16].replace("T", " ")
        return Row(name, story, row["message"], row["end"], row["reason"] or "", ended)

    def rows(self) -> list[Row]:
        """The final table: each message, and for each customer why there were no more."""
        sent = [self._sent(row) for row in self._outbox()]
        rows: list[Row] = []
        for customer in self.day.customers:
            rows += [row for row in sent if row.customer == customer.name]
            rows += [Row(customer.name, customer.story, "-", end, why, at) for end, why, at in self._others(customer)]
        return rows

    def _others(self, customer: demo_day.Customer) -> list[tuple[str, str, str]]:
        """(end, reason, when) of what did not become a message, by `explain`."""
        found: list[tuple[str, str, str]] = []
        try:
            scenarios = self._explain(customer.email)["scenarios"]
        except Refused as refused:
            return [("unknown", str(refused), "")]
        for scenario in scenarios:
            for enrolment in scenario["enrolments"]:
                if enrolment["because"]:
                    when = str(enrolment["ended_at"] or "")[:16].replace("T", " ")
                    found.append((enrolment["state"], f"{scenario['scenario']}: {enrolment['because']}", when))
            if not scenario["enrolments"]:
                failed = [row["path"] for row in scenario["conditions"] if row["verdict"] not in (True, "true", "met")]
                why = f"{scenario['scenario']}: {', '.join(failed)}" if failed else scenario["scenario"]
                found.append(("never entered", why, ""))
        return found


def _table(rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(*COLUMNS)
    for row in rows:
        table.add_row(*row)
    return table


def _patiently(url: str, content: bytes, headers: dict[str, str], stop: threading.Event) -> httpx.Response:
    """Post events; an ingest that is being started again gets them once it is there."""
    for _ in range(60):
        try:
            answer = request("POST", url, DEMO_KEY, content=content, headers=headers)
            if answer.status_code not in (429, 503):
                return answer
        except Unreachable:
            pass
        if stop.wait(0.5):
            break
    return request("POST", url, DEMO_KEY, content=content, headers=headers)


def next_run(folder: Path) -> int:
    """Which playing in this data folder it is, counted in `demo.json`."""
    note = folder / "demo.json"
    run = 1 + (json.loads(note.read_text())["runs"] if note.exists() else 0)
    note.write_text(json.dumps({"runs": run}))
    return int(run)
