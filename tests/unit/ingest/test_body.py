"""A packed body is never unpacked beyond what is allowed."""

import gzip
import tracemalloc

import pytest

from libs.common.http.body import unpack
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
