"""What the journals say, put in order (standard library only: no code of the platform).

All moments are Unix times; what the platform's clock said is converted by the pace that the generator wrote down.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.faults.journal import Entry, read
from tests.faults.pace import Pace

Row = dict[str, Any]
NEVER = float("inf")


@dataclass(kw_only=True)
class Told:
    """One event: when it happened, when it was first sent, when first acknowledged (never: infinite)."""

    customer: str
    id: str
    type: str
    data: dict[str, Any]
    happened: float
    sent: float
    acked: float = NEVER


@dataclass(frozen=True, kw_only=True)
class Click:
    """A use of an unsubscribe link: when it was sent, when it was confirmed."""

    customer: str
    sent: float
    acked: float


@dataclass(frozen=True, kw_only=True)
class Mail:
    """A mail that the sink wrote down: `name` and `mark` are the words of its subject."""

    real: float
    to: str
    name: str
    mark: str
    message_id: str
    mood: str


@dataclass(frozen=True, kw_only=True)
class Outage:
    """A part was away from `begin` to `end`."""

    part: str
    begin: float
    end: float


@dataclass(kw_only=True)
class Facts:
    """Everything the oracle knows. `outbox` rows carry the customer's name as `customer`."""

    pace: Pace
    customers: dict[str, Row]
    told: dict[str, list[Told]] = field(default_factory=dict)
    clicks: list[Click] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    outbox: list[Row] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What the generator saw and did not like."""


def load(folder: Path, outbox: Sequence[Row]) -> Facts:
    """The facts of the journals `told`, `mails` and `kills` in `folder`."""
    entries = read(folder / "told.jsonl")
    head = next(entry for entry in entries if entry["kind"] == "play")
    facts = Facts(pace=Pace.of(head["pace"]), customers={row["name"]: row for row in head["customers"]})
    facts.told = _told(entries, facts.pace)
    facts.clicks = _clicks(entries)
    facts.wrong = [entry["says"] for entry in entries if entry["kind"] == "wrong"]
    facts.mails = [_mail(entry) for entry in read(folder / "mails.jsonl")]
    facts.outages = _outages(read(folder / "kills.jsonl"))
    facts.outbox = list(outbox)
    return facts


def _told(entries: Iterable[Entry], pace: Pace) -> dict[str, list[Told]]:
    found: dict[str, Told] = {}
    requests: dict[int, list[str]] = {}
    for entry in entries:
        if entry["kind"] == "intent":
            requests[entry["request"]] = [one["event"]["id"] for one in entry["events"]]
            for one in entry["events"]:
                event = one["event"]
                found.setdefault(
                    event["id"],
                    Told(
                        customer=one["customer"],
                        id=event["id"],
                        type=event["type"],
                        data=event["data"],
                        happened=pace.when(datetime.fromisoformat(event["time"])),
                        sent=entry["real"],
                    ),
                )
        elif entry["kind"] == "ack":
            for id in requests[entry["request"]]:
                found[id].acked = min(found[id].acked, entry["real"])
    by_customer: dict[str, list[Told]] = {}
    for told in found.values():
        by_customer.setdefault(told.customer, []).append(told)
    return by_customer


def _clicks(entries: Iterable[Entry]) -> list[Click]:
    sent: dict[str, float] = {}
    acked: dict[str, float] = {}
    for entry in entries:
        if entry["kind"] == "unsubscribe":
            sent[entry["customer"]] = entry["real"]
        elif entry["kind"] == "unsubscribed":
            acked[entry["customer"]] = entry["real"]
    return [Click(customer=name, sent=at, acked=acked.get(name, NEVER)) for name, at in sent.items()]


def _mail(entry: Entry) -> Mail:
    name, _, mark = entry["subject"].partition(" ")
    return Mail(
        real=entry["real"],
        to=",".join(entry["to"]),
        name=name,
        mark=mark.strip(),
        message_id=entry["message_id"],
        mood=entry["mood"],
    )


def _outages(entries: Sequence[Entry]) -> list[Outage]:
    backs = {(entry["victim"], entry["pid"]): entry["real"] for entry in entries if entry["kind"] == "back"}
    return [
        Outage(part=entry["victim"], begin=entry["real"], end=backs.get((entry["victim"], entry["pid"]), NEVER))
        for entry in entries
        if entry["kind"] == "kill"
    ]
