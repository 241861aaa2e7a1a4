"""Says from the journals alone which mails must have been sent, which may, and which must not.

It is a second reading of the promise, not of the code: standard library only. Where the platform could not know
something in time, both outcomes are right (MAY): an event counts as known for certain when all that it passes
through was undisturbed for `MARGIN` after its acknowledgement, and as perhaps known from its first sending on.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.faults.facts import NEVER, Click, Facts, Outage, Told

Must = Literal["must", "may", "must not"]
JUDGES = ("ingest", "rules", "scheduler", "kafka", "postgres")
"""Through whom an event goes before a due step is judged with it."""
PERMITS = ("ingest", "consent", "kafka", "postgres")
"""Through whom a permission goes before a message is judged with it."""
EVERYONE = ("ingest", "rules", "scheduler", "consent", "dispatch", "kafka", "postgres")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The harness's scenario: hours after the cart at which each mail is due; the margin in real seconds."""

    dues: tuple[tuple[str, float], ...]
    margin: float
    on_the_way: float = 2.0
    """Real seconds that a mail may need from its permission to the sink."""
    slots: int = 8
    """How many mails can be on their way at once, hence of how many a kill may leave the outcome unknown."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A mail that there could be. `asked` is about the request, before permission; `sent` is the whole."""

    customer: str
    name: str
    mark: str
    due: float
    asked: Must
    sent: Must
    because: str


@dataclass(frozen=True, kw_only=True)
class Permission:
    """One thing said about consent. Certainly known from `certain` on, perhaps from `sent` on."""

    granted: bool
    happened: float
    sent: float
    certain: float


class Oracle:
    """Over the facts of one run."""

    def __init__(self, facts: Facts, rules: Rules) -> None:
        self._facts = facts
        self._rules = rules
        self._permissions: dict[str, list[Permission]] = {}
        for name in facts.customers:
            clicks = [click for click in facts.clicks if click.customer == name]
            self._permissions[name] = self._said(facts.told.get(name, []), clicks)

    def expected(self) -> list[Expected]:
        """Every mail that could be, of every customer."""
        found: list[Expected] = []
        for name in self._facts.customers:
            told = self._facts.told.get(name, [])
            for event in told:
                if event.type == "cart.updated":
                    found += [self._of_cart(event, told, mail, hours) for mail, hours in self._rules.dues]
                elif event.type == "custom.receipt":
                    found.append(self._of_receipt(event))
        return found

    def settled(self, moment: float, parts: Sequence[str]) -> float:
        """When what was there at `moment` has certainly passed through `parts`."""
        return settled(self._facts.outages, moment, parts, self._rules.margin)

    def forbidden(self, customer: str, real: float) -> bool:
        """Whether a marketing mail written down at `real` breaks a withdrawal (or comes without any permission)."""
        decided = real - self._rules.on_the_way
        said = self._permissions[customer]
        if not any(one.granted and one.sent <= real for one in said):
            return True
        return "granted" not in _outcomes(said, decided, real)

    def _of_cart(self, cart: Told, told: Sequence[Told], name: str, hours: float) -> Expected:
        due = cart.happened + hours * 3600 / self._facts.pace.speed
        earliest = max(due, cart.sent)
        latest = self.settled(max(due, cart.acked, self._linked(cart, told)), JUDGES)
        mark, reason = str(cart.data["cart"]["url"]), "nothing speaks against it"
        gone = self.settled(latest, EVERYONE)
        asked: Must = "must" if cart.acked < NEVER else "may"
        taken_back = False
        for other in told:
            if not _ends(other, cart):
                continue
            if self.settled(max(other.acked, self._linked(other, told)), JUDGES) <= earliest:
                asked, reason = "must not", f"{other.type} {other.id} was known before"
                break
            if other.sent <= latest:
                asked, reason = "may", f"{other.type} {other.id} came about then"
            taken_back = taken_back or other.sent <= gone
        sent, why = self._permitted(cart.customer, earliest, gone)
        if taken_back and sent == "must":
            sent, why = "may", "it could be taken back"
        if self._linked(cart, told) > earliest and sent == "must":
            sent, why = "may", "who it is came about then"
        if asked == "must not" or (sent == "must" and asked == "may"):
            sent, why = asked, reason
        return Expected(
            customer=cart.customer, name=name, mark=mark, due=due, asked=asked, sent=sent, because=f"{reason}; {why}"
        )

    def _of_receipt(self, event: Told) -> Expected:
        must: Must = "must" if event.acked < NEVER else "may"
        return Expected(
            customer=event.customer,
            name="receipt",
            mark=str(event.data["receipt"]["number"]),
            due=event.happened,
            asked=must,
            sent=must,
            because="at once, needs no consent",
        )

    def _linked(self, event: Told, told: Iterable[Told]) -> float:
        """When it was certainly known to whom an event without an address belongs."""
        if "email" in event.data:
            return 0.0
        links = [one.acked for one in told if one.type == "profile.updated" and "email" in one.data]
        return self.settled(min(links, default=NEVER), JUDGES)

    def _said(self, told: Iterable[Told], clicks: Iterable[Click]) -> list[Permission]:
        said = [
            Permission(
                granted=consent["status"] == "granted",
                happened=event.happened,
                sent=event.sent,
                certain=self.settled(event.acked, PERMITS),
            )
            for event in told
            if event.type == "consent.changed"
            for consent in event.data["consents"]
        ]
        said += [Permission(granted=False, happened=c.sent, sent=c.sent, certain=c.acked) for c in clicks]
        return sorted(said, key=lambda one: one.happened)

    def _permitted(self, customer: str, earliest: float, latest: float) -> tuple[Must, str]:
        outcomes = _outcomes(self._permissions[customer], earliest, latest)
        if outcomes == {"granted"}:
            return "must", "permitted"
        if "granted" not in outcomes:
            return "must not", "not permitted"
        return "may", "the permission changed about then"


def _ends(other: Told, cart: Told) -> bool:
    """Whether an event ends, or starts anew, the waiting that this cart began."""
    if other.type == "order.placed":
        return other.happened >= cart.happened
    if other.type == "cart.updated" and other is not cart:
        return other.happened > cart.happened and other.data["cart"]["id"] == cart.data["cart"]["id"]
    return False


def _outcomes(said: Sequence[Permission], earliest: float, latest: float) -> set[str]:
    """What a judge between two moments can rightly find: `granted`, `denied`. `said` is in order of happening."""
    known = [one for one in said if one.certain <= earliest]
    last = known[-1] if known else None
    perhaps = [
        one
        for one in said
        if one.certain > earliest and one.sent <= latest and (last is None or one.happened >= last.happened)
    ]
    words: Callable[[bool], str] = lambda granted: "granted" if granted else "denied"  # noqa: E731
    return {words(last is not None and last.granted), *(words(one.granted) for one in perhaps)}


def settled(outages: Sequence[Outage], moment: float, parts: Sequence[str], margin: float) -> float:
    """The end of the first `margin` seconds from `moment` on in which none of `parts` was away."""
    for outage in sorted((o for o in outages if o.part in parts), key=lambda o: o.begin):
        if outage.begin < moment + margin and outage.end > moment:
            moment = outage.end
    return moment + margin
