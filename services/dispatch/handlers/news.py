"""What dispatch tells the others: what became of messages, and what customers did with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common.bus.records import Outgoing, outgoing
from libs.contracts import topics
from libs.contracts.events import EventOccurred
from libs.contracts.messages import Delivered
from libs.domain import ids
from services.dispatch.handlers import SOURCE, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """A message whose end (or whose being put off) is still to be published."""

    message: str
    shop: str
    profile: str
    scenario: str
    version: int
    enrolment: str
    path: str
    name: str
    state: State
    reason: str | None
    channel: str | None
    gateway: str | None
    ended_at: datetime | None
    not_before: datetime
    traceparent: str | None


def deliveries(rows: Sequence[Untold], now: datetime) -> list[Outgoing]:
    """The news of `rows`. The same news makes the same id, however often it is told (I3)."""
    return [_delivery(row, now) for row in rows]


def _delivery(row: Untold, now: datetime) -> Outgoing:
    put_off = row.state in ("pending", "claimed", "sending")
    status: Any = "deferred" if put_off else row.state
    at = row.ended_at or now
    told = Delivered(
        message=row.message,
        profile=row.profile,
        scenario=row.scenario,
        version=row.version,
        enrolment=row.enrolment,
        path=row.path,
        name=row.name,
        status=status,
        at=at,
        channel=row.channel,
        gateway=row.gateway,
        reason=row.reason,
        until=row.not_before if put_off else None,
    )
    id = (
        f"deferred-{row.reason}-{row.not_before.isoformat()}-{row.message}" if put_off else f"{row.state}-{row.message}"
    )
    return outgoing(
        topics.DELIVERIES,
        told,
        key=row.profile,
        id=id,
        source=SOURCE,
        shop=row.shop,
        time=at,
        traceparent=row.traceparent,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """A click or an opening, of a message that was sent."""

    id: str
    message: str
    shop: str
    profile: str
    scenario: str
    name: str
    kind: str
    url: str | None
    at: datetime
    traceparent: str | None


def touch_id(message: str, kind: str, url: str | None, at: datetime) -> str:
    """The same within one minute: a second look in the same minute is the same look."""
    return ids.derive("touch", message, kind, url or "", int(at.timestamp()) // 60)


def touched(rows: Sequence[Touch]) -> list[Outgoing]:
    """`message.clicked` and `message.opened` as events of the profile."""
    return [
        outgoing(
            topics.EVENTS,
            EventOccurred(profile=row.profile, received_at=row.at, data=_touch_data(row)),
            key=row.profile,
            id=row.id,
            source=SOURCE,
            shop=row.shop,
            time=row.at,
            type=f"message.{row.kind}",
            traceparent=row.traceparent,
        )
        for row in rows
    ]


def _touch_data(row: Touch) -> dict[str, Any]:
    data = {"message": row.message, "scenario": row.scenario, "name": row.name}
    return data | {"url": row.url} if row.url is not None else data
