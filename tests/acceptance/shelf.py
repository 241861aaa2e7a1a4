"""Products that customers wait for: what the shop tells of them. `test_products` looks at what became of it."""

import json
from typing import Any

import httpx

from libs.common.http.auth import DEMO_KEY
from tests.acceptance.stories import HOUR, MINUTE
from tests.support.running import Running
from tests.support.shop import Customer, Event, event

NAMES = ("olga", "pola", "roza", "sara", "tola")
OLGA, POLA, ROZA, SARA, TOLA = map(Customer, NAMES)


def begin(platform: Running) -> None:
    """Olga and Tola asked for the desk, Pola for the lamp, Roza, Sara and Tola wished the chair, Sara when it cost
    less; Tola has bought both since.

    Desk and lamp come in, the chair costs less; the lamp is sold out again when Pola has her mail.
    """
    now = platform.now().replace(microsecond=0)
    people = (OLGA, POLA, ROZA, SARA, TOLA)
    platform.tell(*(one.known(now - HOUR) for one in people), *(one.consent(now - HOUR) for one in people))
    catalogue(platform, product("desk", 0), product("lamp", 0), product("chair", 3, "200.00"))
    bought = {"id": "o-tola", "items": [{"product_id": "desk"}, {"product_id": "chair"}]}
    wished = {"price": "200.00", "currency": "PLN"}

    def wants(one: Customer, type: str, id: str, **more: str) -> Event:
        return event(type, now - 10 * MINUTE, **one.who, product={"product_id": id, **more})

    platform.tell(
        *(wants(one, "stock_alert.requested", "desk") for one in (OLGA, TOLA)),
        wants(POLA, "stock_alert.requested", "lamp"),
        *(wants(one, "wishlist.added", "chair", **wished) for one in (ROZA, TOLA)),
        wants(SARA, "wishlist.added", "chair", **(wished | {"price": "180.00"})),
        event("order.placed", now - MINUTE, **TOLA.who, order=bought),
    )
    catalogue(platform, product("desk", 5), product("lamp", 5), product("chair", 3, "178.00"))
    platform.await_mails(POLA.email, 1)
    catalogue(platform, product("lamp", 0))


def product(id: str, stock: int, price: str = "99.00") -> dict[str, Any]:
    """A product, whole."""
    return {"product_id": id, "name": id.title(), "price": price, "currency": "PLN", "stock": stock}


def catalogue(platform: Running, *products: dict[str, Any]) -> httpx.Response:
    """Tell the catalogue."""
    answer = platform.http.post(
        f"{platform.url('ingest')}/v1/catalog",
        content="\n".join(map(json.dumps, products)),
        headers={"Authorization": f"Bearer {DEMO_KEY}", "Content-Type": "application/x-ndjson"},
    )
    assert answer.status_code == 202, answer.text
    return answer
