"""Reading the lines of `then`, and the moments of a test; the base of the reader."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from libs.domain.engine.registry import DEFAULT_ZONE
from libs.domain.rehearsal.model import Expected, Json, Kind
from libs.domain.scenario.conditions import ConditionReader
from libs.domain.scenario.parse import CHANNELS
from libs.domain.scenario.source import Source
from libs.domain.scenario.times import at_local

ENDS = ("exit", "completed", "holdout", "archived", "merged")
"""How an enrolment ends: by an exit event or step, after its last step, in the arm that gets nothing, with its
scenario, or as another profile's."""
MESSAGE = ("at", "because", "scenario", "channel")
FORMS: dict[str, tuple[str, ...]] = {
    "sent": ("at", "channel", "language", "subject", "text", "scenario"),
    "suppressed": MESSAGE,
    "expired": MESSAGE,
    "failed": MESSAGE,
    "skipped": MESSAGE,
    "deferred": (*MESSAGE, "until"),
    "webhook": ("at", "scenario"),
    "entered": ("at", "key"),
    "ended": ("at", "because", "scenario", "key"),
    "waiting_until": ("scenario", "key"),
    "not_entered": ("because",),
    "holds": (),
    "nothing_until": (),
    "nothing_more": (),
}
"""Every form of a line of `then`, with the fields that it may have."""
NEEDS_TIME = ("sent", "deferred")
NAMELESS = ("nothing_more", "nothing_until", "waiting_until", "holds")
MOMENT = "such as 2026-03-02T10:00, in the customer's zone unless it has an offset"


class ExpectReader(ConditionReader):
    """Collects findings while it reads; `zone` is what local times are in."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.zone = DEFAULT_ZONE

    def expect(self, path: str, value: Any) -> Expected | None:
        """One line of `then`."""
        told = {"nothing_more": True} if value == "nothing_more" else value
        kind = self.verb(path, told, FORMS)
        if kind is None:
            return None
        self.known(path, told, (kind, *FORMS[kind]))
        if kind == "nothing_more" and told[kind] is not True:
            self.error(f"{path}/{kind}", "nothing_more can only be `true`")
        named = {} if kind in NAMELESS else self.named(path, kind, told)
        at = told.get("nothing_until", told.get("waiting_until", told.get("at")))
        where = f"{path}/{kind}" if kind in ("nothing_until", "waiting_until") else f"{path}/at"
        moment = self.moment(where, at) if at is not None else None
        if at is None and kind in (*NEEDS_TIME, "nothing_until", "waiting_until"):
            self.error(path, f"a line with `{kind}` says when", f"`at: …`, {MOMENT}")
        channel = self.text(f"{path}/channel", told.get("channel"))
        if channel and channel not in CHANNELS:
            self.error(f"{path}/channel", f"{channel} is no channel", f"one of: {', '.join(CHANNELS)}")
        texts = ("scenario", "key", "language", "subject", "text", "because")
        return Expected(
            path=path,
            kind=cast(Kind, kind),
            at=None if kind == "waiting_until" else moment,
            until=moment if kind == "waiting_until" else self.until(path, told),
            channel=channel,
            condition=self.condition(f"{path}/holds", told["holds"]) if kind == "holds" else None,
            **{name: self.loose(f"{path}/{name}", told.get(name)) for name in texts if name in told} | named,
        )

    def until(self, path: str, told: Json) -> datetime | None:
        """To when a message is expected to be put off."""
        return self.moment(f"{path}/until", told["until"]) if "until" in told else None

    def named(self, path: str, kind: str, told: Json) -> dict[str, str]:
        """What the line is about: a message, a scenario (`true`: any), or how an enrolment ended."""
        where = f"{path}/{kind}"
        if kind in ("entered", "not_entered"):
            return {} if told[kind] is True else {"scenario": self.text(where, told[kind])}
        name = self.text(where, told[kind])
        if kind == "ended":
            if name not in ENDS:
                self.error(where, f"{name or told[kind]} is no way to end", f"one of: {', '.join(ENDS)}")
        elif not name:
            self.error(where, f"`{kind}` names a message", f"`{kind}: first`")
        return {"name": name}

    def in_order(self, expected: Iterable[Expected]) -> None:
        """`nothing_until` must not be followed by something within the silence."""
        silent: datetime | None = None
        for one in expected:
            if one.kind == "nothing_until" and one.at is not None:
                silent = max(silent, one.at) if silent else one.at
            elif one.kind == "sent" and silent and one.at and one.at < silent:
                self.error(one.path, "a line before this one says that nothing is sent then", "order them by time")

    def verb(self, path: str, value: Any, verbs: Iterable[str]) -> str | None:
        """The word that says what a line is about."""
        names = tuple(verbs)
        if not isinstance(value, dict):
            self.error(path, "a line is a mapping", f"with one of: {', '.join(names)}")
            return None
        found = [name for name in names if name in value]
        if len(found) == 1:
            return found[0]
        if found:
            self.error(f"{path}/{found[1]}", f"one line cannot be both {found[0]} and {found[1]}", "make it two lines")
            return None
        wrong = next((name for name in value if name != "at"), "")
        self.error(path, "this line is not known", self.nearest(wrong, names) or f"one of: {', '.join(names)}")
        return None

    def needed_moment(self, path: str, value: Json) -> datetime | None:
        """`at`, which must be there."""
        if "at" not in value:
            self.error(path, "this line does not say when", f"`at: …`, {MOMENT}")
            return None
        return self.moment(f"{path}/at", value["at"])

    def moment(self, path: str, value: Any) -> datetime | None:
        """An instant (UTC). A local time that does not exist is the next that does; one that is twice, the first."""
        text = value.strip() if isinstance(value, str) else ""
        try:
            told = datetime.fromisoformat(text) if text[4:5] == "-" else None
            if told is not None:
                return told.astimezone(UTC) if told.tzinfo else at_local(told.date(), told.time(), self.zone)
        except (ValueError, OverflowError):
            pass
        self.error(path, f"{value} is no moment", MOMENT)
        return None

    def is_zone(self, name: str) -> bool:
        """Whether it is an IANA zone."""
        try:
            ZoneInfo(name)
        except (ValueError, OSError, KeyError):
            return False
        return True

    def mapping(self, path: str, value: Any) -> Json:
        """A mapping; nothing is an empty one."""
        if value is None or isinstance(value, dict):
            return value or {}
        self.error(path, "this must be a mapping")
        return {}

    def items(self, path: str, value: Any) -> tuple[list[str], list[Any]]:
        """The lines of a list, and their paths."""
        if value is not None and not isinstance(value, list):
            self.error(path, f"{path} is a list", "each line begins with `- `")
            return [], []
        told = value or []
        return [f"{path}/{index}" for index in range(len(told))], told

    def loose(self, path: str, value: Any) -> str:
        """Text, also where YAML sees a number."""
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else self.text(path, value)
