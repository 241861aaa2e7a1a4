"""Cross-origin requests (the Fetch standard's CORS protocol), for the few routes that browsers call with a key."""

from collections.abc import Collection

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

DAY = 86_400


class Cors:
    """Answers preflights of `paths` and lets pages of `origins` read the answers. Never with cookies."""

    def __init__(self, app: ASGIApp, *, paths: Collection[str], origins: str) -> None:
        self._app = app
        self._paths = frozenset(paths)
        self._open = CORSMiddleware(
            app,
            allow_origins=[origin for told in origins.split(",") if (origin := told.strip().rstrip("/"))],
            allow_methods=["POST"],
            allow_headers=["*"],
            expose_headers=["Retry-After"],
            max_age=DAY,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        opened = scope["type"] == "http" and scope["path"] in self._paths
        await (self._open if opened else self._app)(scope, receive, send)
