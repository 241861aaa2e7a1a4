"""The demo day: what thirteen customers of a furniture shop do, as events with their times. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

ZONE = "Europe/Warsaw"
OPENING = time(9, 30)
LAST = timedelta(days=3, hours=5)
"""After this long, every wait of the abandoned cart is over."""
TEXT = "I agree to receive offers by e-mail."

Event = dict[str, Any]
PRODUCTS = {
    "sofa": ("sofa-1", "Sofa Oslo", "249.00"),
    "lamp": ("lamp-7", "Lamp Bergen", "89.00"),
    "table": ("table-3", "Table Turku", "420.00"),
    "chair": ("chair-2", "Chair Aarhus", "135.50"),
    "candle": ("candle-9", "Candle Lund", "19.00"),
}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One HTTP call to ingest at a moment; or, with `unsubscribe`, a press on the link in a customer's mail.

    `who` does what it `says`, and `why` that is worth watching.
    """

    at: datetime
    who: str
    says: str
    why: str = ""
    events: tuple[Event, ...] = ()
    unsubscribe: str | None = None


@dataclass(frozen=True, kw_only=True)
class Customer:
    """Who is in the demo, and what the table says of them."""

    name: str
    email: str
    story: str


@dataclass(frozen=True)
class Day:
    """Everything that is going to happen, in order."""

    opening: datetime
    customers: tuple[Customer, ...]
    calls: tuple[Call, ...]

    @property
    def over(self) -> datetime:
        return self.opening + LAST


def next_opening(now: datetime) -> datetime:
    """The next half past nine in the shop, at least a quarter of an hour ahead; UTC."""
    local = now.astimezone(ZoneInfo(ZONE))
    opening = datetime.combine(local.date(), OPENING, ZoneInfo(ZONE))
    if opening < now + timedelta(minutes=15):
        opening = datetime.combine(local.date() + timedelta(days=1), OPENING, ZoneInfo(ZONE))
    return opening.astimezone(now.tzinfo)


class _Script:
    """Collects calls; knows how this run names people, carts and events."""

    def __init__(self, opening: datetime, run: int) -> None:
        self.opening = opening
        self.run = run
        self.calls: list[Call] = []
        self.customers: list[Customer] = []
        self._count = 0

    def email(self, name: str) -> str:
        return f"{name.lower()}@example.com" if self.run == 1 else f"{name.lower()}.{self.run}@example.com"

    def who(self, name: str) -> dict[str, str]:
        return {"email": self.email(name)}

    def card(self, name: str) -> dict[str, str]:
        return {"loyalty_card": f"LC-{self.run}-{name}"}

    def at(self, hours: float) -> datetime:
        """`hours` after ten o'clock of the first day, when the carts are left."""
        return self.opening + timedelta(minutes=30, hours=hours)

    def event(self, kind: str, where: str, hours: float, **data: Any) -> Event:
        self._count += 1
        when = self.at(hours).isoformat().replace("+00:00", "Z")
        identity = f"demo-{self.run}-{self._count}"
        return {
            "specversion": "1.0",
            "id": identity,
            "source": f"/shops/demo/{where}",
            "type": kind,
            "time": when,
            "data": data,
        }

    def cart(self, name: str, hours: float, *products: str, who: dict[str, str] | None = None) -> Event:
        key = f"c-{self.run}-{name.lower()}"
        rows = [PRODUCTS[product] for product in products]
        items = [
            {
                "product_id": product,
                "name": title,
                "quantity": 1,
                "price": price,
                "image": f"https://demo.example/i/{product}.jpg",
            }
            for product, title, price in rows
        ]
        value = str(sum((Decimal(price) for _, _, price in rows), Decimal("0.00")))
        content = {"id": key, "value": value, "currency": "PLN", "url": f"https://demo.example/cart/{key}"}
        return self.event("cart.updated", "web", hours, **(who or self.who(name)), cart=content | {"items": items})

    def order(self, name: str, hours: float, where: str, who: dict[str, str], value: str) -> Event:
        channel = "pos" if where.startswith("pos") else "web"
        content = {"id": f"o-{self.run}-{name.lower()}", "value": value, "currency": "PLN", "status": "new"}
        return self.event("order.placed", where, hours, **who, order=content | {"channel": channel, "items": []})

    def consent(self, name: str, hours: float, status: str = "granted", how: str = "checkbox at registration") -> Event:
        told = {"channel": "email", "purpose": "marketing", "status": status, "clause": "newsletter-2026-01"}
        return self.event(
            "consent.changed", "web", hours, **self.who(name), consents=[told | {"text": TEXT, "how": how}]
        )

    def call(self, hours: float, who: str, says: str, *events: Event, why: str = "") -> None:
        self.calls.append(Call(at=self.at(hours), who=who, says=says, why=why, events=events))


Chapter = Callable[[_Script], tuple[str, str]]


def _anna(script: _Script) -> tuple[str, str]:
    script.call(0, "Anna", "leaves a sofa in her cart", script.cart("Anna", 0, "sofa"))
    order = script.order("Anna", 23.5, "pos/12", script.card("Anna"), "249.00")
    why = "known there by her loyalty card alone"
    script.call(23.5, "Anna", "pays for the sofa at the till of the shop", order, why=why)
    return "Anna", "buys at the till before the second mail"


def _ben(script: _Script) -> tuple[str, str]:
    why = "he never agreed to mails"
    script.call(0, "Ben", "leaves a table in his cart", script.cart("Ben", 0, "table"), why=why)
    return "Ben", "never agreed to mails"


def _cecil(script: _Script) -> tuple[str, str]:
    script.call(0.1, "Cecil", "leaves a lamp in his cart", script.cart("Cecil", 0.1, "lamp"))
    says, why = "presses unsubscribe in his first mail", "no second mail may follow"
    address = script.email("Cecil")
    script.calls.append(Call(at=script.at(3), who="Cecil", says=says, why=why, unsubscribe=address))
    return "Cecil", "unsubscribes by the first mail"


def _dora(script: _Script) -> tuple[str, str]:
    script.call(0.2, "Dora", "leaves a sofa and a lamp in her cart", script.cart("Dora", 0.2, "sofa", "lamp"))
    return "Dora", "does nothing more: all three mails"


def _emil(script: _Script) -> tuple[str, str]:
    script.call(0, "Emil", "leaves a chair in his cart", script.cart("Emil", 0, "chair"))
    why = "the cart changed: his waits start anew"
    script.call(0.5, "Emil", "puts a lamp in as well", script.cart("Emil", 0.5, "chair", "lamp"), why=why)
    script.call(20, "Emil", "pays on the web", script.order("Emil", 20, "web", script.who("Emil"), "224.50"))
    return "Emil", "changes the cart, buys on the web the next morning"


def _fela(script: _Script) -> tuple[str, str]:
    event = script.cart("Fela", 0.3, "table")
    says, why = "leaves a table in her cart, and the shop sends that event three times", "it counts once"
    script.call(0.3, "Fela", says, event, event, event, why=why)
    script.call(0.4, "Fela", "her cart event is sent twice more", event, event, why="it still counts once")
    script.call(2.5, "Fela", "pays on the web", script.order("Fela", 2.5, "web", script.who("Fela"), "420.00"))
    return "Fela", "her cart event comes five times"


def _greg(script: _Script) -> tuple[str, str]:
    order = script.order("Greg", 0.4, "web", script.who("Greg"), "135.50")
    script.call(0.42, "Greg", "buys a chair", order, why="the purchase reaches us before the cart of the same visit")
    why = "it is older than his purchase: no reminder"
    script.call(0.5, "Greg", "his cart event arrives after his purchase", script.cart("Greg", 0.35, "chair"), why=why)
    return "Greg", "had paid when his cart event arrived"


def _hana(script: _Script) -> tuple[str, str]:
    why = "19.00 is below 50.00: no reminder"
    script.call(0.6, "Hana", "leaves a candle in her cart", script.cart("Hana", 0.6, "candle"), why=why)
    return "Hana", "her cart is too small for a reminder"


def _ivan(script: _Script) -> tuple[str, str]:
    broken = script.event("cart.updated", "web", 0.7, **script.who("Ivan"), cart={"id": "c", "value": "a lot"})
    says, why = "leaves a lamp in his cart, beside a broken event", "the broken one is refused, the good one taken"
    script.call(0.7, "Ivan", says, broken, script.cart("Ivan", 0.7, "lamp"), why=why)
    script.call(26, "Ivan", "pays on the web", script.order("Ivan", 26, "web", script.who("Ivan"), "89.00"))
    return "Ivan", "a malformed event beside a good one; buys after the second mail"


def _jola(script: _Script) -> tuple[str, str]:
    script.call(0.2, "Jola", "leaves a lamp in her cart", script.cart("Jola", 0.2, "lamp"))
    cart = {"id": f"c-{script.run}-jola"}
    cleared = script.event("cart.cleared", "web", 0.5, **script.who("Jola"), cart=cart)
    script.call(0.5, "Jola", "empties her cart", cleared, why="nothing is left to be reminded of")
    return "Jola", "empties the cart"


def _karl(script: _Script) -> tuple[str, str]:
    why = "he has not agreed to mails yet"
    script.call(0.3, "Karl", "leaves a table in his cart", script.cart("Karl", 0.3, "table"), why=why)
    why = "just in time for the first one"
    script.call(0.6, "Karl", "agrees to mails", script.consent("Karl", 0.6, how="account page"), why=why)
    script.call(5, "Karl", "pays on the web", script.order("Karl", 5, "web", script.who("Karl"), "420.00"))
    return "Karl", "agrees to mails before the first"


def _lena(script: _Script) -> tuple[str, str]:
    script.call(0.4, "Lena", "leaves a chair in her cart", script.cart("Lena", 0.4, "chair"))
    withdrawn = script.consent("Lena", 8, "withdrawn", "call to the shop")
    why = "no second mail may follow"
    script.call(8, "Lena", "calls the shop and takes her consent back", withdrawn, why=why)
    return "Lena", "takes her consent back by telephone"


def _marek(script: _Script) -> tuple[str, str]:
    browser = {"anonymous_id": f"browser-{script.run}-marek"}
    cart = script.cart("Marek", 0.3, "sofa", who=browser)
    script.call(0.3, "Marek", "leaves a sofa in a cart, not logged in", cart, why="nobody knows yet who it is")
    login = script.event("profile.logged_in", "web", 0.6, **browser, **script.who("Marek"))
    script.call(0.6, "Marek", "logs in", login, why="so the cart of before is his")
    script.call(30, "Marek", "pays on the web", script.order("Marek", 30, "web", script.who("Marek"), "249.00"))
    return "Marek", "was anonymous until he logged in"


CHAPTERS: tuple[Chapter, ...] = (
    *(_anna, _ben, _cecil, _dora, _emil, _fela, _greg),
    *(_hana, _ivan, _jola, _karl, _lena, _marek),
)
NO_CONSENT = ("Ben", "Karl")


def make(now: datetime, run: int) -> Day:
    """The day after `now`, in its `run`-th playing: people and event ids are new in every run."""
    script = _Script(next_opening(now), run)
    for chapter in CHAPTERS:
        name, story = chapter(script)
        script.customers.append(Customer(name=name, email=script.email(name), story=story))
    names = [customer.name for customer in script.customers]
    known = [
        script.event(
            "profile.updated",
            "crm",
            -0.5,
            **script.who(name),
            **script.card(name),
            user_id=f"{script.run}-{name}",
            first_name=name,
            language="en",
            timezone=ZONE,
        )
        for name in names
    ]
    agreed = [script.consent(name, -0.5) for name in names if name not in NO_CONSENT]
    says = f"tells who its {len(names)} customers are, and who agreed to mails"
    script.call(-0.5, "shop", says, *known, *agreed, why=f"all but {' and '.join(NO_CONSENT)}")
    calls = tuple(sorted(script.calls, key=lambda call: call.at))
    return Day(opening=script.opening, customers=tuple(script.customers), calls=calls)
