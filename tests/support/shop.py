"""What a shop tells, as CloudEvents: customers, consents, carts, orders. Written from the interface alone."""

import itertools
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Event = dict[str, Any]
_numbers = itertools.count(1)
ZONE = "Europe/Warsaw"
DOMAIN = "kunden.example"


def stamp(at: datetime) -> str:
    """RFC 3339 with a `Z`, as the interface's examples have it."""
    return at.isoformat().replace("+00:00", "Z")


def event(kind: str, at: datetime, *, source: str = "/shops/demo/web", id: str | None = None, **data: Any) -> Event:
    """One CloudEvent."""
    return {
        "specversion": "1.0",
        "id": id or f"e-{next(_numbers)}",
        "source": source,
        "type": kind,
        "time": stamp(at),
        "data": data,
    }


@dataclass(frozen=True)
class Customer:
    """A customer of a shop; the first name is one that no log line holds by chance."""

    name: str
    shop: str = "demo"

    @property
    def email(self) -> str:
        return f"{self.name}@{DOMAIN}"

    @property
    def first_name(self) -> str:
        return f"{self.name.title().replace('-', '')}mira"

    @property
    def card(self) -> str:
        return f"LC-{self.name}"

    @property
    def who(self) -> Event:
        return {"email": self.email}

    def source(self, where: str) -> str:
        return f"/shops/{self.shop}/{where}"

    def known(self, at: datetime, **more: Any) -> Event:
        """The CRM tells who this is."""
        told = {"user_id": f"u-{self.name}", "email": self.email, "loyalty_card": self.card}
        told |= {"first_name": self.first_name, "language": "en", "timezone": ZONE}
        return event("profile.updated", at, source=self.source("crm"), **(told | more))

    def consent(self, at: datetime, status: str = "granted") -> Event:
        """The shop tells what the customer agreed to."""
        row = {"channel": "email", "purpose": "marketing", "status": status, "clause": "newsletter-2026-01"}
        row |= {"text": "I agree to offers by e-mail.", "ip": "203.0.113.9", "how": "checkbox at checkout"}
        return event("consent.changed", at, source=self.source("web"), **self.who, consents=[row])

    def cart(self, at: datetime, value: str = "249.00", id: str | None = None, **who: Any) -> Event:
        """A sofa left in a cart."""
        key = f"c-{self.name}"
        line = {"product_id": "sofa-1", "name": "Sofa Oslo", "quantity": 1, "price": value}
        line |= {"image": "https://demo.example/i/sofa-1.jpg"}
        told = {"id": key, "value": value, "currency": "PLN", "url": f"https://demo.example/cart/{key}"}
        cart = told | {"items": [line]}
        return event("cart.updated", at, source=self.source("web"), id=id, **(who or self.who), cart=cart)

    def order(self, at: datetime, *, till: bool = False) -> Event:
        """The purchase; at the till only the loyalty card is known."""
        who = {"loyalty_card": self.card} if till else self.who
        order: Event = {"id": f"o-{self.name}", "value": "249.00", "currency": "PLN", "status": "new"}
        order |= {"channel": "pos" if till else "web", "items": []}
        return event("order.placed", at, source=self.source("pos/12" if till else "web"), **who, order=order)

    def custom(self, what: str, at: datetime, **more: Any) -> Event:
        """Something of the shop's own."""
        return event(f"custom.{what}", at, source=self.source("web"), **self.who, **more)


def visit(name: str) -> str:
    """A key that no other enrolment of this session has."""
    return f"{name}-{next(_numbers)}"
