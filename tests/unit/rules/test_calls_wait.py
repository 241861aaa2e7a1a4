"""The stream judges a wake-up call only when all that was accepted is on the events topic, and read (ADR 0018)."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.transport.drivers.aiokafka import Consumer as StockConsumer
from faust.types import TP

from libs.common.bus.order import ReadFirst
from libs.common.bus.records import Record
from libs.common.errors import Unavailable
from services.rules import stream
from services.rules.stream import Stream, _Consumer

PARTITION = TP("events", 0)


def record(topic: str, offset: int) -> Record:
    return Record(topic=topic, partition=0, offset=offset, key=None, value=None, headers=(), timestamp=0)


class Applier:
    """Notes what is applied."""

    def __init__(self) -> None:
        self.positions = {("events", 0): 7, ("due", 0): 5}
        self.applied: list[str] = []

    async def apply(self, records: list[Record]) -> None:
        self.applied += [f"{one.topic}-{one.offset}" for one in records]
        self.positions.update({(one.topic, one.partition): one.offset + 1 for one in records})


async def test_a_call_is_not_judged_before_what_was_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ingest holds a purchase at first; it is drained, and lies behind the end that was known before."""
    monkeypatch.setattr(stream, "BACKOFF", (0.0,))
    applier, end, asked = Applier(), 7, 0

    async def settled() -> None:
        nonlocal asked, end
        asked += 1
        if asked < 3:
            assert applier.applied == []
            raise Unavailable("ingest: 1 accepted events are not on Kafka yet")
        end = 8

    async def ends(partitions: list[Any]) -> dict[Any, int]:
        return dict.fromkeys(partitions, end)

    made = Stream.__new__(Stream)
    vars(made).update(
        _applier=applier,
        _settled=settled,
        _offsets=SimpleNamespace(ends=ends),
        _first="events",
        _order=ReadFirst(first="events", then="due"),
        _forget=lambda: None,
        _app=SimpleNamespace(consumer=SimpleNamespace(epoch=0)),
    )
    await made._apply(0, [record("due", 5)])
    assert (asked, applier.applied) == (3, [])
    await made._apply(0, [record("events", 7)])
    assert (asked, applier.applied) == (3, ["events-7", "due-5"])


def test_a_full_queue_leaves_no_partition_out() -> None:
    """Stock Faust stops to fetch the partition that a message names; one message of ours is a whole poll."""

    def after_a_full_queue(kind: type[Any]) -> set[TP]:
        consumer = cast(Any, kind.__new__(kind))
        consumer.app = SimpleNamespace(in_recovery=False)
        consumer._active_partitions, consumer._buffered_partitions = {PARTITION}, set()
        consumer.on_buffer_full(PARTITION)
        return cast(set[TP], consumer._active_partitions)

    assert after_a_full_queue(StockConsumer) == set(), "stock Faust no longer does so"
    assert after_a_full_queue(_Consumer) == {PARTITION}
