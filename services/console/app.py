"""The composition root of the console: the registry of scenarios and API keys, and questions to the other rooms."""

from fastapi import FastAPI

from libs.common import shops
from libs.common.db.keys import KeyStore
from libs.common.http.client import Client
from libs.common.http.server import build
from libs.common.runtime import Parts, Task
from services.console import routes
from services.console.clients import Peers
from services.console.ticker import Teller

SLOW = 60.0
"""Seconds that a service may take: counting a large table of steps for the audit takes a while."""


async def compose(parts: Parts) -> tuple[FastAPI, list[Task]]:
    """Build the service."""
    settings, key = parts.settings, parts.secrets.service_key()
    peers = Peers(
        {
            "ingest": Client(settings.ingest_url, key),
            "consent": Client(settings.consent_url, key),
            "dispatch": Client(settings.dispatch_url, key),
            "rules": Client(settings.rules_url, key),
            "scheduler": Client(settings.scheduler_url, key, timeout=SLOW),
        }
    )
    teller = Teller(parts.database, parts.producer)
    app = build(
        "console",
        clock=parts.clock,
        gate=parts.gate,
        checks={"database": parts.database.ping, "kafka": parts.producer.ping},
    )
    caps = {id: shop.caps for id, shop in shops.load(settings.shops).items()}
    routes.install(app, parts, KeyStore(parts.database), peers, teller.tell_now, caps)

    async def tell() -> None:
        try:
            await teller.run(parts.stop)
        finally:
            await peers.close()

    return app, [tell]
