"""What every service shows over HTTP: health, readiness, metrics, OpenAPI, problems."""

import time
from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common import VERSION
from libs.common.clock import Clock
from libs.common.errors import Unavailable
from libs.common.http import problem
from libs.common.telemetry import metrics

Check = Callable[[], Awaitable[None]]
"""Returns when a dependency is there, raises `Unavailable` when it is not."""


def build(service: str, *, clock: Clock, checks: Mapping[str, Check]) -> FastAPI:
    """A FastAPI application with `/healthz`, `/readyz`, `/metrics`, `/openapi.json` and `/docs`."""
    app = FastAPI(title=f"Kurant {service}", version=VERSION)
    problem.install(app)
    app.add_middleware(_Measured)

    @app.get("/healthz", tags=["operation"])
    async def healthz() -> dict[str, str]:
        return {"status": "ok", "service": service, "version": VERSION, "now": clock.now().isoformat()}

    @app.get("/readyz", tags=["operation"])
    async def readyz(response: Response) -> dict[str, object]:
        found: dict[str, str] = {}
        for name, check in checks.items():
            try:
                await check()
                found[name] = "ok"
            except Unavailable as error:
                found[name] = str(error)
        ready = all(state == "ok" for state in found.values())
        response.status_code = 200 if ready else 503
        return {"ready": ready, "service": service, "dependencies": found}

    @app.get("/metrics", tags=["operation"])
    async def exposition(_request: Request) -> Response:
        body, content_type = metrics.page()
        return Response(body, media_type=content_type)

    return app


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
