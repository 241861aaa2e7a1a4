"""From YAML to a `Scenario`: every fault is a finding with line, column, and what to do."""

import re
from collections.abc import Iterable
from datetime import time, timedelta
from typing import Any, Literal, cast

from libs.domain.scenario.durations import clock, days, months
from libs.domain.scenario.model import (
    DAYS,
    Act,
    EventTrigger,
    Exit,
    If,
    Scenario,
    Send,
    Split,
    Step,
    Stop,
    Until,
    Wait,
    Window,
)
from libs.domain.scenario.source import Finding, ScenarioError, Source, read
from libs.domain.scenario.triggers import TRIGGERS, TriggerReader

FIELDS = (
    *("kurant", "id", "name", "description", "purpose", "legal_basis", "priority"),
    *("trigger", "key", "again", "restart", "exit", "window", "steps"),
)
WAITS = ("for", "at", "until", "days", "before", "after")
ALL_DAY = ["00:00", "24:00"]
TWO_TIMES = ("between has two times", '`["09:00", "20:00"]`')
VERBS = ("wait", "send", "if", "until", "split", "tag", "untag", "set", "webhook", "exit")
CHANNELS = ("email", "sms", "push", "whatsapp", "viber")
IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")

__all__ = ["TRIGGERS", "Finding", "ScenarioError", "parse", "parse_published", "parse_with_source"]


def parse(text: str, file: str = "scenario.yaml") -> Scenario:
    """The scenario that `text` says; raises `ScenarioError` with every finding."""
    return parse_with_source(text, file)[0]


def parse_with_source(text: str, file: str = "scenario.yaml") -> tuple[Scenario, Source]:
    """The scenario and where its nodes stand, for lint."""
    source = read(text, file)
    reader = _Reader(source)
    scenario = reader.scenario()
    if reader.findings or scenario is None:
        raise ScenarioError(reader.findings)
    return scenario, source


def parse_published(text: str) -> Scenario:
    """A version that was published, also with what is refused of new ones today: read as it was when it was taken.

    What no version knows is refused still: a newer one may have published it.
    """
    reader = _Reader(read(text, "scenario.yaml"))
    scenario = reader.scenario()
    if scenario is None:
        raise ScenarioError(reader.refused or reader.findings)
    return scenario


class _Reader(TriggerReader):
    def scenario(self) -> Scenario | None:
        """The whole file; None when it is beyond reading."""
        value = self.source.value
        if not isinstance(value, dict):
            self.error("", "a scenario is a mapping", "begin with `kurant: 1`")
            return None
        self.known("", value, FIELDS)
        if value.get("kurant") != 1:
            self.error("kurant", "this is not version 1 of the language", "begin with `kurant: 1`")
        for name in ("id", "name", "purpose", "trigger", "steps"):
            if value.get(name) in (None, "", []):
                self.error(name, f"{name} is missing", f"add `{name}:`")
        id = self.text("id", value.get("id"))
        if id and not IDENTIFIER.fullmatch(id):
            self.error("id", f"{id} is not an id", "use lower-case letters, digits and hyphens, up to 64")
        trigger = self.trigger(value.get("trigger"))
        key, window = self.said("", value, "key"), self.said("", value, "window")
        scenario = Scenario(
            id=id,
            name=self.text("name", value.get("name")),
            purpose=self.text("purpose", value.get("purpose")),
            legal_basis=value.get("legal_basis"),
            trigger=trigger or EventTrigger(event=""),
            key=self.path("key", key) if key is not None else None,
            again=self.again(self.said("", value, "again")),
            restart=self.boolean("restart", value.get("restart", False)),
            exits=tuple(self.exits(self.said("", value, "exit") or [])),
            priority=self.integer("priority", value.get("priority", 50)),
            window=self.window(window) if window is not None else None,
            steps=self.steps("steps", value.get("steps") or []),
        )
        return None if self.refused else scenario

    def again(self, value: Any) -> timedelta | Literal["never"] | None:
        if value in (None, "always"):
            return None
        if value == "never":
            return "never"
        if isinstance(value, dict) and set(value) == {"after"}:
            return self.duration("again/after", value["after"])
        self.error("again", "again is `{after: 7d}`, `never` or `always`")
        return None

    def exits(self, value: Any) -> Iterable[Exit]:
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            where = f"exit/{index}"
            if not isinstance(item, dict) or "event" not in item:
                self.error(where, "an exit names an event", "`- event: order.placed`")
                continue
            self.known(where, item, ("event", "where"))
            yield Exit(
                event=self.event_type(f"{where}/event", item["event"]), where=self.optional(where, item, "where")
            )

    def window(self, value: Any) -> Window | None:
        if not isinstance(value, dict):
            self.error("window", "a window is a mapping", '`{between: ["09:00", "20:00"]}`')
            return None
        self.known("window", value, ("between", "days", "holidays"))
        between = value.get("between", ALL_DAY)
        if not between:
            self.once("window/between", *TWO_TIMES)
            between = ALL_DAY
        if not isinstance(between, list) or len(between) != 2:
            self.error("window/between", *TWO_TIMES)
            return None
        opens = self.clock("window/between/0", between[0])
        closes = None if between[1] == "24:00" else self.clock("window/between/1", between[1])
        return Window(
            opens=opens,
            closes=closes,
            days=(self.days("window/days", value["days"]) if "days" in value else ()) or DAYS,
            skip_holidays=value.get("holidays") == "skip",
        )

    def steps(self, path: str, value: Any) -> tuple[Step, ...]:
        if not isinstance(value, list):
            self.error(path, "steps are a list")
            return ()
        found = (self.step(f"{path}/{index}", item) for index, item in enumerate(value))
        return tuple(step for step in found if step is not None)

    def step(self, path: str, value: Any) -> Step | None:
        if value == "exit":
            return Stop(path=path)
        if not isinstance(value, dict):
            self.error(path, "a step is a mapping", f"one of: {', '.join(VERBS)}")
            return None
        verb = "send" if "send" in value else next((name for name in VERBS if name in value), None)
        if verb is None:
            near = self.nearest(next(iter(value), ""), VERBS)
            self.error(path, "this step is not known", near or f"one of: {', '.join(VERBS)}")
            return None
        if verb in ("tag", "untag", "set", "webhook"):
            return self._act(path, cast(Literal["tag", "untag", "set", "webhook"], verb), value)
        if verb == "exit":
            self.once(path, "exit stands by itself", "`- exit`")
            return Stop(path=path)
        return cast(Step | None, getattr(self, f"_{verb}")(path, value))

    def _act(self, path: str, verb: Literal["tag", "untag", "set", "webhook"], value: dict[str, Any]) -> Act | None:
        """`tag` and `untag` come as `add` and `remove` (a bare word or list is the verb's own), `webhook` as a map."""
        self.known(path, value, (verb,))
        told, where = value[verb], f"{path}/{verb}"
        if verb == "set":
            if not isinstance(told, dict) or not told:
                self.error(where, "set names fields of the profile", "`set: {vip_since: 2026}`")
                return None
            return Act(path=path, verb=verb, what=told)
        if verb == "webhook":
            what = told if isinstance(told, dict) else {"url": told}
            if not isinstance(what.get("url"), str):
                self.error(where, "a webhook needs a `url`", "`webhook: {url: https://…}`")
                return None
            return Act(path=path, verb=verb, what=what)
        what = told if isinstance(told, dict) else {"add" if verb == "tag" else "remove": told}
        self.known(where, what, ("add", "remove"))
        tags = {name: self.texts(f"{where}/{name}", what[name]) for name in ("add", "remove") if what.get(name)}
        if not tags:
            self.error(where, f"{verb} names tags", "`tag: {add: [vip]}`")
            return None
        return Act(path=path, verb=verb, what=tags)

    def _wait(self, path: str, value: dict[str, Any]) -> Wait | None:
        self.known(path, value, ("wait",))
        told, where = value["wait"], f"{path}/wait"
        if not isinstance(told, dict):
            return self._wait_for(path, where, told, None)
        if "for" in told:
            self.known(where, told, ("for", "at"), WAITS)
            at = self.clock(f"{where}/at", told["at"]) if "at" in told else None
            return self._wait_for(path, f"{where}/for", told["for"], at)
        if "until" not in told:
            self.known(where, told, WAITS)
            self.error(where, "a wait needs `for` or `until`", "`wait: 3d`")
            return None
        until = told["until"]
        if clock(until) is not None:
            self.known(where, told, ("until", "days"), WAITS)
            chosen = self.days(f"{where}/days", told["days"]) if "days" in told else ()
            return Wait(path=path, until=clock(until), days=chosen)
        self.known(where, told, ("until", "before", "after"), WAITS)
        return Wait(path=path, until_path=self.path(f"{where}/until", until), **self._around(where, told))

    def _wait_for(self, path: str, where: str, told: Any, at: time | None) -> Wait:
        count = months(told)
        if count:
            return Wait(path=path, months=count, at=at)
        if whole := days(told):
            return Wait(path=path, whole_days=whole, at=at)
        return Wait(path=path, for_=self.duration(where, told), at=at)

    def _send(self, path: str, value: dict[str, Any]) -> Send:
        self.known(path, value, ("send", "channels", "late", "if", "coupon", "gateway"))
        channels = self.some(f"{path}/channels", value.get("channels", ["email"]))
        for index, channel in enumerate(channels):
            if channel and channel not in CHANNELS:
                self.error(f"{path}/channels/{index}", f"{channel} is no channel", f"one of: {', '.join(CHANNELS)}")
        return Send(
            path=path,
            message=self.text(f"{path}/send", value["send"]),
            channels=tuple(channels or ["email"]),
            late=self.duration(f"{path}/late", value["late"]) if "late" in value else None,
            condition=self.optional(path, value, "if"),
            coupon=self._coupon(f"{path}/coupon", value["coupon"]) if "coupon" in value else None,
        )

    def _coupon(self, path: str, told: Any) -> dict[str, Any] | None:
        """What a coupon says was once not looked at."""
        before = len(self.findings)
        self._check_coupon(path, told)
        self.outdated.update(self.findings[before:])
        return told if isinstance(told, dict) else None

    def _check_coupon(self, path: str, told: Any) -> None:
        if not isinstance(told, dict) or not isinstance(told.get("pool"), str):
            self.error(path, "a coupon names its pool", "`coupon: {pool: autumn, valid: 72h}`")
        if not isinstance(told, dict):
            return
        self.known(path, told, ("pool", "valid", "only_for"))
        if "valid" in told:
            self.duration(f"{path}/valid", told["valid"])
        if "only_for" in told:
            self.path(f"{path}/only_for", told["only_for"])

    def _if(self, path: str, value: dict[str, Any]) -> If | None:
        self.known(path, value, ("if", "then", "else"))
        condition = self.condition(f"{path}/if", value["if"])
        if condition is None:
            return None
        return If(
            path=path,
            condition=condition,
            then=self.steps(f"{path}/then", value.get("then") or []),
            otherwise=self.steps(f"{path}/else", value.get("else") or []),
        )

    def _until(self, path: str, value: dict[str, Any]) -> Until | None:
        self.known(path, value, ("until", "within", "then", "else"))
        told = value["until"]
        if not isinstance(told, dict) or "event" not in told or "within" not in value:
            self.error(path, "until needs an event and `within`", "`until: {event: message.clicked}` `within: 48h`")
            return None
        self.known(f"{path}/until", told, ("event", "of", "where"))
        return Until(
            path=path,
            event=self.event_type(f"{path}/until/event", told["event"]),
            of=self.text(f"{path}/until/of", self.said(f"{path}/until", told, "of")) or None,
            where=self.optional(f"{path}/until", told, "where"),
            within=self.duration(f"{path}/within", value["within"]),
            then=self.steps(f"{path}/then", value.get("then") or []),
            otherwise=self.steps(f"{path}/else", value.get("else") or []),
        )

    def _split(self, path: str, value: dict[str, Any]) -> Split | None:
        told = value["split"]
        if not isinstance(told, dict) or not isinstance(told.get("arms"), dict):
            self.error(path, "split needs `name` and `arms`", "`split: {name: subject, arms: {a: 50, b: 50}}`")
            return None
        self.known(f"{path}/split", told, ("name", "arms"), told)
        arms = self._arms(f"{path}/split/arms", told["arms"])
        self.known(path, value, ("split", *arms))
        if not told.get("name"):
            self.error(f"{path}/split", "a split has a name, by which lots are drawn", "`split: {name: subject, …}`")
        steps = {arm: self.steps(f"{path}/{arm}", value[arm]) for arm in arms if arm in value}
        return Split(path=path, name=str(told.get("name") or ""), arms=arms, steps=steps)

    def _arms(self, path: str, told: dict[str, Any]) -> dict[str, int]:
        arms: dict[str, int] = {}
        for arm, share in told.items():
            if isinstance(share, bool) or not isinstance(share, int):
                hint = "`arms: {a: 1, holdout: 199}`: they need not come to 100"
                wrong = f"{arm} has no share" if share is None else f"a share is a whole number, and {share} is none"
                self.error(f"{path}/{arm}", wrong, hint)
                return dict.fromkeys(told, 1)
            arms[arm] = share
        if not arms or min(arms.values()) < 0 or not sum(arms.values()):
            self.error(path, "shares are numbers above nothing", "`arms: {a: 50, b: 50}`")
        return arms
