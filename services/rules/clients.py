"""The question to ingest: is everything that was accepted on its way?"""

import asyncio

from libs.common.errors import Unavailable
from libs.common.http.client import Client
from libs.common.http.problem import Problem
from libs.common.telemetry.log import logger

log = logger(__name__)
PATIENCE = 60.0
"""Real seconds that wake-up calls wait while the answer does not change."""


class Ingest:
    """Ingest, over HTTP.

    While Kafka is away ingest takes events and keeps them; when it is back, a wake-up call may reach rules before
    they do. So rules asks before it judges calls: a purchase that was accepted is known to them (I5).
    """

    def __init__(self, client: Client, *, patience: float = PATIENCE) -> None:
        self._client = client
        self._patience = patience
        self._last: int | None = None
        self._since: float | None = None
        self._given_up = False

    async def settled(self) -> None:
        """Return once all that was accepted is on the events topic. Raises `Unavailable` when it is not yet.

        After `patience` without a change it returns all the same, and says so: when ingest stays away, or what it
        keeps cannot be published, customers still get what does not hang on it.
        """
        waiting = await self._waiting()
        if waiting == 0:
            self._since, self._given_up = None, False
            return
        now = asyncio.get_running_loop().time()
        if self._since is None or waiting != self._last:
            self._since, self._last, self._given_up = now, waiting, False
        said = "ingest is away" if waiting is None else f"ingest: {waiting} accepted events are not on Kafka yet"
        if now - self._since < self._patience:
            raise Unavailable(said)
        if not self._given_up:
            log.error("wake-up calls are judged without waiting any longer", reason=said)
            self._given_up = True

    async def _waiting(self) -> int | None:
        """How many accepted events are not on the events topic; None when ingest cannot say."""
        try:
            told = await self._client.ask("GET", "/v1/settled")
            return int(told["spilled"]) + int(told["unread"])
        except (Unavailable, Problem, KeyError, TypeError, ValueError):
            return None

    async def close(self) -> None:
        await self._client.close()
