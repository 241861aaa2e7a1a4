"""What was found right is committed to the registry: new content is a new version, the same content keeps its own."""

from collections.abc import Awaitable, Callable

from libs.common.runtime import Parts
from services.console import handlers, store

Tell = Callable[[str, str], Awaitable[bool]]
"""Let Kafka know of an entry of the registry (shop, id); whether it does by now."""


async def keep(
    parts: Parts, shop: str, id: str, name: str, files: handlers.Files
) -> tuple[handlers.Change, handlers.Files | None]:
    """Commit it; what changed, and the files of the version before a new one."""
    content = handlers.digest(files)
    now = parts.clock.now()
    async with parts.database.transaction() as connection:
        current = await store.lock_or_begin(connection, shop, id, now)
        change = handlers.publication(current, content)
        before = await store.files(connection, shop, id, current.version) if current and change.fresh else None
        if change.fresh:
            await store.add_version(
                connection, shop, id, change.version, name=name, digest=content, files=files, now=now
            )
        if change.moved:
            await store.change(connection, shop, id, change.version, change.state, now)
    return change, before
