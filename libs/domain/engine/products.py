"""The product that a run is about, as it is now: who asks for it, and what `product.*` is."""

from collections.abc import Mapping

from libs.domain.engine.interest import product_id, product_of
from libs.domain.engine.program import Program
from libs.domain.engine.questions import PRODUCT
from libs.domain.engine.registry import Registry, Shop
from libs.domain.engine.state import Happened, Json, Profile
from libs.domain.money import decimal


def asked(index: Shop) -> bool:
    """Whether any scenario of the shop asks for products as they are now."""
    return index.products or PRODUCT in index.asked


def asks(program: Program) -> bool:
    """Whether the scenario does: a condition of it, or the messages of one that a product starts."""
    return program.products or PRODUCT in program.asks


def starting(index: Shop) -> set[str]:
    """The types of events that may start such a scenario."""
    return {type for type, found in index.triggers.items() if any(map(asks, found.programs))}


def announces(index: Shop, kind: str) -> bool:
    """Whether customers are told of such changes of a product: somebody must ask for them."""
    return index.products and (kind in index.triggers or kind in index.asked)


def of_runs(shop: str, profile: Profile, programs: Registry) -> set[str]:
    """The products of the running enrolments that ask for theirs."""
    found: set[str] = set()
    for enrolment in profile.running():
        program = programs.get(shop, enrolment.scenario, enrolment.version)
        if program is not None and asks(program) and (id := product_id(enrolment.trigger)) is not None:
            found.add(id)
    return found


def now(event: Happened, products: Mapping[str, Json]) -> Json | None:
    """The product of the event that began a run, as it is now; None where it is not known.

    `dearer` says whether it costs more than the event said.
    """
    id = product_id(event)
    product = products.get(id) if id is not None else None
    if product is None:
        return None
    then, price = product_of(event), decimal(product.get("price"))
    said = decimal(then.get("price"))
    if price is None or said is None or then.get("currency", product.get("currency")) != product.get("currency"):
        return product
    return {**product, "dearer": price > said}
