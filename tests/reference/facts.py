"""What is known of a customer, out of the plain list of all that was ever told, each time anew."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from libs.domain.scenario.match import known_zone

Json = dict[str, Any]
TELLS_TRAITS = ("profile.registered", "profile.registration_started", "profile.updated", "newsletter.subscribed")


@dataclass(frozen=True)
class Event:
    """`teaches`: what it says becomes known of the customer. `heard`: scenarios hear of it, and it is history.

    What a step changes teaches without being heard; that it was changed is then heard, and teaches nothing new.
    """

    type: str
    time: datetime
    data: Json
    id: str = ""
    teaches: bool = True
    heard: bool = True


@dataclass(frozen=True)
class Past:
    """The events of one type, oldest first, as conditions look at them."""

    events: Sequence[Event]

    @property
    def total(self) -> int:
        return len(self.events)

    @property
    def times(self) -> list[datetime]:
        return [event.time for event in self.events]

    @property
    def dropped(self) -> None:
        return None

    def since(self, start: datetime | None) -> int:
        return 0 if start is None else sum(event.time < start for event in self.events)

    def fields(self, index: int) -> Json:
        return self.events[index].data


@dataclass
class Facts:
    """All that was told, in the order in which it came. Everything is computed from it when it is asked for."""

    told: list[Event] = field(default_factory=list)

    def _taught(self) -> list[Event]:
        """By when it happened; of two at the same time the later to come is last."""
        return sorted((event for event in self.told if event.teaches), key=lambda event: event.time)

    def of_type(self, type: str) -> list[Event]:
        """What has happened of a type, oldest first."""
        return sorted((event for event in self.told if event.heard and event.type == type), key=lambda e: e.time)

    def heard(self) -> list[Event]:
        """Everything that has happened, oldest first."""
        return sorted((event for event in self.told if event.heard), key=lambda e: e.time)

    def pasts(self) -> Mapping[str, Past]:
        """What `happened` counts."""
        return {type: Past(self.of_type(type)) for type in {event.type for event in self.told if event.heard}}

    def traits(self) -> Json:
        """Each trait as told last."""
        said: Json = {}
        tags: set[str] | None = None
        for event in self._taught():
            if event.type in TELLS_TRAITS:
                said |= {name: value for name, value in event.data.items() if name != "tags"}
            elif "timezone_hint" in event.data:
                said["timezone_hint"] = event.data["timezone_hint"]
            tags = _tags(tags, event)
        return said if tags is None else said | {"tags": sorted(tags)}

    def tags(self) -> set[str]:
        return set(self.traits().get("tags", ()))

    def zone(self, default: str) -> str:
        """The profile's, else a hint's, else the shop's."""
        traits = self.traits()
        named = (traits.get("timezone"), traits.get("timezone_hint"))
        return next((str(name) for name in named if name and known_zone(str(name))), default)

    def things(self, kind: str) -> dict[str, tuple[datetime, Json]]:
        """Carts or orders by id, each field as told last, with the time of the last news."""
        known: dict[str, tuple[datetime, Json]] = {}
        for event in self._taught():
            thing = event.data.get(kind)
            if isinstance(thing, dict) and thing.get("id") is not None:
                before = known.get(str(thing["id"]), (event.time, {}))[1]
                empty = {"items": []} if event.type == "cart.cleared" else {}
                known[str(thing["id"])] = (event.time, {**before, **empty, **thing})
        return known

    def thing(self, kind: str, event: Event) -> Json | None:
        """The cart or order that an event is about, as it is now; the newest where it is about none."""
        known, told = self.things(kind), event.data.get(kind)
        if isinstance(told, dict) and told.get("id") is not None:
            return known.get(str(told["id"]), (event.time, told))[1]
        return max(known.values(), key=lambda one: one[0])[1] if known else None

    def scope(self, event: Event, key: str | None, zone: str) -> Json:
        """What the paths of a condition mean."""
        return {
            "event": {"type": event.type, "time": event.time.isoformat(), "id": event.id, **event.data},
            "profile": {**self.traits(), "consents": {}},
            "cart": self.thing("cart", event),
            "order": self.thing("order", event),
            "rfm": None,
            "key": key,
            "zone": self.zone(zone),
        }

    def first(self) -> datetime | None:
        """When the customer was first seen; what scenarios change is nothing of the customer's."""
        return min((event.time for event in self.told if event.heard and event.teaches), default=None)


def _tags(tags: set[str] | None, event: Event) -> set[str] | None:
    """The tags after an event. A list in the profile is the whole of them."""
    if event.type in TELLS_TRAITS and isinstance(event.data.get("tags"), list):
        return set(map(str, event.data["tags"]))
    if event.type == "profile.tagged":
        return (tags or set()) | set(_named(event))
    if event.type == "profile.untagged":
        return (tags or set()) - set(_named(event))
    return tags


def _named(event: Event) -> Iterator[str]:
    named = event.data.get("tags") or []
    return map(str, named if isinstance(named, list) else [named])
