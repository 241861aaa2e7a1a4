"""`kurant.contacts.v1`: addresses and consents that a shop told us. The only topic that carries addresses (I1)."""

from datetime import datetime
from typing import ClassVar, Literal

from libs.contracts.envelope import Message

Channel = Literal["email", "sms", "push", "whatsapp", "viber"]
Status = Literal["granted", "requested", "refused", "withdrawn"]


class Contact(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A contact point: `address` is an e-mail address (RFC 5321), an E.164 number or a push token."""

    channel: Channel
    address: str


class ConsentTold(Message, frozen=True, kw_only=True, omit_defaults=True):
    """One consent as the shop recorded it, with its evidence (GDPR Art. 7(1))."""

    channel: Channel
    purpose: str
    status: Status
    clause: str | None = None
    text: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    how: str | None = None
    page: str | None = None


class ContactsTold(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What one event said about how a profile may be reached. The envelope's time is the event's."""

    TYPE: ClassVar[str] = "kurant.contacts.told"

    profile: str
    received_at: datetime
    contacts: list[Contact] = []
    consents: list[ConsentTold] = []


class ProfileMerged(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Two profiles turned out to be one customer: everything of `profile` now belongs to `into`."""

    TYPE: ClassVar[str] = "kurant.profile.merged"

    profile: str
    into: str
