"""Shows what a run found: a table, and for what is wrong the story of the customer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.faults.facts import NEVER, Facts
from tests.faults.verdict import KINDS, Verdict

MOST = 20
"""How many discrepancies are told with their story."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a run consisted of."""

    name: str
    events: int
    repeats: int
    requests: int
    kills: Mapping[str, int]
    seconds: Mapping[str, float]
    audit: Any
    audit_code: int


def table(facts: Facts, verdict: Verdict, figures: Figures) -> str:
    """The summary."""
    late = verdict.lateness
    unknown = sum(row["end"] == "unknown" for row in facts.outbox)
    rows = [
        ("customers", str(len(facts.customers))),
        ("events", f"{figures.events}, told {figures.events + figures.repeats} times in {figures.requests} requests"),
        ("kills", f"{sum(figures.kills.values())}: " + ", ".join(f"{n} {k}" for n, k in sorted(figures.kills.items()))),
        (
            "mails",
            f"{verdict.mails}; must {verdict.expected['must']}, may {verdict.expected['may']}, "
            f"must not {verdict.expected['must not']}",
        ),
        (
            "lateness",
            f"p50 {share(late, 0.5):.2f} s, p99 {share(late, 0.99):.2f} s, most {share(late, 1):.2f} s (real)",
        ),
        ("outbox", ", ".join(f"{end} {count}" for end, count in sorted(verdict.ends.items()))),
        ("unknown", f"{unknown}, of which {verdict.unknown_sent} are in the sink"),
        *((kind, str(verdict.count(kind))) for kind in KINDS),
        ("audit", "agrees" if figures.audit_code == 0 else f"differs: {figures.audit}"),
        ("seconds", ", ".join(f"{name} {took:.0f}" for name, took in figures.seconds.items())),
    ]
    return "\n".join([f"--- {figures.name}", *(f"{name:16} {text}" for name, text in rows)])


def share(values: Sequence[float], part: float) -> float:
    """A quantile of sorted values; 0 when there are none."""
    return values[min(len(values) - 1, int(part * len(values)))] if values else 0.0


def wrongs(facts: Facts, verdict: Verdict) -> str:
    """The first discrepancies, each with the story of its customer."""
    lines = [f"{len(verdict.discrepancies)} discrepancies; the first {MOST}:"]
    for one in verdict.discrepancies[:MOST]:
        lines.append(f"* {one.kind}: {one.customer}: {one.says}")
    for name in dict.fromkeys(one.customer for one in verdict.discrepancies[:MOST]):
        if name in facts.customers:
            lines += story(facts, name)
    return "\n".join(lines)


def story(facts: Facts, customer: str) -> list[str]:
    """All that happened to a customer, in real time, with the platform's time beside it; and who was away."""
    row = facts.customers[customer]
    told: list[tuple[float, str]] = []
    for event in facts.told.get(customer, []):
        acked = "never" if event.acked == NEVER else f"{event.acked - event.sent:.2f} s later"
        happened = facts.pace.at(event.happened)
        what = event.data.get("cart", {}).get("url") or [c["status"] for c in event.data.get("consents", [])] or ""
        told.append((event.sent, f"sends {event.type} {event.id} of {happened:%H:%M:%S} {what}, acknowledged {acked}"))
    for click in facts.clicks:
        if click.customer == customer:
            told.append((click.sent, f"unsubscribes, confirmed {click.acked - click.sent:.2f} s later"))
    for mail in facts.mails:
        if mail.to == row["email"]:
            told.append((mail.real, f"is sent {mail.name} {mail.mark} ({mail.mood}) {mail.message_id}"))
    for out in facts.outbox:
        if out["customer"] == customer:
            ended = datetime.fromisoformat(out["ended_at"]) if out.get("ended_at") else datetime.max.replace(tzinfo=UTC)
            asked = datetime.fromisoformat(out["requested_at"])
            says = f"outbox: {out['message']} {out['end']} {out.get('reason') or ''} at {ended:%H:%M:%S}"
            told.append((facts.pace.when(asked), f"{says} {out['message_id']} profile {out['profile']}"))
    told.sort()
    first, last = (told[0][0], told[-1][0] + 5) if told else (0.0, 0.0)
    away = [f"{o.part} {o.begin - first:.1f}-{o.end - first:.1f}" for o in facts.outages if first <= o.begin <= last]
    begin = f"  {customer} ({row['story']}); away (s): {', '.join(away) or 'nobody'}"
    return [begin, *(f"    {at - first:7.2f} s {facts.pace.at(at):%H:%M:%S} {says}" for at, says in told)]
