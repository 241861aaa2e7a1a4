"""The composition root of ingest: HTTP and the inbox topic in front, Kafka behind, a spill between."""

from fastapi import FastAPI

from libs.common.bus.consumer import Loop
from libs.common.http.server import build
from libs.common.runtime import Parts, Task
from libs.contracts import topics
from services.ingest import routes
from services.ingest.stream import Inbox, Intake
from services.ingest.ticker import Drain


async def compose(parts: Parts) -> tuple[FastAPI, list[Task]]:
    """Build the service."""
    intake = Intake(
        database=parts.database,
        producer=parts.producer,
        clock=parts.clock,
        secrets=parts.secrets,
    )
    drainer = Drain(database=parts.database, intake=intake, clock=parts.clock)
    inbox = Inbox(intake)
    loop = Loop(
        schema="ingest",
        topics=[topics.INBOX],
        bootstrap=parts.settings.kafka_bootstrap,
        database=parts.database,
        producer=parts.producer,
        handle=inbox.handle,
        refused=inbox.refused,
        max_records=500,
        instance=parts.settings.instance,
    )
    app = build(
        "ingest",
        clock=parts.clock,
        gate=parts.gate,
        checks={"database": parts.database.ping},
        spared={"kafka": parts.producer.ping, "partitions": loop.ready},
    )
    routes.install(app, parts, intake, lambda: sum(loop.lag().values()), loop.unread)

    async def consume() -> None:
        await loop.run(parts.stop)

    async def drain() -> None:
        await drainer.run(parts.stop)

    return app, [consume, drain]
