"""The doors of the audit and of the status: of the whole platform, or of what one shop may see of it (I9)."""

import asyncio
import time
from typing import Any

from fastapi import FastAPI, Request

from libs.common.errors import Unavailable
from libs.common.http import examples
from libs.common.http.auth import Caller
from libs.common.http.openapi import door, json
from libs.common.runtime import Parts
from services.console import handlers, store
from services.console.clients import Peers
from services.console.routes.asked import shop_of

SETTLE = 8.0
"""Real seconds for which the audit waits for sums that differ while the platform works."""
AGAIN = 0.5
CALM = 6
"""So many equal answers in a row, with no lag, and a difference is no longer work in progress."""
AUDITED = ("rules", "scheduler", "dispatch", "ingest")
AUDIT = {
    "ok": True,
    "events": {**examples.EVENTS, "difference": 0},
    "steps": {**examples.STEPS, "pending": 2, "difference": 0},
    "messages": {"requested": 6, **examples.MESSAGES, "difference": 0},
    "lag": dict.fromkeys(AUDITED, 0),
}
STATUS = {
    "now": "2026-03-02T10:00:00+00:00",
    "services": {"console": {"ready": True, "lag": 0}, "ingest": {"ready": True, "lag": 0}},
    "steps": {"pending": 2, "oldest_due": "2026-03-02T11:00:00+00:00"},
}


def install(app: FastAPI, parts: Parts, peers: Peers) -> None:
    """Add the routes."""

    @app.get("/v1/audit", tags=["operation"], **door(scope="admin", gives={200: json(AUDIT)}, errors=(422,)))
    async def audit(request: Request, shop: str | None = None) -> dict[str, Any]:
        """Do the sums agree? Those of the whole platform, or of one shop. While events are on their way it waits.

        The key of a shop sees the sums of its own, and no `lag`: that is of all shops together.
        """
        caller = await parts.gate.caller(request, "admin")
        own = _within(caller, shop)
        deadline, before, calm = time.monotonic() + SETTLE, None, 0
        while True:
            told = await asyncio.gather(*(peers.ask(one, "GET", "/v1/audit", params={"shop": own}) for one in AUDITED))
            found = handlers.audit(*told)
            lag = found.pop("lag")
            settled = not any(lag.values())
            calm = calm + 1 if found == before and settled else 0
            done = found["ok"] and (settled or own is None)
            if done or calm >= CALM or time.monotonic() > deadline:
                return found | caller.platform({"lag": lag})
            before = found
            await asyncio.sleep(AGAIN)

    @app.get("/v1/status", tags=["operation"], **door(scope="admin", gives={200: json(STATUS)}, errors=(422,)))
    async def status(request: Request, shop: str | None = None) -> dict[str, Any]:
        """What runs, how far behind it is, what waits. Always 200: a service that is away is not ready.

        The key of a shop sees the steps of its own, and null for each `lag`: that is of all shops together.
        """
        caller = await parts.gate.caller(request, "admin")
        own = _within(caller, shop)
        answers = await asyncio.gather(*(peers.how(name, own) for name in peers.names))
        told = dict(zip(peers.names, answers, strict=True))
        services = {"console": await _own(parts)}
        services |= {name: {"ready": ready, "lag": handlers.lag_of(said)} for name, (ready, said) in told.items()}
        if caller.shop is not None:
            services = {name: row | {"lag": None} for name, row in services.items()}
        steps = told["scheduler"][1] or {}
        return {
            "now": parts.clock.now().isoformat(),
            "services": services,
            "steps": {"pending": steps.get("pending"), "oldest_due": steps.get("oldest_due")},
        }


def _within(caller: Caller, shop: str | None) -> str | None:
    own = caller.within(shop)
    return None if own is None else shop_of(caller, own)


async def _own(parts: Parts) -> dict[str, Any]:
    """How the console itself is; its lag is the publications that Kafka is still to be told of."""
    try:
        async with parts.database.connection() as connection:
            waiting = len(await store.untold(connection))
        await parts.producer.ping()
    except Unavailable:
        return {"ready": False, "lag": None}
    return {"ready": True, "lag": waiting}
