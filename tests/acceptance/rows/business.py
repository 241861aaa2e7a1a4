"""B15, B16: quotes and appointments."""

from typing import Any

from tests.acceptance.rows.telling import Life, Story
from tests.acceptance.stories import HOUR
from tests.support.shop import Event


def _quote(life: Life, what: str, days: int | None = None, clock: str = "09:00", **told: Any) -> Event:
    at = life.now if days is None else life.at(days, clock)
    quote = {"id": f"q-{life.customer.name}", "value": "12400.00", "currency": "PLN"}
    quote |= {"url": "https://demo.example/quotes/1", "items": [{"name": "Desk Bergen", "quantity": 12}]}
    return life.does(f"quote.{what}", at, quote=quote | told)


def _visit(life: Life, what: str, told: int | None, to: int, clock: str = "15:00") -> Event:
    """An appointment `to` days from today, told of so many days from today, or now."""
    at = life.now if told is None else life.at(told, "12:00")
    visit = {"id": f"v-{life.customer.name}", "kind": "Measuring", "place": "Prosta 1"}
    if what in ("booked", "rescheduled"):
        visit["at"] = life.at(to, clock).isoformat()
    return life.does(f"appointment.{what}", at, appointment=visit)


STORIES = (
    Story(
        row="B15",
        name="quote-wanted",
        scenario="quote-requested",
        happens=lambda it: [_quote(it, "requested")],
        sent=("received",),
        mail="Desk Bergen",
    ),
    Story(
        row="B15",
        name="quote-made",
        scenario="quote-sent",
        happens=lambda it: [_quote(it, "sent")],
        sent=("quote",),
        because="waiting",
        mail="Desk Bergen",
    ),
    Story(
        row="B15 D5",
        name="quote-asked-about",
        scenario="quote-sent",
        happens=lambda it: [_quote(it, "sent", -2)],
        sent=("reminder",),
        ends=(("quote", "expired", "late"),),
    ),
    Story(
        row="B15 C5",
        name="quote-taken",
        scenario="quote-sent",
        happens=lambda it: [_quote(it, "sent", -2), _quote(it, "accepted")],
        ends=(("quote", "expired", "late"),),
        because="quote.accepted",
    ),
    Story(
        row="B15",
        name="quote-confirmed",
        scenario="quote-accepted",
        happens=lambda it: [_quote(it, "sent", -9), _quote(it, "accepted", planned_delivery=it.day(40))],
        sent=("accepted",),
    ),
    Story(
        row="B15 D1",
        name="quote-ends",
        scenario="quote-expiring",
        happens=lambda it: [_quote(it, "sent", -9, valid_until=it.day(3))],
        sent=("last-days",),
    ),
    Story(
        row="B16",
        name="visit-booked",
        scenario="appointment-confirmed",
        happens=lambda it: [_visit(it, "booked", None, 5)],
        sent=("confirmed",),
        mail="Prosta 1",
    ),
    Story(
        row="B16 D1",
        name="visit-tomorrow",
        scenario="appointment-reminder",
        happens=lambda it: [_visit(it, "booked", -3, 1)],
        sent=("tomorrow",),
        mail="Prosta 1",
    ),
    Story(
        row="B16",
        name="visit-sooner",
        scenario="appointment-reminder",
        happens=lambda it: [_visit(it, "booked", -3, 9), _visit(it, "rescheduled", None, 1)],
        sent=("tomorrow",),
    ),
    Story(
        row="B16",
        name="visit-later",
        scenario="appointment-reminder",
        happens=lambda it: [_visit(it, "booked", -3, 1), _visit(it, "rescheduled", None, 6)],
        because=None,
    ),
    Story(
        row="B16",
        name="visit-moved",
        scenario="appointment-moved",
        happens=lambda it: [_visit(it, "booked", -3, 1), _visit(it, "rescheduled", None, 6)],
        sent=("moved",),
    ),
    Story(
        row="B16 C5",
        name="visit-cancelled",
        scenario="appointment-reminder",
        happens=lambda it: [_visit(it, "booked", -3, 1), _visit(it, "cancelled", None, 1)],
        because=None,
    ),
    Story(
        row="B16",
        name="visit-missed",
        scenario="appointment-missed",
        happens=lambda it: [_visit(it, "booked", -6, -1)],
        sent=("missed",),
    ),
    Story(
        row="B16",
        name="visit-attended",
        scenario="appointment-missed",
        happens=lambda it: [
            _visit(it, "booked", -6, -1),
            it.does("appointment.attended", it.now - 2 * HOUR, appointment={"id": f"v-{it.customer.name}"}),
        ],
        because=None,
    ),
)
