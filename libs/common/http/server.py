"""What every service shows over HTTP: health, readiness, metrics, OpenAPI, problems."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common import VERSION
from libs.common.clock import Clock
from libs.common.errors import Unavailable
from libs.common.http import openapi, problem
from libs.common.http.auth import Gate
from libs.common.http.openapi import door, json, text
from libs.common.telemetry import metrics

Check = Callable[[], Awaitable[None]]
"""Returns when a dependency is there, raises `Unavailable` when it is not."""


SPARED = 0.5
"""Seconds that a dependency is given which the service can do without: whoever probes must not wait for it."""
HEALTH = {"status": "ok", "service": "rules", "version": VERSION, "now": "2026-03-02T10:00:00+00:00"}
READY = {"ready": True, "service": "rules", "dependencies": {"database": "ok", "kafka": "ok"}}


def build(
    service: str,
    *,
    clock: Clock,
    checks: Mapping[str, Check],
    spared: Mapping[str, Check] | None = None,
    gate: Gate | None = None,
) -> FastAPI:
    """A FastAPI application with `/healthz`, `/readyz`, `/metrics`, `/openapi.json` and `/docs`.

    Without what is in `checks` the service is not ready; without what is in `spared` it goes on, and says so.
    `gate` asks who somebody is before a wrong parameter is told to him.
    """
    app = FastAPI(title=f"Kurant {service}", version=VERSION)

    async def known(request: Request) -> None:
        scope = openapi.scope_of(request.scope.get("route"))
        if gate is not None and scope is not None:
            await gate.caller(request, scope)

    problem.install(app, known)
    openapi.install(app)
    app.add_middleware(_Measured)

    @app.get("/healthz", tags=["operation"], **door(scope=None, gives={200: json(HEALTH)}))
    async def healthz() -> dict[str, str]:
        """The process answers. `now` is the platform's clock."""
        return {"status": "ok", "service": service, "version": VERSION, "now": clock.now().isoformat()}

    gone = READY | {"ready": False, "dependencies": {"database": "ok", "kafka": "kafka: KafkaConnectionError"}}

    @app.get("/readyz", tags=["operation"], **door(scope=None, gives={200: json(READY), 503: json(gone)}))
    async def readyz(response: Response) -> dict[str, object]:
        """Every dependency by name. 503 while one is away that the service cannot do without."""
        needed, others = await asyncio.gather(_asked(checks), _asked(spared or {}, SPARED))
        ready = all(state == "ok" for state in needed.values())
        response.status_code = 200 if ready else 503
        return {"ready": ready, "service": service, "dependencies": needed | others}

    @app.get("/metrics", tags=["operation"], response_class=Response, **door(scope=None, gives={200: text()}))
    async def exposition() -> Response:
        """What the service measures, for Prometheus."""
        body, content_type = metrics.page(service)
        return Response(body, media_type=content_type)

    return app


async def _asked(checks: Mapping[str, Check], patience: float | None = None) -> dict[str, str]:
    states = await asyncio.gather(*(_state(check, patience) for check in checks.values()))
    return dict(zip(checks, states, strict=True))


async def _state(check: Check, patience: float | None) -> str:
    try:
        async with asyncio.timeout(patience):
            await check()
    except Unavailable as error:
        return str(error)
    except TimeoutError:
        return "no answer in time"
    return "ok"


class _Measured:
    """Times each request, by route template, so that no id becomes a label."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, observed)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            metrics.HTTP_REQUESTS.labels(scope["method"], route, str(status)).observe(time.perf_counter() - started)
