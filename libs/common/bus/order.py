"""Records of one topic wait until another has been read as far as it went when they came. Pure."""

from collections.abc import Iterable, Mapping

from libs.common.bus.records import Record, TopicPartition


class ReadFirst:
    """Holds records of topic `then` back until the same partition of topic `first` has caught up.

    So a purchase that was accepted before a wake-up call was given is judged before it, also by a process that has
    to catch up with both (I5).
    """

    def __init__(self, *, first: str, then: str) -> None:
        self._first = first
        self._then = then
        self._held: list[tuple[Record, int]] = []

    def forget(self) -> None:
        """Partitions have moved: what is held back will be read again."""
        self._held.clear()

    def asks(self, records: Iterable[Record]) -> set[int]:
        """The partitions of `first` whose ends must be known before `order` is called."""
        known = {(held.partition, held.offset) for held, _ in self._held}
        return {r.partition for r in records if r.topic == self._then and (r.partition, r.offset) not in known}

    def order(
        self, records: Iterable[Record], positions: Mapping[TopicPartition, int], ends: Mapping[int, int]
    ) -> list[Record]:
        """What may be applied now: everything else first, then those of `then` whose time has come, in their order.

        `positions` is where each owned partition goes on; a partition of `first` that is not among them is not waited
        for. `ends` is how far `first` goes, for the partitions that `asks` named.
        """
        mine = [r for r in records if (r.topic, r.partition) in positions]
        new = self.asks(mine)
        known = {(held.partition, held.offset) for held, _ in self._held}
        for record in mine:
            if (
                record.topic == self._then
                and record.partition in new
                and (record.partition, record.offset) not in known
            ):
                self._held.append((record, ends.get(record.partition, 0)))
        others = [r for r in mine if r.topic != self._then]
        return others + self._free(others, positions)

    def _free(self, others: list[Record], positions: Mapping[TopicPartition, int]) -> list[Record]:
        reached = {partition: at for (topic, partition), at in positions.items() if topic == self._first}
        for record in others:
            if record.topic == self._first:
                reached[record.partition] = max(reached.get(record.partition, 0), record.offset + 1)
        self._held = [one for one in self._held if one[0].offset >= positions.get((self._then, one[0].partition), 0)]
        waiting: set[int] = set()
        free: list[Record] = []
        for record, end in self._held:
            if record.partition in waiting or reached.get(record.partition, end) < end:
                waiting.add(record.partition)
            else:
                free.append(record)
        return free
