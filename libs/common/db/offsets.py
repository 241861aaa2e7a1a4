"""Where each consumer goes on, stored beside its state (I4).

A consumer that keeps state moves its offset in the very transaction that writes the state, and only from where
it left it: whoever finds another number has lost the partition and writes nothing.
"""

from collections.abc import Iterable, Mapping

from libs.common.db.engine import Connection
from libs.common.errors import Fenced

TABLE = """
CREATE TABLE {schema}.consumer_offset (
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
)
"""
"""DDL for a service's migration: `op.execute(offsets.TABLE.format(schema="consent"))`."""

TopicPartition = tuple[str, int]


class OffsetStore:
    """The `consumer_offset` table of one service's schema."""

    def __init__(self, schema: str) -> None:
        self._load = f"SELECT topic, partition, next_offset FROM {schema}.consumer_offset"
        self._seed = f"INSERT INTO {schema}.consumer_offset VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
        self._advance = f"""
            UPDATE {schema}.consumer_offset AS o SET next_offset = n.new
            FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) AS n (topic, partition, old, new)
            WHERE o.topic = n.topic AND o.partition = n.partition AND o.next_offset = n.old
        """

    async def load(
        self, connection: Connection, partitions: Iterable[TopicPartition], beginning: int = 0
    ) -> dict[TopicPartition, int]:
        """The next offset of each partition; one never seen is stored as `beginning` first."""
        wanted = list(partitions)
        await connection.executemany(self._seed, [(topic, partition, beginning) for topic, partition in wanted])
        stored = await self.positions(connection)
        return {key: stored[key] for key in wanted}

    async def positions(self, connection: Connection) -> dict[TopicPartition, int]:
        """The next offset of each partition that was ever consumed, by whatever process."""
        return {(row["topic"], row["partition"]): row["next_offset"] for row in await connection.fetch(self._load)}

    async def advance(self, connection: Connection, moves: Mapping[TopicPartition, tuple[int, int]]) -> None:
        """Compare and set: partition -> (old, new). Raises `Fenced` unless every one stood at its old offset."""
        keys = sorted(moves)
        status = await connection.execute(
            self._advance,
            [topic for topic, _ in keys],
            [partition for _, partition in keys],
            [moves[key][0] for key in keys],
            [moves[key][1] for key in keys],
        )
        if status != f"UPDATE {len(keys)}":
            raise Fenced(f"{status} of {len(keys)} partitions: another process has moved on")
