"""What other services ask of rules: explain, timeline, RFM, the sums of the audit."""

import asyncio
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import FastAPI, Query, Request, Response

from libs.common.http import examples
from libs.common.http.openapi import door, json
from libs.common.http.problem import Problem
from libs.common.runtime import Parts
from libs.contracts import topics
from libs.domain.engine.explain import explain, timeline
from libs.domain.engine.registry import Registry
from libs.domain.engine.run import AT
from libs.domain.engine.state import Enrolment, Profile
from libs.domain.engine.turn import Turn
from libs.domain.rfm import plan, report
from libs.domain.rfm.model import RfmRules
from libs.domain.rfm.plan import Last
from services.rules import handlers, store

SUMS = {
    "events": ("received", "applied", "duplicates", "quarantined"),
    "steps": ("scheduled", "fired", "cancelled", "expired"),
    "messages": ("requested",),
}
"""What rules counts. `expired` was promised, and is 0: a call does not expire."""

RUNNING = {"version": 1, "step": "steps/0", "enrolments": 12}
LIVE = {"id": "abandoned-cart", "version": 1, "state": "live"}
AUDITED = {"events": examples.EVENTS, "steps": examples.STEPS, "messages": {"requested": 6}, "lag": 0}
PATIENCE = 8.0
"""Seconds for which who asks for a run waits for its end; a longer one goes on, and is seen in the status."""
HISTORY = 50
MOST_CUSTOMERS = 10_000


class Computes(Protocol):
    """Computes a shop's RFM at once."""

    async def compute(self, shop: str, *, everybody: bool, quiet: bool) -> report.Ran | None:
        """What the run did; None when there is nothing to compute."""
        ...


class Position(Protocol):
    """How far the stream has come."""

    def lag(self) -> int:
        """Records behind, over all partitions of this process."""
        ...

    async def all_ends(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """The offset after the newest record of each of these partitions, whichever process reads them."""
        ...


async def known(parts: Parts, shop: str, profile: UUID, kept: list[Enrolment] | None = None) -> tuple[str, Profile]:
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


def install(app: FastAPI, parts: Parts, registry: Registry, stream: Position) -> None:
    """Add the routes."""

    @app.get(
        "/v1/explain",
        tags=["customers"],
        **door(scope="read", gives={200: json(examples.EXPLAINED)}, errors=(404, 422)),
    )
    async def explained(request: Request, shop: str, profile: UUID, scenario: str | None = None) -> dict[str, Any]:
        """Why a customer is where he is: each scenario with its conditions as found, its enrolments and their steps."""
        caller = await parts.gate.caller(request, "read")
        own = caller.for_shop(shop)
        kept: list[Enrolment] = []
        key, document = await known(parts, own, profile, kept)
        turn = Turn(shop=own, profile_id=key, profile=document, programs=registry, now=parts.clock.now())
        return explain(turn, scenario, kept)

    @app.get(
        "/v1/timeline",
        tags=["customers"],
        **door(scope="read", gives={200: json(examples.TIMELINE)}, errors=(404, 422)),
    )
    async def timelined(request: Request, shop: str, profile: UUID) -> dict[str, Any]:
        """The events of a customer that are kept, oldest first."""
        caller = await parts.gate.caller(request, "read")
        key, document = await known(parts, caller.for_shop(shop), profile)
        return {"profile": key, "events": timeline(document)}

    _install_registry(app, parts, registry)
    _install_sums(app, parts, stream)


def _install_registry(app: FastAPI, parts: Parts, registry: Registry) -> None:
    @app.get("/v1/scenarios", tags=["scenarios"], **door(scope="read", gives={200: json([LIVE])}, errors=(422,)))
    async def scenarios(request: Request, shop: str) -> list[dict[str, Any]]:
        """The scenarios that rules goes by now."""
        caller = await parts.gate.caller(request, "read")
        return [
            {"id": program.id, "version": program.version, "state": state}
            for program, state in registry.current(caller.for_shop(shop))
        ]

    @app.get(
        "/v1/scenarios/{id}/running",
        tags=["scenarios"],
        **door(scope="read", gives={200: json([RUNNING])}, errors=(422,)),
    )
    async def running(request: Request, id: str, shop: str) -> list[dict[str, Any]]:
        """How many enrolments of each version wait at each step; counted since this was first counted."""
        own = (await parts.gate.caller(request, "read")).for_shop(shop)
        async with parts.database.connection() as connection:
            return handlers.running(await store.counters(connection, own, f"{AT}{id}@"))

    @app.get("/v1/segments", tags=["segments"], **door(scope="read", gives={200: json([LIVE])}, errors=(422,)))
    async def segments(request: Request, shop: str) -> list[dict[str, Any]]:
        """The segments that rules goes by now."""
        caller = await parts.gate.caller(request, "read")
        return [
            {"id": segment.id, "version": segment.version, "state": state}
            for segment, state in registry.current_segments(caller.for_shop(shop))
        ]


def _install_sums(app: FastAPI, parts: Parts, stream: Position) -> None:
    @app.get("/v1/audit", tags=["operation"], **door(scope="admin", gives={200: json(AUDITED)}, errors=(422,)))
    async def audited(request: Request, shop: str | None = None) -> dict[str, Any]:
        """The sums of rules: events and their outcomes, steps and their ends, messages asked for.

        Of the platform, `received` is what Kafka holds on the events topic; of one shop, what was read of it.
        """
        caller = await parts.gate.caller(request, "admin")
        own = caller.within(shop)
        async with parts.database.connection() as connection:
            sums = await store.counters(connection, own)
            read = await store.positions(connection, topics.EVENTS.name)
        ends = await stream.all_ends(topics.EVENTS.name, read)
        answer: dict[str, Any] = {
            group: {name: sums.get(f"{group}.{name}", 0) for name in names} for group, names in SUMS.items()
        }
        if own is None:
            answer["events"]["received"] = sum(ends.values())
        behind = sum(max(0, end - read[partition]) for partition, end in ends.items())
        return answer | caller.platform({"lag": behind})

    @app.get("/v1/status", tags=["operation"], **door(scope="read", gives={200: json({"lag": 0})}, errors=(422,)))
    async def status(request: Request, shop: str | None = None) -> dict[str, Any]:
        """How many records are still to be read. Of all shops together, so the key of one is told nothing."""
        caller = await parts.gate.caller(request, "read")
        caller.within(shop)
        return caller.platform({"lag": stream.lag()})


def install_rfm(app: FastAPI, parts: Parts, registry: Registry, scorer: Computes) -> None:
    """Add the routes of RFM (docs/rfm.md)."""
    _install_customers(app, parts)
    running: set[asyncio.Future[report.Ran | None]] = set()

    @app.get("/v1/rfm", tags=["rfm"], **door(scope="read", gives={200: json(examples.RFM_STANDS)}, errors=(422,)))
    async def stands(request: Request, shop: str) -> dict[str, Any]:
        """How the RFM of a shop stands: the last run, its rules and cut points, its segments."""
        own = (await parts.gate.caller(request, "read")).for_shop(shop)
        async with parts.database.connection() as connection:
            last = await store.rfm_shop(connection, own) or Last(begun_at=plan.NEVER)
            rows = await store.segments(connection, own)
        version, rules = registry.rfm(own) or (0, last.rules or RfmRules(currency="XXX"))
        begun = last.begun_at < plan.NEVER
        due = plan.plan(last, rules, version, parts.clock.now()).at if begun else plan.NEVER
        return report.status(last, rows, known=version, next_at=due if due < plan.NEVER else None)

    @app.post(
        "/v1/rfm/runs",
        tags=["rfm"],
        **door(scope="admin", gives={200: json(examples.RFM_RAN), 202: json(examples.RFM_RUNNING)}, errors=(409, 422)),
    )
    async def compute(
        request: Request, response: Response, shop: str, now: bool = False, quiet: bool = False
    ) -> dict[str, Any]:
        """Compute those who changed, or with `now` everybody. 202: it is still at work."""
        own = (await parts.gate.caller(request, "admin")).for_shop(shop)
        async with parts.database.connection() as connection:
            last = await store.rfm_shop(connection, own)
        work = asyncio.ensure_future(scorer.compute(own, everybody=now, quiet=quiet))
        running.add(work)
        work.add_done_callback(running.discard)
        done, _ = await asyncio.wait({work}, timeout=PATIENCE)
        if not done:
            response.status_code = 202
            return {"done": False, "run": (last.run if last else 0) + 1}
        found = work.result()
        if found is None:
            raise Problem(409, f"shop {own} has no orders with a currency, so there is nothing to compute")
        return {"done": True, **asdict(found)}


def _install_customers(app: FastAPI, parts: Parts) -> None:
    async def ran(shop: str) -> Last:
        """How the shop stands after at least one run. Raises `Problem`."""
        async with parts.database.connection() as connection:
            last = await store.rfm_shop(connection, shop)
        if last is None or last.run == 0:
            raise Problem(404, f"RFM of shop {shop} was not computed yet: `kurant rfm compute --now`")
        return last

    @app.get(
        "/v1/rfm/customers",
        tags=["rfm"],
        **door(scope="read", gives={200: json([examples.RFM_CUSTOMER])}, errors=(404, 422)),
    )
    async def customers(
        request: Request,
        shop: str,
        segment: str | None = None,
        after: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST_CUSTOMERS)] = 1_000,
    ) -> list[dict[str, Any]]:
        """Customers with figures and scores, in order of profile; `after` is the last one of the page before."""
        own = (await parts.gate.caller(request, "read")).for_shop(shop)
        if segment is not None and not segment.isprintable():
            detail = "segment: holds a character that no name has; `kurant rfm show` lists the segments"
            raise Problem(422, detail, errors=[{"field": "segment", "message": detail}])
        last = await ran(own)
        async with parts.database.connection() as connection:
            rows = await store.page(connection, own, segment, str(after) if after else None, limit)
        return [report.customer(row, last) for row in rows]

    @app.get(
        "/v1/rfm/explain",
        tags=["rfm"],
        **door(scope="read", gives={200: json(examples.RFM_EXPLAINED)}, errors=(404, 422)),
    )
    async def explained(request: Request, shop: str, profile: UUID) -> dict[str, Any]:
        """Why a customer is in his segment, and how that changed."""
        own = (await parts.gate.caller(request, "read")).for_shop(shop)
        last = await ran(own)
        key, _ = await known(parts, own, profile)
        async with parts.database.connection() as connection:
            row = await store.customer(connection, own, key)
            rows = await store.history(connection, own, key, HISTORY)
        if row is None:
            raise Problem(404, f"profile {key} has no order that counts, or none was counted yet")
        return report.explained(row, last, rows)
