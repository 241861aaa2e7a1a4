"""`kurant.events.v1`: what happened to a customer, in canonical form, without addresses (I1).

The CloudEvents `type` is the event's own (`cart.updated`, `custom.*`, `message.opened`, ...), `id` and `source`
are those of the sender, `time` is when it happened.
"""

from datetime import datetime

from libs.contracts.envelope import Json, Message

MERGED = "profile.merged"
ABSORBED = "profile.absorbed"
RFM_CHANGED = "rfm.changed"


class EventOccurred(Message, frozen=True, kw_only=True, omit_defaults=True):
    """One event of one profile.

    `data` is the type's own fields, identifiers and addresses taken out. `contacts_at` maps partitions of
    `kurant.contacts.v1` to the offset of the last thing this event's sender told us about the customer's
    addresses and consents: a permission asked because of this event must be judged no earlier than that.
    """

    profile: str
    received_at: datetime
    data: Json = {}
    contacts_at: dict[str, int] = {}
