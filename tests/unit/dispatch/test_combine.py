"""Questions meet in calls, answers find their askers."""

import asyncio
from collections.abc import Sequence

import pytest

from libs.common.combine import Combiner


async def test_questions_of_one_moment_are_one_call_and_later_ones_the_next() -> None:
    calls: list[list[int]] = []
    go_on = asyncio.Event()

    async def call(asked: Sequence[int]) -> list[int]:
        calls.append(list(asked))
        await go_on.wait()
        return [number * 2 for number in asked]

    combiner = Combiner(call, most=3)
    first = [asyncio.create_task(combiner.ask(number)) for number in (1, 2)]
    await asyncio.sleep(0.01)
    later = [asyncio.create_task(combiner.ask(number)) for number in (3, 4, 5, 6)]
    await asyncio.sleep(0.01)
    assert calls == [[1, 2]]
    go_on.set()
    assert await asyncio.gather(*first, *later) == [2, 4, 6, 8, 10, 12]
    assert calls == [[1, 2], [3, 4, 5], [6]]


async def test_an_error_is_that_call_s_alone() -> None:
    async def call(asked: Sequence[int]) -> list[int]:
        if 1 in asked:
            raise ValueError("no")
        return list(asked)

    combiner = Combiner(call, most=1)
    answers = await asyncio.gather(combiner.ask(1), combiner.ask(2), return_exceptions=True)
    assert isinstance(answers[0], ValueError)
    assert answers[1] == 2


async def test_an_asker_who_leaves_is_not_asked_for() -> None:
    calls: list[list[int]] = []

    async def call(asked: Sequence[int]) -> list[int]:
        calls.append(list(asked))
        await asyncio.sleep(0.01)
        return list(asked)

    combiner = Combiner(call, most=1)
    tasks = [asyncio.create_task(combiner.ask(number)) for number in (1, 2, 3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    assert await tasks[0] == 1
    assert await tasks[2] == 3
    assert calls == [[1], [3]]


async def test_too_few_answers_are_an_error() -> None:
    async def call(asked: Sequence[int]) -> list[int]:
        return []

    with pytest.raises(ValueError, match="shorter"):
        await Combiner(call, most=2).ask(1)
