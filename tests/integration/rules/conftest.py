"""What tests of rules share."""

from collections.abc import AsyncIterator

import pytest

from libs.common.db.engine import Database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.connect(database_url, name="test")
    yield opened
    await opened.close()
