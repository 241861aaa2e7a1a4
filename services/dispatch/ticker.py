"""The worker: claims what may be sent now, asks, writes, sends, records. It holds no transaction while it sends."""

import asyncio
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from libs.common.bus.consumer import BACKOFF
from libs.common.clock import Clock, first_of, pause
from libs.common.combine import Combiner
from libs.common.db.engine import Database
from libs.common.errors import Unavailable
from libs.common.telemetry import trace
from libs.common.telemetry.log import logger
from libs.common.telemetry.metrics import EVENT_TO_MESSAGE, GATEWAY_REQUEST, MESSAGES
from libs.domain.mail import Links
from libs.domain.template import TemplateError, pick
from libs.domain.template.shelf import Shelf
from services.dispatch import handlers, store
from services.dispatch.channels import CannotSend, Gateway, Gateways, Hooks, Way
from services.dispatch.clients import Consent, Question
from services.dispatch.handlers import Change, Decision, Job, Outcome, letter

log = logger(__name__)
NEVER = datetime.max.replace(tzinfo=UTC)
FRESH = 2.0
"""Real seconds for which a permission holds; older ones are asked for again."""
BATCH = 100
RECOVER_EVERY = 1.0
WIND_UP = 8.0
"""Real seconds that messages under way get at the end."""
NEWS = 1.0
"""Real seconds that a message waits for its scenario version, which may be just behind it."""
LOCKED = 0.02
"""Real seconds until a look at rows that are due but locked for a moment."""
Mark = tuple[str, str, str, str | None]


@dataclass(kw_only=True)
class Shift:
    """One session of the worker, with the messages that it has in hand."""

    session: store.Session
    stop: asyncio.Event
    change: Combiner[Change, bool]
    mark: Combiner[Mark, bool]
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    error: BaseException | None = None

    @property
    def ends(self) -> tuple[asyncio.Event, asyncio.Event]:
        """What ends it."""
        return self.stop, self.session.lost

    @property
    def over(self) -> bool:
        """Nothing may be begun any more."""
        return any(event.is_set() for event in self.ends)

    def fail(self, error: BaseException) -> None:
        """End the shift, and with it the process: better to crash than to stall."""
        self.error = self.error or error
        self.session.lost.set()


@dataclass(frozen=True, kw_only=True)
class Permit:
    """An allow and when (monotonic) it came."""

    decision: Decision
    at: float

    @property
    def fresh(self) -> bool:
        return time.monotonic() - self.at < FRESH


def _same(one: Decision, other: Decision) -> bool:
    """Whether what was written for the one goes out under the other: same person, same address, same way."""
    keys = ("decision", "channel", "address", "profile")
    return all(getattr(one, key) == getattr(other, key) for key in keys)


class Worker:
    """Sends messages, one shift after the other. Several may run side by side, in one process or many."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        consent: Consent,
        gateways: Gateways[Gateway | Hooks],
        queue: store.Queue,
        shelf: Shelf,
        links: Links,
        shops: Mapping[str, Mapping[str, str]],
        untold: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._gateways = gateways
        self._queue = queue
        self._shelf = shelf
        self._links = links
        self._shops = shops
        self._untold = untold
        self.name = secrets.token_hex(8)
        self._consent = consent
        self._ask = Combiner(self._ask_consent, most=BATCH, at_once=4)
        self._most = min(4 * max(gateways.size, 1), 400)
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._news = asyncio.Event()
        self._shifts: list[Shift] = []
        self._refusals = 0

    def wake(self) -> None:
        """There is something to send, or may be."""
        self._wake.set()

    def _hear(self, by: str) -> None:
        if by != self.name:
            self._wake.set()

    def hear_news(self) -> None:
        """The shelf of scenarios has changed."""
        self._news.set()
        self._news = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; what is under way then is finished."""
        failures = 0
        while not stop.is_set():
            try:
                async with store.session(self._database, self._hear) as session:
                    failures = 0
                    await self._work(self._new_shift(session, stop))
            except Unavailable as error:
                log.warning("waiting for a downstream", error=str(error), failures=failures)
                await pause(stop, BACKOFF[min(failures, len(BACKOFF) - 1)])
                failures += 1
        await self._gateways.close()

    def _new_shift(self, session: store.Session, stop: asyncio.Event) -> Shift:
        worker = session.worker

        async def change(changes: Sequence[Change]) -> list[bool]:
            async with self._database.connection() as connection:
                made = await store.change(connection, worker, changes, self._clock.now())
                if await store.followed(connection, list(made), self._clock.now()):
                    await store.announce(connection, by=self.name)
                    self._wake.set()
            return [one.message in made for one in changes]

        async def mark(marks: Sequence[Mark]) -> list[bool]:
            async with self._database.connection() as connection:
                made = await store.mark_sending(connection, worker, marks)
            return [message in made for message, *_ in marks]

        shift = Shift(session=session, stop=stop, change=Combiner(change, most=BATCH), mark=Combiner(mark, most=BATCH))
        self._shifts = [one for one in self._shifts if one.tasks] + [shift]
        return shift

    async def _work(self, shift: Shift) -> None:
        helpers = [asyncio.ensure_future(self._recover_again(shift)), asyncio.ensure_future(self._wake_at_end(shift))]
        try:
            await self._recover()
            while not shift.over:
                await self._turn(shift)
        finally:
            if shift.stop.is_set() and shift.tasks:
                await asyncio.wait(set(shift.tasks), timeout=WIND_UP)
            for task in helpers:
                task.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
        if shift.error:
            raise shift.error

    async def _turn(self, shift: Shift) -> None:
        """Claim what there is room for; then sleep until there is room, or something to claim."""
        self._wake.clear()
        away = self._gateways.away_for() or (BACKOFF[min(self._refusals, len(BACKOFF)) - 1] if self._refusals else 0.0)
        if away:
            await self._rest(shift, away)
        room = self._most - len(shift.tasks)
        if room <= 0:
            self._room.clear()
            await first_of(*shift.ends, self._room)
            return
        asked = min(room, BATCH)
        async with self._database.connection() as connection:
            jobs = await store.claim(connection, shift.session.worker, self._clock.now(), asked, self._queue)
            for job in jobs:
                self._begin(shift, job)
            if len(jobs) == asked:
                return
            due = await store.next_due(connection, self._clock.now(), self._queue) or NEVER
        if due <= self._clock.now():
            await self._rest(shift, LOCKED)
        elif not shift.over:
            await self._clock.sleep_until(due, self._wake)

    async def _rest(self, shift: Shift, seconds: float) -> None:
        """Real seconds; cut short at the end of the shift."""
        await first_of(*shift.ends, seconds=seconds)

    def _begin(self, shift: Shift, job: Job) -> None:
        task = asyncio.create_task(self._see_through(shift, job))
        shift.tasks.add(task)
        task.add_done_callback(lambda done: self._ended(shift, done))

    def _ended(self, shift: Shift, task: "asyncio.Task[None]") -> None:
        shift.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            shift.fail(error)
        if len(shift.tasks) <= self._most // 2:
            self._room.set()

    async def _see_through(self, shift: Shift, job: Job) -> None:
        """One message from its claim to a recorded transition."""
        change = await self._decide(shift, job)
        if change is None:
            return
        failures = 0
        while True:
            try:
                made = await shift.change.ask(change)
                break
            except Unavailable:
                await asyncio.sleep(BACKOFF[min(failures, len(BACKOFF) - 1)])
                failures += 1
        self._untold()
        if not made:
            log.warning("somebody else has moved this message on", message=job.message, state=change.state)
        elif change.state == "pending":
            self._wake.set()
        else:
            self._count(job.request.scenario, self._channel_of(job), change)

    def _count(self, scenario: str, channel: str, change: Change) -> None:
        MESSAGES.labels(scenario=scenario, channel=channel, outcome=change.state, reason=change.reason or "").inc()

    def _channel_of(self, job: Job) -> str:
        ways = [channel for channel in job.request.channels if channel in self._gateways.channels]
        return (ways or job.request.channels or ["none"])[0]

    async def _decide(self, shift: Shift, job: Job) -> Change | None:
        """The transition that a message comes to; None when it is another worker's now."""
        try:
            await self._version_known(job)
            channels, change = handlers.before_asking(job, self._shelf, self._gateways.channels, self._clock.now())
            return change or await self._with_permission(shift, job, Question(job=job, channels=channels))
        except Unavailable as error:
            log.warning("given back", message=job.message, error=str(error))
            return handlers.give_back(job)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.error("failed", message=job.message, cause=type(error).__name__, place=f"{place.name}:{place.lineno}")
            return handlers.after_trouble(job, self._clock.now())

    async def _version_known(self, job: Job) -> None:
        """Wait a moment for a version that is on its way; a call needs none."""
        if job.request.is_call:
            return
        deadline = time.monotonic() + NEWS
        while not self._shelf.knows(job.shop, job.request.scenario, job.request.version):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            try:
                await asyncio.wait_for(self._news.wait(), left)
            except TimeoutError:
                return

    async def _permit(self, question: Question) -> Permit:
        decision = handlers.CALL if question.job.request.is_call else await self._ask.ask(question)
        return Permit(decision=decision, at=time.monotonic())

    async def _ask_consent(self, questions: Sequence[Question]) -> Sequence[Decision]:
        try:
            decisions = await self._consent.decide(questions)
        except Unavailable:
            self._refusals += 1
            raise
        self._refusals = 0
        return decisions

    async def _with_permission(self, shift: Shift, job: Job, question: Question) -> Change | None:
        """Ask, write, wait for a slot; ask again what has grown old meanwhile, and write anew if it changed."""
        permit = await self._permit(question)
        while True:
            refused = handlers.after_asking(job, permit.decision, self._clock.now())
            if refused:
                return refused
            gateway = self._gateways.of(permit.decision.channel)
            with trace.span("dispatch.send", job.traceparent, "client", {"gateway": gateway.name}) as traceparent:
                try:
                    prepared = self._prepare(job, permit.decision, gateway, traceparent)
                except TemplateError as error:
                    log.error("template error", scenario=job.request.scenario, name=job.request.name, cause=str(error))
                    return handlers.end(job, "claimed", "failed", "template_error", permit.decision.profile)
                except CannotSend as cannot:
                    return handlers.end(job, "claimed", "failed", cannot.reason, permit.decision.profile)
                async with gateway.slots:
                    if not permit.fresh:
                        written = permit.decision
                        permit = await self._permit(question)
                        if not _same(written, permit.decision):
                            continue
                    return await self._send(shift, job, gateway, prepared, permit)

    def _prepare(self, job: Job, decision: Decision, gateway: Gateway | Hooks, traceparent: str) -> object:
        if isinstance(gateway, Hooks):
            return gateway.prepare(job, traceparent, self._shops.get(job.shop, {}))
        request = job.request
        bundle = self._shelf.find(job.shop, request.scenario, request.version) or {}
        message = pick(bundle, request.name, decision.channel, request.language)
        if message is None:
            raise CannotSend("no_template")
        written = letter.write(
            job,
            message,
            decision,
            gateway.style,
            self._links,
            self._clock.now(),
            traceparent=traceparent,
            shop=self._shops.get(job.shop, {}),
        )
        return gateway.prepare(written)

    async def _send(self, shift: Shift, job: Job, gateway: Way, prepared: Any, permit: Permit) -> Change | None:
        """Within a slot: say that it is on its way, then send it."""
        if shift.over:
            return handlers.give_back(job)
        if job.expired(self._clock.now()):
            return handlers.expire(job, "claimed")
        decision = permit.decision
        if not await shift.mark.ask((job.message, decision.channel, gateway.name, decision.profile)):
            return handlers.give_back(job)  # cancelled meanwhile, or somebody else's
        if not permit.fresh or shift.session.lost.is_set():
            return handlers.give_back(job)
        if job.expired(self._clock.now()):
            return handlers.expire(job, "sending")
        started = time.perf_counter()
        try:
            outcome = await gateway.send(prepared)
        except Exception as error:
            log.error("outcome unknown", message=job.message, gateway=gateway.name, cause=type(error).__name__)
            outcome = Outcome(kind="unknown", reason="internal_error")
        now = self._clock.now()
        GATEWAY_REQUEST.labels(gateway=gateway.name, outcome=outcome.kind).observe(time.perf_counter() - started)
        if outcome.kind == "sent" and job.request.cause_at is not None:
            EVENT_TO_MESSAGE.observe(max(0.0, (now - job.request.cause_at).total_seconds()))
        return handlers.after_sending(job, outcome, now)

    async def _recover(self) -> None:
        mine = {shift.session.worker for shift in self._shifts if shift.tasks or not shift.session.lost.is_set()}
        back, unknown = await store.recover(self._database, self._clock.now(), mine, self._queue)
        for scenario, channel in unknown:
            MESSAGES.labels(scenario=scenario, channel=channel, outcome="unknown", reason="worker_died").inc()
        if back or unknown:
            log.warning("took up what dead workers left", back=back, unknown=len(unknown))
            self._wake.set()
            self._untold()

    async def _recover_again(self, shift: Shift) -> None:
        try:
            while not shift.over:
                await self._rest(shift, RECOVER_EVERY)
                if not shift.over:
                    await _passing(self._recover)
        except Exception as error:
            shift.fail(error)

    async def _wake_at_end(self, shift: Shift) -> None:
        await first_of(*shift.ends)
        self._wake.set()


async def _passing(call: Callable[[], Awaitable[None]]) -> None:
    try:
        await call()
    except Unavailable as error:
        log.warning("not now", error=str(error))
