"""One turn: a profile, a moment, and what is decided in it."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec

from libs.domain.engine import products
from libs.domain.engine.registry import Registry, Shop
from libs.domain.engine.state import Dated, Enrolment, Happened, Json, Profile, newest
from libs.domain.scenario.match import History, known_zone


class Call(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Schedule (or cancel) a wake-up call. `enrolment` is what it is for: an enrolment or a watch."""

    step: str
    due_at: datetime
    scenario: str
    enrolment: str
    traceparent: str | None


class Request(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message that shall be sent. Of several in one turn that with the highest `priority` goes first."""

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
    priority: int = 50
    arms: dict[str, str] = {}


class Cancelled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message that was asked for and shall not go out any more."""

    message: str
    because: Literal["exit", "restart"]
    traceparent: str | None


class Told(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that a scenario did, to which others may react in the same turn.

    `added` and `removed` are the tags that it changed; `depth` is how many such things led to it.
    """

    event: Happened
    added: list[str]
    removed: list[str]
    depth: int


class Fact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event that the platform itself found out, to be told to everybody. `id` is derived from what it is about."""

    id: str
    event: Happened


class Resumed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An enrolment that goes on when all have reacted, unless that ended it or made it begin anew."""

    enrolment: Enrolment
    round: int
    depth: int


@dataclass(kw_only=True, slots=True)
class Turn:
    """What a decision may look at, and what it decides.

    `cause_at` is when the event of this turn reached us. `sums` are the counts that the audit compares. `told` are
    reactions that are still to come, `depth` how deep the one at hand is. `gone` are ended enrolments that the
    document lets go of. `index` is what is known of the shop. `products` are those that scenarios ask for here, as they
    are now. `caught_up`: all that had been accepted is known, as it is when a call is judged.
    """

    shop: str
    profile_id: str
    profile: Profile
    programs: Registry
    now: datetime
    cause_at: datetime | None = None
    schedule: list[Call] = field(default_factory=list)
    cancel: list[Call] = field(default_factory=list)
    messages: list[Request] = field(default_factory=list)
    cancelled: list[Cancelled] = field(default_factory=list)
    gone: list[Enrolment] = field(default_factory=list)
    sums: Counter[str] = field(default_factory=Counter)
    facts: list[Fact] = field(default_factory=list)
    told: deque[Told | Resumed] = field(default_factory=deque)
    depth: int = 0
    caught_up: bool = False
    products: Mapping[str, Json] = field(default_factory=dict)
    index: Shop = field(init=False)

    def __post_init__(self) -> None:
        self.index = self.programs.shop(self.shop)

    def ask(self, call: Call) -> None:
        """Schedule a call."""
        self.sums["steps.scheduled"] += 1
        self.schedule.append(call)

    def revoke(self, call: Call) -> None:
        """Cancel a call. One that was asked for in this very turn was never asked for."""
        if call in self.schedule:
            self.sums["steps.scheduled"] -= 1
            self.schedule.remove(call)
        else:
            self.sums["steps.cancelled"] += 1
            self.cancel.append(call)

    def zone(self) -> str:
        """The customer's IANA zone."""
        return self.zone_with_origin()[0]

    def zone_with_origin(self) -> tuple[str, str]:
        """The zone, and who says so: the `profile`, a `hint` (phone prefix, postal code), or the `shop`."""
        traits = self.profile.traits
        for name, origin in (("timezone", "profile"), ("timezone_hint", "hint")):
            told = traits.get(name)
            if told and known_zone(str(told)):
                return str(told), origin
        return self.index.zone, "shop"

    def scope(self, event: Happened, key: str | None) -> dict[str, Any]:
        """What the paths of a condition or a template mean, as things are now."""
        profile = self.profile
        person = {**profile.traits, "consents": profile.consents}  # an event's own list of consents is no trait
        if profile.segments or self.index.segments is not None:
            person["segments"] = sorted(name for name, mark in profile.segments.items() if mark.on)
        scope = {
            "event": {"type": event.type, "time": event.time.isoformat(), "id": event.id, **event.data},
            "profile": person,
            "cart": self._cart(event),
            "order": self._order(event),
            "rfm": profile.rfm.data if profile.rfm else None,
            "key": key,
            "zone": self.zone(),
        }
        if self.products and (product := products.now(event, self.products)):
            scope["product"] = product
        return scope

    def scope_of(self, enrolment: Enrolment) -> dict[str, Any]:
        """The scope of a running enrolment: its trigger is the event."""
        return self.scope(enrolment.trigger, enrolment.key)

    def history(self, enrolment: Enrolment | None = None) -> History:
        """What `happened` is judged over; without an enrolment nothing is since it began."""
        if enrolment is None:
            return History(now=self.now, tracks=self.profile.tracks)
        return History(
            now=self.now,
            tracks=self.profile.tracks,
            enrolled_at=enrolment.entered_at,
            sent=enrolment.sent,
        )

    def _cart(self, event: Happened) -> Json | None:
        return _own(event.data.get("cart"), self.profile.carts)

    def _order(self, event: Happened) -> Json | None:
        return _own(event.data.get("order"), self.profile.orders)


def _own(told: Any, known: dict[str, Dated]) -> Json | None:
    """What the event is about, as it is now; as the event told it where it is no longer kept, never another one."""
    if not isinstance(told, dict) or told.get("id") is None:
        return newest(known)
    own = known.get(str(told["id"]))
    return own.data if own else told
