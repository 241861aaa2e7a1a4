"""Fixtures that every test may use. Servers start when the first test asks for them, and only then."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from cli.local.postgres import Postgres
from tests.support import servers

settings.register_profile("house", deadline=None)  # a slow machine is no fault
settings.load_profile("house")


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The session's PostgreSQL."""
    with servers.running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres(postgres_server: Postgres) -> str:
    """The address of a real, empty PostgreSQL database that the session shares."""
    return postgres_server.url


@pytest.fixture(scope="session")
def migrated(postgres_server: Postgres) -> str:
    """The name of a database with every schema, from which each test's own is copied."""
    postgres_server.create_database("template_kurant")
    servers.migrate(postgres_server.url_of("template_kurant"))
    return "template_kurant"


@pytest.fixture
def database_url(postgres_server: Postgres, migrated: str) -> Iterator[str]:
    """The address of a fresh database with every schema, for this test alone."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    servers.sql(postgres_server, f"CREATE DATABASE {name} TEMPLATE {migrated}")
    yield postgres_server.url_of(name)
    servers.sql(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of a real Kafka; tests use topics and groups of their own names."""
    folder: Path = tmp_path_factory.mktemp("kafka")
    with servers.running_kafka(folder) as broker:
        yield broker.bootstrap


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[str]:
    """Bootstrap servers of a Kafka for this test alone: one that counts what a topic holds."""
    with servers.running_kafka(tmp_path) as broker:
        yield broker.bootstrap
