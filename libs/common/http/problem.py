"""Errors over HTTP as RFC 9457 problem details (`application/problem+json`)."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from libs.common.errors import KurantError, Unavailable
from libs.common.telemetry.log import logger

log = logger(__name__)

TITLES = {
    400: "Malformed request",
    401: "A credential is needed",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported content type",
    422: "Invalid content",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available now",
}


class Problem(KurantError):
    """An answer that is not a success. `detail` says what to do; `more` are extension members."""

    def __init__(self, status: int, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.more = more

    def response(self) -> Response:
        """The HTTP response."""
        body = {"type": "about:blank", "title": TITLES.get(self.status, "Error"), "status": self.status}
        body |= {"detail": self.detail, **self.more}
        return Response(
            msgspec.json.encode(body),
            self.status,
            media_type="application/problem+json",
            headers=self.headers,
        )


def unavailable(what: str, retry_after: int = 1) -> Problem:
    """503 with `Retry-After` (seconds)."""
    return Problem(503, f"{what}; try again", headers={"Retry-After": str(retry_after)})


async def _anybody(_request: Request) -> None:
    """Asks nobody who he is."""


def install(app: FastAPI, known: Callable[[Request], Awaitable[object]] = _anybody) -> None:
    """Every error of `app` becomes a problem document; unexpected ones say nothing of the inside.

    `known` raises when nobody has said who he is, or may not: that comes before any word about his parameters.
    """

    @app.exception_handler(Problem)
    async def _problem(_request: Request, error: Problem) -> Response:
        return error.response()

    @app.exception_handler(Unavailable)
    async def _unavailable(_request: Request, error: Unavailable) -> Response:
        return _away(error)

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> Response:
        return Problem(error.status_code, str(error.detail), headers=dict(error.headers or {})).response()

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        try:
            await known(request)
        except Problem as problem:
            return problem.response()
        except Unavailable as gone:
            return _away(gone)
        errors = [
            {"field": ".".join(str(part) for part in item["loc"]), "message": item["msg"]} for item in error.errors()
        ]
        detail = "; ".join(f"{item['field']}: {item['message']}" for item in errors[:5])
        return Problem(422, detail, errors=errors).response()

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> Response:
        log.error("unexpected error", route=request.url.path, cause=type(error).__name__, exc_info=True)
        return Problem(500, "an unexpected error; it is in the service's log").response()


def _away(error: Unavailable) -> Response:
    log.warning("answered 503", error=str(error))
    return unavailable("a part of the platform is away").response()
