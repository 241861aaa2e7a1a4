"""What is found right is committed to the registry: new content is a new version, the same content keeps its own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from libs.common.http.problem import Problem
from libs.common.runtime import Parts
from libs.domain.consent.caps import Cap
from libs.domain.lint.among import check_published
from libs.domain.lint.check import errors
from libs.domain.scenario.source import Finding
from services.console import handlers, store
from services.console.handlers import Kind, Ref

Tell = Callable[[Ref], Awaitable[bool]]
"""Let Kafka know of an entry of the registry; whether it does by now."""


async def checked(kind: Kind, files: handlers.Files, this: str, caps: Sequence[Cap] = ()) -> list[dict[str, Any]]:
    """The warnings, under the caps of the shop. Raises `Refused` or `Problem` with `errors`; `this` is what is not
    published then.
    """
    handlers.check_size(files)
    return _judged(await asyncio.to_thread(kind.check, files, caps), this)


async def among(parts: Parts, shop: str, files: handlers.Files, this: str) -> list[dict[str, Any]]:
    """The same of a scenario that is right by itself, among what the shop has published."""
    id, _ = handlers.SCENARIO.named(files[handlers.SCENARIO.main])
    async with parts.database.connection() as connection:
        others = await store.others(connection, Ref(shop, handlers.SCENARIO.name, id), handlers.SCENARIO.main)
        segments = await store.listed(connection, shop, handlers.SEGMENT.name)
    live = [row["id"] for row in segments if row["state"] != "archived"]
    return _judged(await asyncio.to_thread(check_published, files[handlers.SCENARIO.main], others, live), this)


def _judged(findings: Sequence[Finding], this: str) -> list[dict[str, Any]]:
    warnings = handlers.shown([one for one in findings if one.severity == "warning"])
    if wrong := handlers.shown(errors(findings)):
        first = f"{wrong[0]['file']}:{wrong[0]['line']} {wrong[0]['message']}"
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise Problem(422, f"{this} not published: {first}{more}", errors=wrong, warnings=warnings)
    return warnings


async def keep(
    parts: Parts, shop: str, kind: Kind, files: handlers.Files
) -> tuple[Ref, handlers.Change, handlers.Files | None]:
    """Commit what was found right; what it is, what changed, and the files of the version before a new one."""
    id, name = kind.named(files[kind.main])
    ref = Ref(shop, kind.name, id)
    content = handlers.digest(files)
    now = parts.clock.now()
    async with parts.database.transaction() as connection:
        current = await store.lock_or_begin(connection, ref, now)
        change = handlers.publication(current, content)
        before = await store.files(connection, ref, current.version) if current and change.fresh else None
        if change.fresh:
            await store.add_version(connection, ref, change.version, name=name, digest=content, files=files, now=now)
        if change.moved:
            await store.change(connection, ref, change.version, change.state, now)
    return ref, change, before
