"""C2 to C8, D4, D5: conditions, what ends a run, growing steps, tags, and what comes too late."""

from typing import Any

from tests.acceptance.rows.telling import Life, Story
from tests.acceptance.stories import HOUR
from tests.support.running import Running
from tests.support.shop import Event


def _cart(life: Life, value: str, hours: float) -> Event:
    """A cart that was left so many hours ago."""
    return life.customer.cart(life.now - hours * HOUR, value=value)


def _delivered(life: Life) -> Event:
    return life.order("delivered", life.at(-2, "08:00"))


def _answer(score: int) -> Any:
    def reacts(platform: Running, life: Life, _mail: dict[str, Any]) -> None:
        platform.tell(life.does("survey.answered", platform.now(), survey={"id": "s-1", "score": score}))

    return reacts


STORIES = (
    Story(
        row="C7",
        name="cart-reminded",
        scenario="abandoned-cart-by-value",
        happens=lambda it: [_cart(it, "300.00", 0.25)],
        sent=("reminder",),
        because="waiting",
    ),
    Story(
        row="C7",
        name="cart-small",
        scenario="abandoned-cart-by-value",
        happens=lambda it: [_cart(it, "199.99", 23.5)],
        sent=("small",),
        because="exit step",
    ),
    Story(
        row="C7",
        name="cart-medium",
        scenario="abandoned-cart-by-value",
        happens=lambda it: [_cart(it, "200.00", 23.5)],
        sent=("second",),
        ends=(("reminder", "expired", "late"),),
        because="exit step",
    ),
    Story(
        row="C7",
        name="cart-large",
        scenario="abandoned-cart-by-value",
        happens=lambda it: [_cart(it, "1000.00", 23.5)],
        sent=("advice",),
        ends=(("reminder", "expired", "late"),),
        because="waiting",
    ),
    Story(
        row="C7",
        name="cart-largest",
        scenario="abandoned-cart-by-value",
        happens=lambda it: [_cart(it, "1000.00", 71.5)],
        sent=("last",),
        ends=(("reminder", "expired", "late"), ("advice", "expired", "late")),
    ),
    Story(
        row="C2",
        name="cart-tiny",
        scenario="abandoned-cart-by-value",
        happens=lambda it: [_cart(it, "29.99", 0.25)],
        because=None,
    ),
    Story(
        row="C5 D4",
        name="cart-bought",
        scenario="abandoned-cart-by-value",
        happens=lambda it: [_cart(it, "300.00", 0.25), it.order("placed", it.now, channel="pos")],
        because="order.placed",
    ),
    Story(
        row="C6",
        name="two-carts",
        scenario="abandoned-cart-by-value",
        happens=lambda it: [_cart(it, "300.00", 0.25), _second(it)],
        sent=("reminder",),
        because="waiting",
    ),
    Story(
        row="C3",
        name="survey-asked",
        scenario="delivered-survey",
        happens=lambda it: [_delivered(it)],
        sent=("survey",),
        because="waiting",
    ),
    Story(
        row="C3",
        name="survey-known",
        scenario="delivered-survey",
        happens=lambda it: [_delivered(it), it.does("survey.answered", survey={"id": "s-1", "score": 9})],
        because="waiting",
    ),
    Story(
        row="C8 C4",
        name="survey-happy",
        scenario="delivered-survey",
        happens=lambda it: [_delivered(it)],
        sent=("survey",),
        reacts=_answer(9),
    ),
    Story(
        row="C8 C4",
        name="survey-unhappy",
        scenario="delivered-survey",
        happens=lambda it: [_delivered(it)],
        sent=("survey",),
        reacts=_answer(3),
    ),
    Story(
        row="C8 B19",
        name="cared-for",
        scenario="care",
        happens=lambda it: [_delivered(it)],
        sent=("sorry",),
        reacts=_answer(3),
        to="delivered-survey",
    ),
    Story(
        row="C8 B19",
        name="not-in-need",
        scenario="care",
        happens=lambda it: [_delivered(it)],
        because=None,
        reacts=_answer(9),
        to="delivered-survey",
    ),
    Story(
        row="D5",
        name="shipped-long-ago",
        scenario="shipped",
        happens=lambda it: [it.order("shipped", it.at(-1, "12:00"))],
        ends=(("shipped", "expired", "late"),),
    ),
    Story(
        row="D5 B2",
        name="form-left-long-ago",
        scenario="unfinished-registration",
        happens=lambda it: [it.does("profile.registration_started", it.at(-2, "07:00"))],
        sent=("second",),
        ends=(("first", "expired", "late"),),
    ),
)


def _second(life: Life) -> Event:
    """Another cart of the same customer, in the same week."""
    told = life.customer.cart(life.now, value="400.00")
    return told | {"data": told["data"] | {"cart": told["data"]["cart"] | {"id": "c-second"}}}
