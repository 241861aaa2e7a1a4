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
from cli import demo_words as words
from cli.client import Away, Refused, Target, Unreachable, decoded, request
from cli.terminal import OUT, CliError, line, show_table
from libs.common.clock import PlatformClock
from libs.common.http.demo import DEMO_KEY, DEMO_SHOP
from libs.common.settings_file import shown

STORY = "the story"
COLUMNS = ("customer", STORY, "platform time", "what became of it", "why")
LOOK = 0.7
"""Real seconds between looks at the outbox."""
SETTLE = 45.0
"""Real seconds given to the last messages after the last day."""
WATCHED = 5
"""So many looks after somebody did something, it is asked whether a scenario has ended by it."""


@dataclass(frozen=True)
class Row:
    """One line of the table: something that was sent, or was not, or has ended."""

    customer: str
    story: str
    at: str | None
    what: str
    why: str

    def cells(self) -> tuple[str, ...]:
        return (self.customer, self.story, words.when(self.at), self.what, self.why)


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
        self._stories = {customer.name: customer.story for customer in self.day.customers}
        self._told: set[tuple[str, str, str]] = set()
        self._watched: dict[str, int] = {}
        self._live: Live | None = None

    def play(self) -> None:
        """Play to the end; trouble is told in one line and ends the demo, not the platform."""
        for text in words.head(self.clock.speed, len(self.day.customers), self.inbox):
            line(text)
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
            line("")
            show_table(COLUMNS, [row.cells() for row in self.rows()], title="What was sent, and what was not")
            line("")
            where = f" --data {shown(self.target.local.path)}" if self.target.local else ""
            line(f"The demo day is over; the platform runs on, Ctrl-C stops it. The mails are at {self.inbox}")
            line(f"More: kurant outbox{where}; kurant explain{where} --email {self.day.customers[0].email}")

    def _play(self) -> None:
        for call in self.day.calls:
            if not self._wait_until(call.at):
                return
            line(words.line(call.at, call.who, call.says, call.why))
            self._do(call)
            self._watched[call.who] = WATCHED
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
            self._unsubscribe(call)
            return
        assert self.target.ingest is not None
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        content = json.dumps(call.events).encode()
        answer = decoded(_patiently(self.target.ingest + "/v1/events", content, headers, self.stop))
        for rejected in answer["rejected"]:
            line(words.line(call.at, call.who, "one event was refused", rejected["error"]))
        if answer["duplicates"]:
            line(words.line(call.at, call.who, f"{answer['duplicates']} repeated, and not counted again"))

    def _unsubscribe(self, call: demo_day.Call) -> None:
        """What a mail program does for the button: the one-click POST of RFC 8058 from the mail's header."""
        mails = httpx.get(
            f"{self.inbox}/api/messages", params={"to": call.unsubscribe}, timeout=10, trust_env=False
        ).json()
        links = [
            link.strip(" <>")
            for mail in mails
            for name, value in mail["headers"].items()
            if name.lower() == "list-unsubscribe"
            for link in value.split(",")
        ]
        link = next((found for found in links if found.startswith("http")), None)
        if link is None:
            line(words.line(call.at, call.who, "cannot, for there is no mail with such a link"))
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
            ended = [row for name in list(self._watched) for row in self._ended(name)]
        except (Refused, Away):
            return
        self._watched = {name: left - 1 for name, left in self._watched.items() if left > 1}
        sent = [self._sent(row) for row in rows if row["end"] != "pending"]
        if self._live is not None and rows:
            self._live.update(_table([self._sent(row) for row in rows]), refresh=True)
        news = ended if self._live is not None else [*sent, *ended]
        for row in sorted(news, key=lambda row: row.at or ""):
            if (key := (row.customer, row.what, row.at or "")) not in self._told:
                self._told.add(key)
                line(words.line(row.at, row.customer, row.what, row.why))

    def _sent(self, row: dict[str, Any]) -> Row:
        name = self.profiles.get(row["profile"], "?")
        return Row(name, self._stories.get(name, ""), row["ended_at"], *words.outcome(row))

    def _ended(self, name: str) -> list[Row]:
        """The runs of scenarios that are over for a customer."""
        found = next((customer for customer in self.day.customers if customer.name == name), None)
        return [row for row in self._others(found) if row.at] if found else []

    def rows(self) -> list[Row]:
        """The final table: each message, and for each customer why there were no more, in their order."""
        sent = [self._sent(row) for row in self._outbox()]
        rows: list[Row] = []
        for customer in self.day.customers:
            own = [row for row in sent if row.customer == customer.name] + self._others(customer)
            rows += sorted(own, key=lambda row: row.at or "")
        return rows

    def _others(self, customer: demo_day.Customer) -> list[Row]:
        """What did not become a message, by `explain`."""
        found: list[Row] = []
        try:
            scenarios = self._explain(customer.email)["scenarios"]
        except Refused as refused:
            return [Row(customer.name, customer.story, None, "unknown", str(refused))]
        for scenario in scenarios:
            for run in scenario["enrolments"]:
                if run["because"]:
                    what, why = words.ending(scenario["scenario"], run["because"])
                    found.append(Row(customer.name, customer.story, run["ended_at"], what, why))
            if not scenario["enrolments"]:
                failed = [row["path"] for row in scenario["conditions"] if row["verdict"] not in (True, "true", "met")]
                what = f"{scenario['scenario']} never started"
                found.append(Row(customer.name, customer.story, None, what, f"not met: {', '.join(failed)}"))
        return found


def _table(rows: Sequence[Row]) -> Table:
    """The table that fills while the day plays, below its lines."""
    table = Table(*(column for column in COLUMNS if column != STORY))
    for row in rows:
        table.add_row(row.customer, words.when(row.at), row.what, row.why)
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
    try:
        run = 1 + int(json.loads(note.read_text("utf-8"))["runs"])
    except FileNotFoundError:
        run = 1
    except (ValueError, KeyError, TypeError):
        raise CliError(f'{note} is damaged: write {{"runs": N}}, N being how often the demo was played') from None
    note.write_text(json.dumps({"runs": run}))
    return run
