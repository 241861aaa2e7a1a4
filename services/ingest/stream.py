"""The stream of events from every door to Kafka: who it was, whether it came before, published or spilled.

Requests that arrive while others are being worked on are taken together: one question, one publication and one
note of repeats for all of them. The work goes on when a client hangs up.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import msgspec

from libs.common.bus.kafka import Producer
from libs.common.bus.records import Outcome, Outgoing, Record
from libs.common.clock import Clock
from libs.common.db.engine import Connection, Database
from libs.common.errors import Unavailable
from libs.common.secrets import Secrets
from libs.common.telemetry import trace
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import EVENTS_RECEIVED
from libs.domain import ids
from libs.domain.intake import Invalid, sums
from libs.domain.intake.clean import parse
from libs.domain.intake.identity import Key, plain, settle
from services.ingest import handlers, store
from services.ingest.handlers import Canonical, Merge, Told

log = logger(__name__)
TOGETHER = 500
"""Events after which no further request joins a batch."""
WORKERS = 2
PATIENCE = 4.0
"""Real seconds to wait for acknowledgements before Kafka counts as away."""
USE = "ingest-spill"


@dataclass(slots=True)
class _Waiting:
    """One request; its answer is whether each of its events was a repeat."""

    events: list[Told]
    answer: "asyncio.Future[list[bool]]"


@dataclass(slots=True, eq=False)
class _Hand:
    """The events that one worker has in hand."""

    events: set[str]
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Intake:
    """Makes events durable. `away` is set while Kafka is known not to answer: then nobody waits for it."""

    def __init__(self, *, database: Database, producer: Producer, clock: Clock, secrets: Secrets) -> None:
        self.away = False
        self.spilled = asyncio.Event()
        self.clock = clock
        self.secrets = secrets
        self._database = database
        self._producer = producer
        self._queue: deque[_Waiting] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._hands: list[_Hand] = []
        self._weeks: set[date] = set()

    async def accept(self, events: list[Told]) -> list[bool]:
        """Return when all events are durable; for each, whether it had come before. Raises `Unavailable`."""
        if not events:
            return []
        waiting = _Waiting(events, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if len(self._workers) < WORKERS:
            worker = asyncio.create_task(self._work(), name="intake")
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        return await waiting.answer

    async def _work(self) -> None:
        while self._queue:
            batch = [self._queue.popleft()]
            size = len(batch[0].events)
            while self._queue and size + len(self._queue[0].events) <= TOGETHER:
                batch.append(self._queue.popleft())
                size += len(batch[-1].events)
            await self._answer(batch)

    async def _answer(self, batch: list[_Waiting]) -> None:
        """Give every request of the batch its answer. One that breaks the batch does not break the others."""
        try:
            repeats = await self._process([told for waiting in batch for told in waiting.events])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, Unavailable):
                for waiting in batch:
                    await self._answer([waiting])
                return
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
            return
        place = 0
        for waiting in batch:
            end = place + len(waiting.events)
            if not waiting.answer.done():
                waiting.answer.set_result(repeats[place:end])
            place = end

    async def _process(self, batch: list[Told]) -> list[bool]:
        """Make a batch durable. A repeat of what another worker has in hand waits to hear what became of that."""
        uniques = {told.unique for told in batch}
        while others := [hand.done for hand in self._hands if not uniques.isdisjoint(hand.events)]:
            await asyncio.gather(*(done.wait() for done in others))
        hand = _Hand(uniques)
        self._hands.append(hand)
        try:
            return await self._take(batch)
        finally:
            self._hands.remove(hand)
            hand.done.set()

    async def _take(self, batch: list[Told]) -> list[bool]:
        keys = {(told.event.shop, one.digest): None for told in batch for one in told.claim.identifiers}
        shops = {told.event.shop for told in batch}
        async with self._database.connection() as connection:
            looked = await store.look(connection, [told.unique for told in batch], list(keys), shops)
        seen = looked.seen
        repeats: list[bool] = []
        fresh: list[Told] = []
        for told in batch:
            repeats.append(told.unique in seen)
            if told.unique not in seen:
                seen.add(told.unique)
                fresh.append(told)
        if fresh:
            newly_told = await self._identify(fresh, looked)
            await self._keep(fresh, looked, newly_told)
        return repeats

    async def _identify(self, fresh: list[Told], looked: store.Looked) -> list[Key]:
        """Put the profile and the contact points that consent must hear of into each event."""
        profiles = plain((told.claim for told in fresh), looked.known)
        if profiles is None:
            profiles = await self._settle(fresh, looked)
        newly_told: list[Key] = []
        for told, profile in zip(fresh, profiles, strict=True):
            event = told.event
            event.profile = profile
            for digest, contact in told.addresses.items():
                key = (event.shop, digest)
                if told.always or key not in looked.told:
                    event.contacts = [*event.contacts, contact]
                    if key not in looked.told:
                        looked.told.add(key)
                        newly_told.append(key)
        return newly_told

    async def _settle(self, fresh: list[Told], looked: store.Looked) -> list[str]:
        """Learn new identifiers and merge profiles, alone in these shops for as long as it takes."""
        claims = [told.claim for told in fresh]
        keys = {(claim.shop, one.digest): None for claim in claims for one in claim.identifiers}
        async with self._database.transaction() as connection:
            await store.take_turn(connection, {claim.shop for claim in claims})
            known = await store.known(connection, list(keys))
            held = await store.holds(connection, set(known.values()))
            settled = settle(claims, known, held, ids.profile_id)
            await store.settle(connection, settled, self.clock.now(), fresh[0].event.traceparent)
        looked.merges = looked.merges or bool(settled.merged)
        looked.told -= settled.attach.keys()
        return settled.profiles

    async def _keep(self, fresh: list[Told], looked: store.Looked, newly_told: list[Key]) -> None:
        """Publish, or spill while Kafka is away or something of the same shop still waits."""
        if self.away:
            behind, ahead = fresh, []
        else:
            behind = [told for told in fresh if told.event.shop in looked.spilled]
            ahead = [told for told in fresh if told.event.shop not in looked.spilled]
        if ahead:
            try:
                if looked.merges:
                    await self.publish_merges()
                await self.publish([told.event for told in ahead])
            except Unavailable as error:
                log.warning("kafka is away: spilling", error=str(error))
                self.away = True
                behind, ahead = fresh, []
        if ahead:
            keys = newly_told if not behind else self._keys_of(ahead, newly_told)
            await self._note(ahead, keys)
        if behind:
            await self._spill(behind, newly_told if not ahead else self._keys_of(behind, newly_told))

    @staticmethod
    def _keys_of(events: list[Told], keys: list[Key]) -> list[Key]:
        shops = {told.event.shop for told in events}
        return [key for key in keys if key[0] in shops]

    async def _note(self, published: list[Told], newly_told: list[Key]) -> None:
        """Remember what Kafka has acknowledged. It is durable whether or not this succeeds."""
        try:
            week = await self._week(published[0].event.received_at)
            async with self._database.connection() as connection:
                await store.remember(connection, week, [told.unique for told in published])
            if newly_told:
                async with self._database.transaction() as connection:
                    await store.contacts_told(connection, newly_told)
        except Unavailable as error:
            log.warning("repeats of these events will go unnoticed here", error=str(error))

    async def _spill(self, events: list[Told], newly_told: list[Key]) -> None:
        rows = [(told.event.shop, self.seal(told.event)) for told in events]
        week = await self._week(events[0].event.received_at)
        async with self._database.transaction() as connection:
            await store.spill(connection, rows)
            if newly_told:
                await store.contacts_told(connection, newly_told)
            await store.remember(connection, week, [told.unique for told in events], durably=True)
        self.spilled.set()

    async def _week(self, moment: datetime) -> date:
        monday = moment.date() - timedelta(days=moment.weekday())
        if monday not in self._weeks:
            await store.make_week(self._database, monday)
            self._weeks.add(monday)
        return monday

    def seal(self, event: Canonical) -> bytes:
        """An event as the spill keeps it."""
        return self.secrets.encrypt(USE, msgspec.json.encode(event).decode())

    def unseal(self, sealed: bytes) -> Canonical:
        """The event again."""
        return msgspec.json.decode(self.secrets.decrypt(USE, sealed), type=Canonical)

    async def publish_merges(self) -> None:
        """Tell consent and rules of profiles that ended, before any event that follows from it."""
        async with self._database.connection() as connection:
            while merges := await store.unpublished(connection, 1_000):
                positions = await self._send([handlers.merged(merge) for merge in merges])
                await self._send(
                    [_merge_at(merge, at) for merge, at in zip(merges, positions, strict=True)],
                )
                await store.published(connection, merges)

    async def publish(self, events: Sequence[Canonical]) -> None:
        """Contacts first; each event then says where its own were written (ADR 0005). Raises `Unavailable`."""
        told = [(place, record) for place, event in enumerate(events) if (record := handlers.contacts(event))]
        at: dict[int, dict[str, int]] = {}
        if told:
            positions = await self._send([record for _, record in told])
            for (place, _), (partition, offset) in zip(told, positions, strict=True):
                at[place] = {str(partition): offset}
        await self._send([handlers.occurred(event, at.get(place, {})) for place, event in enumerate(events)])

    async def tell(self, records: list[Outgoing]) -> None:
        """Publish what is not kept while Kafka is away: who sent it can send it again. Raises `Unavailable`."""
        if self.away:
            raise Unavailable("kafka: away")
        await self._send(records)

    async def _send(self, records: list[Outgoing]) -> list[tuple[int, int]]:
        """Publish, with less patience than the producer's own: what is late is spilled, and perhaps sent twice."""
        sending = asyncio.ensure_future(self._producer.send(records))
        done, _ = await asyncio.wait([sending], timeout=PATIENCE)
        if not done:
            sending.add_done_callback(_forget)
            raise Unavailable("kafka: no acknowledgement in time")
        return sending.result()

    async def ping(self) -> None:
        """Raises `Unavailable` unless a broker answers."""
        await self._producer.ping()


def _merge_at(merge: Merge, position: tuple[int, int]) -> Outgoing:
    partition, offset = position
    return handlers.merge_occurred(merge, {str(partition): offset})


def _forget(sending: "asyncio.Future[list[tuple[int, int]]]") -> None:
    if not sending.cancelled():
        sending.exception()


class Inbox:
    """Takes what a platform wrote to the inbox topic itself."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def handle(self, connection: Connection, records: Sequence[Record]) -> Outcome:
        """One batch. Its effects are durable before the offset moves, and a repeat of them changes nothing.

        It is counted in the transaction that moves the offset, so each record once.
        """
        good: list[Told] = []
        poison: list[tuple[Record, str]] = []
        unusable: list[str] = []
        for record in records:
            event: object = None
            try:
                event = _from_record(record)
                good.append(self._read(event, record))
            except Invalid as error:
                poison.append((record, f"invalid: {error}"))
                unusable.append(handlers.claimed_shop(event))
                EVENTS_RECEIVED.labels("kafka", "other", "rejected").inc()
        repeats = await self._intake.accept(good)
        for told, repeat in zip(good, repeats, strict=True):
            outcome = "duplicate" if repeat else "accepted"
            EVENTS_RECEIVED.labels("kafka", handlers.label(told.event.type), outcome).inc()
        await store.count(connection, sums.inbox([told.event.shop for told in good], repeats, unusable))
        return Outcome(poison=poison)

    async def refused(self, connection: Connection, _record: Record) -> None:
        """Count a record that could not be taken, in the transaction that puts it into quarantine."""
        await store.count(connection, sums.inbox((), (), [""]))

    def _read(self, event: object, record: Record) -> Told:
        header = dict(record.headers).get("traceparent", b"").decode("ascii", "replace")
        parent = header if handlers.TRACEPARENT.fullmatch(header) else None
        with trace.span("kurant.inbox.v1", parent, "consumer") as traceparent:
            return handlers.read(
                event,
                shop=handlers.shop_of(event),
                now=self._intake.clock.now(),
                digest=self._intake.secrets.identifier,
                traceparent=traceparent,
            )


def _from_record(record: Record) -> object:
    """Structured mode: the whole event is the value. Binary mode: attributes are `ce_*` headers."""
    try:
        value = parse(record.value) if record.value else None
        attributes = {name[3:]: text.decode() for name, text in record.headers if name.startswith("ce_")}
    except ValueError:
        raise Invalid("event", "is not JSON") from None
    return attributes | {"data": value} if "specversion" in attributes else value
