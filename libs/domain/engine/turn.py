"""One turn: a profile, a moment, and what is decided in it."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from libs.domain.engine.program import Program
from libs.domain.engine.state import Enrolment, Happened, Json, Profile, newest
from libs.domain.scenario.match import History

DEFAULT_ZONE = "UTC"


class Programs(Protocol):
    """The published scenarios, as rules knows them."""

    def triggered_by(self, shop: str, event_type: str) -> list[Program]:
        """The live or paused programs of a shop that this event type may start."""
        ...

    def get(self, shop: str, scenario: str, version: int) -> Program | None:
        """One version, or None when it is not known (yet)."""
        ...

    def state(self, shop: str, scenario: str) -> str:
        """`live`, `paused` or `archived`."""
        ...

    def interesting(self, shop: str, event_type: str) -> bool:
        """Whether an exit or a condition may ask for this type later, so that its data must be kept."""
        ...


@dataclass(frozen=True, kw_only=True)
class Call:
    """Schedule (or cancel) a wake-up call."""

    step: str
    due_at: datetime
    scenario: str
    enrolment: str
    traceparent: str | None


@dataclass(frozen=True, kw_only=True)
class Request:
    """A message that shall be sent."""

    message: str
    scenario: str
    version: int
    enrolment: str
    path: str
    name: str
    channels: list[str]
    purpose: str
    due_at: datetime
    expires_at: datetime | None
    cause_at: datetime | None
    language: str | None
    timezone: str | None
    context: Json
    contacts_at: dict[str, int]
    traceparent: str | None


@dataclass(kw_only=True)
class Turn:
    """What a decision may look at, and what it decides.

    `cause_at` is when the event of this turn reached us. `sums` are the counts that the audit compares.
    """

    shop: str
    profile_id: str
    profile: Profile
    programs: Programs
    now: datetime
    cause_at: datetime | None = None
    schedule: list[Call] = field(default_factory=list)
    cancel: list[Call] = field(default_factory=list)
    messages: list[Request] = field(default_factory=list)
    sums: Counter[str] = field(default_factory=Counter)

    def zone(self) -> str:
        """The customer's IANA zone."""
        return str(self.profile.traits.get("timezone") or DEFAULT_ZONE)

    def scope(self, event: Happened, key: str | None) -> dict[str, Any]:
        """What the paths of a condition or a template mean, as things are now."""
        profile = self.profile
        return {
            "event": {"type": event.type, "time": event.time.isoformat(), "id": event.id, **event.data},
            "profile": {"consents": profile.consents, **profile.traits},
            "cart": self._cart(event),
            "order": self._order(event),
            "rfm": None,
            "key": key,
        }

    def scope_of(self, enrolment: Enrolment) -> dict[str, Any]:
        """The scope of a running enrolment: its trigger is the event."""
        return self.scope(enrolment.trigger, enrolment.key)

    def history(self, enrolment: Enrolment) -> History:
        """What `happened` conditions of a running enrolment are judged over."""
        return History(
            now=self.now,
            events=self.profile.history,
            enrolled_at=enrolment.entered_at,
            sent=enrolment.sent,
        )

    def history_before(self) -> History:
        """The same for a profile that has not entered."""
        return History(now=self.now, events=self.profile.history)

    def _cart(self, event: Happened) -> Json | None:
        told = event.data.get("cart")
        own = self.profile.carts.get(str(told.get("id"))) if isinstance(told, dict) else None
        return own.data if own else newest(self.profile.carts)

    def _order(self, event: Happened) -> Json | None:
        told = event.data.get("order")
        own = self.profile.orders.get(str(told.get("id"))) if isinstance(told, dict) else None
        return own.data if own else newest(self.profile.orders)
