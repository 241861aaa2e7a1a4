"""What every service shows: readiness with each dependency by name, its own metrics and nobody else's."""

import asyncio
from datetime import UTC, datetime

import httpx
import pytest

from libs.common.clock import ManualClock
from libs.common.errors import Unavailable
from libs.common.http import server
from libs.common.http.server import Check, build

CLOCK = ManualClock(datetime(2026, 3, 2, 10, tzinfo=UTC))
OWNED = {
    "kurant_steps_pending": "scheduler",
    "kurant_oldest_due_seconds": "scheduler",
    "kurant_step_lateness_seconds": "scheduler",
    "kurant_event_to_message_seconds": "dispatch",
    "kurant_gateway_request_seconds": "dispatch",
    "kurant_messages": "dispatch",
    "kurant_consent_decisions": "consent",
    "kurant_events_received": "ingest",
    "kurant_products_received": "ingest",
    "kurant_rfm_customers": "rules",
    "kurant_rfm_run_seconds": "rules",
}


async def fine() -> None:
    return


async def away() -> None:
    raise Unavailable("kafka: NodeNotReadyError")


async def silent() -> None:
    await asyncio.Event().wait()


async def ask(path: str, service: str = "rules", **built: dict[str, Check]) -> httpx.Response:
    app = build(service, clock=CLOCK, **{"checks": {"database": fine}, **built})  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://x") as http:
        return await http.get(path)


async def test_a_dependency_that_is_away_is_named_and_the_service_not_ready() -> None:
    answer = await ask("/readyz", checks={"database": fine, "kafka": away})
    assert answer.status_code == 503
    assert answer.json()["dependencies"] == {"database": "ok", "kafka": "kafka: NodeNotReadyError"}


@pytest.mark.parametrize(("check", "said"), [(away, "kafka: NodeNotReadyError"), (silent, "no answer in time")])
async def test_what_a_service_can_do_without_is_named_and_does_not_hold_it_up(
    check: Check, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a broker that is away would take the one service from the balancer that keeps events meanwhile (I10)."""
    monkeypatch.setattr(server, "SPARED", 0.05)
    answer = await ask("/readyz", spared={"kafka": check})
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "service": "rules", "dependencies": {"database": "ok", "kafka": said}}


@pytest.mark.parametrize("service", ["ingest", "rules", "scheduler", "dispatch", "consent", "console"])
async def test_only_who_measures_a_thing_shows_it(service: str) -> None:
    page = (await ask("/metrics", service)).text
    shown = {line.split()[2].removesuffix("_total") for line in page.splitlines() if line.startswith("# TYPE ")}
    for name, owner in OWNED.items():
        assert (name in shown) == (owner == service), name
    assert "kurant_consumer_lag" in shown
