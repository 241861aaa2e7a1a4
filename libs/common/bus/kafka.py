"""The only door to aiokafka: an idempotent producer, consumers, and topic administration."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from libs.common.bus.partition import hashed
from libs.common.bus.records import Outgoing, Record, TopicPartition
from libs.common.errors import Unavailable
from libs.contracts.topics import Topic

ISOLATION = "read_committed"
MOST = 4 * 1024 * 1024
"""Bytes of a record. What is not near it need not be measured with its headers."""
PATIENCE = 5.0
"""Seconds for an answer on how far partitions go."""
LARGEST = MOST - 256 * 1024
MANY = 32
"""From so many records on, batches are made by hand."""


class Producer:
    """Publishes with `acks=all` and idempotence: acknowledged once means stored once, in order per partition."""

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    async def connect(cls, bootstrap: str, *, name: str, timeout_ms: int = 15_000) -> Self:
        """Connect; `timeout_ms` bounds the wait for an acknowledgement. Raises `Unavailable`."""
        client = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            client_id=f"kurant-{name}",
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            max_batch_size=256 * 1024,
            max_request_size=MOST,
            request_timeout_ms=timeout_ms,
        )
        try:
            await client.start()
        except (KafkaError, OSError) as error:
            await client.stop()
            raise Unavailable(f"kafka: {type(error).__name__}") from error
        return cls(client)

    async def send(self, records: Sequence[Outgoing]) -> list[tuple[int, int]]:
        """Publish and wait for every acknowledgement; the (partition, offset) of each. Raises `Unavailable`."""
        try:
            if len(records) >= MANY:
                return await self._send_many(records)
            futures = [
                await self._client.send(record.topic, record.value, key=record.key, headers=record.headers)
                for record in records
            ]
            acks = await asyncio.gather(*futures)
        except (KafkaError, OSError) as error:
            raise Unavailable(f"kafka: {type(error).__name__}") from error
        return [(ack.partition, ack.offset) for ack in acks]

    async def _send_many(self, records: Sequence[Outgoing]) -> list[tuple[int, int]]:
        """Batches made here and sent whole: one acknowledgement to wait for where `send` has one for each record.

        Those of one partition are sent in their order.
        """
        client, counts = self._client, {}
        for topic in {record.topic for record in records}:
            await client.client._wait_on_metadata(topic)
            counts[topic] = sorted(client.client.cluster.partitions_for_topic(topic) or ())
        batches: dict[KafkaPartition, list[_Batch]] = {}
        for place, record in enumerate(records):
            if len(record.value) > LARGEST:
                client._serialize(record.key, record.value, record.headers)  # refuses what is too large
            partitions = counts[record.topic]
            partition = KafkaPartition(record.topic, partitions[hashed(record.key) % len(partitions)])
            known = batches.setdefault(partition, [])
            if not known or not known[-1].add(place, record):
                known.append(_Batch(client.create_batch()))
                known[-1].add(place, record)
        acks = [(0, 0)] * len(records)
        sent = (self._send_batches(partition, known, acks) for partition, known in batches.items())
        await asyncio.gather(*sent)
        return acks

    async def _send_batches(
        self, partition: KafkaPartition, batches: "list[_Batch]", acks: list[tuple[int, int]]
    ) -> None:
        futures = []
        for batch in batches:
            batch.builder.close()
            futures.append(await self._client.send_batch(batch.builder, partition.topic, partition=partition.partition))
        for batch, ack in zip(batches, await asyncio.gather(*futures), strict=True):
            for number, place in enumerate(batch.places):
                acks[place] = ack.partition, ack.offset + number

    async def ping(self) -> None:
        """Raises `Unavailable` unless a broker answers."""
        try:
            await asyncio.wait_for(self._client.client.fetch_all_metadata(), 5)
        except (KafkaError, OSError, TimeoutError) as error:
            raise Unavailable(f"kafka: {type(error).__name__}") from error

    async def close(self) -> None:
        await self._client.stop()


@dataclass(slots=True)
class _Batch:
    """Records on their way to one partition, and where they stand among those that were given."""

    builder: Any
    places: list[int] = field(default_factory=list)

    def add(self, place: int, record: Outgoing) -> bool:
        """False when the batch is full."""
        told = self.builder.append(timestamp=None, key=record.key, value=record.value, headers=record.headers)
        if told is not None:
            self.places.append(place)
        return told is not None


class Consumer:
    """A member of a group (or, without one, a reader of given partitions) that never commits by itself."""

    def __init__(self, bootstrap: str, *, name: str, group: str | None, instance: str | None = None) -> None:
        """`instance` makes it a static member (KIP-345): who comes back under that name takes over at once."""
        self._client = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            client_id=f"kurant-{name}",
            group_id=group,
            group_instance_id=instance,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level=ISOLATION,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=2_000,
            rebalance_timeout_ms=30_000,
            fetch_max_wait_ms=250,
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )

    async def start(self) -> None:
        try:
            await self._client.start()
        except (KafkaError, OSError) as error:
            await self._client.stop()
            raise Unavailable(f"kafka: {type(error).__name__}") from error

    def subscribe(self, topics: Iterable[str], assigned: "Assigned") -> None:
        """Join the group; `assigned` is awaited with the partitions before the first record of them comes."""
        self._client.subscribe(list(topics), listener=_Listener(assigned))

    async def assign_all(self, topic: str) -> list[TopicPartition]:
        """Read every partition of `topic` from its beginning, without a group."""
        await self._client._client.set_topics([topic])
        partitions = sorted(self._client.partitions_for_topic(topic) or ())
        chosen = [KafkaPartition(topic, partition) for partition in partitions]
        self._client.assign(chosen)
        await self._client.seek_to_beginning(*chosen)
        return [(topic, partition) for partition in partitions]

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go on at `offset`. Raises `Unavailable` when the partition is not ours any more."""
        try:
            self._client.seek(KafkaPartition(*partition), offset)
        except KafkaError as error:
            raise Unavailable(f"kafka: {type(error).__name__}") from error

    async def beginnings(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The oldest offset still kept of each partition."""
        return await self._ends(self._client.beginning_offsets, partitions)

    async def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the newest record of each partition."""
        return await self._ends(self._client.end_offsets, partitions)

    async def _ends(self, ask: Callable[..., Any], partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        try:
            found = await ask([KafkaPartition(*partition) for partition in partitions])
        except (KafkaError, OSError) as error:
            raise Unavailable(f"kafka: {type(error).__name__}") from error
        return {(partition.topic, partition.partition): offset for partition, offset in found.items()}

    async def poll(self, *, timeout_ms: int = 500, max_records: int = 2_000) -> list[Record]:
        """What has come, oldest first in each partition; empty after `timeout_ms`. Raises `Unavailable`."""
        try:
            found = await self._client.getmany(timeout_ms=timeout_ms, max_records=max_records)
        except (KafkaError, OSError) as error:
            raise Unavailable(f"kafka: {type(error).__name__}") from error
        return [
            Record(
                topic=raw.topic,
                partition=raw.partition,
                offset=raw.offset,
                key=raw.key,
                value=raw.value,
                headers=tuple(raw.headers),
                timestamp=raw.timestamp,
            )
            for records in found.values()
            for raw in records
        ]

    async def position(self, partition: TopicPartition) -> int:
        """The offset of the next record that `poll` would give, also when compaction left none before it."""
        return int(await self._client.position(KafkaPartition(*partition)))

    def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Every partition of `topics`, also those of other members."""
        named = {topic: self._client.partitions_for_topic(topic) for topic in topics}
        return [(topic, partition) for topic, found in named.items() for partition in sorted(found or ())]

    def positions(self) -> dict[TopicPartition, int]:
        """The offset of the next record that `poll` would give, of each assigned partition where it is known.

        It also passes what is no record: the markers of transactions, and what compaction took.
        """
        assigned = self._client._subscription.subscription
        known: dict[TopicPartition, int] = {}
        for partition in self._client.assignment():
            state = assigned.assignment.state_value(partition)
            if state is not None and state.has_valid_position:
                known[(partition.topic, partition.partition)] = state.position
        return known

    def lag(self) -> dict[TopicPartition, int]:
        """Records behind the newest, of each assigned partition that was fetched."""
        behind: dict[TopicPartition, int] = {}
        for key, position in self.positions().items():
            high = self._client.highwater(KafkaPartition(*key))
            if high is not None:
                behind[key] = max(0, high - position)
        return behind

    async def commit(self, positions: dict[TopicPartition, int]) -> None:
        """Tell Kafka how far we are, for lag tools and autoscalers alone: nothing is decided by it (I4)."""
        assignment = self._client.assignment()
        offsets = {
            KafkaPartition(*key): offset for key, offset in positions.items() if KafkaPartition(*key) in assignment
        }
        try:
            if offsets:
                await self._client.commit(offsets)
        except (KafkaError, OSError):
            return

    async def close(self) -> None:
        await self._client.stop()


class Offsets:
    """How far partitions go, asked on a connection of its own.

    On one that fetches as well, Kafka answers only after the fetch, which waits up to a second and a half for records.
    """

    def __init__(self, bootstrap: str, *, name: str) -> None:
        self._bootstrap = bootstrap
        self._name = name
        self._consumer: Consumer | None = None
        self._starting = asyncio.Lock()

    async def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the newest record of each partition. Raises `Unavailable`, after `PATIENCE` too."""
        return await self._ask(partitions, Consumer.ends)

    async def beginnings(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The oldest offset still kept of each partition. Raises as `ends` does."""
        return await self._ask(partitions, Consumer.beginnings)

    async def _ask(self, partitions: Collection[TopicPartition], ask: Callable[..., Any]) -> dict[TopicPartition, int]:
        if not partitions:
            return {}
        try:
            async with asyncio.timeout(PATIENCE):
                found: dict[TopicPartition, int] = await ask(await self._started(), partitions)
                return found
        except TimeoutError:
            await self.close()  # what was sent to a broker that is gone is answered by nobody
            raise Unavailable("kafka: no answer in time") from None

    async def _started(self) -> Consumer:
        async with self._starting:
            if self._consumer is None:
                made = Consumer(self._bootstrap, name=f"{self._name}-offsets", group=None)
                await made.start()
                self._consumer = made
            return self._consumer

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.close()


Assigned = Callable[[list[TopicPartition]], Any]


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    def __init__(self, assigned: Assigned) -> None:
        self._assigned = assigned

    async def on_partitions_revoked(self, revoked: Collection[Any]) -> None:
        return

    async def on_partitions_assigned(self, assigned: Collection[Any]) -> None:
        await self._assigned([(partition.topic, partition.partition) for partition in assigned])


async def create_topics(bootstrap: str, topics: Iterable[Topic], *, partitions: int, replication: int) -> list[str]:
    """Create what is missing, quarantine topics too; the names of those created. Raises `Unavailable`."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, client_id="kurant-topics")
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        wanted: list[NewTopic] = []
        for topic in topics:
            retention = str(int(topic.retention.total_seconds() * 1000)) if topic.retention else "-1"
            config = {"retention.ms": retention, "cleanup.policy": "compact" if topic.compacted else "delete"}
            wanted.append(NewTopic(topic.name, topic.partitions or partitions, replication, topic_configs=config))
            if topic.consumers:
                keep = {"retention.ms": str(30 * 86_400_000), "cleanup.policy": "delete"}
                wanted.append(NewTopic(topic.quarantine, 1, replication, topic_configs=keep))
        missing = [topic for topic in wanted if topic.name not in existing]
        if missing:
            answer = await admin.create_topics(missing, timeout_ms=30_000)
            for name, code, *_ in answer.topic_errors:
                if code and not issubclass(for_code(code), TopicAlreadyExistsError):
                    raise Unavailable(f"kafka: creating {name}: {for_code(code).__name__}")
        return [topic.name for topic in missing]
    except (KafkaError, OSError) as error:
        raise Unavailable(f"kafka: {type(error).__name__}") from error
    finally:
        await admin.close()
