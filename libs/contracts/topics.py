"""Table of contents of Kurant: every topic, what it says, who writes and who reads it.

Kafka carries, Postgres remembers, pure functions decide. All topics keyed by the profile id have the same
number of partitions, so that one customer's records meet in one place, in order.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from libs.contracts.catalog import ProductTold
from libs.contracts.consent_changes import ConsentChanged
from libs.contracts.contacts import ContactsTold, ProfileMerged
from libs.contracts.envelope import Message
from libs.contracts.events import EventOccurred
from libs.contracts.messages import Delivered, MessageCancelled, MessageRequested
from libs.contracts.scenarios import RfmPublished, ScenarioPublished, ScenarioState, SegmentPublished, SegmentState
from libs.contracts.steps import CancelStep, ScheduleStep, StepDue

Service = Literal["ingest", "rules", "scheduler", "dispatch", "consent", "console", "outside"]
PARTITIONS = 4


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One topic.

    `partitions` None: the platform's common number (KURANT_PARTITIONS, else `PARTITIONS`); a number: fixed.
    `retention` None: for ever (compacted topics keep the last record of each key).
    """

    name: str
    key: str
    says: str
    messages: tuple[type[Message], ...]
    producers: frozenset[Service]
    consumers: frozenset[Service]
    retention: timedelta | None = timedelta(days=7)
    compacted: bool = False
    partitions: int | None = None

    @property
    def quarantine(self) -> str:
        """Where records of this topic go that could not be used, with their cause and position."""
        return f"{self.name}.quarantine"


def _services(*names: Service) -> frozenset[Service]:
    return frozenset(names)


EVENTS = Topic(
    name="kurant.events.v1",
    key="profile id",
    says="what happened to a customer, in canonical form, no addresses",
    messages=(EventOccurred,),
    producers=_services("ingest", "dispatch", "rules"),
    consumers=_services("rules"),
)
INBOX = Topic(
    name="kurant.inbox.v1",
    key="free",
    says="events written by a platform itself: CloudEvents JSON, structured mode",
    messages=(),
    producers=_services("outside"),
    consumers=_services("ingest"),
)
CONTACTS = Topic(
    name="kurant.contacts.v1",
    key="profile id",
    says="addresses and consents that a shop told us",
    messages=(ContactsTold, ProfileMerged),
    producers=_services("ingest"),
    consumers=_services("consent"),
    retention=timedelta(days=2),
)
CATALOG = Topic(
    name="kurant.catalog.v1",
    key="shop/product id",
    says="products as a shop offers them: price, stock",
    messages=(ProductTold,),
    producers=_services("ingest"),
    consumers=_services("rules"),
    retention=None,
    compacted=True,
)
SCENARIOS = Topic(
    name="kurant.scenarios.v1",
    key="shop/scenario@version, shop/scenario; shop/segments/segment@version, shop/segments/segment; shop/rfm.yaml",
    says="published versions of scenarios and segments, and which is live; the rules of RFM",
    messages=(ScenarioPublished, ScenarioState, SegmentPublished, SegmentState, RfmPublished),
    producers=_services("console"),
    consumers=_services("rules", "dispatch"),
    retention=None,
    compacted=True,
    partitions=1,
)
STEPS = Topic(
    name="kurant.steps.v1",
    key="profile id",
    says="schedule or cancel a delayed step",
    messages=(ScheduleStep, CancelStep),
    producers=_services("rules"),
    consumers=_services("scheduler"),
)
DUE = Topic(
    name="kurant.due.v1",
    key="profile id",
    says="this step is due now; look, scenarios have changed",
    messages=(StepDue,),
    producers=_services("scheduler", "rules"),
    consumers=_services("rules"),
)
MESSAGES = Topic(
    name="kurant.messages.v1",
    key="profile id",
    says="please send this; do not send it any more",
    messages=(MessageRequested, MessageCancelled),
    producers=_services("rules"),
    consumers=_services("dispatch"),
)
DELIVERIES = Topic(
    name="kurant.deliveries.v1",
    key="profile id",
    says="sent, deferred, suppressed, failed, expired, unknown, each with its reason",
    messages=(Delivered,),
    producers=_services("dispatch", "rules"),
    consumers=_services("rules", "consent"),
)
CONSENT_CHANGES = Topic(
    name="kurant.consent-changes.v1",
    key="profile id",
    says="permission changed: the whole picture of a profile",
    messages=(ConsentChanged,),
    producers=_services("consent"),
    consumers=_services("rules"),
    retention=None,
    compacted=True,
)

ALL = (EVENTS, INBOX, CONTACTS, CATALOG, SCENARIOS, STEPS, DUE, MESSAGES, DELIVERIES, CONSENT_CHANGES)
"""Every topic, in the order of the flow."""
