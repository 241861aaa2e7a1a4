"""Many callers, few calls: what is asked for while a call is under way goes into the next one together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Combiner(Generic[Asked, Answer]):
    """Turns single questions into calls of `call`, each with up to `most` of them, `at_once` calls side by side.

    `call` answers every question, in their order. What it raises, each of its askers gets.
    """

    def __init__(
        self, call: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]], *, most: int, at_once: int = 1
    ) -> None:
        self._call = call
        self._most = most
        self._free = at_once
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, question: Asked) -> Answer:
        """The answer to one question; alone it is asked at once."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._free:
            self._free -= 1
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _work(self) -> None:
        """Ask until nobody waits; begun a turn of the event loop later, so that questions of one turn meet."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                batch = [(question, answer) for question, answer in batch if not answer.done()]
                await self._answer(batch)
        finally:
            self._free += 1

    async def _answer(self, batch: list[tuple[Asked, "asyncio.Future[Answer]"]]) -> None:
        try:
            answers = await self._call([question for question, _ in batch]) if batch else []
            for (_, waiting), answer in zip(batch, answers, strict=True):
                if not waiting.done():
                    waiting.set_result(answer)
        except Exception as error:
            for _, waiting in batch:
                if not waiting.done():
                    waiting.set_exception(error)
