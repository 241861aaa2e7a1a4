"""Words about permissions as they come, made fit to be stored. Pure."""

from datetime import UTC, datetime

from libs.domain.consent.state import RANK, Status


def known_status(text: str | None) -> Status:
    """The status that a text names; raises `ValueError` when it names none."""
    for status in RANK:
        if status == text:
            return status
    raise ValueError("not a status")


def clean(text: str | None) -> str | None:
    """Without null characters, which PostgreSQL does not store: a withdrawal must not fail on one."""
    return text.replace("\x00", "") if text else text


def bounded(said: datetime, received: datetime) -> datetime:
    """When it happened, never later than it was received: a grant from a clock that is ahead must not outlive a
    withdrawal that comes after it."""
    moment = received.replace(tzinfo=UTC) if received.tzinfo is None else received.astimezone(UTC)
    return min(said, moment)
