"""The Faust application of rules: the only place that knows Faust.

Faust gives group membership and the agent. What it does per event, and when it commits, is replaced:
- one poll is one message, so that its cost per message is paid per poll (`getmany`);
- where to start is what Postgres says (`perform_seek`), so Faust's own commits decide nothing (I4);
- what it commits to Kafka is what is applied, for lag tools alone (`_filter_committable_offsets`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any, cast

import faust
from faust.transport.drivers.aiokafka import Consumer as FaustConsumer
from faust.transport.drivers.aiokafka import Transport as FaustTransport
from faust.types import TP

from libs.common.bus.apply import Applier
from libs.common.bus.consumer import BACKOFF
from libs.common.bus.kafka import Offsets
from libs.common.bus.order import ReadFirst
from libs.common.bus.records import Record
from libs.common.errors import Fenced, Unavailable
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import LAG

log = logger(__name__)
STALLED_AFTER = 90.0
"""Seconds without progress, while there is something to do, after which the process ends itself."""


class _Consumer(FaustConsumer):
    """One message per poll; positions from the applier."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rules = cast(_App, self.app)
        self._applier = self._rules.applier
        self._missed = False
        self._seeking = 0
        self.epoch = 0

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """All records of a poll as the value of one message, stamped with the epoch of the last seek.

        What was fetched and is not handed on, because a seek came between or the flow was stopped, would be passed
        over for good, since the client goes on behind it: then we go back to the stored positions.
        """
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # Faust itself does so
        if self._missed:
            await self._go_back()
        epoch = self.epoch
        polled, _ = await self._wait_next_records(timeout)
        if not polled or self.should_stop:
            return
        if not self.flow_active or self._seeking or epoch != self.epoch:
            self._missed = True
            return
        last = None
        records: list[Record] = []
        for partition, batch in polled.items():
            for raw in batch:
                last = (partition, raw)
                records.append(
                    Record(
                        topic=raw.topic,
                        partition=raw.partition,
                        offset=raw.offset,
                        key=raw.key,
                        value=raw.value,
                        headers=tuple(raw.headers),
                        timestamp=raw.timestamp,
                    )
                )
        if last is None:
            return
        message = self._to_message(*last)
        message.value = cast(bytes, (epoch, records))  # what Faust passes on without looking
        self._read_offset[message.tp] = message.offset
        yield message.tp, message

    async def _go_back(self) -> None:
        try:
            self._missed = False
            await self.perform_seek()
        except Exception as error:  # whatever a client raises when its server is away
            log.warning("cannot go back yet", error=type(error).__name__)
            self._missed = True
            await asyncio.sleep(BACKOFF[3])

    async def perform_seek(self) -> None:
        """Go to the stored positions of all that is assigned, and disown what was fetched before or meanwhile."""
        self.epoch += 1
        self._seeking += 1
        try:
            await self._to_stored()
        finally:
            self._seeking -= 1
            self.epoch += 1
        self._rules.on_seek()

    async def _to_stored(self) -> None:
        assigned = self.assignment()
        owned = [(partition.topic, partition.partition) for partition in assigned]
        self._applier.revoke(owned)
        if owned:
            beginnings = await self.earliest_offsets(*assigned)
            starts = await self._applier.assign(
                {(partition.topic, partition.partition): offset for partition, offset in beginnings.items()}
            )
            await self.seek_wait({TP(*key): offset for key, offset in starts.items()})

    def ack(self, message: Any) -> bool:
        """Nothing rests on Faust's acknowledgements; only its own bookkeeping is released."""
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    def on_buffer_full(self, tp: TP) -> None:
        """Faust would stop to fetch the partition that a message names, for as long as the queue is never empty: others
        would go on, and it would starve. Here a full queue holds up the next poll, and so all alike.
        """

    def on_buffer_drop(self, tp: TP) -> None:
        """Nothing was stopped."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust would report each partition that no message names: one message is a whole poll. `_watch` looks."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return iter([TP(*key) for key in self._applier.positions])

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        applied = {TP(*key): offset for key, offset in self._applier.positions.items() if offset > 0}
        return {tp: applied[tp] for tp in tps if tp in applied}


class _Poll:
    """The value of a message: the epoch and the records, handed on as they are."""

    @classmethod
    def from_data(cls, data: Any, *, preferred_type: Any = None) -> Any:
        return data


class _Transport(FaustTransport):
    Consumer = _Consumer


class _App(faust.App):
    """A Faust application that carries the applier to its consumer."""

    applier: Applier
    on_seek: Callable[[], None]

    def _create_directories(self) -> None:
        """Nothing of Faust's is kept in files."""

    def _new_transport(self) -> FaustTransport:
        return _Transport(self.conf.broker_consumer, self)


class Stream:
    """Runs the agent that applies each poll of `topics` in one unit of work."""

    def __init__(
        self,
        *,
        bootstrap: str,
        group: str,
        topics: list[str],
        applier: Applier,
        forget: Callable[[], None],
        read_first: tuple[str, str],
        settled: Callable[[], Awaitable[None]],
        instance: str | None = None,
    ) -> None:
        """`read_first`: two of `topics`; records of the second wait until the first was read as far as it then went.

        `settled` is awaited before that: it returns once all that was accepted is on the first, or raises
        `Unavailable`.
        """
        self._applier = applier
        self._settled = settled
        self._offsets = Offsets(bootstrap, name="rules")
        self._first, then = read_first
        self._order = ReadFirst(first=self._first, then=then)
        self._forget = forget
        self._app = _App(
            group,
            broker=f"kafka://{bootstrap}",
            store="memory://",
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            stream_wait_empty=False,
            stream_buffer_maxsize=2,
            producer_acks=-1,
            broker_max_poll_records=5_000,
            broker_session_timeout=10,
            broker_heartbeat_interval=2,
            broker_commit_interval=5,
            consumer_auto_offset_reset="earliest",
            consumer_group_instance_id=instance,
            datadir=None,
            autodiscover=False,
        )
        self._app.applier = applier
        self._app.on_seek = self._on_seek
        channel = self._app.topic(*topics, key_serializer="raw", value_serializer="raw", value_type=cast(Any, _Poll))
        self._app.agent(channel, name="rules", concurrency=1)(self._agent)
        self._moved = asyncio.get_running_loop().time()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; raises when Faust ended by itself or stands still (liveness)."""
        await self._app.start()
        try:
            while not stop.is_set():
                try:
                    async with asyncio.timeout(1):
                        await stop.wait()
                except TimeoutError:
                    self._watch()
        finally:
            await self._app.stop()
            await self._offsets.close()

    async def ready(self) -> None:
        """Raises `Unavailable` until partitions are assigned and positions are known."""
        if not self._applier.positions:
            raise Unavailable("kafka: no partitions assigned yet")

    def lag(self) -> int:
        """Records behind, over all assigned partitions."""
        total = 0
        for topic, partition in list(self._applier.positions):
            newest = self._app.consumer.highwater(TP(topic, partition)) if self._app.consumer else None
            behind = max(0, (newest or 0) - self._applier.positions.get((topic, partition), 0))
            LAG.labels(topic=topic, partition=str(partition)).set(behind)
            total += behind
        return total

    async def all_ends(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """The offset after the newest record of each of these partitions, of any process. Raises `Unavailable`."""
        found = await self._offsets.ends([(topic, partition) for partition in partitions])
        return {partition: offset for (_, partition), offset in found.items()}

    def _watch(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._app.crashed or self._app.should_stop:
            raise RuntimeError(f"faust ended: {self._app.crash_reason!r}")
        if self.lag() == 0:
            self._moved = now
        if now - self._moved > STALLED_AFTER:
            raise RuntimeError("no progress although records wait")

    async def _ends_of_first(self) -> dict[int, int]:
        self._moved = asyncio.get_running_loop().time()  # waiting for others is no standing still
        await self._settled()
        mine = [partition for topic, partition in self._applier.positions if topic == self._first]
        return await self.all_ends(self._first, mine)

    def _on_seek(self) -> None:
        self._order.forget()
        self._forget()

    async def _agent(self, stream: Any) -> None:
        async for epoch, records in stream:
            await self._apply(epoch, records)

    async def _apply(self, epoch: int, records: list[Record]) -> None:
        """Apply one poll, waiting as long as a downstream is away; drop it when its partitions have moved on."""
        failures = 0
        while epoch == cast(_Consumer, self._app.consumer).epoch:
            try:
                ends = await self._ends_of_first() if self._order.asks(records) else {}
                await self._applier.apply(self._order.order(records, self._applier.positions, ends))
                self._moved = asyncio.get_running_loop().time()
                return
            except Unavailable as error:
                self._forget()
                log.warning("waiting for a downstream", error=str(error), failures=failures)
                await asyncio.sleep(BACKOFF[min(failures, len(BACKOFF) - 1)])
                failures += 1
            except Fenced as error:
                log.warning("another process has moved on", error=str(error))
                await self._app.consumer.perform_seek()
