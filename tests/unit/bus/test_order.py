"""Wake-up calls wait for the events that were there when they came."""

from libs.common.bus.order import ReadFirst
from libs.common.bus.records import Record, TopicPartition

Positions = dict[TopicPartition, int]


def record(topic: str, offset: int, partition: int = 0) -> Record:
    return Record(topic=topic, partition=partition, offset=offset, key=None, value=None, headers=(), timestamp=0)


def events(*offsets: int) -> list[Record]:
    return [record("events", offset) for offset in offsets]


def due(*offsets: int, partition: int = 0) -> list[Record]:
    return [record("due", offset, partition) for offset in offsets]


def both(events_at: int, due_at: int) -> Positions:
    return {("events", 0): events_at, ("due", 0): due_at}


def test_events_of_the_same_poll_come_first() -> None:
    order = ReadFirst(first="events", then="due")
    assert order.order(due(5) + events(7, 8), both(7, 5), {0: 9}) == events(7, 8) + due(5)


def test_a_call_waits_until_what_was_there_when_it_came_is_read() -> None:
    """Rules comes back after a restart: the call is fetched before the purchase that cancels it."""
    order = ReadFirst(first="events", then="due")
    assert order.asks(due(5)) == {0}
    assert order.order(due(5), both(7, 5), {0: 9}) == []
    assert order.asks(events(7)) == set()
    assert order.order(events(7), both(7, 5), {}) == events(7)
    assert order.order(events(8), both(8, 5), {}) == events(8) + due(5)
    assert order.order(events(9), both(9, 6), {}) == events(9)


def test_later_events_are_not_waited_for() -> None:
    order = ReadFirst(first="events", then="due")
    assert order.order(due(5), both(7, 5), {0: 7}) == due(5)


def test_calls_keep_their_order_behind_one_that_waits() -> None:
    order = ReadFirst(first="events", then="due")
    assert order.order(due(5), both(7, 5), {0: 9}) == []
    assert order.order(due(6), both(7, 5), {0: 0}) == []
    assert order.order(events(7, 8), both(7, 5), {}) == events(7, 8) + due(5, 6)


def test_other_partitions_do_not_wait() -> None:
    order = ReadFirst(first="events", then="due")
    positions = both(7, 5) | {("events", 1): 3, ("due", 1): 2}
    assert order.order(due(5) + due(2, partition=1), positions, {0: 9, 1: 3}) == due(2, partition=1)


def test_what_failed_is_given_again_and_what_was_applied_is_not() -> None:
    order = ReadFirst(first="events", then="due")
    polled = due(5) + events(7)
    assert order.order(polled, both(7, 5), {0: 8}) == events(7) + due(5)
    assert order.order(polled, both(7, 5), {}) == events(7) + due(5)
    assert order.order([], both(8, 6), {}) == []


def test_a_partition_that_is_not_ours_is_not_waited_for_and_one_that_left_is_forgotten() -> None:
    order = ReadFirst(first="events", then="due")
    assert order.order(due(5), {("due", 0): 5}, {}) == due(5)
    assert order.order(due(6), both(7, 6), {0: 9}) == []
    order.forget()
    assert order.order(events(7, 8), both(7, 6), {}) == events(7, 8)
