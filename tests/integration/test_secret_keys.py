"""A secrets file that does not fit the database is refused; a rotation as documented is not."""

import asyncio
import base64
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.local.process import ROOT
from libs.common.db import fingerprint
from libs.common.db.engine import Database
from libs.common.errors import Misconfigured, Unavailable
from libs.common.secrets import Secrets

A, B, C = b"a" * 32, b"b" * 32, b"c" * 32
REMEDY = "put back the file that was used before"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database_url, name="test")
    yield opened
    await opened.close()


async def fits(database: Database, *, keep: bool = True, **keys: bytes) -> str | None:
    """What is said of a file with these keys, newest first."""
    try:
        await fingerprint.compare(database, Secrets(keys), "secrets.yaml", keep=keep)
    except Misconfigured as error:
        said = str(error)
    else:
        return None
    assert said.startswith("secrets.yaml: ")
    assert REMEDY in said
    assert "\n" not in said
    return said


async def test_the_same_file_again_and_a_rotation(database: Database) -> None:
    for _ in range(2):
        assert await fits(database, k1=A) is None
    for _ in range(2):
        assert await fits(database, k2=B, k1=A) is None
    assert await fits(database, k3=C, k2=B, k1=A) is None


async def test_another_key_under_the_same_name(database: Database) -> None:
    assert await fits(database, k1=A) is None
    assert "key k1 is another one than that which data" in str(await fits(database, k1=B))
    assert "key k1 is another one than that which data" in str(await fits(database, k2=C, k1=B))
    assert await fits(database, k1=A) is None, "what was refused has left no trace"


async def test_a_key_that_is_missing(database: Database) -> None:
    assert await fits(database, k2=B, k1=A) is None
    assert "key k1 is missing" in str(await fits(database, k2=B))
    assert "key k2 is missing" in str(await fits(database, k1=A)), "something may be signed or encrypted with it"
    assert "key k1 is missing" in str(await fits(database, x=C))


async def test_a_new_key_at_the_wrong_end(database: Database) -> None:
    """It would become the one that identifiers rest on."""
    assert await fits(database, k1=A) is None
    assert "the last key must be k1" in str(await fits(database, k1=A, k2=B))
    assert await fits(database, k2=B, k1=A) is None


async def test_looking_keeps_nothing(database: Database) -> None:
    assert await fits(database, keep=False, k1=A) is None
    assert await fits(database, k1=B) is None
    assert "key k1 is another one" in str(await fits(database, keep=False, k1=A))


async def test_of_two_files_on_an_empty_database_one_is_refused(database: Database) -> None:
    said = await asyncio.gather(*(fits(database, **{name: key}) for name, key in (("k1", A), ("k1", B), ("k2", C))))
    assert sorted(one is None for one in said) == [False, False, True]


async def test_no_key_is_kept(database: Database) -> None:
    assert await fits(database, k2=B, k1=A) is None
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT * FROM platform.secret_key ORDER BY id")
    assert [(row["id"], row["identity"]) for row in rows] == [("k1", True), ("k2", False)]
    assert not {bytes(row["fingerprint"]) for row in rows} & {A, B}


async def test_a_database_without_tables_is_waited_for(postgres: str) -> None:
    database = await Database.connect(postgres, name="test")
    try:
        with pytest.raises(Unavailable, match="not migrated yet"):
            await fingerprint.compare(database, Secrets({"k1": A}), "secrets.yaml")
    finally:
        await database.close()


def service(name: str, folder: Path, url: str, key: bytes) -> "subprocess.Popen[str]":
    """A service in production, where nobody has compared the keys before; its Kafka is away."""
    secrets = folder / "secrets.yaml"
    secrets.write_text(f"keys:\n  - {{id: k1, secret: '{base64.b64encode(key).decode()}'}}\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KURANT_")} | {
        "KURANT_DATABASE_URL": url,
        "KURANT_KAFKA_BOOTSTRAP": "127.0.0.1:9",
        "KURANT_SECRET_FILE": str(secrets),
        "KURANT_PROFILE": "production",
    }
    command = [sys.executable, "-m", f"services.{name}"]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("name", ["ingest", "consent"])
async def test_a_service_with_other_keys_does_not_start(name: str, tmp_path: Path, database_url: str) -> None:
    database = await Database.connect(database_url, name="test")
    assert await fits(database, k1=A) is None
    await database.close()
    started = await asyncio.to_thread(service, name, tmp_path, database_url, B)
    _, said = await asyncio.to_thread(started.communicate, None, 20)
    assert started.returncode == 2
    assert said.startswith(f"kurant {name}: {tmp_path / 'secrets.yaml'}: key k1 is another one")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("away", ["database", "kafka"])
def test_a_service_that_waits_at_its_start_stops_when_asked(away: str, tmp_path: Path, database_url: str) -> None:
    url = database_url if away == "kafka" else "postgresql://kurant@127.0.0.1:9/kurant"
    started = service("rules", tmp_path, url, A)
    assert started.stderr is not None
    waiting = next(line for line in started.stderr if "waiting for a downstream" in line)
    assert away in waiting
    asked = time.monotonic()
    started.terminate()
    assert started.wait(10) == 0
    assert time.monotonic() - asked < 3
    assert "Traceback" not in started.stderr.read()
