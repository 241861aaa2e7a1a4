"""Prometheus metrics, by the names that alerts stand on. None carries a profile id or an address."""

from collections.abc import Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400)

INGEST, RULES, SCHEDULER, DISPATCH, CONSENT = (CollectorRegistry() for _ in range(5))
"""What one service alone shows: a gauge that says 0 where nothing is measured would be a lie."""
OWN: Mapping[str, CollectorRegistry] = {
    "ingest": INGEST,
    "rules": RULES,
    "scheduler": SCHEDULER,
    "dispatch": DISPATCH,
    "consent": CONSENT,
}

EVENTS_RECEIVED = Counter(
    "kurant_events_received", "Events received at ingest", ["source", "type", "outcome"], registry=INGEST
)
EVENTS_SPILLED = Gauge("kurant_events_spilled", "Events that PostgreSQL holds while Kafka is away", registry=INGEST)
PRODUCTS_RECEIVED = Counter("kurant_products_received", "Products received at ingest", ["outcome"], registry=INGEST)
STEP_LATENESS = Histogram(
    "kurant_step_lateness_seconds", "Fired minus due, platform time", buckets=SECONDS, registry=SCHEDULER
)
STEPS_PENDING = Gauge("kurant_steps_pending", "Delayed steps waiting", registry=SCHEDULER)
OLDEST_DUE = Gauge(
    "kurant_oldest_due_seconds", "How long the oldest due step has been waiting to be fired", registry=SCHEDULER
)
MESSAGES = Counter(
    "kurant_messages",
    "Messages that reached their end",
    ["scenario", "channel", "outcome", "reason"],
    registry=DISPATCH,
)
EVENT_TO_MESSAGE = Histogram(
    "kurant_event_to_message_seconds",
    "From the event's receipt to the gateway's yes",
    buckets=SECONDS,
    registry=DISPATCH,
)
GATEWAY_REQUEST = Histogram(
    "kurant_gateway_request_seconds",
    "One call of a gateway",
    ["gateway", "outcome"],
    buckets=SECONDS,
    registry=DISPATCH,
)
CONSENT_DECISIONS = Counter("kurant_consent_decisions", "Permission asked", ["decision", "reason"], registry=CONSENT)
RFM_SECONDS = Histogram(
    "kurant_rfm_run_seconds", "One run of RFM over a shop", ["kind"], buckets=SECONDS, registry=RULES
)
RFM_CUSTOMERS = Gauge("kurant_rfm_customers", "Customers that the last run computed", ["shop", "kind"], registry=RULES)
RFM_CHANGES = Counter("kurant_rfm_changes", "Customers whose segment or scores a run changed", ["shop"], registry=RULES)
PRODUCT_CHANGES = Counter(
    "kurant_product_changes", "Products back in stock or cheaper, told to customers", ["kind"], registry=RULES
)
PRODUCT_EVENTS = Counter(
    "kurant_product_events", "Customers told of such changes, each an event", ["kind"], registry=RULES
)
LAG = Gauge("kurant_consumer_lag", "Records behind the newest", ["topic", "partition"])
QUARANTINED = Counter("kurant_quarantined", "Records that could not be used", ["topic", "cause"])
HTTP_REQUESTS = Histogram(
    "http_server_request_duration_seconds",
    "Duration of HTTP server requests (OpenTelemetry http.server.request.duration)",
    ["http_request_method", "http_route", "http_response_status_code"],
    buckets=SECONDS,
)


def page(service: str) -> tuple[bytes, str]:
    """The exposition of what a service measures, and its content type."""
    own = OWN.get(service)
    return generate_latest() + (generate_latest(own) if own else b""), CONTENT_TYPE_LATEST
