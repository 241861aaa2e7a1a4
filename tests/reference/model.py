"""The language, said as plainly as it can be: slow, and sharing no line with the engine.

What is known of a customer is a plain list of what was told (`facts.py`), looked through anew for every question. A
run is its steps read from top to bottom (`walk.py`). What a date or a silence starts is looked for at every moment
(`dates.py`). Nothing is indexed, kept up to date or moved.

What a customer gets depends on the order in which news comes where the language says that it does. The model takes
arrivals one by one, so it knows what was known at each moment, and treats such facts so:

- a step is taken once: what a send, an `if`, a `split`, a tag was judged on is how things were known then;
- a step is taken when its time has come *and* it is reached; what is told late makes it late, and `due_at` says
  when it should have been;
- a wait that is over when an event leads to it ends when its call comes, after all that has arrived by then, and so
  it is with a date and a silence;
- an exit is one by its own time: not before the trigger that runs, and whether it was heard before it or after it;
- `restart`: a trigger newer than the one that runs starts anew; an older one tells of an earlier start, and where no
  message was asked for yet, nothing was restarted and `restart` is not said, the run begins from there instead;
- a trigger of a running key is no second run; when it came after the run was over, it is;
- who leaves, or begins anew, gets no message any more that was asked for and has not gone out, even when all steps
  were taken;
- `again` is measured between the times of the triggers, against those that have entered by then;
- `nth` is the n-th to come that meets the trigger when it comes; the run is by the last of the n by time;
- `until` takes the earliest event in its span that is known when it looks: at once, at each event, at the end;
- of two words about one fact with one time the later to come stands;
- whether a tag was added or removed is a matter of what was known before and after the news;
- a date that is known only more than `late` (a day) after its moment is past, and so is a silence; what was awaited
  comes, however late.
"""

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from libs.domain import ids
from libs.domain.scenario import model
from libs.domain.scenario.match import History, holds, lookup
from tests.reference import case, dates
from tests.reference.case import PROFILE, SHOP, Case, Message, Outcome
from tests.reference.facts import Event, Facts, Json
from tests.reference.walk import DEEPEST, TOLD, Over, Run, walk

ZONES = {"timezone", "timezone_hint"}
TODAY = frozenset({"again", "asked twice", "window and zone"})
"""What the engine does otherwise today; `test_known.py` has an example of each."""
Told = tuple[Event, list[str], list[str], int]
Waiting = tuple[Run, int, int]


class Reference:
    """One customer of a shop in `zone`. `lots` are the arms that splits draw for him, `today` what of `TODAY` the
    model does as the engine does.
    """

    def __init__(
        self,
        scenarios: Sequence[model.Scenario],
        zone: str,
        lots: dict[tuple[str, str], str],
        today: frozenset[str] = TODAY,
    ) -> None:
        self.today = today
        self.scenarios = sorted(scenarios, key=lambda one: (-one.priority, one.id))
        self.lots = lots
        self.facts = Facts()
        self.now = datetime.min.replace(tzinfo=UTC)
        self.runs: list[Run] = []
        self.messages: list[Message] = []
        self.cancelled: list[tuple[datetime, str, str]] = []
        self.judged: dict[tuple[str, str], list[str]] = {}
        self.awaited: set[tuple[str, str, datetime]] = set()
        self.called = False
        self._zone = zone
        self._seen: set[str] = set()
        self._matched: dict[str, list[Event]] = {}
        self._queue: deque[Told | Waiting] = deque()
        self._depth = 0

    def play(self, told: Case) -> Outcome:
        """The whole history, then silence."""
        ordered = sorted(told.arrivals, key=lambda one: one.moment)
        self.now = ordered[0].moment if ordered else told.until
        for arrival in ordered:
            self._pass(told.done_before(arrival.moment), told.reported)
            self.now = arrival.moment
            data = dict(arrival.data)
            if arrival.of:
                data["message"] = next((m.id for m in reversed(self.messages) if m.name == arrival.of), "none")
            self.arrive(Event(arrival.type, arrival.time, data, arrival.id))
        self._pass(told.until, told.reported)
        return self._outcome()

    def zone(self) -> str:
        return self.facts.zone(self._zone)

    def scope(self, event: Event, key: str | None) -> Json:
        return self.facts.scope(event, key, self._zone)

    def live(self) -> list[Run]:
        """The runs that are not over."""
        return [run for run in self.runs if run.because is None]

    def arrive(self, event: Event) -> None:
        """Something is told, and all that follows from it at once."""
        if event.id in self._seen:
            return
        self._seen.add(event.id)
        before = self.facts.tags()
        self.facts.told.append(event)
        after = self.facts.tags()
        named = event.data.get("tags", []) if event.type in ("profile.tagged", "profile.untagged") else after | before
        names = list(dict.fromkeys(named)) if isinstance(named, list) else sorted(named)
        self._react(
            event, [one for one in names if one in after - before], [one for one in names if one in before - after]
        )
        if event.data.keys() & ZONES:  # what a step has changed is looked at when others have heard of it
            self._look_again()
        self._settle()

    def tell(self, run: Run, event: Event, added: list[str], removed: list[str]) -> bool:
        """A step has changed the customer: others hear of it before the run goes on."""
        if self._depth >= DEEPEST:
            return False
        told = Event(event.type, event.time, {**event.data, "by": run.scenario.id}, teaches=False)
        self._queue.append((told, added, removed, self._depth + 1))
        return True

    def _settle(self) -> None:
        while self._queue:
            item = self._queue.popleft()
            self._depth = item[-1]
            if len(item) == 3:
                run, round, _ = item
                if run.because is None and run.round == round and run.pause is None:
                    self._advance(run)
            else:
                event, added, removed, _ = item
                self.facts.told.append(event)
                self._react(event, added, removed)
                if event.data.keys() & ZONES:
                    self._look_again()
        self._depth = 0

    def _react(self, event: Event, added: list[str], removed: list[str]) -> None:
        for run in [run for run in self.runs if run.because is None or run.out]:
            if event.time >= run.trigger.time and self.is_exit(run.scenario, event, run.key):
                self._take_back(run, "exit")
                if run.because is None:
                    self._end(run, event.type, event.time)
            elif run.pause is not None and run.pause.kind in ("until", "path"):
                self._wake(run)
        scope = self.scope(event, None)
        met = [(scenario, self._met(scenario, event, scope)) for scenario in self.scenarios]
        for scenario, by in [*met, *((scenario, event) for scenario in self._tagged(added, removed))]:
            key = None if by is None else self.key(scenario, scope if by is event else self.scope(by, None))
            if by is not None and key is not None:
                self.enter(scenario, by, key)
        if self.called:
            dates.look(self)

    def _tagged(self, added: list[str], removed: list[str]) -> list[model.Scenario]:
        """Whom tags start: the more important first; of others (nothing is promised) in the order of the tags."""
        tags = [("added", name) for name in added] + [("removed", name) for name in removed]
        found = {
            one.id: one
            for way, name in tags
            for one in self.scenarios
            if isinstance(one.trigger, model.TagTrigger) and getattr(one.trigger, way) == name
        }
        return sorted(found.values(), key=lambda one: -one.priority)

    def _met(self, scenario: model.Scenario, event: Event, scope: Json) -> Event | None:
        """The event by which a scenario is entered when this one comes, if it is."""
        trigger = scenario.trigger
        if not isinstance(trigger, model.EventTrigger) or trigger.event != event.type:
            return None
        status = lookup(event.data, "order.status") or event.data.get("status")
        if trigger.statuses and status not in trigger.statuses:
            return None
        if trigger.where is not None and not holds(trigger.where, scope, self._history()):
            return None
        if trigger.nth is None:
            return event
        matched = self._matched.setdefault(repr(trigger), [])
        if not any(one is event for one in matched):
            matched.append(event)
        return max(reversed(matched), key=lambda one: one.time) if len(matched) == trigger.nth else None

    def key(self, scenario: model.Scenario, scope: Json) -> str | None:
        """The key of a run; None where it is not told."""
        value = lookup(scope, scenario.key) if scenario.key else PROFILE
        return None if value is None else str(value)

    def enter(self, scenario: model.Scenario, event: Event, key: str) -> None:
        """A trigger is met."""
        running = next((run for run in self.live() if run.scenario is scenario and run.key == key), None)
        if running is not None:
            self._triggered_again(running, event)
            return
        born = [run.born for run in self.runs if run.scenario is scenario]
        born = [max(born)] if born and "again" in self.today else born
        if scenario.again == "never" and born:
            return
        if isinstance(scenario.again, timedelta) and any(abs(event.time - one) < scenario.again for one in born):
            return
        microseconds = int(event.time.timestamp() * 1_000_000)
        id = ids.enrolment_id(SHOP, scenario.id, PROFILE, key, microseconds)
        if any(run.id == id for run in self.runs):
            return
        for other in self.runs if scenario.restart else ():
            if (other.scenario, other.key) == (scenario, key) and other.trigger.time < event.time:
                self._take_back(other, "restart")
        run = Run(id, scenario, key, event.time, event, event.time, event.time)
        self.runs.append(run)
        left = self.left(scenario, event, key)
        if left is not None:
            self._end(run, left.type, left.time)
        else:
            self._begin(run, event)

    def _triggered_again(self, run: Run, event: Event) -> None:
        if event.time > run.trigger.time and run.scenario.restart:
            run.round += 1
            self._take_back(run, "restart")
            self._begin(run, event)
        elif event.time < run.entered_at:
            left = self.left(run.scenario, event, run.key)
            if left is not None and left.time <= run.entered_at:
                return
            run.entered_at = event.time
            gone = run.sent if "asked twice" in self.today else run.asked
            if not run.scenario.restart and not gone and run.pause is not None:
                self._begin(run, event)

    def left(self, scenario: model.Scenario, since: Event, key: str) -> Event | None:
        """The first way out that was told of already, not before `since` and not `since` itself."""
        found = (
            event
            for event in self.facts.heard()
            if event.time >= since.time and (event.type, event.time) != (since.type, since.time)
        )
        return next((event for event in found if self.is_exit(scenario, event, key)), None)

    def is_exit(self, scenario: model.Scenario, event: Event, key: str) -> bool:
        """Whether an event is a way out of a scenario for a key."""
        return any(
            way.event == event.type and (way.where is None or holds(way.where, self.scope(event, key), self._history()))
            for way in scenario.exits
        )

    def _history(self) -> History:
        return History(now=self.now, tracks=self.facts.pasts())

    def _begin(self, run: Run, event: Event) -> None:
        run.trigger, run.at = event, event.time
        run.walk = walk(self, run, run.scenario.steps)
        self._advance(run)

    def _advance(self, run: Run) -> None:
        """Take steps up to the next pause."""
        run.pause = None
        try:
            pause = next(run.walk)
        except StopIteration:
            self._end(run, "completed", self.now)
        except Over as over:
            self._end(run, str(over), self.now)
        else:
            if pause is TOLD:
                self._queue.append((run, run.round, self._depth))
            else:
                run.pause, run.seen_due = pause, pause.due()

    def _wake(self, run: Run) -> None:
        """Go on when news has ended the pause. A window that opens at another time is a send that is judged again."""
        assert run.pause is not None
        due = run.pause.due()
        if due == run.seen_due:
            return  # of this news it knows nothing; its own time comes
        run.seen_due = due
        if due <= self.now or run.pause.kind == "window":
            self._advance(run)

    def _look_again(self) -> None:
        for run in self.live():
            if run.pause is not None:
                self._wake(run)
        if self.called:
            dates.look(self, awaited=True)

    def _take_back(self, run: Run, because: str) -> None:
        """What may not have gone out yet does not go out."""
        self.cancelled += [(self.now, id, because) for id in run.out]
        run.out = []

    def _end(self, run: Run, because: str, at: datetime) -> None:
        run.because, run.ended_at, run.pause = because, at, None

    def _pass(self, until: datetime, reported: int | None) -> None:
        """Time goes by, from one moment at which something happens to the next."""
        delay = None if reported is None else timedelta(seconds=reported)
        while True:
            due: list[tuple[datetime, str, str, str, Run | None]] = [
                (run.pause.due(), run.scenario.id, run.key, "run", run) for run in self.live() if run.pause
            ]
            aims = list(dates.aims(self))
            self.awaited = {(aim.scenario.id, aim.key, aim.due) for aim in aims}
            due += [(aim.due, aim.scenario.id, aim.key, "watch", None) for aim in aims]
            first = min(due, key=lambda one: one[:4], default=None)
            news = next((m for m in self.messages if m.id not in self._seen), None) if delay is not None else None
            told_at = news.now + delay if news is not None and delay is not None else None
            if first is not None and first[0] <= until and (told_at is None or first[0] <= told_at):
                self.now = max(self.now, first[0])
                self.called = True
                if first[4] is not None:
                    self._advance(first[4])
                else:
                    dates.fire(self, first[1], first[2])
                self._settle()
                self.called = False
            elif news is not None and told_at is not None and told_at <= until:
                self.now = max(self.now, told_at)
                self._report(news)
            else:
                return

    def _report(self, message: Message) -> None:
        """A message has gone out."""
        self._seen.add(message.id)
        for run in self.runs:
            if (message.name, message.id) in run.asked:
                run.sent = {**run.sent, message.name: self.now}
                run.out = [id for id in run.out if id != message.id]
        data = {"message": message.id, "scenario": message.scenario, "name": message.name, "channel": "email"}
        self.arrive(Event("message.sent", self.now, data, f"{message.id}/sent"))

    def _outcome(self) -> Outcome:
        runs = [
            case.Run(
                id=run.id,
                scenario=run.scenario.id,
                key=run.key,
                entered_at=run.entered_at,
                triggered_at=run.trigger.time,
                round=run.round,
                state="waiting" if run.because is None else "ended",
                because=run.because,
                ended_at=run.ended_at,
                due=run.pause.due() if run.pause else None,
            )
            for run in self.runs
        ]
        awaited = [
            (aim.scenario.id, aim.key, aim.due)
            for aim in dates.aims(self)
            if isinstance(aim.scenario.trigger, model.DateTrigger)
        ]
        return Outcome(self.messages, runs, self.cancelled, self.facts.traits(), awaited).sorted()
