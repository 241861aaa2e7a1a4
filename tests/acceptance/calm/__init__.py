"""A shop with one mail a day: an event starts three scenarios at one moment. `test_caps` looks at what comes of it."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support.running import Running, eventually
from tests.support.shop import Customer

SHOP = "calm"
NAMES = ("loud", "quiet", "brief")
Rows = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Sale:
    """`at` is when the event came; `first` the outbox when the first mail was out and the others were put off."""

    customer: Customer
    key: str
    at: datetime
    first: Rows
    why: list[dict[str, Any]]


def rows(platform: Running, sale: Sale) -> Rows:
    """The customer's messages, by name."""
    return _rows(platform, sale.key, sale.customer)


def _rows(platform: Running, key: str, customer: Customer) -> Rows:
    params = {"shop": SHOP, "email": customer.email}
    answer = platform.get("/v1/explain", key, **params)
    if answer.status_code == 404:
        return {}
    found = platform.ask("/v1/outbox", key, shop=SHOP, profile=answer.json()["profile"])
    return {row["message"]: row for row in found}


def begin(platform: Running) -> Sale:
    """Publish the scenarios, tell of a customer, and let the event come; returns when two of three are put off."""
    scopes = ("--scope", "ingest", "--scope", "read", "--scope", "admin")
    key = str(platform.cli("keys", "create", "--shop", SHOP, *scopes, "--json").json["key"])
    published = platform.cli("scenario", "publish", str(Path(__file__).parent), "--shop", SHOP, "--json")
    assert published.code == 0, published

    def known() -> bool:
        answer = platform.http.get(
            f"{platform.url('rules')}/v1/scenarios",
            params={"shop": SHOP},
            headers={"Authorization": f"Bearer {key}"},
        )
        return {row["id"] for row in answer.json()} == set(NAMES)

    eventually(known, 30, "rules knows the scenarios")
    customer = Customer("clara", shop=SHOP)
    now, first = tell(platform, key, customer)
    told = platform.ask("/v1/explain", key, shop=SHOP, email=customer.email)["scenarios"]
    return Sale(customer, key, now, first, told)


def tell(platform: Running, key: str, customer: Customer) -> tuple[datetime, Rows]:
    """The event comes, for a customer of whom nothing was known. When, and the outbox when two of three are put off."""
    now = platform.now().replace(microsecond=0)
    for event in (customer.known(now), customer.consent(now), customer.custom("sale", now)):
        answer = platform.post([event], key)
        assert answer.status_code == 202, answer.text
    return now, eventually(lambda: _put_off(platform, key, customer), 30, "two of three are put off")


def _put_off(platform: Running, key: str, customer: Customer) -> Rows | None:
    found = _rows(platform, key, customer)
    waits = [row for row in found.values() if row["reason"] == "cap"]
    return found if len(waits) == 2 and found["loud"]["end"] == "sent" else None
