"""Reading conditions and the small values of the language; the base of the parser."""

import difflib
import re
from collections.abc import Container, Iterable
from datetime import time, timedelta
from typing import Any

from libs.domain.scenario.durations import clock, duration, relative
from libs.domain.scenario.model import (
    DAYS,
    OPERATORS,
    All,
    AnyOf,
    Compare,
    Condition,
    Day,
    Happened,
    Not,
    Since,
    Times,
)
from libs.domain.scenario.source import Finding, Source

ROOTS = ("event", "profile", "cart", "order", "product", "rfm", "key")
PATH = re.compile(r"[a-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_-]+)*")
NO_CONDITION = ("a condition is a mapping", "`{event.cart.value: {gte: 50}}`")
MOVING = ("gt", "gte", "lt", "lte")
"""Operators whose value may be `now` or `today`, with a length of time added or taken away."""
MEANT = re.compile(r"(now|today)\s*[+-].*")
AS_TEXT = re.compile(r"(now|today)(\s*[+-]\s*\d.*)?")
HOW_DATES_MOVE = "`{lt: today+30d}`, `{gte: now-2h}`: with gt, gte, lt or lte, `today` in days, weeks, months, years"
SENT = re.compile(r"sent\(([A-Za-z0-9_-]+)\)")


class ConditionReader:
    """Collects findings while it reads.

    Those in `outdated` are of forms that an earlier version of the platform took. What is published today is refused
    for them; what was published then is read as it was read then (I8).
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.findings: list[Finding] = []
        self.outdated: set[Finding] = set()

    def error(self, path: str, message: str, hint: str = "") -> None:
        self.findings.append(self.source.finding(path, message, hint))

    def once(self, path: str, message: str, hint: str = "") -> None:
        """An error of a form that was taken once."""
        self.error(path, message, hint)
        self.outdated.add(self.findings[-1])

    @property
    def refused(self) -> list[Finding]:
        """The findings for which a text is none of any version."""
        return [one for one in self.findings if one not in self.outdated]

    def nearest(self, word: str, words: Iterable[str]) -> str:
        """`did you mean …?`, or nothing."""
        close = difflib.get_close_matches(word, list(words), 1)
        return f"did you mean `{close[0]}`?" if close else ""

    def known(self, path: str, value: dict[str, Any], names: Iterable[str], once: Container[str] = ()) -> None:
        """`once` were passed over, once, as if they were not there."""
        names = tuple(names)
        for name in value:
            if name not in names:
                hint = self.nearest(name, names) or f"one of: {', '.join(names)}"
                tell = self.once if name in once else self.error
                tell(f"{path}/{name}".lstrip("/"), f"{name} is not known here", hint)

    def text(self, path: str, value: Any) -> str:
        if isinstance(value, str):
            return value.strip()
        if value is not None:
            self.error(path, "this must be text")
        return ""

    def texts(self, path: str, value: Any) -> list[str]:
        items = value if isinstance(value, list) else [value]
        return [self.text(f"{path}/{index}", item) for index, item in enumerate(items)]

    def some(self, path: str, value: Any) -> list[str]:
        """One text, or a list of at least one; none of them empty. What names nothing was once left out."""
        items = value if isinstance(value, list) else [value]
        found = self.texts(path, value)
        for index, item in enumerate(items):
            if item is None or item == "":
                self.once(f"{path}/{index}", "nothing is named here", "leave it out, or name something")
        if not items:
            self.once(path, "nothing is named here", "leave it out, or name something")
        return [text for text in found if text]

    def integer(self, path: str, value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        self.error(path, "this must be a whole number")
        return 0

    def boolean(self, path: str, value: Any) -> bool:
        if isinstance(value, bool):
            return value
        self.error(path, "this must be `true` or `false`")
        return False

    def duration(self, path: str, value: Any) -> timedelta:
        found = duration(value)
        if found is None:
            self.error(path, f"{value!r} is no duration", "for example 30m, 1h, 3d, 2w, 6mo, 1y")
        return found or timedelta()

    def clock(self, path: str, value: Any) -> time:
        found = clock(value)
        if found is None:
            self.error(path, f"{value!r} is no time of day", 'for example "09:00", in quotes')
        return found or time()

    def days(self, path: str, value: Any) -> tuple[Day, ...]:
        named = self.some(path, value)
        for index, day in enumerate(named):
            if day and day not in DAYS:
                self.error(f"{path}/{index}", f"{day} is no day", f"one of: {', '.join(DAYS)}")
        return tuple(day for day in named if day in DAYS)

    def path(self, where: str, value: Any) -> str:
        """A dotted path under one of the roots."""
        text = self.text(where, value)
        root = text.partition(".")[0]
        if value is None or value == "":
            self.once(where, "this must be a path", "for example `event.cart.id`")
        elif text and (not PATH.fullmatch(text) or root not in ROOTS):
            hint = self.nearest(root, ROOTS) or f"a path begins with one of: {', '.join(ROOTS)}"
            self.error(where, f"{text} is no path", hint)
        return text

    def event_type(self, path: str, value: Any) -> str:
        """The type of an event; whether there is such a type, lint says."""
        text = self.text(path, value)
        if not text and (value is None or isinstance(value, str)):
            self.once(path, "this must name an event", "for example `order.placed`")
        return text

    def said(self, path: str, value: dict[str, Any], name: str) -> Any:
        """What stands under `name`, None where it is not there. A name with nothing under it was once passed over."""
        if name in value and value[name] is None:
            self.once(f"{path}/{name}".lstrip("/"), f"{name} says nothing", "leave it out, or say something")
        return value.get(name)

    def optional(self, path: str, value: dict[str, Any], name: str) -> Condition | None:
        """The condition under `name`, None where there is none. One that is there and says nothing is an error."""
        if value.get(name):
            return self.condition(f"{path}/{name}", value[name])
        if name in value:
            self.once(f"{path}/{name}", *NO_CONDITION)
        return None

    def condition(self, path: str, value: Any) -> Condition | None:
        if not isinstance(value, dict) or not value:
            self.error(path, *NO_CONDITION)
            return None
        parts: list[Condition] = []
        for name, told in value.items():
            part = self._part(f"{path}/{name}", name, told)
            if part is not None:
                parts.append(part)
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else All(of=tuple(parts))

    def _part(self, path: str, name: str, told: Any) -> Condition | None:
        if name in ("all", "any"):
            items = told if isinstance(told, list) else [told]
            found = [self.condition(f"{path}/{index}", item) for index, item in enumerate(items)]
            kept = tuple(one for one in found if one is not None)
            if not items:
                self.once(path, f"{name} of nothing", "leave it out, or list conditions")
            return All(of=kept) if name == "all" else AnyOf(of=kept)
        if name == "not":
            inner = self.condition(path, told)
            return Not(of=inner) if inner is not None else None
        if name == "happened":
            return self._happened(path, told)
        self.path(path, name)
        if not isinstance(told, dict):
            self._unmoved(path, told)
            return _compare(name, "eq", told)
        self.known(path, told, OPERATORS)
        self._moving(path, told)
        compared = [_compare(name, op, wanted) for op, wanted in told.items() if op in OPERATORS]
        for op in ("in", "nin"):
            if op in told and not isinstance(told[op], list):
                self.error(f"{path}/{op}", f"{op} takes a list", f"`{{{op}: [a, b]}}`")
                return None
        if not told:
            self.once(path, f"{name} is compared with nothing", f"`{{{name}: {{gte: 50}}}}`")
        if not compared:
            return None
        return compared[0] if len(compared) == 1 else All(of=tuple(compared))

    def _moving(self, path: str, told: dict[str, Any]) -> None:
        """`now+…` and `today+…` whose length of time cannot be read, or that stand where they mean nothing."""
        for op, wanted in told.items():
            if isinstance(wanted, str) and MEANT.fullmatch(wanted.strip()) and not (op in MOVING and relative(wanted)):
                self.error(f"{path}/{op}", f"{wanted} cannot be compared with", HOW_DATES_MOVE)
            elif op in ("eq", "ne", "in", "nin"):
                self._unmoved(f"{path}/{op}", wanted)

    def _unmoved(self, path: str, wanted: Any) -> None:
        """`today` where it is text like any other, which no date is equal to. It was taken once."""
        for one in wanted if isinstance(wanted, list) else [wanted]:
            if isinstance(one, str) and AS_TEXT.fullmatch(one.strip()):
                self.once(path, f"{one} cannot be compared with", HOW_DATES_MOVE)

    def _happened(self, path: str, told: Any) -> Condition | None:
        if not isinstance(told, dict) or "event" not in told:
            self.error(path, "happened names an event", "`{happened: {event: order.placed, within: 30d}}`")
            return None
        self.known(path, told, ("event", "where", "within", "since", "times"))
        return Happened(
            event=self.event_type(f"{path}/event", told["event"]),
            where=self.optional(path, told, "where"),
            since=self._since(path, told),
            times=self._times(f"{path}/times", self.said(path, told, "times")),
        )

    def _since(self, path: str, told: dict[str, Any]) -> Since:
        if "within" in told:
            return Since(within=self.duration(f"{path}/within", told["within"]))
        since = self.said(path, told, "since")
        if since is None:
            return Since()
        if since == "enrolled":
            return Since(enrolled=True)
        if isinstance(since, str) and (found := SENT.fullmatch(since)):
            return Since(sent=found[1])
        self.error(f"{path}/since", "since is `enrolled` or `sent(<message>)`")
        return Since()

    def _times(self, path: str, value: Any) -> Times:
        if value is None:
            return Times()
        if isinstance(value, int) and not isinstance(value, bool):
            return Times(op="eq", value=value)
        if isinstance(value, dict) and len(value) == 1:
            op, count = next(iter(value.items()))
            if op in ("gt", "gte", "lt", "lte", "eq", "ne"):
                return Times(op=op, value=self.integer(f"{path}/{op}", count))
        self.error(path, "times is a number or `{gte: 1}`")
        return Times()


def _compare(path: str, op: str, wanted: Any) -> Compare:
    if op in MOVING and (told := relative(wanted)):
        return Compare(path=path, op=op, value=told)
    return Compare(path=path, op=op, value=None if wanted == "key" else wanted, own_key=wanted == "key")
