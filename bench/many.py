"""Many scenarios: twenty of the library as they come, and as many more as are wanted that hardly anything starts."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from bench import load
from libs.common.bus.records import Outgoing, Record
from libs.domain.engine.program import compile_program
from libs.domain.engine.registry import Registry
from libs.domain.engine.state import Profile
from libs.domain.scenario.parse import parse
from libs.domain.scenario.source import read
from services.rules import handlers

LIBRARY = Path(__file__).parents[1] / "scenarios"
REAL = (
    *("abandoned-cart", "abandoned-cart-by-value", "abandoned-cart-escalation", "abandoned-browse"),
    *("order-confirmation", "thank-you-by-value", "nth-order-thanks", "accessories-by-category", "replenishment"),
    *("inactive", "birthday", "delivery-ahead", "warranty-end", "back-in-stock", "price-drop", "wishlist-reminder"),
    *("welcome", "win-back-at-risk", "review-request", "order-status-changed"),
)
DIFFERENT = 400
"""Documents that are made by playing; the rest of a table are copies of them."""
LOOKED_AT = """
INSERT INTO rules.sweep (shop, fingerprint, read_to, done) VALUES ($1, $2, 1000000000, true) ON CONFLICT DO NOTHING
"""
BEHIND = 8
"""Events that each customer of a filled table has behind him."""


def texts(count: int, *, judged: bool = True, real: int = len(REAL)) -> dict[str, str]:
    """So many scenarios by id: `real` of the library, and more that wait for every cart, each with a condition of its
    own, which is not met; without `judged` other events start them.
    """
    found = {id: _text(id) for id in REAL[: min(count, real)]}
    for number in range(count - len(found)):
        value = read(_text(REAL[number % real]), "").value
        value["id"] = f"{value['id']}-{number}"
        value["trigger"] = {"event": f"custom.other-{number}"}
        if judged:
            value["trigger"] = {"event": "cart.updated", "where": {"event.cart.value": {"gte": 10**6 + number}}}
        found[value["id"]] = json.dumps(value, default=str)
    return found


def _text(id: str) -> str:
    return next(LIBRARY.rglob(f"{id}/scenario.yaml")).read_text()


def registry(wanted: dict[str, str]) -> Registry:
    """Them, live."""
    made = Registry()
    for text in wanted.values():
        program = compile_program(parse(text), 1)
        made.publish(load.SHOP, program)
        made.set_state(load.SHOP, program.id, 1, "live")
    return made


def records(told: Iterator[Outgoing]) -> Iterator[Record]:
    """Events as rules reads them from Kafka."""
    for offset, one in enumerate(told):
        yield Record(
            topic=one.topic,
            partition=0,
            offset=offset,
            key=one.key,
            value=one.value,
            headers=tuple(one.headers),
            timestamp=0,
        )


def documents(live: Registry) -> list[bytes]:
    """Profiles of customers who have done a few things."""
    begin = datetime.now(UTC) - timedelta(hours=3)
    told = list(records(load.events(load.customers(DIFFERENT), DIFFERENT * BEHIND, begin)))
    profiles: dict[handlers.ProfileKey, Profile] = {}
    for first in range(0, len(told), 500):
        good, _ = handlers.decode(told[first : first + 500])
        for item in good:
            profiles.setdefault(item.key, Profile())
        handlers.decide(good, profiles, live, lambda: begin + timedelta(hours=1))
    return [handlers.write(profile) for profile in profiles.values()]


async def fill(database: str, live: Registry, customers: list[str], made: list[bytes]) -> float:
    """Store a profile for each customer, out of documents that were made; the bytes of the table for each."""
    rows = ((load.SHOP, id, 1, made[number % len(made)]) for number, id in enumerate(customers))
    connection = await asyncpg.connect(database)
    try:
        await connection.copy_records_to_table(
            "profile", schema_name="rules", records=rows, columns=["shop", "profile", "version", "document"]
        )
        await connection.execute("VACUUM ANALYZE rules.profile")
        told = live.shop(load.SHOP).fingerprint
        await connection.execute(LOOKED_AT, load.SHOP, told)  # else all of them would be told to look, meanwhile
        size: int = await connection.fetchval("SELECT pg_total_relation_size('rules.profile')")
        return size / len(customers)
    finally:
        await connection.close()
