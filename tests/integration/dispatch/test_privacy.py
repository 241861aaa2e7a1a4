"""I1: an address lives in memory between the decision and the send, and is nowhere else in this service."""

import json
from pathlib import Path
from typing import Any

import pytest

from libs.common.telemetry import metrics
from tests.integration.dispatch.conftest import Bench, address, request
from tests.support.mailserver import HANG_UP

NAMES = ("sent", "bounced", "greylisted", "hung", "badly")


async def dump(bench: Bench) -> str:
    """Everything that the schema holds, as text."""
    async with bench.parts.database.connection() as connection:
        tables = [row["tablename"] for row in await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'dispatch'"
        )]  # fmt: skip
        assert {"message", "request", "touch"} <= set(tables)
        rows = [await connection.fetch(f"SELECT t::text AS row FROM dispatch.{table} AS t") for table in tables]
        bodies = await connection.fetch("SELECT convert_from(body, 'UTF8') AS row FROM dispatch.request")
    return "\n".join(row["row"] for found in [*rows, bodies] for row in found)


async def test_no_address_in_the_database_the_log_the_topics_or_the_metrics(
    bench: Bench, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def script(stage: str, recipient: str) -> str | None:
        told = {
            address("bounced"): ("RCPT", f"550 <{recipient}> is unknown here"),
            address("greylisted"): ("RCPT", f"451 <{recipient}> later"),
            address("hung"): ("END", HANG_UP),
        }.get(recipient, ("", ""))
        return told[1] if stage == told[0] else None

    bench.mails.script = script
    bad = {"decision": "allow", "channel": "email", "address": "bad@@c-x@example.com", "unsubscribe_url": "https://u.e"}
    bench.permissions.set("badly", **bad)
    bench.start()
    await bench.consume(*(request(name) for name in NAMES))
    await bench.reaches("sent", "sent")
    await bench.reaches("bounced", "failed", reason="smtp_550")
    await bench.reaches("greylisted", "pending", reason="smtp_451")
    await bench.reaches("hung", "unknown")
    await bench.reaches("badly", "failed", reason="bad_address")
    stored = await dump(bench)
    await bench.end()
    out, err = capfd.readouterr()
    told: list[Any] = [one.value.decode() for one in bench.wire.sent]
    places = {
        "database": stored,
        "log": out + err + caplog.text,
        "topics": json.dumps(told),
        "metrics": metrics.page("dispatch")[0].decode(),
    }
    for place, text in places.items():
        assert "@example.com" not in text, place
        for name in NAMES:
            assert address(name) not in text, place
    assert "greylisted" not in places["log"]
    assert "Anna" not in places["log"]
