"""What customers do, and when: each is given a story, told as acts of a shop's browser, CRM and till.

All hours are the platform's. The carts' scenario sends `first`, `second`, `third` after `WAITS` (scenarios.py);
the events carry their own time, so that an act may tell of something that happened before or out of order.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

Event = dict[str, Any]
WAITS = (1.0, 2.0, 2.0)
"""Hours between cart and first mail, first and second, second and third."""
MESSAGES = ("first", "second", "third")
LEAD = 0.6
"""Hours from the telling of who everyone is to the first cart."""


@dataclass(frozen=True, kw_only=True)
class Customer:
    """One customer. `unsubscribes_after` names the mail whose link is used."""

    name: str
    email: str
    story: str
    unsubscribes_after: str | None = None


@dataclass(frozen=True, kw_only=True)
class Act:
    """Something told to the platform. `at`: hours after the beginning; `repeat`: told before."""

    at: float
    customer: str
    events: tuple[Event, ...]
    repeat: bool = False


@dataclass
class Script:
    """The acts of one customer, whose cart is left `cart_at` hours after `start`."""

    customer: str
    start: datetime
    cart_at: float
    acts: list[Act] = field(default_factory=list)
    unsubscribes_after: str | None = None
    _numbers: int = 0

    @property
    def email(self) -> str:
        return f"{self.customer}@example.com"

    def tell(self, after: float, *events: Event) -> None:
        """Tell events `after` hours after the cart."""
        self.acts.append(Act(at=self.cart_at + after, customer=self.customer, events=events))

    def event(self, kind: str, source: str, happened: float, data: Event) -> Event:
        """A CloudEvent of something that happened so many hours after the cart."""
        self._numbers += 1
        return {
            "specversion": "1.0",
            "id": f"{self.customer}-{self._numbers}",
            "source": f"/shops/demo/{source}",
            "type": kind,
            "time": (self.start + timedelta(hours=self.cart_at + happened)).isoformat(),
            "data": data,
        }

    def known(self, happened: float) -> Event:
        """The CRM tells who this is."""
        return self.event(
            "profile.updated",
            "crm",
            happened,
            {
                "user_id": self.customer,
                "email": self.email,
                "loyalty_card": f"LC-{self.customer}",
                "first_name": "Anna",
            },
        )

    def consent(self, happened: float, status: str = "granted") -> Event:
        consents = [{"channel": "email", "purpose": "marketing", "status": status, "how": "checkbox"}]
        return self.event("consent.changed", "web", happened, {"email": self.email, "consents": consents})

    def cart(self, happened: float = 0.0, revision: int = 1, who: Event | None = None) -> Event:
        """A cart as left. Its url carries the revision, and the mails' subjects carry the url."""
        cart = {
            "id": f"cart-{self.customer}",
            "value": f"{100 + revision}.00",
            "currency": "PLN",
            "url": f"https://demo.example/{self.customer}/{revision}",
            "items": [{"product_id": "sofa-1", "name": "Sofa", "quantity": revision, "price": "100.00"}],
        }
        return self.event("cart.updated", "web", happened, {**(who or {"email": self.email}), "cart": cart})

    def order(self, happened: float) -> Event:
        """Paid at the till: known there by the loyalty card alone."""
        order = {"id": f"order-{self.customer}", "value": "101.00", "currency": "PLN", "channel": "pos"}
        return self.event(
            "order.placed",
            "pos/1",
            happened,
            {"loyalty_card": f"LC-{self.customer}", "order": {**order, "status": "new"}},
        )

    def receipt(self, happened: float, number: int) -> Event:
        """What is answered at once, by the transactional scenario."""
        receipt = {"number": f"{self.customer}-{number}"}
        return self.event("custom.receipt", "pos/2", happened, {"user_id": self.customer, "receipt": receipt})


def _patient(script: Script) -> None:
    script.tell(0, script.cart())


def _buys(after: float) -> Callable[[Script], None]:
    def story(script: Script) -> None:
        script.tell(0, script.cart())
        script.tell(after, script.order(after))

    return story


def _withdraws(script: Script) -> None:
    script.tell(0, script.cart())
    script.tell(2.0, script.consent(2.0, "withdrawn"))


def _told_again(script: Script) -> None:
    """The shop repeats the old permission after it was taken back: the same event, so nothing new."""
    granted = script.consent(-0.2)
    script.tell(-0.2, granted)
    script.tell(0, script.cart())
    script.tell(2.0, script.consent(2.0, "withdrawn"))
    script.acts.append(Act(at=script.cart_at + 2.4, customer=script.customer, events=(granted,), repeat=True))


def _unsubscribes(script: Script) -> None:
    script.tell(0, script.cart())
    script.unsubscribes_after = "first"


def _refuses(script: Script) -> None:
    script.tell(0, script.consent(-0.1, "refused"), script.cart())


def _agrees_late(script: Script) -> None:
    script.tell(0, script.cart())
    script.tell(2.0, script.consent(2.0))


def _changes(after: float) -> Callable[[Script], None]:
    def story(script: Script) -> None:
        script.tell(0, script.cart())
        script.tell(after, script.cart(after, revision=2))

    return story


def _bought_before_we_heard(script: Script) -> None:
    """The till is quicker than the browser: the order comes first, though it is the later one."""
    script.tell(0.15, script.order(0.1))
    script.tell(0.3, script.cart())


def _old_order(script: Script) -> None:
    """An order from before the cart arrives after it: no reason to leave."""
    script.tell(0, script.cart())
    script.tell(0.5, script.order(-0.3))


def _newcomer(script: Script) -> None:
    script.tell(-0.3, script.known(-0.3), script.consent(-0.3))
    script.tell(0, script.cart())


def _two_halves(script: Script) -> None:
    """The browser knows a user id, the newsletter an address; later the CRM tells that they are one."""
    script.tell(-0.3, script.consent(-0.3))
    script.tell(0, script.cart(who={"user_id": script.customer}))
    script.tell(0.2, script.known(0.2))


@dataclass(frozen=True)
class Story:
    """`weight` of a hundred; whether the CRM has told who it is, and whether there is a permission, beforehand."""

    play: Callable[[Script], None]
    weight: int
    known: bool = True
    agreed: bool = True


STORIES: dict[str, Story] = {
    "patient": Story(_patient, 20),
    "buys before the first": Story(_buys(0.5), 10),
    "buys before the second": Story(_buys(2.0), 10),
    "buys before the third": Story(_buys(4.0), 7),
    "never agreed": Story(_patient, 8, agreed=False),
    "refuses": Story(_refuses, 2, agreed=False),
    "agrees late": Story(_agrees_late, 4, agreed=False),
    "withdraws": Story(_withdraws, 8),
    "withdraws, is told again": Story(_told_again, 3, agreed=False),
    "unsubscribes": Story(_unsubscribes, 8),
    "changes the cart": Story(_changes(0.5), 5),
    "changes the cart after a mail": Story(_changes(1.6), 4),
    "the order overtakes the cart": Story(_bought_before_we_heard, 3),
    "an old order comes late": Story(_old_order, 2),
    "newcomer": Story(_newcomer, 4, known=False, agreed=False),
    "two halves": Story(_two_halves, 2, known=False, agreed=False),
}


@dataclass(frozen=True, kw_only=True)
class Play:
    """All that will be told, in the order of its hour, and when mails are expected (for the killer's aim)."""

    customers: tuple[Customer, ...]
    acts: tuple[Act, ...]
    dues: tuple[float, ...]
    over: float
    """Hours after the beginning at which the last mail is due."""


def make(
    start: datetime,
    *,
    customers: int,
    seed: int,
    carts_over: float,
    receipts: int,
    repeats: float = 0.15,
    stories: Sequence[str] = tuple(STORIES),
) -> Play:
    """A play that begins at `start` (platform time), its carts spread over `carts_over` hours."""
    dice = random.Random(seed)
    deck = [name for name in stories for _ in range(STORIES[name].weight)]
    dice.shuffle(deck)
    scripts: list[tuple[str, Script]] = []
    for number in range(customers):
        name = stories[number] if number < len(stories) else deck[number % len(deck)]
        scripts.append((name, Script(f"c{number:04d}", start, LEAD + dice.random() * carts_over)))
    acts: list[Act] = []
    for name, script in scripts:
        story = STORIES[name]
        before = -script.cart_at
        told = [script.known(before)] * story.known + [script.consent(before)] * story.agreed
        if told:
            script.tell(before, *told)
        story.play(script)
    for number in range(receipts):
        name, script = dice.choice(scripts)
        if STORIES[name].known:
            moment = LEAD + dice.random() * (carts_over + sum(WAITS)) - script.cart_at
            script.tell(moment, script.receipt(moment, number))
    for _, script in scripts:
        again = [act for act in script.acts if dice.random() < repeats]
        acts += script.acts
        acts += [
            Act(at=act.at + 0.1 + dice.random() * 1.5, customer=act.customer, events=act.events, repeat=True)
            for act in again
        ]
    return Play(
        customers=tuple(
            Customer(name=s.customer, email=s.email, story=name, unsubscribes_after=s.unsubscribes_after)
            for name, s in scripts
        ),
        acts=tuple(sorted(acts, key=lambda act: act.at)),
        dues=tuple(sorted(s.cart_at + sum(WAITS[: k + 1]) for _, s in scripts for k in range(len(WAITS)))),
        over=LEAD + carts_over + sum(WAITS),
    )
