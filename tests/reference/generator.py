"""Random scenarios and random histories, the same for a seed for ever. Small worlds, so that things meet often."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.reference.case import Arrival, Case, Json

ZONES = ("UTC", "Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Auckland")
STARTS = (date(2026, 3, 2), date(2026, 3, 27), date(2026, 10, 23), date(2027, 2, 26), date(2026, 12, 28))
MESSAGES = ("m1", "m2", "m3")
TAGS = ("red", "blue", "green")
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
PLANNED = "event.order.planned"
CUSTOM = ("custom.a", "custom.b")
HEARD = (*CUSTOM, "cart.updated", "cart.cleared", "order.placed", "order.cancelled", "order.status_changed")
APART = (60, 180, 360, 1_440, 2_880, 5_760)
SPANS = (timedelta(hours=2), timedelta(hours=30), timedelta(days=6), timedelta(days=25))


BEGUN = "begun"
"""How the ids of events begin with which a case does in which it matters when the customer was first seen."""
AVOIDED = {
    "first seen": "an inactive scenario, and news of before the customer was first seen",
    "order.known": "a date that an event brought, and another zone",
    "nth and state": "`nth` with a condition on more than the event",
}
"""What the engine does otherwise (`test_known.py` has an example of each), and therefore is not drawn."""


class Author:
    """Writes scenarios."""

    def __init__(self, source: random.Random) -> None:
        self.pick = source.choice
        self.source = source

    def chance(self, share: float) -> bool:
        return self.source.random() < share

    def scenario(self, id: str) -> Json:
        trigger = self.trigger()
        made: Json = {"kurant": 1, "id": id, "name": id, "purpose": "marketing", "trigger": trigger}
        if "event" in trigger and self.chance(0.5):
            own = {"c": "event.cart.id", "o": "event.order.id"}.get(trigger["event"][0], "event.code")
            made["key"] = self.pick([own, "event.code"])
        elif str(trigger.get("date", "")).startswith("event."):
            made["key"] = "event.order.id"
        if self.chance(0.4):
            made["again"] = self.pick(["never", "always", {"after": "3h"}, {"after": "2d"}, {"after": "7d"}])
        if self.chance(0.4):
            made["restart"] = True
        if self.chance(0.4):
            made["exit"] = [self.way() for _ in range(self.pick([1, 1, 2]))]
        if self.chance(0.25):
            made["window"] = self.window()
        if self.chance(0.3):
            made["priority"] = self.pick([10, 90])
        steps = self.steps(0)
        return made | {"steps": steps if "send" in repr(steps) else [*steps, self._send(0)]}

    def trigger(self) -> Json:
        kind = self.source.choices(["event", "tag", "day", "told", "inactive"], [55, 15, 10, 10, 10])[0]
        if kind == "tag":
            return {"tag": {self.pick(["added", "removed"]): self.pick(TAGS)}}
        if kind == "day":
            made: Json = {"date": "profile.birthday"} | self.around()
            return made | ({"every": "year"} if self.chance(0.7) else {})
        if kind == "told":
            return {"date": PLANNED} | self.around()
        if kind == "inactive":
            events = self.source.sample(HEARD, self.pick([1, 2]))
            return {"inactive": {"events": events, "for": self.pick(["20h", "2d", "5d"])}}
        made = {"event": self.pick([*HEARD, *CUSTOM, "cart.updated", "profile.updated", "profile.tagged"])}
        if self.chance(0.15):
            made["nth"] = self.pick([2, 2, 3])
        if self.chance(0.35):
            plain = {"event.n": {self.pick(["gte", "lt", "ne"]): self.pick([1, 2])}}
            made["where"] = plain if "nth" in made else self.condition(0, triggered=False)
        if made["event"].startswith("order.") and self.chance(0.3):
            made["statuses"] = self.pick([["new"], ["paid", "new"]])
        return made

    def around(self) -> Json:
        made: Json = {}
        if self.chance(0.6):
            made[self.pick(["before", "after"])] = self.pick(["1d", "3d", "5h", "1mo"])
        if self.chance(0.5):
            made["at"] = self.clock()
        if self.chance(0.2):
            made["late"] = self.pick(["2h", "4d"])
        return made

    def clock(self) -> str:
        return f"{self.pick([0, 1, 2, 3, 8, 10, 15, 21, 23]):02}:{self.pick([0, 30]):02}"

    def way(self) -> Json:
        made: Json = {"event": self.pick([*HEARD, "profile.tagged", "message.sent", "message.clicked"])}
        if self.chance(0.3):
            made["where"] = self.pick(
                [
                    {"event.cart.id": {"eq": "key"}},
                    {"event.order.id": {"eq": "key"}},
                    {"event.code": {"eq": "key"}},
                    {"event.n": {"gte": 2}},
                    {"event.tags": {"contains": "red"}},
                ]
            )
        return made

    def window(self) -> Json:
        made: Json = {"between": self.pick([["09:00", "20:00"], ["21:00", "02:30"], ["02:30", "24:00"]])}
        if self.chance(0.4):
            made["days"] = self.source.sample(DAYS, self.pick([1, 3, 5]))
        return made

    def steps(self, depth: int) -> list[Any]:
        count = self.pick([2, 3, 4, 5] if depth == 0 else [0, 1, 1, 2])
        return [self.step(depth) for _ in range(count)]

    def step(self, depth: int) -> Any:
        kinds = {"wait": 26, "send": 40, "tag": 8, "untag": 4, "set": 6, "exit": 3}
        if depth < 3:
            kinds |= {"if": 10, "until": 14, "split": 5}
        kind = self.source.choices(list(kinds), list(kinds.values()))[0]
        return getattr(self, f"_{kind}")(depth)

    def _exit(self, _: int) -> str:
        return "exit"

    def _wait(self, _: int) -> Json:
        return {
            "wait": self.pick(
                [
                    self.pick(["20m", "1h", "90m", "5h", "24h"]),
                    self.pick(["1d", "3d", "1w", "1mo"]),
                    {"for": self.pick(["1d", "2d", "3h", "30m"]), "at": self.clock()},
                    {"until": self.clock()},
                    {"until": self.clock(), "days": self.source.sample(DAYS, self.pick([1, 2]))},
                    {"until": PLANNED, "before": self.pick(["1d", "3h"])},
                    {"until": self.pick(["order.planned", "profile.meeting"]), "after": self.pick(["1d", "2h", "1mo"])},
                ]
            )
        }

    def _send(self, _: int) -> Json:
        made: Json = {"send": self.pick(MESSAGES)}
        if self.chance(0.3):
            made["if"] = self.condition(0)
        if self.chance(0.3):
            made["late"] = self.pick(["30m", "6h", "2d"])
        return made

    def _tag(self, _: int) -> Json:
        return {"tag": {"add": self.source.sample(TAGS, self.pick([1, 1, 2]))}}

    def _untag(self, _: int) -> Json:
        return {"untag": [self.pick(TAGS)]}

    def _set(self, _: int) -> Json:
        return {"set": self.pick([{"level": self.pick([1, 2, 3])}, {"city": "x"}, {"timezone": self.pick(ZONES)}])}

    def _if(self, depth: int) -> Json:
        made: Json = {"if": self.condition(0), "then": self.steps(depth + 1)}
        return made | ({"else": self.steps(depth + 1)} if self.chance(0.6) else {})

    def _until(self, depth: int) -> Json:
        told: Json = {"event": self.pick([*HEARD, *CUSTOM])}
        if self.chance(0.3):
            told = {"event": self.pick(["message.clicked", "message.sent"])}
            told |= {"of": self.pick(MESSAGES)} if self.chance(0.8) else {}
        elif self.chance(0.4):
            told["where"] = {"event.n": {self.pick(["gte", "lte", "eq"]): self.pick([1, 2])}}
        made: Json = {"until": told, "within": self.pick(["1h", "6h", "2d", "4d"]), "then": self.steps(depth + 1)}
        return made | ({"else": self.steps(depth + 1)} if self.chance(0.6) else {})

    def _split(self, depth: int) -> Json:
        arms = self.pick([{"a": 50, "b": 50}, {"a": 60, "b": 20, "holdout": 20}])
        made: Json = {"split": {"name": self.pick(["one", "two"]), "arms": arms}}
        return made | {arm: self.steps(depth + 1) for arm in ("a", "b") if self.chance(0.8)}

    def condition(self, depth: int, *, triggered: bool = True) -> Json:
        if depth < 2 and self.chance(0.25):
            parts = [self.condition(depth + 1, triggered=triggered) for _ in range(2)]
            return self.pick([{"all": parts}, {"any": parts}, {"not": parts[0]}])
        if self.chance(0.3):
            return self.happened(triggered)
        return self.pick(
            [
                {"event.n": {self.pick(["gte", "lt", "ne"]): self.pick([1, 2])}},
                {"event.cart.value": {"gte": 100}},
                {"cart.value": {self.pick(["gte", "lt"]): 100}},
                {"order.status": self.pick(["new", "paid"])},
                {"order.planned": {"exists": self.pick([True, False])}},
                {"profile.level": {"gte": 2}},
                {"profile.tags": {"contains": self.pick(TAGS)}},
                {"profile.city": {"exists": True}},
                {"event.code": {"in": ["x", "y"]}},
            ]
        )

    def happened(self, triggered: bool) -> Json:
        told: Json = {"event": self.pick([*HEARD, "profile.updated", "message.sent"])}
        if self.chance(0.3):
            told["where"] = self.pick([{"event.n": {"gte": 2}}, {"event.cart.value": {"gte": 100}}])
        if triggered and self.chance(0.5):
            told["since"] = self.pick(["enrolled", "sent(m1)", "sent(m2)"])
        elif self.chance(0.5):
            told["within"] = self.pick(["2h", "1d", "3d"])
        if self.chance(0.3):
            told["times"] = self.pick([{"gte": 2}, {"lt": 2}, 1, {"lte": 0}])
        return {"happened": told}


def case(seed: int, scenarios: list[Json] | None = None) -> Case:
    """A case; with `scenarios` only its history is drawn."""
    source = random.Random(seed)
    if scenarios is None:
        scenarios = written(seed)
    start = datetime.combine(source.choice(STARTS), datetime.min.time(), UTC) + timedelta(hours=source.randrange(24))
    span = source.choice(SPANS)
    count = source.choice([2, 4, 6, 9, 13, 18])
    minutes = _minutes(source, int(span.total_seconds() / 60), count)
    kinds = _kinds(scenarios)
    arrivals: list[Arrival] = []
    first = _first(scenarios)
    for number, type in enumerate(first):  # the oldest comes first: first seen
        time = start - timedelta(seconds=len(first) - number)
        arrivals.append(Arrival(start, type, time, f"{BEGUN} {number}", {}))
    for number, minute in enumerate(sorted(minutes)):
        time = start + timedelta(minutes=minute)
        kind = source.choice(kinds) if source.random() < 0.85 else source.choice([*HEARD, "profile.updated", "zone"])
        if kind == "zone" and PLANNED in _dates(scenarios):  # order.known
            kind = "profile.updated"
        told = _arrival(source, kind, time, f"e{number}", start.date())
        arrivals += [told, *_repeats(source, told)]
    arrivals.sort(key=lambda one: one.moment)
    end = max(one.moment for one in arrivals) + timedelta(days=source.choice([10, 45, 400]))
    told = Case(seed, source.choice(ZONES), scenarios, arrivals, end, source.choice([None, 17, 77, 7_217]))
    return _away(source, told, start) if source.random() < 0.3 else told


def _away(source: random.Random, told: Case, start: datetime) -> Case:
    """The same history, of which a part is read at once: after an outage."""
    last = told.arrivals[-1].moment
    away = start + source.random() * (last - start)
    back = away + source.random() * timedelta(days=source.choice([1, 5]))
    arrivals = [replace(one, moment=back) if away < one.moment < back else one for one in told.arrivals]
    if all(one.moment != back for one in arrivals):
        return told
    return replace(told, arrivals=arrivals, away=away, back=back)


def _minutes(source: random.Random, span: int, count: int) -> list[int]:
    """When things happen, no two at once; some of them just as long after others as scenarios wait."""
    minutes = source.sample(range(span), count)
    apart = {minute + source.choice(APART) for minute in minutes if source.random() < 0.2}
    return [*minutes, *apart.difference(minutes)]


def written(seed: int) -> list[Json]:
    """The scenarios of a seed."""
    source = random.Random(f"scenarios {seed}")
    author = Author(source)
    while True:
        made = [author.scenario(f"s{number}") for number in range(source.choice([1, 1, 1, 2, 2, 3]))]
        if PLANNED not in _dates(made) or "timezone" not in repr(made):  # order.known
            return made


def _first(scenarios: list[Json]) -> list[str]:
    """What a case begins with. What a date brings about may be of before anybody was seen."""
    silent = [one["trigger"]["inactive"]["events"][0] for one in scenarios if "inactive" in one["trigger"]]
    dated = any("date" in one["trigger"] for one in scenarios)
    if silent and dated:
        return silent  # first seen
    return ["product.viewed"] if silent or PLANNED in _dates(scenarios) else []  # first seen, order.known


def _dates(scenarios: list[Json]) -> list[str]:
    return [str(one["trigger"].get("date")) for one in scenarios]


def _kinds(scenarios: list[Json]) -> list[str]:
    """What these scenarios are about, so that something happens."""
    text = repr(scenarios)
    kinds = [kind for kind in (*HEARD, "message.clicked", "profile.updated") if kind in text]
    kinds += ["profile.tagged", "profile.untagged"] * 3 if "'tag'" in text or "profile.tag" in text else []
    kinds += ["birthday"] * 2 if "birthday" in text else []
    kinds += ["zone"] if "window" in text or "until" in text or "'date'" in text or "'at'" in text else []
    starts = [one["trigger"]["event"] for one in scenarios if "event" in one["trigger"]]
    return [*kinds, *starts * 4] or ["custom.a"]


def _arrival(source: random.Random, kind: str, time: datetime, id: str, day: date) -> Arrival:
    """An event of a kind. Most come at once, some late, some very late."""
    late = source.choices([0, 60, 1_200, 6_000], [60, 15, 15, 10])[0]
    moment = time + timedelta(minutes=source.randint(0, late), seconds=source.choice([0, 1, 23]))
    type, data = _told(source, kind, day)
    of = source.choice(MESSAGES) if type == "message.clicked" else ""
    return Arrival(moment, type, time, id, data, of)


def _told(source: random.Random, kind: str, day: date) -> tuple[str, Json]:
    if kind == "zone":
        if source.random() < 0.3:
            return "product.viewed", {"timezone_hint": source.choice(ZONES)}
        return "profile.updated", {"timezone": source.choice([*ZONES, "Nowhere/None", None])}
    if kind == "birthday":
        born = day + timedelta(days=source.randrange(-10, 40))
        return "profile.updated", {
            "birthday": source.choice([born.replace(year=1992).isoformat(), f"--{born:%m-%d}", "1992-02-29", None])
        }
    if kind == "profile.updated":
        return kind, source.choice(
            [
                {"level": source.choice([1, 2, 3])},
                {"city": source.choice(["x", None])},
                {"tags": source.sample(TAGS, source.choice([0, 1, 2]))},
                {"meeting": _date(source, day)},
            ]
        )
    if kind in ("profile.tagged", "profile.untagged"):
        return kind, {"tags": source.sample(TAGS, source.choice([1, 1, 2]))}
    data: Json = {"n": source.choice([1, 2, 3])} if source.random() < 0.8 else {}
    if source.random() < 0.7:
        data["code"] = source.choice(["x", "y"])
    if kind.startswith("cart."):
        data["cart"] = {"id": source.choice(["k1", "k2"]), "value": source.choice([50, 100, "250.00"])}
    if kind.startswith("order."):
        data["order"] = {"id": source.choice(["o1", "o2"])}
        if source.random() < 0.7:
            data["order"]["status"] = source.choice(["new", "paid", "sent"])
        if source.random() < 0.5:
            data["order"]["planned"] = _date(source, day)
    return kind, data


def _date(source: random.Random, day: date) -> str | None:
    told = day + timedelta(days=source.randrange(-3, 14))
    clock = source.choice(["", "", "T09:30:00", "T02:30:00+01:00", "T23:00:00Z"])
    return source.choice([f"{told.isoformat()}{clock}"] * 5 + [None])


def _repeats(source: random.Random, told: Arrival) -> list[Arrival]:
    """The same event once more, later."""
    if source.random() > 0.12:
        return []
    again = told.moment + timedelta(minutes=source.choice([0, 30, 3_000]), seconds=5)
    return [Arrival(again, told.type, told.time, told.id, told.data, told.of)]
