"""What lint knows of fields is what events have (libs/contracts/event_types), and what rules makes of them."""

from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest

from libs.contracts.event_types import TYPES
from libs.contracts.event_types.events import Event, ProfileEvent, TagEvent
from libs.contracts.event_types.parts import Appointment, Cart, Item, Order, Product, Quote, Review, Survey
from libs.contracts.event_types.values import Day, Moment, Money, Number
from libs.domain.engine.events import on_event
from libs.domain.engine.state import Happened, Profile
from libs.domain.engine.turn import Turn
from libs.domain.intake.identifiers import KINDS
from libs.domain.lint.fields import (
    ANY,
    DATES,
    ITEM,
    KEPT_OUT,
    NUMBERS,
    OF_RFM,
    OWN,
    PARTS,
    PROFILE,
    look,
    near_miss,
    shape,
    trigger_shape,
)
from libs.domain.vocabulary import OWN_EVENTS, SHOP_EVENTS
from tests.unit.engine.world import World

SHAPES = {
    "cart": Cart,
    "order": Order,
    "product": Product,
    "review": Review,
    "quote": Quote,
    "appointment": Appointment,
    "survey": Survey,
}


def fields(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {one.name: one.type for one in msgspec.structs.fields(kind)}


def of(kinds: tuple[type, ...]) -> set[str]:
    """`order.value`: the fields of these kinds, wherever they are."""
    known = {**SHAPES, "item": Item, "profile": ProfileEvent}
    return {
        f"{name}.{field}"
        for name, kind in known.items()
        for field, type in fields(kind).items()
        if set(kinds) & {type, *get_args(type)}
    }


def test_parts() -> None:
    assert {name: set(known) for name, known in PARTS.items()} == {
        name: set(fields(one)) for name, one in SHAPES.items()
    }
    assert set(fields(Item)) <= set(ITEM)
    assert set(PROFILE) == set(fields(ProfileEvent)) - set(fields(Event))


def test_dates_and_numbers() -> None:
    assert of((Moment, Day)) == DATES
    assert {name.partition(".")[2] for name in of((Money, Number))} == NUMBERS


def test_what_is_kept_out_is_what_ingest_takes_out() -> None:
    assert set(KEPT_OUT) == {*KINDS, "push_token"}


@pytest.mark.parametrize("type", SHOP_EVENTS)
def test_each_event_has_its_parts(type: str) -> None:
    if type == "consent.changed":
        return  # as rules sees it: told by consent
    told = set(fields(TYPES[type])) - set(fields(Event))
    made_by_scenarios = (
        {"by"} if issubclass(TYPES[type], ProfileEvent | TagEvent) and type.startswith("profile") else set()
    )
    assert shape(type).fields == told | made_by_scenarios


def test_our_own_events() -> None:
    assert set(OWN) == {*OWN_EVENTS, "consent.changed"}
    assert shape("custom.x").open


def test_what_rfm_is_made_of() -> None:
    world = World()
    turn: Turn = world.turn(datetime(2026, 3, 2, tzinfo=UTC))
    data = {"from": "loyal", "to": "lost", "scores": {"r": 1, "f": 2, "m": 3}}
    on_event(turn, Happened("rfm.changed", turn.now, "x", data), 1, None)
    assert isinstance(turn.profile, Profile)
    assert turn.profile.rfm is not None
    assert set(turn.profile.rfm.data) == set(OF_RFM)


@pytest.mark.parametrize(
    ("trigger", "has", "has_not"),
    [
        ({"event": "checkout.started"}, "cart", "quote"),
        ({"date": "event.order.planned_delivery"}, "cart", "quote"),
        ({"date": "event.appointment.at"}, "appointment", "order"),
        ({"date": "profile.birthday"}, "date", "order"),
        ({"inactive": {}}, "inactive", "order"),
        ({"tag": {}}, "tags", "order"),
        ({"rfm": {}}, "to", "order"),
        ({"segment": {}}, "segment", "order"),
        ({"stock": "back"}, "product", "order"),
        ({"price": {}}, "product", "order"),
    ],
)
def test_what_the_event_of_a_trigger_has(trigger: dict[str, Any], has: str, has_not: str) -> None:
    found = trigger_shape(trigger)
    assert has in found.fields
    assert has_not not in found.fields
    assert look(f"event.{has_not}.id", found)


@pytest.mark.parametrize("trigger", [None, {}, {"event": 1}, {"date": "event.renewal"}, {"event": "custom.x"}])
def test_an_event_of_which_nothing_is_known(trigger: Any) -> None:
    assert look("event.order.anything", trigger_shape(trigger)) is None


def test_near_misses() -> None:
    assert near_miss("event.cart.vlaue") == "did you mean `event.cart.value`?"
    assert near_miss("profile.consens.email") == "did you mean `profile.consents`?"
    assert near_miss("order.items.0.prce") == "did you mean `order.items.0.price`?"
    for path in ("cart.value", "cart.colour", "profile.email", "event.cart", "key", "event"):
        assert near_miss(path) == ""
    assert look("profile", ANY) is None
