"""Wake-up calls wait for what ingest accepted and Kafka does not have yet, but not for ever."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from libs.common.errors import Unavailable
from libs.common.http.client import Client
from libs.common.http.problem import Problem
from services.rules.clients import Ingest


class Answers:
    """Stands where ingest is: gives these answers, one a question, the last for ever."""

    def __init__(self, *answers: Any) -> None:
        self._answers: Iterator[Any] = iter(answers)
        self._last: Any = None

    async def ask(self, method: str, path: str) -> Any:
        assert (method, path) == ("GET", "/v1/settled")
        self._last = next(self._answers, self._last)
        if isinstance(self._last, Exception):
            raise self._last
        return self._last


def asking(*answers: Any, patience: float = 60.0) -> Ingest:
    return Ingest(cast(Client, Answers(*answers)), patience=patience)


def behind(spilled: int = 0, unread: int = 0) -> dict[str, int]:
    return {"spilled": spilled, "unread": unread}


async def test_nothing_behind_is_no_wait() -> None:
    await asking(behind()).settled()


@pytest.mark.parametrize(
    "answer", [behind(spilled=1), behind(unread=3), Unavailable("away"), Problem(403, "no"), {}, [], {"spilled": "x"}]
)
async def test_whatever_is_not_a_clear_answer_is_waited_for(answer: Any) -> None:
    ingest = asking(answer, behind())
    with pytest.raises(Unavailable):
        await ingest.settled()
    await ingest.settled()


async def test_patience_ends_when_nothing_moves() -> None:
    await asking(behind(spilled=4), patience=0.0).settled()


async def test_a_drain_that_moves_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer comes 50 s after the last: together longer than the patience of 60 s."""
    now = iter(range(0, 1_000, 50))

    class Loop:
        def time(self) -> float:
            return float(next(now))

    monkeypatch.setattr("services.rules.clients.asyncio.get_running_loop", Loop)
    ingest = asking(behind(spilled=900), behind(spilled=500), behind(spilled=100), behind(spilled=100))
    for _ in range(4):
        with pytest.raises(Unavailable):
            await ingest.settled()
    await ingest.settled()
