"""A body is read: never unpacked beyond what is allowed, and with half a character lost rather than all of it."""

import gzip
import tracemalloc
from typing import Any

import pytest
from fastapi import Request

from libs.common.http.body import decoded, unpack
from libs.common.http.problem import Problem


def test_a_bomb_is_stopped_before_it_goes_off() -> None:
    bomb = gzip.compress(bytes(50_000_000), compresslevel=1)
    tracemalloc.start()
    with pytest.raises(Problem) as refused:
        unpack(bomb, 100_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused.value.status == 413
    assert peak < 5_000_000


def test_many_small_members_count_together() -> None:
    member = gzip.compress(bytes(1_000))
    assert len(unpack(member * 10, 10_000)) == 10_000
    with pytest.raises(Problem):
        unpack(member * 11, 10_000)


async def asked(body: bytes) -> dict[str, int | str]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return await decoded(Request({"type": "http", "headers": []}, receive), dict[str, int | str], 1_000)


async def test_half_a_surrogate_pair_costs_that_character_alone() -> None:
    assert await asked(rb'{"a": "cut \ud83d", "b": 1}') == {"a": "cut \ufffd", "b": 1}
    for body, status in ((rb'{"a": "cut \ud83d"', 400), (rb'{"a": "\ud83d", "b": []}', 422), (b"{", 400)):
        with pytest.raises(Problem) as refused:
            await asked(body)
        assert refused.value.status == status
