"""The one consumer loop: poll, apply, tell Kafka; rewind and wait when a downstream is away; leave gracefully."""

import asyncio
import time
from collections.abc import Iterable

from libs.common.bus.apply import Applier, Refused
from libs.common.bus.kafka import Consumer, Offsets, Producer
from libs.common.bus.records import Handle, TopicPartition
from libs.common.clock import pause
from libs.common.db.engine import Database
from libs.common.errors import Fenced, Unavailable
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import LAG
from libs.contracts.topics import Topic

log = logger(__name__)
LOOK = 0.1
"""Seconds between two looks at how far the group has read."""
BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Loop:
    """Consumes `topics` as group `kurant-<schema>`, keeping offsets and state in the schema of that name."""

    def __init__(
        self,
        *,
        schema: str,
        topics: Iterable[Topic],
        bootstrap: str,
        database: Database,
        producer: Producer,
        handle: Handle,
        refused: Refused | None = None,
        instance: str | None = None,
        max_records: int = 2_000,
    ) -> None:
        self.applier = Applier(schema=schema, database=database, producer=producer, handle=handle, refused=refused)
        self._consumer = Consumer(bootstrap, name=schema, group=f"kurant-{schema}", instance=instance)
        self._offsets = Offsets(bootstrap, name=schema)
        self._topics = [topic.name for topic in topics]
        self._max_records = max_records
        self._settled: list[TopicPartition] | None = None
        self._assigned: list[TopicPartition] | None = None

    async def ready(self) -> None:
        """Raises `Unavailable` until the group has given us our share, and we know where to go on in it."""
        if self._settled is None or self._settled is not self._assigned:
            raise Unavailable("kafka: no partitions assigned yet")

    def lag(self) -> dict[TopicPartition, int]:
        """Records behind, by partition."""
        return self._consumer.lag()

    async def unread(self) -> int:
        """Records that are in Kafka now and that no member of the group has applied. Raises `Unavailable`."""
        partitions = self._consumer.partitions(self._topics)
        ends, beginnings = await self._offsets.ends(partitions), await self._offsets.beginnings(partitions)
        stored = await self.applier.stored()
        return sum(max(0, end - max(stored.get(key, 0), beginnings[key])) for key, end in ends.items())

    async def read_so_far(self, stop: asyncio.Event, patience: float) -> bool:
        """Return when the group has applied all that is in Kafka now; False when `patience` (seconds) is over first."""
        ends: dict[TopicPartition, int] = {}
        until = time.monotonic() + patience
        while not stop.is_set() and time.monotonic() < until:
            try:
                partitions = self._consumer.partitions(self._topics)
                ends = ends or await self._offsets.ends(partitions)
                stored, empty = await self.applier.stored(), await self._offsets.beginnings(partitions)
                if all(max(stored.get(key, 0), empty[key]) >= end for key, end in ends.items()):
                    return True
            except Unavailable as error:
                log.info("not now", error=str(error))
            await pause(stop, LOOK)
        return False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; what was begun is finished. Raises what is neither passing nor poison."""
        await self._consumer.start()
        self._consumer.subscribe(self._topics, self._on_assigned)
        failures = 0
        try:
            while not stop.is_set():
                try:
                    if self._settled is not self._assigned:
                        await self._settle()
                    records = await self._consumer.poll(timeout_ms=200, max_records=self._max_records)
                    records = [r for r in records if (r.topic, r.partition) in self.applier.positions]
                    if records:
                        await self.applier.apply(records)
                        await self._consumer.commit(dict(self.applier.positions))
                    elif self._settled is self._assigned:
                        await self.applier.skip(self._consumer.positions())
                    self._report()
                    failures = 0
                except (Unavailable, Fenced) as error:
                    log.warning("waiting for a downstream", error=str(error), failures=failures)
                    await asyncio.sleep(BACKOFF[min(failures, len(BACKOFF) - 1)])
                    failures += 1
                    self._settled = None  # after a failure the positions in memory prove nothing
        finally:
            await self._consumer.close()
            await self._offsets.close()

    async def _on_assigned(self, partitions: list[TopicPartition]) -> None:
        """aiokafka swallows what is raised here, and would go on from Kafka's offsets: so the loop tries again."""
        self._assigned = partitions
        self.applier.revoke(partitions)
        try:
            await self._settle()
        except Unavailable as error:
            log.warning("cannot read the stored offsets yet", error=str(error))

    async def _settle(self) -> None:
        """Go to the stored offset of each partition that is ours. Raises `Unavailable`."""
        partitions = self._assigned
        beginnings = await self._consumer.beginnings(partitions) if partitions else {}
        for key, offset in (await self.applier.assign(beginnings)).items():
            self._consumer.seek(key, offset)
        self._settled = partitions
        log.info("partitions assigned", count=len(partitions or ()))

    def _report(self) -> None:
        for (topic, partition), lag in self._consumer.lag().items():
            LAG.labels(topic=topic, partition=str(partition)).set(lag)
