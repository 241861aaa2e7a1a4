"""The path of a left cart, in variants (a) to (h): what the customers do. `test_path` looks at what became of it."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import httpx

from libs.common.http.auth import DEMO_KEY
from tests.support.running import Running, eventually
from tests.support.shop import Customer, Event, event

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
CART = "abandoned-cart"
NAMES = ("anna", "bea", "ben", "cecil", "celina", "cora", "emil", "ewa", "fela", "greg", "hana", "ivan", "jan", "karl")


@dataclass
class Stories:
    """`at` is when the carts were left; `found` keeps what was seen on the way."""

    at: datetime
    people: dict[str, Customer]
    found: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Customer:
        return self.people[name]


def await_scenarios(platform: Running, ids: list[str]) -> None:
    """Return when rules knows every scenario: a trigger before that starts nothing."""
    url, headers = f"{platform.url('rules')}/v1/scenarios", {"Authorization": f"Bearer {DEMO_KEY}"}

    def look() -> bool:
        rows = platform.http.get(url, params={"shop": "demo"}, headers=headers).json()
        return {*ids, CART} <= {row["id"] for row in rows}

    eventually(look, 30, f"rules knows {ids} and {CART}")


def begin(platform: Running) -> Stories:
    """Everybody is known, carts are left, and those who react to their first mail do so."""
    people = {name: Customer(name) for name in NAMES}
    now = platform.now().replace(microsecond=0)
    platform.tell(
        *(one.known(now - HOUR) for one in people.values()),
        *(one.consent(now - HOUR) for one in people.values() if one.name not in ("ben", "karl")),
    )
    told = Stories(platform.now().replace(microsecond=0), people)
    _leave_carts(platform, told)
    _basket(platform, told)
    _react(platform, told)
    return told


def _leave_carts(platform: Running, told: Stories) -> None:
    """One call for those of whom nothing special is told, then the special ones, each in calls of its own."""
    at, who = told.at, told.people
    platform.tell(*(who[name].cart(at) for name in ("anna", "bea", "ben", "cecil", "celina", "cora", "jan")))
    platform.tell(who["hana"].cart(at, value="19.00"))
    platform.tell(who["emil"].cart(at - 30 * MINUTE, value="135.50"), who["emil"].cart(at, value="224.50"))
    older, newer = who["fela"].cart(at - 10 * MINUTE), who["fela"].cart(at)
    platform.tell(newer, older, newer)
    platform.tell(older, newer)
    platform.tell(who["greg"].order(at - 5 * MINUTE))
    platform.tell(who["greg"].cart(at - 10 * MINUTE))
    broken: Event = event("cart.updated", at, **who["ivan"].who, cart={"id": "c", "value": "a lot"})
    told.found["mixed"] = platform.post([who["ivan"].cart(at), broken, who["karl"].cart(at)])
    told.found["single"] = platform.post_one(broken)


def _basket(platform: Running, told: Stories) -> None:
    """Ewa's basket changes while her twelve hours run, six of them later."""
    ewa = told["ewa"]
    platform.tell(ewa.custom("basket", told.at, basket="b-ewa"))
    platform.wait_until(told.at + 6 * HOUR)
    told.found["changed"] = platform.now().replace(microsecond=0)
    platform.tell(ewa.custom("basket", told.found["changed"], basket="b-ewa"))


def _react(platform: Running, told: Stories) -> None:
    """After the first mail: Bea pays at the till, Cecil and Cora unsubscribe, Celina only looks, Anna clicks."""
    first = {name: platform.await_mails(told[name].email, 1)[0] for name in ("anna", "bea", "cecil", "celina", "cora")}
    told.found["paid"] = platform.now().replace(microsecond=0)
    platform.tell(told["bea"].order(told.found["paid"], till=True))
    one_click = {"content": "List-Unsubscribe=One-Click"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    told.found["one-click"] = httpx.post(
        unsubscribe(first["cecil"]),
        headers=form,
        trust_env=False,
        **one_click,  # type: ignore[arg-type]
    )
    told.found["multipart"] = httpx.post(
        unsubscribe(first["cora"]), files={"List-Unsubscribe": (None, "One-Click")}, trust_env=False
    )
    told.found["looked"] = httpx.get(unsubscribe(first["celina"]), trust_env=False)
    told.found["pixel"] = httpx.get(pixel(first["anna"]), trust_env=False)
    told.found["click"] = httpx.get(links(first["anna"])[0], trust_env=False)
    told.found["cancelled"] = eventually(
        lambda: next((e for e in platform.enrolments(told["bea"].email, CART) if e["state"] == "ended"), None),
        10,
        "the purchase ends the enrolment",
    )
    told.found["cancelled at"] = platform.now()


def finish(platform: Running, told: Stories) -> Stories:
    """Return when seventy-three hours are over and all that was due has its end."""
    over = told.at + 74 * HOUR
    platform.wait_until(over)
    platform.await_mails(told["anna"].email, 3)
    platform.settled()
    return told


def unsubscribe(mail: dict[str, Any]) -> str:
    """The address of one-click unsubscription (RFC 2369, RFC 8058)."""
    found = re.findall(r"<(https?://[^>]+)>", mail["headers"]["List-Unsubscribe"])
    assert len(found) == 1, mail["headers"]["List-Unsubscribe"]
    return str(found[0])


def links(mail: dict[str, Any]) -> list[str]:
    """The counted links of a mail's HTML part."""
    found = [unescape(one) for one in re.findall(r'href="([^"]+)"', mail["html"]) if "/r/" in one]
    assert found, "no counted link in the mail"
    return found


def pixel(mail: dict[str, Any]) -> str:
    """The open pixel of a mail's HTML part."""
    found = [unescape(one) for one in re.findall(r'<img[^>]*src="([^"]+)"', mail["html"]) if "/o/" in one]
    assert len(found) == 1, "not one open pixel in the mail"
    return found[0]
