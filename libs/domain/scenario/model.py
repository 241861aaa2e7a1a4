"""What a scenario says, as types. Every step has a path (`steps/2/then/0`) that is stable within a version."""

from datetime import time, timedelta
from typing import Any, Literal

import msgspec

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
OPERATORS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "contains", "starts_with", "exists")


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """Base: immutable, by keyword."""


class Compare(Node, frozen=True, kw_only=True):
    """`{path: {op: value}}`. `own_key` says that the value is the enrolment's key (the bare word `key`)."""

    path: str
    op: str
    value: Any = None
    own_key: bool = False


class Relative(Node, frozen=True, kw_only=True):
    """`now`, `today`, `today+30d`: a value that moves with the time at which it is judged.

    `now` is an instant, `today` a day of the customer's zone; `months` count by the calendar. `text` is as written.
    """

    text: str
    word: Literal["now", "today"]
    shift: timedelta = timedelta()
    months: int = 0

    def __str__(self) -> str:
        """As it was written."""
        return self.text


class All(Node, frozen=True, kw_only=True):
    """Every one of `of` holds."""

    of: tuple["Condition", ...]


class AnyOf(Node, frozen=True, kw_only=True):
    """At least one of `of` holds."""

    of: tuple["Condition", ...]


class Not(Node, frozen=True, kw_only=True):
    """`of` does not hold."""

    of: "Condition"


class Since(Node, frozen=True, kw_only=True):
    """`within: 30d`, `since: enrolled`, `since: sent(first)`."""

    within: timedelta | None = None
    enrolled: bool = False
    sent: str | None = None


class Times(Node, frozen=True, kw_only=True):
    """How often: `{gte: 1}`."""

    op: str = "gte"
    value: int = 1


class Happened(Node, frozen=True, kw_only=True):
    """An event of this type happened so often, in the span that `since` says."""

    event: str
    where: "Condition | None" = None
    since: Since = Since()
    times: Times = Times()


Condition = Compare | All | AnyOf | Not | Happened


class EventTrigger(Node, frozen=True, kw_only=True):
    """`event` (with `where`); the `nth` of the profile; only orders of these `statuses`."""

    event: str
    where: Condition | None = None
    nth: int | None = None
    statuses: tuple[str, ...] = ()


class DateTrigger(Node, frozen=True, kw_only=True):
    """`date: profile.birthday` with `before` or `after`, `at`, `every`, `late`.

    `months` counts by the calendar, below zero for `before`; `by_clock`: the length was told in hours or less, and a
    day of it is 24 of them.
    """

    date: str
    before: timedelta | None = None
    after: timedelta | None = None
    months: int = 0
    by_clock: bool = False
    at: time | None = None
    every: Literal["year"] | None = None
    late: timedelta | None = None


class InactiveTrigger(Node, frozen=True, kw_only=True):
    """None of `events` for as long as `lasting`."""

    events: tuple[str, ...]
    lasting: timedelta


class RfmTrigger(Node, frozen=True, kw_only=True):
    """The RFM segment changed, out of one of `left` (empty: any) into one of `to` (empty: any)."""

    left: tuple[str, ...] = ()
    to: tuple[str, ...] = ()


class SegmentTrigger(Node, frozen=True, kw_only=True):
    """The profile enters or leaves a segment."""

    enters: str | None = None
    leaves: str | None = None


class TagTrigger(Node, frozen=True, kw_only=True):
    """A tag was added or removed."""

    added: str | None = None
    removed: str | None = None


class StockTrigger(Node, frozen=True, kw_only=True):
    """A product that the profile asked for is in stock again."""

    stock: Literal["back"] = "back"


class PriceTrigger(Node, frozen=True, kw_only=True):
    """`drops` in percent."""

    drops: str


Trigger = (
    EventTrigger
    | DateTrigger
    | InactiveTrigger
    | RfmTrigger
    | SegmentTrigger
    | TagTrigger
    | StockTrigger
    | PriceTrigger
)


class Exit(Node, frozen=True, kw_only=True):
    """What ends an enrolment at once."""

    event: str
    where: Condition | None = None


class Window(Node, frozen=True, kw_only=True):
    """When messages may go out, in the customer's zone: from `opens` until before `closes` on `days`."""

    opens: time = time(0, 0)
    closes: time | None = None
    days: tuple[Day, ...] = DAYS
    skip_holidays: bool = False


class Wait(Node, frozen=True, kw_only=True):
    """`for_` (a duration, then at the next `at`), or `until` a local time (on `days`) or a date at a path.

    `months` and `whole_days` count by the calendar: instead of `for_`, or (months) around the date at the path, where
    `by_clock` is that of `DateTrigger`.
    """

    path: str
    for_: timedelta | None = None
    whole_days: int = 0
    months: int = 0
    at: time | None = None
    until: time | None = None
    days: tuple[Day, ...] = ()
    until_path: str | None = None
    before: timedelta | None = None
    after: timedelta | None = None
    by_clock: bool = False


class Send(Node, frozen=True, kw_only=True):
    """`late` None: the platform's default."""

    path: str
    message: str
    channels: tuple[str, ...] = ("email",)
    late: timedelta | None = None
    condition: Condition | None = None
    coupon: dict[str, Any] | None = None


class If(Node, frozen=True, kw_only=True):
    """One side or the other, by a condition."""

    path: str
    condition: Condition
    then: tuple["Step", ...] = ()
    otherwise: tuple["Step", ...] = ()


class Until(Node, frozen=True, kw_only=True):
    """Wait for an event, at most `within`: then `then`, else `otherwise`."""

    path: str
    event: str
    of: str | None = None
    where: Condition | None = None
    within: timedelta
    then: tuple["Step", ...] = ()
    otherwise: tuple["Step", ...] = ()


class Split(Node, frozen=True, kw_only=True):
    """By lot: `arms` are shares (of their sum), each with its steps. The arm `holdout` gets nothing."""

    path: str
    name: str
    arms: dict[str, int]
    steps: dict[str, tuple["Step", ...]] = {}


class Act(Node, frozen=True, kw_only=True):
    """`tag`, `untag`, `set`, `webhook`: something done that is no message."""

    path: str
    verb: Literal["tag", "untag", "set", "webhook"]
    what: dict[str, Any]


class Stop(Node, frozen=True, kw_only=True):
    """`exit`."""

    path: str


Step = Wait | Send | If | Until | Split | Act | Stop


class Scenario(Node, frozen=True, kw_only=True):
    """One version of a scenario. `again` None: always; `key` None: the profile."""

    id: str
    name: str
    purpose: str
    trigger: Trigger
    key: str | None = None
    again: timedelta | Literal["never"] | None = None
    restart: bool = False
    exits: tuple[Exit, ...] = ()
    priority: int = 50
    window: Window | None = None
    steps: tuple[Step, ...] = ()
    legal_basis: str | None = None


class Segment(Node, frozen=True, kw_only=True):
    """A named condition on a profile; who meets it is in the segment."""

    id: str
    name: str
    condition: Condition
