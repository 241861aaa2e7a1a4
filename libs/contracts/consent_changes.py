"""`kurant.consent-changes.v1`: the permission as it now stands, for conditions and for anyone who listens."""

from typing import ClassVar, Literal

from libs.contracts.envelope import Message

Status = Literal["granted", "requested", "refused", "withdrawn"]


class ConsentChanged(Message, frozen=True, kw_only=True, omit_defaults=True):
    """One permission changed; `consents` (channel -> purpose -> status) is the whole picture after it.

    The topic is compacted by profile, so the last record of a profile tells all.
    """

    TYPE: ClassVar[str] = "kurant.consent.changed"

    profile: str
    channel: str
    purpose: str
    status: Status
    because: str
    consents: dict[str, dict[str, Status]] = {}
