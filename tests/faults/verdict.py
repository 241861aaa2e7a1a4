"""What must, may and must not have been sent, against what sink and outbox hold (standard library only)."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.faults.facts import Facts, Mail, Row
from tests.faults.oracle import EVERYONE, Expected, Oracle, Rules

KINDS = (
    "lost",
    "unfinished",
    "twice",
    "without consent",
    "after an end",
    "early",
    "late",
    "strange",
    "unaccounted",
    "outbox differs",
    "too many unknown",
    "wrong answer",
)
EARLY = 0.5
"""Real seconds that clocks may be read apart."""
LATE = 30.0
"""Real seconds after everything was undisturbed again, within which a mail must be there."""

MESSAGE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""The id of a message, as the outbox gives it, in a Message-ID."""

Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Discrepancy:
    """Something that is not as promised."""

    kind: str
    customer: str
    says: str


@dataclass(kw_only=True)
class Verdict:
    """What was found. `ends` counts the outbox by end and reason, `lateness` is in real seconds, sorted."""

    discrepancies: list[Discrepancy] = field(default_factory=list)
    expected: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    lateness: list[float] = field(default_factory=list)
    mails: int = 0
    unknown_sent: int = 0
    """How many messages that the outbox calls unknown are in the sink, as far as it can be told."""

    def count(self, kind: str) -> int:
        return sum(one.kind == kind for one in self.discrepancies)


class Judge:
    """One comparison."""

    def __init__(self, facts: Facts, rules: Rules) -> None:
        self._facts = facts
        self._rules = rules
        self._oracle = Oracle(facts, rules)
        self._expected = self._oracle.expected()
        self._verdict = Verdict()
        self._names = {str(row["email"]): name for name, row in facts.customers.items()}
        self._rows: dict[Key, list[Row]] = defaultdict(list)
        for row in facts.outbox:
            self._rows[str(row["customer"]), str(row["message"])].append(row)
        self._mails: dict[tuple[str, str, str], list[Mail]] = defaultdict(list)
        for mail in facts.mails:
            self._mails[self._names.get(mail.to, mail.to), mail.name, mail.mark].append(mail)
        ids = (MESSAGE.search(mail.message_id) for mail in facts.mails)
        self._in_sink = {found[0] for found in ids if found}

    def judge(self) -> Verdict:
        """Everything, once."""
        verdict = self._verdict
        verdict.mails = len(self._facts.mails)
        for expected in self._expected:
            verdict.expected[expected.sent] += 1
            self._one(expected)
        self._missing()
        self._strangers()
        self._accounts()
        self._unknowns()
        for row in self._facts.outbox:
            verdict.ends[f"{row['end']}{': ' + str(row['reason']) if row.get('reason') else ''}"] += 1
        for says in self._facts.wrong:
            self._found("wrong answer", "", says)
        verdict.lateness.sort()
        return verdict

    def _found(self, kind: str, customer: str, says: str) -> None:
        self._verdict.discrepancies.append(Discrepancy(kind=kind, customer=customer, says=says))

    def _unknown(self, key: Key, *, in_sink: bool | None = None) -> int:
        """How many messages the outbox calls unknown; of those, what is (not) in the sink, if that is asked."""
        rows = [row for row in self._rows[key] if row["end"] == "unknown"]
        return sum(in_sink is None or (str(row["message_id"]) in self._in_sink) == in_sink for row in rows)

    def _missing(self) -> None:
        """What must have been sent and is not in the sink, less what the outbox says of it: unknown, or pending."""
        missing: dict[Key, list[Expected]] = defaultdict(list)
        for one in self._expected:
            if one.sent == "must" and (one.customer, one.name, one.mark) not in self._mails:
                missing[one.customer, one.name].append(one)
        for key, ones in missing.items():
            pending = sum(row["end"] == "pending" for row in self._rows[key])
            excused = self._unknown(key, in_sink=False)
            for number, one in enumerate(ones[excused:]):
                kind = "unfinished" if number < pending else "lost"
                says = f"{one.name} {one.mark} is not in the sink; {one.because}; outbox: {_ends(self._rows[key])}"
                self._found(kind, one.customer, says)

    def _one(self, expected: Expected) -> None:
        customer, what = expected.customer, f"{expected.name} {expected.mark}"
        mails = self._mails.get((customer, expected.name, expected.mark), [])
        if len(mails) > 1 and len(mails) - 1 > self._unknown((customer, expected.name), in_sink=True):
            self._found("twice", customer, f"{what} was sent {len(mails)} times: {[mail.message_id for mail in mails]}")
        for mail in mails:
            self._mail(expected, mail, what)

    def _mail(self, expected: Expected, mail: Mail, what: str) -> None:
        customer = expected.customer
        if expected.asked == "must not":
            self._found("after an end", customer, f"{what} was sent, but {expected.because}")
        if expected.name != "receipt" and (
            (expected.sent == "must not" and expected.asked != "must not")
            or self._oracle.forbidden(customer, mail.real)
        ):
            self._found("without consent", customer, f"{what} was sent; {expected.because}")
        if mail.real < expected.due - EARLY:
            self._found("early", customer, f"{what} was sent {expected.due - mail.real:.1f} s before it was due")
        ready = max(expected.due, self._acked(expected))
        self._verdict.lateness.append(mail.real - ready)
        if mail.real > self._oracle.settled(ready, EVERYONE) + LATE:
            self._found("late", customer, f"{what} was sent {mail.real - ready:.1f} s late")

    def _acked(self, expected: Expected) -> float:
        """When the event of an expected mail was acknowledged; its due time when it never was."""
        for event in self._facts.told[expected.customer]:
            if expected.mark in (event.data.get("cart", {}).get("url"), event.data.get("receipt", {}).get("number")):
                return event.acked if event.acked != float("inf") else expected.due
        return expected.due

    def _strangers(self) -> None:
        known = {(one.customer, one.name, one.mark) for one in self._expected}
        for key, mails in self._mails.items():
            if key not in known:
                self._found("strange", key[0], f"nobody asked for {mails[0]}")
        for row in self._facts.outbox:
            if row["customer"] not in self._facts.customers:
                self._found("strange", "", f"an outbox row of nobody: {row['message_id']} profile {row['profile']}")

    def _accounts(self) -> None:
        """The outbox against the sink and against what must have been asked for, by customer and message."""
        asked: Counter[Key] = Counter((one.customer, one.name) for one in self._expected if one.asked == "must")
        at_most: Counter[Key] = Counter((one.customer, one.name) for one in self._expected if one.asked != "must not")
        in_sink = Counter((customer, name) for customer, name, _ in self._mails)
        for key in {*self._rows, *asked, *in_sink}:
            rows = self._rows[key]
            customer, name = key
            if not asked[key] <= len(rows) <= at_most[key]:
                between = f"{asked[key]} to {at_most[key]}"
                self._found("unaccounted", customer, f"{name}: {between} messages in the outbox, found {_ends(rows)}")
            sent = [str(row["message_id"]) for row in rows if row["end"] == "sent"]
            absent = bool(self._in_sink) and not self._in_sink.issuperset(sent)
            if absent or not len(sent) <= in_sink[key] <= len(sent) + self._unknown(key):
                found = f"{in_sink[key]} in the sink{', not those that were sent' if absent else ''}"
                self._found("outbox differs", customer, f"{name}: {found}, the outbox says {_ends(rows)}")

    def _unknowns(self) -> None:
        """`unknown` is an excuse for what was under way when dispatch died or the sink hung up, and for no more."""
        cut = sum(mail.mood == "cut" for mail in self._facts.mails)
        killed = sum(outage.part in ("dispatch", "postgres") for outage in self._facts.outages)
        found = sum(self._unknown(key) for key in list(self._rows))
        self._verdict.unknown_sent = sum(self._unknown(key, in_sink=True) for key in list(self._rows))
        if found > cut + killed * self._rules.slots:
            most = f"{cut} mails cut off and {killed} kills of {self._rules.slots} under way"
            self._found("too many unknown", "", f"{found} messages are unknown; {most} explain no more")


def _ends(rows: Iterable[Row]) -> list[str]:
    ends = Counter(f"{row['end']}({row.get('reason') or ''})" for row in rows)
    return [f"{count} {end}" for end, count in ends.items()]
