"""`kurant.messages.v1` and `kurant.deliveries.v1`: please send this, or do not any more, and what became of it (I6)."""

from datetime import datetime
from typing import ClassVar, Literal

from libs.contracts.envelope import Json, Message

WEBHOOK = "webhook"
"""The channel of a message that is none to a customer, but a call of a web address."""


class MessageRequested(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Send message `name` of a scenario's version to a profile by the first permitted of `channels`.

    `due_at` is when the scenario wanted it, `expires_at` when it is too late to send (None: never).
    `context` holds the template's variables (`profile event cart order rfm product key`), no addresses.
    A call of a web address has the one channel `webhook` and its request in `context["webhook"]`.
    `arms` are the lots that the enrolment has drawn, by the name of the split.
    Of the messages to one customer that are due, that of the highest `priority` goes first.
    `cause_at` is when the event that led here reached us, if it was one (for `kurant_event_to_message_seconds`).
    """

    TYPE: ClassVar[str] = "kurant.message.requested"

    message: str
    profile: str
    scenario: str
    version: int
    enrolment: str
    path: str
    name: str
    channels: list[str]
    purpose: str
    requested_at: datetime
    due_at: datetime
    expires_at: datetime | None = None
    cause_at: datetime | None = None
    language: str | None = None
    timezone: str | None = None
    context: Json = {}
    contacts_at: dict[str, int] = {}
    arms: dict[str, str] = {}
    priority: int = 50

    @property
    def is_call(self) -> bool:
        """Whether it is a call of a web address. What may go to a customer too is a message."""
        return self.channels == [WEBHOOK]


class MessageCancelled(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Do not send `message` any more, if it has not gone out yet: it ends `suppressed`, `because` is the reason.

    The customer has left the run that asked for it (`exit`), or the run has begun anew (`restart`).
    """

    TYPE: ClassVar[str] = "kurant.message.cancelled"

    message: str
    profile: str
    because: Literal["exit", "restart"]


class Delivered(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A message reached its end, or was put off (`status` deferred, `until` says to when)."""

    TYPE: ClassVar[str] = "kurant.message.delivery"

    message: str
    profile: str
    scenario: str
    version: int
    enrolment: str
    path: str
    name: str
    status: Literal["sent", "suppressed", "failed", "expired", "unknown", "deferred", "delivered", "bounced"]
    at: datetime
    channel: str | None = None
    gateway: str | None = None
    reason: str | None = None
    until: datetime | None = None
