"""The composition root of consent: the register, the decisions, the customers' pages, the outbox of changes."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

import msgspec
from fastapi import FastAPI

from libs.common import shops
from libs.common.bus.consumer import Loop
from libs.common.bus.kafka import Producer
from libs.common.bus.records import Outcome, Record
from libs.common.clock import Clock
from libs.common.db.engine import Connection, Database
from libs.common.http.server import build
from libs.common.runtime import Parts, Task
from libs.common.secrets import Secrets
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import CONSENT_DECISIONS
from libs.contracts import topics
from libs.contracts.contacts import Channel
from libs.domain.consent.address import comparable, tidy
from libs.domain.consent.caps import Cap, longest
from libs.domain.consent.choices import Choose, all_off, chosen
from libs.domain.consent.state import (
    TRANSACTIONAL,
    Change,
    ProfileKey,
    State,
    StateKey,
    Status,
    Told,
    Who,
    moves,
    picture,
    settle,
)
from libs.domain.consent.words import bounded
from services.consent import handlers, routes, store
from services.consent.handlers import Answer, Asked, Batch, ConsentSaid, Known, Means
from services.consent.ticker import Ticker, again

log = logger(__name__)
PATIENCE = 2.0
"""Real seconds for which a decision waits for contacts that are still on their way."""
LOCK_WAIT = 1_000
"""Milliseconds for which a decision waits for somebody who is changing the same profile."""
LATER = timedelta(seconds=5)
"""After which (platform time) a decision that was put off may be asked again."""
DRAINED = 500
TIDIED = 5_000
TIDY_EVERY = 60.0
"""Real seconds."""


class Consents:
    """Writes what was told, judges what is asked. All changes of permissions go through `write`."""

    def __init__(
        self,
        *,
        database: Database,
        producer: Producer,
        clock: Clock,
        secrets: Secrets,
        public_url: str,
        caps: Mapping[str, Sequence[Cap]] = MappingProxyType({}),
    ) -> None:
        self._database = database
        self._producer = producer
        self._clock = clock
        self._secrets = secrets
        self._public = public_url.rstrip("/")
        self._caps = caps
        self._positions: dict[int, int] = {}
        self.ticker = Ticker(self.drain)

    async def handle(self, connection: Connection, records: Sequence[Record]) -> Outcome:
        """One batch of contacts and deliveries (I4: through the connection that moves the offset).

        Changes go into the outbox of the same transaction, not to the broker within it: no lock on a profile or a
        chain is held while Kafka is waited for, so a withdrawal takes effect even when Kafka is away.
        """
        batch = handlers.read(one for one in records if one.topic != topics.DELIVERIES.name)
        messages, poison = handlers.freed(one for one in records if one.topic == topics.DELIVERIES.name)
        if batch.unusable:
            log.warning("addresses that cannot be used were left out", count=batch.unusable)
        await self.write(connection, batch)
        await store.free_places(connection, messages)
        return Outcome(poison=batch.poison + poison, after=self.ticker.wake)

    async def write(self, connection: Connection, batch: Batch) -> list[Change]:
        """Register what was told, store what stands after it, and post what changed."""
        keys = batch.profiles()
        if not keys:
            return []
        await store.know(connection, keys)
        roots = await store.hold(connection, keys, "UPDATE OF p")
        moved = moves(batch.merges, roots)
        before = await store.states(connection, {(shop, roots[(shop, profile)]) for shop, profile in keys})
        entries = await store.append(connection, batch.told, self._seals(batch.told), self._clock.now())

        def home(shop: str, profile: str) -> str:
            """Which profile it is after this batch."""
            return moved.get((shop, roots[(shop, profile)]), roots[(shop, profile)])

        told: list[tuple[StateKey, State, Told]] = []
        for one in batch.told:
            entry = entries.get(one.record)
            if entry is not None:
                key = (one.shop, home(one.shop, one.profile), one.channel, one.purpose)
                told.append((key, State(status=entry.status, at=entry.at, seq=entry.seq, hash=entry.hash), one))
        after, changes = settle(before, moved, told)
        await store.merge(connection, moved)
        await store.save_states(connection, after)
        await store.add_contacts(
            connection,
            [
                (
                    *(one.shop, home(one.shop, one.profile), one.channel),
                    self._digest(one.shop, one.channel, one.address),
                    *(self._secrets.encrypt("address", one.address), one.at, one.source),
                )
                for one in batch.addresses
            ],
        )
        await store.post(connection, changes)
        return changes

    def digest(self, shop: str, channel: str, address: str) -> bytes | None:
        """The keyed hash by which an address is looked up; None when it cannot be one."""
        tidied = tidy(channel, address)
        return self._digest(shop, channel, tidied) if tidied else None

    def _digest(self, shop: str, channel: str, address: str) -> bytes:
        return self._secrets.identifier(shop, f"contact:{channel}", comparable(channel, address))

    def _seals(self, told: Sequence[Told]) -> dict[str, bytes]:
        """What identifies a person among the evidence, encrypted, by record id."""
        seals: dict[str, bytes] = {}
        for one in told:
            personal = {"ip": one.ip, "user_agent": one.user_agent, "page": one.page}
            if any(personal.values()):
                seals[one.record] = self._secrets.encrypt("evidence", msgspec.json.encode(personal).decode())
        return seals

    async def decide(self, asked: Sequence[Asked]) -> list[Answer]:
        """May these be sent? Whatever is in doubt is denied or put off (I2)."""
        positions = await self._caught_up(asked)
        ready = [one for one in asked if not handlers.behind(one, positions)]
        try:
            answered = await self._judge(ready, patient=True)
        except store.BUSY:
            answered = await self._judge(ready, patient=False)
        found = {id(one): answer for one, answer in zip(ready, answered, strict=True)}
        later = self._clock.now() + LATER
        answers = [found.get(id(one)) or handlers.defer(one, "contacts_behind", later) for one in asked]
        for answer in answers:
            CONSENT_DECISIONS.labels(decision=answer.decision, reason=answer.reason or "").inc()
        return answers

    async def _caught_up(self, asked: Sequence[Asked]) -> dict[int, int]:
        """Stored positions of the contacts topic: waits up to `PATIENCE` until nobody asked is ahead of them.

        Read from the database, because another replica may own the partition; positions only grow, so an old one
        that is enough is still enough.
        """
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + PATIENCE, 0.005
        while any(handlers.behind(one, self._positions) for one in asked):
            async with self._database.connection() as connection:
                self._positions = await store.positions(connection, topics.CONTACTS.name)
            if loop.time() >= deadline:
                break
            if any(handlers.behind(one, self._positions) for one in asked):
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.05)
        return self._positions

    async def _judge(self, asked: Sequence[Asked], *, patient: bool) -> list[Answer]:
        """Judge under locks, take the places and record it, in one transaction."""
        if not asked:
            return []
        keys = {(one.shop, str(one.profile)) for one in asked}
        counted = any(handlers.capped(one, self._caps) for one in asked)
        async with self._database.transaction() as connection:
            if patient:
                await store.patience(connection, LOCK_WAIT)
            known = await self._know(connection, keys, counted=counted, patient=patient)
            now = self._clock.now()  # under the locks: the order of places is that of the answers
            means = Means(caps=self._caps, now=now, later=now + LATER, open=self.open_address, link=self._link)
            made = handlers.judge_all(asked, known, means, all_known=patient)
            await store.take_places(connection, made.taken)
            await store.record_decisions(connection, made.judged, now)
        return made.answers

    async def _know(
        self, connection: Connection, keys: set[ProfileKey], *, counted: bool = False, patient: bool
    ) -> Known:
        """What is known, under locks; who counts places holds profiles for himself alone."""
        mode: store.Mode = "UPDATE OF p" if counted else "SHARE OF p"
        roots = await store.hold(connection, keys, mode, skip_locked=not patient)
        now = {(shop, root) for (shop, _), root in roots.items()}
        states: dict[ProfileKey, dict[tuple[str, str], State]] = {}
        for (shop, profile, channel, purpose), state in (await store.states(connection, now)).items():
            states.setdefault((shop, profile), {})[(channel, purpose)] = state
        points = await store.reachable(connection, now)
        if not counted:
            return Known(roots, states, points)
        since = {shop: self._clock.now() - longest(caps) for shop, caps in self._caps.items()}
        return Known(roots, states, points, await store.places(connection, now, since))

    def _link(self, use: str, payload: list[str]) -> str:
        return f"{self._public}/{use[0]}/{self._secrets.sign(use, payload)}"

    async def standing(self, shop: str, profile: str) -> tuple[str, dict[tuple[str, str], State]] | None:
        """The profile that this one is now, and what stands for it; None when it is not known."""
        async with self._database.connection() as connection:
            root = await store.root(connection, shop, profile)
            if root is None:
                return None
            found = await store.states(connection, {(shop, root)})
        return root, {(channel, purpose): state for (_, _, channel, purpose), state in found.items()}

    async def turn(
        self, shop: str, profile: str, choose: Choose, *, who: Who, source: str, evidence: Mapping[str, str | None]
    ) -> dict[tuple[str, str], Status]:
        """A customer's click: register it and let it stand at once; what stands after it."""
        async with self._database.transaction() as connection:
            after = await self._turn(connection, shop, profile, choose, who, source, evidence)
        self.ticker.wake()
        return after

    async def _turn(
        self,
        connection: Connection,
        shop: str,
        profile: str,
        choose: Choose,
        who: Who,
        source: str,
        evidence: Mapping[str, str | None],
    ) -> dict[tuple[str, str], Status]:
        key = (shop, profile)
        await store.know(connection, {key})
        root = (await store.hold(connection, {key}, "UPDATE OF p"))[key]
        found = await store.states(connection, {(shop, root)})
        states = {(channel, purpose): state for (_, _, channel, purpose), state in found.items()}
        after: dict[tuple[str, str], Status] = {pair: state.status for pair, state in states.items()}
        batch = Batch()
        for (channel, purpose, status), at in chosen(states, choose, self._clock.now()):
            consent = ConsentSaid(channel=_channel(channel), purpose=purpose, status=status, **evidence)
            batch.told.append(
                handlers.word(shop=shop, profile=root, at=at, who=who, source=f"{source}#{root}", consent=consent)
            )
            after[(channel, purpose)] = status
        await self.write(connection, batch)
        return after

    async def told(
        self, shop: str, profile: str, at: datetime, consents: Sequence[ConsentSaid], addresses: Mapping[str, str]
    ) -> int:
        """What a shop records by hand, by the same path as what it tells by events; how many consents that were."""
        at = bounded(at, self._clock.now())
        source = f"{handlers.SOURCE}/by-hand#{at.isoformat()}-{profile}"
        batch = Batch()
        for place, consent in enumerate(consents):
            one = handlers.word(
                shop=shop, profile=profile, at=at, who="shop", source=source, place=place, consent=consent
            )
            batch.told.append(one)
        for channel, address in addresses.items():
            tidied = tidy(channel, address)
            if tidied is None:
                raise ValueError(f"contacts: not a usable address for {channel}")
            batch.addresses.append(
                handlers.Address(shop=shop, profile=profile, channel=channel, address=tidied, at=at, source=source)
            )
        async with self._database.transaction() as connection:
            await self.write(connection, batch)
        self.ticker.wake()
        return len(batch.told)

    async def erase(self, shop: str, profile: str) -> dict[str, object] | None:
        """Withdraw everything, and delete addresses and evidence for ever; None when the profile is not known."""
        async with self._database.transaction() as connection:
            if await store.root(connection, shop, profile) is None:
                return None
            root = (await store.hold(connection, {(shop, profile)}, "UPDATE OF p"))[(shop, profile)]
            source = f"{handlers.SOURCE}/erasure"
            after = await self._turn(connection, shop, root, all_off, "erasure", source, {})
            own = await store.aliases(connection, shop, root)
            addresses, evidence = await store.forget(connection, shop, own, self._clock.now())
        self.ticker.wake()
        withdrawn = sum(purpose != TRANSACTIONAL for _, purpose in after)
        return {"profile": root, "addresses": addresses, "evidence": evidence, "withdrawn": withdrawn}

    async def tidy(self) -> None:
        """Forget places that no window reaches back to any more."""
        begin = self._clock.now() - max((longest(caps) for caps in self._caps.values()), default=timedelta())
        async with self._database.connection() as connection:
            while await store.tidy_places(connection, begin, TIDIED) == TIDIED:
                pass

    async def drain(self) -> bool:
        """Publish a batch of the outbox; whether there may be more.

        One replica at a time, and each record with the picture as it is then: so the last record of a profile
        tells what stands, in whatever order the changes were committed. A crash publishes again.
        """
        async with self._database.transaction() as connection:
            await store.one_drainer(connection)
            changes = await store.posted(connection, DRAINED)
            if changes:
                states = await store.states(connection, {(one.shop, one.profile) for one in changes})
                drawn: dict[ProfileKey, list[tuple[str, str, Status]]] = {}
                for (shop, profile, channel, purpose), state in states.items():
                    drawn.setdefault((shop, profile), []).append((channel, purpose, state.status))
                pictures = {key: picture(rows) for key, rows in drawn.items()}
                await self._producer.send(handlers.changed(changes, pictures))
                await store.told(connection, changes)
        return len(changes) == DRAINED

    def open_evidence(self, sealed: bytes | None) -> dict[str, str | None]:
        """The evidence that was encrypted; nothing when it was erased or no key opens it."""
        text = self._opened("evidence", sealed) if sealed else None
        found: dict[str, str | None] = msgspec.json.decode(text) if text else {}
        return found

    def open_address(self, sealed: bytes) -> str | None:
        """The address that was encrypted; None when no key opens it."""
        return self._opened("address", sealed)

    def _opened(self, use: str, sealed: bytes) -> str | None:
        try:
            return self._secrets.decrypt(use, sealed)
        except Exception as error:  # a key that is missing, bytes that were changed
            log.error("something stored cannot be decrypted", use=use, cause=type(error).__name__)
            return None


def _channel(text: str) -> Channel:
    channel: Channel = msgspec.convert(text, Channel)
    return channel


async def compose(parts: Parts) -> tuple[FastAPI, list[Task]]:
    """Build the service."""
    known = shops.load(parts.settings.shops)
    consents = Consents(
        database=parts.database,
        producer=parts.producer,
        clock=parts.clock,
        secrets=parts.secrets,
        public_url=parts.settings.public_url or parts.settings.consent_url,
        caps={id: shop.caps for id, shop in known.items() if shop.caps},
    )
    loop = Loop(
        schema="consent",
        topics=[topics.CONTACTS, topics.DELIVERIES],
        bootstrap=parts.settings.kafka_bootstrap,
        database=parts.database,
        producer=parts.producer,
        handle=consents.handle,
        max_records=500,
        instance=parts.settings.instance,
    )
    app = build(
        "consent",
        clock=parts.clock,
        gate=parts.gate,
        checks={"database": parts.database.ping, "kafka": parts.producer.ping, "partitions": loop.ready},
    )
    routes.install(app, parts, loop, consents, {id: shop.name for id, shop in known.items()})

    async def consume() -> None:
        await loop.run(parts.stop)

    async def publish() -> None:
        await consents.ticker.run(parts.stop)

    async def tidy() -> None:
        await again(consents.tidy, TIDY_EVERY, parts.stop)

    return app, [consume, publish, tidy]
