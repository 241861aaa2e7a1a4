"""Is the secrets file the one that this database was filled with?

With another one, every identifier hash, token and encrypted address would silently stop matching. So the database
keeps a fingerprint of each key that it has ever been used with, and which of them identifiers rest on.
"""

import asyncpg

from libs.common.db.engine import Database
from libs.common.errors import Misconfigured, Unavailable
from libs.common.secrets import Secrets
from libs.common.settings_file import shown

REMEDY = (
    "put back the file that was used before; without it the data cannot be read: begin anew with an empty database "
    "(locally: kurant reset --data DIR)"
)
Known = dict[str, tuple[bytes, bool]]
"""Key id to its fingerprint, and whether identifiers rest on it."""


async def compare(database: Database, secrets: Secrets, file: str, *, keep: bool = True) -> None:
    """Raises `Misconfigured` when `secrets`, read from `file`, do not fit the database.

    New keys are noted first (`keep`), in the transaction that compares: of two services that start with different
    files on an empty database, one is refused. Raises `Unavailable` when the database is away or not migrated.
    """
    own = secrets.fingerprints()
    try:
        async with database.transaction() as connection:
            if keep:
                await connection.execute(
                    "INSERT INTO platform.secret_key (id, fingerprint, identity) "
                    "SELECT id, fingerprint, id = $3 FROM unnest($1::text[], $2::bytea[]) AS k (id, fingerprint) "
                    "ORDER BY id ON CONFLICT DO NOTHING",
                    list(own),
                    list(own.values()),
                    secrets.identity,
                )
            rows = await connection.fetch("SELECT id, fingerprint, identity FROM platform.secret_key ORDER BY id")
            known = {row["id"]: (row["fingerprint"], row["identity"]) for row in rows}
            if trouble := misfit(known, own, secrets.identity):
                raise Misconfigured(f"{shown(file)}: {trouble}; {REMEDY}")
    except asyncpg.UndefinedTableError:
        raise Unavailable("database: not migrated yet (python -m libs.common.db.migrate)") from None


def misfit(known: Known, own: dict[str, bytes], identity: str) -> str | None:
    """What is wrong with keys (`own`, newest first), by what is known of those used before; None when nothing is."""
    for id, (fingerprint, _) in known.items():
        if id not in own:
            return f"key {id} is missing, which data in the database was made with"
        if own[id] != fingerprint:
            return f"key {id} is another one than that which data in the database was made with"
    first = next((id for id, (_, is_identity) in known.items() if is_identity), identity)
    if first != identity:
        return f"the last key must be {first}, which identifiers rest on, and not {identity}; a new key goes in front"
    return None
