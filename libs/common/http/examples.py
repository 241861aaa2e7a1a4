"""Answers as several services show them in `/openapi.json`."""

from typing import Any

PROFILE = "9b2c1d52-1c1a-5f58-8f5e-3d1f6a2b7c44"
MESSAGE = "0b6f5a0e-6c6c-5b0a-9d2b-0d6f3c8f3f11"
MOMENT, LATER = "2026-03-02T10:00:00+00:00", "2026-03-02T11:00:00+00:00"
STEP: dict[str, Any] = {
    "step": "1",
    "at": LATER,
    "name": "first",
    "channel": "email",
    "verdict": "sent",
    "because": None,
    "message": MESSAGE,
}
ENROLMENT: dict[str, Any] = {
    "key": "c-77",
    "state": "running",
    "entered_at": MOMENT,
    "ended_at": None,
    "because": None,
    "steps": [STEP],
}
EXPLAINED: dict[str, Any] = {
    "profile": PROFILE,
    "scenarios": [
        {
            "scenario": "abandoned-cart",
            "version": 1,
            "entered": True,
            "conditions": [{"path": "event.cart.value", "found": "249.00", "verdict": True}],
            "enrolments": [ENROLMENT],
        }
    ],
    "segments": [],
}
TIMELINE: dict[str, Any] = {
    "profile": PROFILE,
    "events": [{"at": MOMENT, "type": "cart.updated", "data": {"cart": {"id": "c-77", "value": "249.00"}}}],
}
OUTBOX: dict[str, Any] = {
    "message_id": MESSAGE,
    "shop": "demo",
    "profile": PROFILE,
    "scenario": "abandoned-cart",
    "version": 1,
    "message": "first",
    "channel": "email",
    "gateway": "mail",
    "requested_at": LATER,
    "end": "sent",
    "reason": None,
    "ended_at": LATER,
    "delivered_at": None,
    "opened_at": None,
    "clicked_at": None,
    "bounced_at": None,
}
EVENTS = {"received": 12, "applied": 9, "duplicates": 2, "quarantined": 1}
STEPS = {"scheduled": 9, "fired": 4, "cancelled": 2, "expired": 1}
MESSAGES = {"sent": 4, "suppressed": 1, "failed": 0, "expired": 0, "unknown": 0, "pending": 1}
RFM_STANDS: dict[str, Any] = {
    "run": 7,
    "version": 1,
    "known_version": 1,
    "computed_at": MOMENT,
    "full_at": MOMENT,
    "day": "2026-03-02",
    "next_at": LATER,
    "currency": "PLN",
    "customers": 2,
    "segments": [{"segment": "loyal", "customers": 2, "orders": 9, "monetary": "1240.00"}],
    "cuts": {"recency": [60, 30, 10]},
    "excluded": {"currency": 1},
}
RFM_RAN: dict[str, Any] = {
    "done": True,
    "run": 8,
    "kind": "full",
    "day": "2026-03-02",
    "customers": 2,
    "changed": 1,
    "quiet": False,
}
RFM_RUNNING: dict[str, Any] = {"done": False, "run": 8}
RFM_CUSTOMER: dict[str, Any] = {
    "profile": PROFILE,
    "segment": "loyal",
    "r": 5,
    "f": 4,
    "m": 4,
    "recency_days": 3,
    "orders": 5,
    "frequency": 5,
    "monetary": "740.00",
    "last_day": "2026-02-27",
}
RFM_EXPLAINED: dict[str, Any] = {
    **RFM_CUSTOMER,
    "day": "2026-03-02",
    "text": "…",
    "history": [{"at": MOMENT, "from": "promising", "to": "loyal", "r": 5, "f": 4, "m": 4}],
}
