"""B4 to B10: what follows an order, its value, its way to the customer, its deadlines."""

from datetime import timedelta

from tests.acceptance.rows.telling import Life, Story
from tests.support.shop import Event


def _value(value: str, message: str) -> Story:
    """Ordered yesterday at noon: thanked the next morning."""
    return Story(
        row="B5",
        name=f"worth-{value.replace('.', '-')}",
        scenario="thank-you-by-value",
        happens=lambda it: [it.order("placed", it.at(-1, "12:00"), value=value)],
        sent=(message,),
    )


def _bought(life: Life, days: int, category: str) -> list[Event]:
    line = {"product_id": "p-1", "name": "Something", "quantity": 1, "price": "249.00", "category": category}
    return [life.order("placed", life.at(-days, "08:00"), items=[line])]


def _three(life: Life) -> list[Event]:
    """The third order three days ago, at eight."""
    days = ((1, -200), (2, -40), (3, -3))
    return [life.order("placed", life.at(day, "08:00"), id=f"o-{life.customer.name}-{n}") for n, day in days]


def _delivery(life: Life, *days: int, told: int = -5) -> list[Event]:
    """An order whose delivery is planned for the first of `days`, then moved to the others, one day after the other."""
    first, *moves = days
    placed = life.order("placed", life.at(told, "12:00"), planned_delivery=life.day(first))
    moved = [
        life.order("status_changed", life.at(told + n, "12:00"), status="moved", planned_delivery=life.day(day))
        for n, day in enumerate(moves, 1)
    ]
    return [placed, *moved]


STORIES = (
    Story(
        row="B4",
        name="third-order",
        scenario="nth-order-thanks",
        happens=_three,
        sent=("thanks",),
    ),
    Story(
        row="B4",
        name="second-order",
        scenario="nth-order-thanks",
        happens=lambda it: _three(it)[1:],
        because=None,
    ),
    Story(
        row="B4",
        name="status-listed",
        scenario="order-status-changed",
        happens=lambda it: [it.order("status_changed", status="in_progress")],
        sent=("in-progress",),
    ),
    Story(
        row="B4",
        name="status-not-listed",
        scenario="order-status-changed",
        happens=lambda it: [it.order("status_changed", status="packed")],
        because=None,
    ),
    _value("199.99", "below-200"),
    _value("200.00", "from-200"),
    _value("499.99", "from-200"),
    _value("500.00", "from-500"),
    _value("999.99", "from-500"),
    _value("1000.00", "from-1000"),
    Story(
        row="B6",
        name="confirmed",
        scenario="order-confirmation",
        happens=lambda it: [it.order("placed", number="4711")],
        sent=("confirmation",),
        mail="4711",
    ),
    Story(
        row="B6",
        name="at-the-till",
        scenario="order-confirmation",
        happens=lambda it: [it.order("placed", channel="pos")],
        because=None,
    ),
    Story(
        row="B6",
        name="collected",
        scenario="order-status-changed",
        happens=lambda it: [it.order("status_changed", status="ready_for_pickup")],
        sent=("ready",),
    ),
    Story(
        row="B6",
        name="shipped",
        scenario="shipped",
        happens=lambda it: [it.order("shipped", carrier="DHL", tracking_number="T-81")],
        sent=("shipped",),
        mail="T-81",
        known=lambda it: [it.customer.known(it.now - timedelta(hours=1), timezone=it.zone)],
    ),
    Story(
        row="B6 C5",
        name="delivered-first",
        scenario="shipped",
        happens=lambda it: [it.order("delivered", it.now), it.order("shipped", it.now - timedelta(hours=3))],
        because="order.delivered",
    ),
    Story(
        row="B7 D1",
        name="delivery-tomorrow",
        scenario="delivery-ahead",
        happens=lambda it: _delivery(it, 1),
        sent=("tomorrow",),
    ),
    Story(
        row="B7",
        name="delivery-sooner",
        scenario="delivery-ahead",
        happens=lambda it: _delivery(it, 9, 1),
        sent=("tomorrow",),
    ),
    Story(
        row="B7",
        name="delivery-later",
        scenario="delivery-ahead",
        happens=lambda it: _delivery(it, 1, 5),
        because=None,
    ),
    Story(
        row="B7",
        name="delivery-was-planned",
        scenario="delivery-due",
        happens=lambda it: _delivery(it, -1),
        sent=("due",),
    ),
    Story(
        row="B7",
        name="delivery-has-come",
        scenario="delivery-due",
        happens=lambda it: [*_delivery(it, -1), it.order("delivered", it.at(-1, "15:00"))],
        because=None,
    ),
    Story(
        row="B8 B4 D1",
        name="review-asked",
        scenario="review-request",
        happens=lambda it: [it.order("delivered", it.at(-10, "08:00"))],
        sent=("request",),
        because="waiting",
    ),
    Story(
        row="B8",
        name="review-written",
        scenario="review-request",
        happens=lambda it: [
            it.order("delivered", it.at(-10, "08:00")),
            it.does("review.submitted", it.at(-2, "12:00"), review={"rating": 5}),
        ],
        because="review.submitted",
    ),
    Story(
        row="B9",
        name="sofa",
        scenario="accessories-by-category",
        happens=lambda it: _bought(it, 7, "sofas"),
        sent=("sofas",),
    ),
    Story(
        row="B9",
        name="lamp",
        scenario="accessories-by-category",
        happens=lambda it: _bought(it, 7, "lamps"),
        sent=("lamps",),
    ),
    Story(
        row="B9",
        name="carpet",
        scenario="accessories-by-category",
        happens=lambda it: _bought(it, 7, "carpets"),
        because=None,
    ),
    Story(
        row="B10 D1",
        name="warranty",
        scenario="warranty-end",
        happens=lambda it: [it.order("placed", it.at(-335, "12:00"), warranty_until=it.day(30))],
        sent=("ends",),
    ),
    Story(
        row="B10",
        name="warranty-returned",
        scenario="warranty-end",
        happens=lambda it: [
            it.order("placed", it.at(-335, "12:00"), warranty_until=it.day(30)),
            it.order("returned", it.at(-300, "12:00")),
        ],
        because=None,
    ),
    Story(
        row="B10",
        name="return-counted",
        scenario="return-deadline",
        happens=lambda it: [it.order("delivered", it.at(-10, "08:00"))],
        sent=("last-days",),
    ),
    Story(
        row="B10",
        name="return-dated",
        scenario="return-deadline",
        happens=lambda it: [it.order("delivered", it.at(-20, "08:00"), return_until=it.day(3))],
        sent=("last-days",),
    ),
    Story(
        row="B10",
        name="coffee",
        scenario="replenishment",
        happens=lambda it: _bought(it, 25, "coffee"),
        sent=("running-low",),
        because="waiting",
    ),
)
