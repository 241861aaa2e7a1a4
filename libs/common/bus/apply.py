"""The unit of work: state and next offset in one transaction, outputs acknowledged before it commits (I4)."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from libs.common.bus.kafka import Producer
from libs.common.bus.records import Handle, Outcome, Outgoing, Record, TopicPartition
from libs.common.db.engine import Connection, Database
from libs.common.db.offsets import OffsetStore
from libs.common.errors import Fenced, Unavailable
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import QUARANTINED

log = logger(__name__)
Refused = Callable[[Connection, Record], Awaitable[None]]
"""Told, within the transaction, of a record that the handler could not take without an exception."""


class Applier:
    """Applies records to one service's state, exactly once as far as the state can tell.

    `positions` is where each owned partition goes on; it moves only after the commit.
    """

    def __init__(
        self,
        *,
        schema: str,
        database: Database,
        producer: Producer,
        handle: Handle,
        refused: Refused | None = None,
    ) -> None:
        self.positions: dict[TopicPartition, int] = {}
        self._offsets = OffsetStore(schema)
        self._database = database
        self._producer = producer
        self._handle = handle
        self._refused = refused

    async def assign(self, beginnings: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Where to start each partition; `beginnings` are the oldest offsets that Kafka still has."""
        async with self._database.transaction() as connection:
            stored = await self._offsets.load(connection, beginnings)
            behind = {key: (old, beginnings[key]) for key, old in stored.items() if old < beginnings[key]}
            if behind:
                log.error("records were deleted before they were read", partitions=len(behind))
                await self._offsets.advance(connection, behind)
        starts = {key: max(stored[key], beginnings[key]) for key in stored}
        self.positions.update(starts)
        return starts

    def revoke(self, keep: Iterable[TopicPartition]) -> None:
        """Forget every partition that is not among `keep`."""
        kept = set(keep)
        self.positions = {key: offset for key, offset in self.positions.items() if key in kept}

    async def stored(self) -> dict[TopicPartition, int]:
        """Where each partition goes on, those of other members too."""
        async with self._database.connection() as connection:
            return await self._offsets.positions(connection)

    async def skip(self, positions: Mapping[TopicPartition, int]) -> None:
        """Go on at `positions`, before which there is nothing more to read (markers of transactions, compaction)."""
        mine = {key: (self.positions[key], new) for key, new in positions.items() if key in self.positions}
        moves = {key: (old, new) for key, (old, new) in mine.items() if new > old}
        if moves:
            async with self._database.transaction() as connection:
                await self._offsets.advance(connection, moves)
            self.positions.update({key: new for key, (_, new) in moves.items()})

    async def apply(self, records: Sequence[Record]) -> None:
        """Apply `records` (in order per partition). A record that cannot be applied goes to quarantine.

        Raises `Unavailable` or `Fenced`; then nothing was written, and the positions stand where they stood.
        """
        fresh = [record for record in records if record.offset >= self.positions[(record.topic, record.partition)]]
        if not fresh:
            return
        try:
            await self._transact(fresh, self._handle)
        except (Unavailable, Fenced):
            raise
        except Exception as error:
            if len(fresh) == 1:
                log.error("record quarantined", topic=fresh[0].topic, cause=type(error).__name__, exc_info=True)
                await self._transact(fresh, self._refusal(f"{type(error).__name__} in the handler"))
                return
            for record in fresh:
                await self.apply([record])

    async def _transact(self, records: Sequence[Record], handle: Handle) -> None:
        moves: dict[TopicPartition, tuple[int, int]] = {}
        for record in records:
            key = (record.topic, record.partition)
            moves[key] = (self.positions[key], record.offset + 1)
        async with self._database.transaction() as connection:
            await self._offsets.advance(connection, moves)
            outcome = await handle(connection, records)
            outputs = outcome.outputs + [_quarantine(record, cause) for record, cause in outcome.poison]
            if outputs:
                await self._producer.send(outputs)
        self.positions.update({key: new for key, (_, new) in moves.items()})
        for record, cause in outcome.poison:
            QUARANTINED.labels(topic=record.topic, cause=cause.split(":")[0][:40]).inc()
        if outcome.after:
            outcome.after()

    def _refusal(self, cause: str) -> Handle:
        """A handler that puts its one record into quarantine, and lets the service count it."""

        async def handle(connection: Connection, records: Sequence[Record]) -> Outcome:
            if self._refused:
                await self._refused(connection, records[0])
            return Outcome(poison=[(records[0], cause)])

        return handle


def _quarantine(record: Record, cause: str) -> Outgoing:
    """The record's own bytes and headers, with cause and position added."""
    position = f"{record.topic}/{record.partition}/{record.offset}"
    headers = [header for header in record.headers if not header[0].startswith("kurant-quarantine-")]
    headers += [
        ("kurant-quarantine-cause", cause[:500].encode()),
        ("kurant-quarantine-position", position.encode()),
    ]
    return Outgoing(
        topic=f"{record.topic}.quarantine",
        key=record.key or position.encode(),
        value=record.value or b"",
        headers=headers,
    )
