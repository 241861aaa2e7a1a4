"""`kurant.scenarios.v1`: published versions (immutable, I8) of scenarios, segments and RFM rules, and which is live."""

from datetime import datetime
from typing import ClassVar, Literal

from libs.contracts.envelope import Message

State = Literal["live", "paused", "archived"]
SegmentStanding = Literal["live", "archived"]


class ScenarioPublished(Message, frozen=True, kw_only=True, omit_defaults=True):
    """One version with its files as the author wrote them (name -> text). Key `shop/id@version`."""

    TYPE: ClassVar[str] = "kurant.scenario.published"

    scenario: str
    version: int
    published_at: datetime
    files: dict[str, str]


class ScenarioState(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Which version takes new enrolments, and whether it does. Key `shop/id`.

    Versions up to `over` have been archived: what ran by them has ended, and stays so when a later one is live.
    """

    TYPE: ClassVar[str] = "kurant.scenario.state"

    scenario: str
    version: int
    state: State
    changed_at: datetime
    over: int = 0


class SegmentPublished(Message, frozen=True, kw_only=True, omit_defaults=True):
    """One version of a segment, its file as the author wrote it (`segment.yaml`). Key `shop/segments/id@version`."""

    TYPE: ClassVar[str] = "kurant.segment.published"

    segment: str
    version: int
    published_at: datetime
    files: dict[str, str]


class SegmentState(Message, frozen=True, kw_only=True, omit_defaults=True):
    """By which version profiles are judged, and whether they are. Key `shop/segments/id`."""

    TYPE: ClassVar[str] = "kurant.segment.state"

    segment: str
    version: int
    state: SegmentStanding
    changed_at: datetime


class RfmPublished(Message, frozen=True, kw_only=True, omit_defaults=True):
    """One version of a shop's RFM rules as its author wrote them (docs/rfm.md). Key `shop/rfm.yaml`."""

    TYPE: ClassVar[str] = "kurant.rfm.published"

    version: int
    published_at: datetime
    text: str
