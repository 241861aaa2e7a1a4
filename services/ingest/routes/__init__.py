"""The HTTP doors: CloudEvents, the Segment API, products, schemas, who is who, how it goes."""

from collections.abc import Callable

from fastapi import FastAPI

from libs.common.http.cors import Cors
from libs.common.runtime import Parts
from services.ingest.routes import catalog, events, questions, segment, settled
from services.ingest.routes.door import Door, Durable


def install(app: FastAPI, parts: Parts, intake: Durable, lag: Callable[[], int], unread: settled.Unread) -> None:
    """Add the routes."""
    door = Door(parts, intake)
    app.add_middleware(Cors, paths={"/v1/events", *segment.PATHS}, origins=parts.settings.cors_origins)
    events.install(app, door)
    segment.install(app, door)
    catalog.install(app, door)
    questions.install(app, parts, lag, unread)
    settled.install(app, parts, unread)
