"""Reading the triggers of the language."""

import re
from typing import Any, cast

from libs.domain.scenario.conditions import ConditionReader
from libs.domain.scenario.durations import days, months
from libs.domain.scenario.model import (
    DateTrigger,
    EventTrigger,
    InactiveTrigger,
    PriceTrigger,
    RfmTrigger,
    SegmentTrigger,
    StockTrigger,
    TagTrigger,
    Trigger,
)

PERCENT = re.compile(r"\d{1,2}(\.\d+)?\s*%?")
TRIGGERS: dict[str, tuple[str, ...]] = {
    "event": ("event", "where", "nth", "statuses"),
    "date": ("date", "before", "after", "at", "every", "late"),
    "inactive": ("inactive",),
    "rfm": ("rfm",),
    "segment": ("segment",),
    "tag": ("tag",),
    "stock": ("stock",),
    "price": ("price",),
}
"""What each trigger may say, by the word that makes it one."""


class TriggerReader(ConditionReader):
    """Conditions, and triggers."""

    def trigger(self, value: Any) -> Trigger | None:
        if value is None:
            return None
        if not isinstance(value, dict):
            self.error("trigger", "a trigger is a mapping", "for example `event: cart.updated`")
            return None
        kind = next((name for name in TRIGGERS if name in value), None)
        if kind is None:
            self.error("trigger", "this trigger is not known", f"one of: {', '.join(TRIGGERS)}")
            return None
        self.known("trigger", value, TRIGGERS[kind])
        return cast(Trigger, getattr(self, f"_{kind}_trigger")(value))

    def _event_trigger(self, value: dict[str, Any]) -> EventTrigger:
        if "nth" in value and isinstance(value["nth"], int) and value["nth"] < 1:
            self.error("trigger/nth", "the first event is `nth: 1`")
        return EventTrigger(
            event=self.event_type("trigger/event", value["event"]),
            where=self.optional("trigger", value, "where"),
            nth=self.integer("trigger/nth", value["nth"]) if "nth" in value else None,
            statuses=tuple(self.some("trigger/statuses", value["statuses"])) if "statuses" in value else (),
        )

    def _date_trigger(self, value: dict[str, Any]) -> DateTrigger:
        every = self.said("trigger", value, "every")
        if every not in (None, "year"):
            self.error("trigger/every", "every can only be `year`")
        date = self.path("trigger/date", value["date"])
        if date and date.partition(".")[0] not in ("profile", "event"):
            self.error("trigger/date", f"{date} is neither of the profile nor of an event", "`profile.birthday`")
        return DateTrigger(
            date=date,
            **self._around("trigger", value),
            at=self.clock("trigger/at", value["at"]) if "at" in value else None,
            every="year" if every == "year" else None,
            late=self.duration("trigger/late", value["late"]) if "late" in value else None,
        )

    def _around(self, path: str, value: dict[str, Any]) -> dict[str, Any]:
        """`before` and `after` as fields: months as such, other lengths with whether they count by the clock."""
        found: dict[str, Any] = {"months": 0}
        for name, sign in (("before", -1), ("after", 1)):
            if name in value:
                length = self.duration(f"{path}/{name}", value[name])
                count = months(value[name])
                found["months"] += sign * count
                found[name] = None if count else length
                found["by_clock"] = not count and not days(value[name])
        return found

    def _inactive_trigger(self, value: dict[str, Any]) -> InactiveTrigger | None:
        told = value["inactive"]
        if not isinstance(told, dict) or not {"events", "for"} <= set(told) or not told["events"]:
            self.error("trigger/inactive", "inactive needs `events` and `for`")
            return None
        self.known("trigger/inactive", told, ("events", "for"))
        return InactiveTrigger(
            events=self._activities(told["events"]),
            lasting=self.duration("trigger/inactive/for", told["for"]),
        )

    def _activities(self, value: Any) -> tuple[str, ...]:
        items = value if isinstance(value, list) else [value]
        return tuple(self.event_type(f"trigger/inactive/events/{index}", item) for index, item in enumerate(items))

    def _told(self, name: str, value: dict[str, Any], fields: tuple[str, ...], example: str) -> dict[str, Any]:
        """The mapping of a trigger, with at least one of its fields."""
        told = value[name]
        if not isinstance(told, dict) or not set(fields) & set(told):
            self.error(f"trigger/{name}", f"{name} needs {' or '.join(fields)}", f"`{example}`")
            return {}
        self.known(f"trigger/{name}", told, fields)
        return told

    def _named(self, path: str, told: dict[str, Any], name: str) -> str | None:
        if name not in told:
            return None
        if isinstance(told[name], list):
            self.error(f"{path}/{name}", "only one can be named here")
            return None
        return next(iter(self.some(f"{path}/{name}", told[name])), None)

    def _rfm_trigger(self, value: dict[str, Any]) -> RfmTrigger:
        told = self._told("rfm", value, ("from", "to"), "rfm: {from: [loyal], to: [at-risk]}")
        return RfmTrigger(
            left=tuple(self.some("trigger/rfm/from", told["from"])) if "from" in told else (),
            to=tuple(self.some("trigger/rfm/to", told["to"])) if "to" in told else (),
        )

    def _segment_trigger(self, value: dict[str, Any]) -> SegmentTrigger:
        told = self._told("segment", value, ("enters", "leaves"), "segment: {enters: vip}")
        return SegmentTrigger(
            enters=self._named("trigger/segment", told, "enters"),
            leaves=self._named("trigger/segment", told, "leaves"),
        )

    def _tag_trigger(self, value: dict[str, Any]) -> TagTrigger:
        told = self._told("tag", value, ("added", "removed"), "tag: {added: vip}")
        return TagTrigger(
            added=self._named("trigger/tag", told, "added"),
            removed=self._named("trigger/tag", told, "removed"),
        )

    def _stock_trigger(self, value: dict[str, Any]) -> StockTrigger:
        if value["stock"] != "back":
            self.error("trigger/stock", "stock can only be `back`")
        return StockTrigger()

    def _price_trigger(self, value: dict[str, Any]) -> PriceTrigger:
        told = self._told("price", value, ("drops",), "price: {drops: 10%}")
        drops = str(told.get("drops", "1%"))
        if not PERCENT.fullmatch(drops):
            self.error("trigger/price/drops", f"{drops} is no part of a price", "`10%`")
        return PriceTrigger(drops=drops)
