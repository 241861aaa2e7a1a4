"""What every service shows: health, readiness, metrics, OpenAPI; and that no door is open without a key."""

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from libs.common.http.auth import DEMO_KEY
from tests.acceptance.stories import Stories
from tests.support.running import Running

SERVICES = ("console", "ingest", "consent", "dispatch", "rules", "scheduler")
METRICS = {
    "kurant_events_received": ("ingest", {"source", "type", "outcome"}),
    "kurant_step_lateness_seconds": ("scheduler", set()),
    "kurant_steps_pending": ("scheduler", set()),
    "kurant_oldest_due_seconds": ("scheduler", set()),
    "kurant_messages": ("dispatch", {"scenario", "channel", "outcome", "reason"}),
    "kurant_event_to_message_seconds": ("dispatch", set()),
    "kurant_consent_decisions": ("consent", {"decision", "reason"}),
    "kurant_gateway_request_seconds": ("dispatch", {"gateway", "outcome"}),
}
UNIQUE = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
OPEN = re.compile(r"/(healthz|readyz|metrics|openapi\.json|docs.*|redoc|[upcor]/\{[a-z_]+\}|v1/schemas.*)")
"""Doors for everybody: operation, documentation, and the customers' pages, whose token is the credential."""
ANY = re.compile(r"/v1/(reports/\{gateway\}|\{kind\})")
"""Doors of which some do not exist, and say so to everybody."""


def get(platform: Running, service: str, path: str) -> httpx.Response:
    return httpx.get(platform.url(service) + path, trust_env=False, timeout=10)


@pytest.mark.parametrize("service", SERVICES)
def test_health_and_readiness(platform: Running, service: str) -> None:
    health = get(platform, service, "/healthz").json()
    assert health.keys() >= {"status", "service", "version", "now"}
    assert (health["status"], health["service"]) == ("ok", service)
    ready = get(platform, service, "/readyz")
    assert ready.status_code == 200
    assert set(ready.json()["dependencies"].values()) == {"ok"}


def test_all_services_have_one_clock(platform: Running) -> None:
    before = platform.now()
    seen = [httpx.get(f"{platform.url(name)}/healthz", trust_env=False).json()["now"] for name in SERVICES]
    after = platform.now()
    moments = [before, *(datetime.fromisoformat(one) for one in seen), after]
    assert moments == sorted(moments)
    assert after - before < timedelta(seconds=10 * platform.speed)


@pytest.mark.parametrize("service", SERVICES)
def test_openapi_and_docs(platform: Running, service: str) -> None:
    document = get(platform, service, "/openapi.json").json()
    assert document["openapi"].startswith("3.")
    assert get(platform, service, "/docs").status_code == 200


@pytest.mark.parametrize("name", METRICS)
def test_metrics_that_alerts_stand_on(platform: Running, begun: Stories, name: str) -> None:
    service, labels = METRICS[name]
    families = {one.name: one for one in text_string_to_metric_families(get(platform, service, "/metrics").text)}
    assert name in families
    samples = families[name].samples
    assert samples, f"{name} was never measured"
    assert all(labels <= sample.labels.keys() for sample in samples)


@pytest.mark.parametrize("service", ["rules", "scheduler", "consent", "dispatch"])
def test_lag_is_measured(platform: Running, service: str) -> None:
    text = get(platform, service, "/metrics").text
    assert re.search(r'kurant_consumer_lag\{partition="\d+",topic="kurant\.[a-z.-]+v1"\}', text)


@pytest.mark.parametrize("service", SERVICES)
def test_no_metric_carries_a_profile_or_an_address(platform: Running, begun: Stories, service: str) -> None:
    labels = [
        value
        for family in text_string_to_metric_families(get(platform, service, "/metrics").text)
        for sample in family.samples
        for value in sample.labels.values()
    ]
    assert not [value for value in labels if "@" in value or re.search(UNIQUE, value)]


def _operations(platform: Running, service: str) -> list[tuple[str, str, dict[str, Any]]]:
    document = get(platform, service, "/openapi.json").json()
    return [
        (method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


def _plausible(schema: dict[str, Any]) -> str:
    """A value that a parameter of this schema may have."""
    if "enum" in schema:
        return str(schema["enum"][0])
    return "7" if schema.get("type") == "integer" else "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize("service", SERVICES)
def test_no_door_is_open_without_a_key(platform: Running, service: str) -> None:
    """Every operation of the OpenAPI document, with plausible parameters: never an answer of substance."""
    for method, path, operation in _operations(platform, service):
        if OPEN.fullmatch(path):
            continue
        given = {row["name"]: _plausible(row["schema"]) for row in operation.get("parameters", []) if row["required"]}
        query = {name: value for name, value in given.items() if f"{{{name}}}" not in path}
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            answer = httpx.request(
                method,
                platform.url(service) + path.format(**given),
                params=query,
                headers=headers,
                json={} if method in ("post", "put", "patch") else None,
                trust_env=False,
            )
            allowed = (401, 404) if ANY.fullmatch(path) else (401,)
            assert answer.status_code in allowed, (method, path, answer.status_code, answer.text)
            assert answer.headers["content-type"].startswith("application/problem+json")


@pytest.mark.parametrize("service", SERVICES)
def test_no_parameter_causes_a_5xx(platform: Running, service: str) -> None:
    """Every GET of the OpenAPI document, each of its parameters with values that nobody expects."""
    headers = {"Authorization": f"Bearer {DEMO_KEY}"}
    for method, path, operation in _operations(platform, service):
        parameters = operation.get("parameters", []) if method == "get" else []
        good = {row["name"]: _plausible(row["schema"]) for row in parameters if row["required"]}
        for row in parameters:
            for value in ("a\0b", "%", "'\"", "é" * 300, "-1", "9" * 30):
                given = good | {row["name"]: value}
                query = {name: text for name, text in given.items() if f"{{{name}}}" not in path}
                where = path.format(**{name: quote(text, safe="") for name, text in given.items()})
                answer = httpx.get(platform.url(service) + where, params=query, headers=headers, trust_env=False)
                assert answer.status_code < 500, (path, given, answer.text)


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_not_there_is_a_problem_document(platform: Running, service: str) -> None:
    answer = get(platform, service, "/no-such-thing")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["status"] == 404
