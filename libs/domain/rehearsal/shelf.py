"""The catalogue of a rehearsal: products as they were told, and what is told of them to the customer."""

from collections.abc import Mapping
from datetime import datetime

from libs.domain import ids
from libs.domain.catalogue import product as catalogue
from libs.domain.catalogue.product import Product
from libs.domain.engine import products
from libs.domain.engine.interest import interest, product_id
from libs.domain.engine.registry import Registry
from libs.domain.engine.state import Happened, Json, Profile
from libs.domain.rehearsal.stage import SHOP

SOURCE = "/kurant/rules"


class Shelf:
    """What rules knows of products, for one customer."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._products: dict[str, Product] = {}
        self._told = 0

    def take(self, profile: Profile, told: Json, now: datetime) -> tuple[str, list[tuple[Happened, int]]]:
        """Take up a product: the words for it, and the events that the customer is told of it with their digests."""
        self._told += 1
        made = catalogue.kept(told.get, told.get("more") or {}, told.get("updated_at"))
        found = catalogue.take(self._products.get(made.product_id), made)
        if found is None:
            return f"product {made.product_id}, nothing new", []
        product, changes = found
        self._products[made.product_id] = product
        events: list[tuple[Happened, int]] = []
        for change in changes:
            if not products.announces(self._registry.shop(SHOP), change.kind):
                continue
            if interest(profile, made.product_id, now) is not None:
                digest = ids.event_digest(SHOP, SOURCE, f"{made.product_id}/{change.kind}/{self._told}")
                data = catalogue.event_data(product, change)
                events.append((Happened(change.kind, now, f"{digest:015x}", data), digest))
        return (
            f"product {made.product_id}: {product.price} {product.currency}, stock {product.stock or 'unknown'}",
            events,
        )

    def asked(self, profile: Profile, event: Happened | None) -> Mapping[str, Json]:
        """The products that scenarios may ask for, as they are now."""
        if not self._products:
            return {}
        found = products.of_runs(SHOP, profile, self._registry)
        if event is not None and event.type in products.starting(self._registry.shop(SHOP)):
            found |= {product_id(event) or ""}
        return {id: catalogue.view(self._products[id]) for id in found & self._products.keys()}
