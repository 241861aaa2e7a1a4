"""What other services ask of rules: explain, timeline, the sums of the audit."""

from typing import Any, Protocol
from uuid import UUID

from fastapi import FastAPI, Request

from libs.common.http.problem import Problem
from libs.common.runtime import Parts
from libs.contracts import topics
from libs.domain.engine.explain import explain, timeline
from libs.domain.engine.registry import Registry
from libs.domain.engine.state import Enrolment, Profile
from libs.domain.engine.turn import Turn
from services.rules import handlers, store

SUMS = {
    "events": ("applied", "duplicates", "quarantined"),
    "steps": ("scheduled", "fired", "cancelled", "expired"),
    "messages": ("requested",),
}


class Position(Protocol):
    """How far the stream has come."""

    def lag(self) -> int:
        """Records behind, over all partitions of this process."""
        ...

    async def ends(self, topic: str) -> dict[int, int]:
        """The offset after the newest record of each partition of `topic` that is assigned here."""
        ...


def install(app: FastAPI, parts: Parts, registry: Registry, stream: Position) -> None:
    """Add the routes."""

    async def known(shop: str, profile: UUID, kept: list[Enrolment] | None = None) -> tuple[str, Profile]:
        """The profile, or the one it was merged into; to `kept` goes what the documents have let go of."""
        key = str(profile)
        for _ in range(10):
            async with parts.database.connection() as connection:
                found = await store.load(connection, [(shop, key)])
                if kept is not None:
                    kept += [handlers.read_ended(one) for one in await store.ended(connection, shop, key)]
            if (shop, key) not in found:
                raise Problem(404, f"profile {key} is not known to rules: no event of it has arrived")
            document = handlers.read(found[(shop, key)][1])
            if document.into is None:
                return key, document
            key = document.into
        raise Problem(404, f"profile {profile} was merged too often")

    @app.get("/v1/explain")
    async def explained(request: Request, shop: str, profile: UUID, scenario: str | None = None) -> dict[str, Any]:
        caller = await parts.gate.caller(request, "read")
        own = caller.for_shop(shop)
        kept: list[Enrolment] = []
        key, document = await known(own, profile, kept)
        turn = Turn(shop=own, profile_id=key, profile=document, programs=registry, now=parts.clock.now())
        return explain(turn, scenario, kept)

    @app.get("/v1/timeline")
    async def timelined(request: Request, shop: str, profile: UUID) -> dict[str, Any]:
        caller = await parts.gate.caller(request, "read")
        key, document = await known(caller.for_shop(shop), profile)
        return {"profile": key, "events": timeline(document)}

    _install_registry(app, parts, registry)
    _install_sums(app, parts, stream)


def _install_registry(app: FastAPI, parts: Parts, registry: Registry) -> None:
    @app.get("/v1/scenarios")
    async def scenarios(request: Request, shop: str) -> list[dict[str, Any]]:
        caller = await parts.gate.caller(request, "read")
        return [
            {"id": program.id, "version": program.version, "state": state}
            for program, state in registry.current(caller.for_shop(shop))
        ]

    @app.get("/v1/segments")
    async def segments(request: Request, shop: str) -> list[dict[str, Any]]:
        caller = await parts.gate.caller(request, "read")
        return [
            {"id": segment.id, "version": segment.version, "state": state}
            for segment, state in registry.current_segments(caller.for_shop(shop))
        ]


def _install_sums(app: FastAPI, parts: Parts, stream: Position) -> None:
    @app.get("/v1/audit")
    async def audited(request: Request) -> dict[str, Any]:
        await parts.gate.caller(request, "admin")
        async with parts.database.connection() as connection:
            sums = await store.counters(connection)
            read = await store.positions(connection, topics.EVENTS.name)
        ends = await stream.ends(topics.EVENTS.name)
        answer: dict[str, Any] = {
            group: {name: sums.get(f"{group}.{name}", 0) for name in names} for group, names in SUMS.items()
        }
        answer["events"]["received"] = sum(ends.values())
        answer["lag"] = sum(max(0, end - read.get(partition, 0)) for partition, end in ends.items())
        return answer

    @app.get("/v1/status")
    async def status(request: Request) -> dict[str, Any]:
        await parts.gate.caller(request, "read")
        return {"lag": stream.lag()}
