"""Stories of the acceptance rows: what happens to a customer and what must come of it, as data; how they are told.

All are told at once, at six in the morning of everybody's own zone. What takes weeks is dated so that it ends this
morning: at nine the windows open, at ten most mails are due, at half past one it is over.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from tests.acceptance.stories import HOUR
from tests.support.running import Running
from tests.support.shop import Customer, Event, event

PATIENCE = 60.0
"""Real seconds that a mail may take after it was due, on a busy machine; no scenario counts as late what takes less
than twenty (two hours of platform time), and most leave a minute."""
OVER = "13:30"
POLL = 0.3
CALLS = 200
"""Events of one call to ingest."""


def morning(now: datetime) -> str:
    """The zone, without summer time, in which it is between six and seven."""
    ahead = (6 - now.hour + 12) % 24 - 12
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


@dataclass(frozen=True, kw_only=True)
class Life:
    """One customer, and the times of the morning."""

    customer: Customer
    now: datetime
    zone: str

    @property
    def tz(self) -> tzinfo:
        return ZoneInfo(self.zone)

    @property
    def today(self) -> date:
        return self.now.astimezone(self.tz).date()

    def day(self, days: int) -> str:
        """The date so many days from today."""
        return (self.today + timedelta(days=days)).isoformat()

    def at(self, days: int, clock: str) -> datetime:
        """So many days from today, at this time of the customer's clock."""
        return datetime.fromisoformat(f"{self.day(days)}T{clock}").replace(tzinfo=self.tz).astimezone(self.now.tzinfo)

    def does(self, kind: str, at: datetime | None = None, **data: Any) -> Event:
        """An event of this customer, now unless said."""
        return event(kind, at or self.now, **self.customer.who, **data)

    def order(self, kind: str, at: datetime | None = None, **told: Any) -> Event:
        """An event of this customer's order."""
        line = {"product_id": "sofa-1", "name": "Sofa Oslo", "quantity": 1, "price": "249.00"}
        order = {"id": f"o-{self.customer.name}", "value": "249.00", "currency": "PLN", "channel": "web"}
        return self.does(f"order.{kind}", at, order=order | {"items": [line]} | told)

    def known(self, **more: Any) -> list[Event]:
        """Who it is, and that he wants our mails."""
        return [
            self.customer.known(self.now - HOUR, timezone=self.zone, **more),
            self.customer.consent(self.now - HOUR),
        ]


Happens = Callable[[Life], list[Event]]
Reacts = Callable[["Running", Life, dict[str, Any]], None]
End = tuple[str, str, str | None]


@dataclass(frozen=True, kw_only=True)
class Story:
    """What happens to the customer `name`, and what the scenario makes of it by half past one.

    `row` are rows of docs/coverage.md; `sent` the messages that must come by mail, in this order; `ends` what else the
    outbox must hold of the scenario; `because` how the run ended, `waiting` for one that goes on, None for a customer
    who must not enter; `mail` a part of the first mail. `reacts` is what the customer does when the first mail of the
    scenario (or of `to`) has come.
    """

    row: str
    name: str
    scenario: str
    happens: Happens
    sent: tuple[str, ...] = ()
    ends: tuple[End, ...] = ()
    because: str | None = "completed"
    mail: str = ""
    reacts: Reacts | None = None
    to: str = ""
    known: Callable[[Life], list[Event]] = Life.known

    @property
    def customer(self) -> Customer:
        return Customer(self.name)


@dataclass
class Told:
    """All stories after they were told: what each customer got, and what the platform says of it."""

    platform: Running
    lives: dict[str, Life]
    mails: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    outbox: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    reacted: set[str] = field(default_factory=set)

    def rows(self, story: Story) -> list[dict[str, Any]]:
        """The messages of the story's scenario, oldest first."""
        return [row for row in self.outbox[story.name] if row["scenario"] == story.scenario]

    def mails_of(self, story: Story) -> list[dict[str, Any]]:
        """The mails of the story's scenario, in the order of arrival."""
        ids = {row["message_id"] for row in self.rows(story)}
        return [mail for mail in self.mails[story.name] if message_of(mail) in ids]


def begin(platform: Running, stories: Iterable[Story]) -> Told:
    """Everything that is known by now happens."""
    now = platform.now().replace(microsecond=0)
    lives = {one.name: Life(customer=one.customer, now=now, zone=morning(now)) for one in stories}
    told = [event for one in stories for event in (*one.known(lives[one.name]), *one.happens(lives[one.name]))]
    for first in range(0, len(told), CALLS):
        platform.tell(*told[first : first + CALLS])
    return Told(platform, lives)


def finish(told: Told, stories: Iterable[Story]) -> Told:
    """React to first mails until it is half past one and what must come has come; then look at everything."""
    platform = told.platform
    over = next(iter(told.lives.values())).at(0, OVER)
    while platform.now() < over:
        _react(told, stories)
        time.sleep(POLL)
    deadline = time.monotonic() + PATIENCE
    while not _all_came(told, stories) and time.monotonic() < deadline:  # which one is missing its own test says
        time.sleep(POLL)
    platform.settled(PATIENCE)
    for story in stories:
        told.mails[story.name] = platform.mails(story.customer.email)
        told.outbox[story.name] = platform.outbox(platform.profile(story.customer.email))
    return told


def _first(told: Told, story: Story) -> dict[str, Any] | None:
    """The mail that the customer reacts to, if it has come."""
    wanted = f"{story.to or story.scenario}:"
    found = told.platform.mails(story.customer.email)
    return next((mail for mail in found if mail["headers"]["Feedback-ID"].startswith(wanted)), None)


def _react(told: Told, stories: Iterable[Story]) -> None:
    for story in stories:
        if story.reacts is None or story.name in told.reacted:
            continue
        mail = _first(told, story)
        if mail is not None:
            told.reacted.add(story.name)
            story.reacts(told.platform, told.lives[story.name], mail)


def _all_came(told: Told, stories: Iterable[Story]) -> bool:
    """Whether as many mails of each scenario are there as must come, and every customer has reacted."""
    _react(told, stories)
    for story in stories:
        mine = f"{story.scenario}:"
        found = told.platform.mails(story.customer.email)
        if sum(mail["headers"]["Feedback-ID"].startswith(mine) for mail in found) < len(story.sent):
            return False
    return all(story.name in told.reacted for story in stories if story.reacts is not None)


def message_of(mail: dict[str, Any]) -> str:
    """The message that became this mail."""
    return str(mail["headers"]["Message-ID"]).strip("<>").partition("@")[0]


def get(url: str) -> httpx.Response:
    """A customer's browser fetches an address of a mail."""
    return httpx.get(url, trust_env=False, timeout=30)
