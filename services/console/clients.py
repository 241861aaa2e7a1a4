"""The other services, as the console asks them."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from libs.common.errors import Unavailable
from libs.common.http.client import Client
from libs.common.http.problem import Problem, unavailable

PATIENCE = 3.0
"""Seconds that a service is given to say how it is, and rules to learn of a scenario."""
LOOK_AGAIN = 0.05


class Peers:
    """One client per service. A service that is away becomes a 503 that names it."""

    def __init__(self, clients: Mapping[str, Client]) -> None:
        self._clients = clients
        self.names = tuple(clients)

    async def ask(
        self, service: str, method: str, path: str, *, json: Any = None, params: Mapping[str, str | None] | None = None
    ) -> Any:
        """The service's answer; parameters that are None are left out. Raises `Problem`."""
        given = {name: value for name, value in (params or {}).items() if value is not None}
        try:
            return await self._clients[service].ask(method, path, json=json, params=given)
        except Unavailable:
            raise unavailable(f"{service} is away") from None
        except Problem as problem:
            if problem.status in (401, 403):
                raise unavailable(f"{service} does not take the service key: is KURANT_SECRET_FILE the same?") from None
            raise

    async def resolve(self, shop: str, kind: str, value: str) -> str:
        """The current profile of an identifier. Raises `Problem` 404, without the identifier in its text."""
        try:
            found = await self.ask("ingest", "POST", "/v1/profiles/resolve", json={"shop": shop, kind: value})
        except Problem as problem:
            if problem.status != 404:
                raise
            raise Problem(404, f"no customer of shop {shop} is known by this {kind}: has an event been sent?") from None
        return str(found["profile"])

    async def acted_on(self, plural: str, shop: str, id: str, version: int, state: str) -> bool:
        """Whether rules has learned of a state, so that the next event is judged by it. Never raises.

        `plural`: `scenarios` or `segments`. Of several replicas of rules one is asked.
        """
        wanted = {"id": id, "version": version, "state": state}
        return await self._knows(shop, f"/v1/{plural}", lambda known: wanted in known)

    async def running(self, shop: str, id: str) -> list[dict[str, Any]] | None:
        """How many enrolments of a scenario wait at which step of which version; None when rules does not say."""
        try:
            found: list[dict[str, Any]] = await self.ask(
                "rules", "GET", f"/v1/scenarios/{id}/running", params={"shop": shop}
            )
        except Problem:
            return None
        return found

    async def scores_by(self, shop: str, version: int) -> bool:
        """Whether rules has learned of a version of a shop's RFM rules, as `acted_on`."""
        return await self._knows(shop, "/v1/rfm", lambda known: bool(known["known_version"] >= version))

    async def _knows(self, shop: str, path: str, enough: Callable[[Any], bool]) -> bool:
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while asyncio.get_running_loop().time() < deadline:
            try:
                known = await self._clients["rules"].ask("GET", path, params={"shop": shop})
            except (Unavailable, Problem):
                return False
            if enough(known):
                return True
            await asyncio.sleep(LOOK_AGAIN)
        return False

    async def how(self, service: str, shop: str | None = None) -> tuple[bool, dict[str, Any] | None]:
        """Whether a service is ready, and its own status, or what of it is a shop's (None: it did not say).

        Never raises.
        """
        ready, told = await asyncio.gather(
            self._quietly(service, "/readyz"), self._quietly(service, "/v1/status", shop)
        )
        return ready is not None, told

    async def _quietly(self, service: str, path: str, shop: str | None = None) -> dict[str, Any] | None:
        params = {"shop": shop} if shop is not None else None
        try:
            async with asyncio.timeout(PATIENCE):
                told = await self._clients[service].ask("GET", path, params=params)
        except (Unavailable, Problem, TimeoutError):
            return None
        return told if isinstance(told, dict) else None

    async def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.close()
