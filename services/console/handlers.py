"""Decides for the console: what a publication changes, what Kafka is told of it, and how answers are composed."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, cast

import msgspec

from libs.common.bus.records import Outgoing, outgoing
from libs.contracts import topics
from libs.contracts.envelope import Message
from libs.contracts.scenarios import (
    RfmPublished,
    ScenarioPublished,
    ScenarioState,
    SegmentPublished,
    SegmentStanding,
    SegmentState,
    State,
)
from libs.domain import ids
from libs.domain.consent.caps import Cap
from libs.domain.lint.check import check_bundle
from libs.domain.lint.segment import check_segment
from libs.domain.rfm.parse import parse as parse_rfm
from libs.domain.scenario.diff import compare
from libs.domain.scenario.model import Scenario, Segment
from libs.domain.scenario.parse import parse
from libs.domain.scenario.segment import parse_segment
from libs.domain.scenario.source import Finding, ScenarioError

SOURCE = "/kurant/console"
MOST_FILES = 200
LARGEST_FILE = 1_000_000
LARGEST_BUNDLE = 900_000
"""Bytes of one record: brokers take a little more than 1 MB unless told otherwise."""
LONGEST_NAME = 200
SUMS = ("applied", "duplicates", "quarantined")
FATES = ("fired", "cancelled", "expired", "pending")
ENDS = ("sent", "suppressed", "failed", "expired", "unknown", "pending")
Files = dict[str, str]
KindName = Literal["scenario", "segment", "rfm"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Something that is published in versions: its `main` file, how it is checked (under the caps of the shop), how
    its id and name are read, what it can be told.
    """

    name: KindName
    main: str
    verbs: tuple[str, ...]
    check: Callable[[Files, Sequence[Cap]], list[Finding]]
    named: Callable[[str], tuple[str, str]]

    @property
    def plural(self) -> str:
        """As in `/v1/scenarios`."""
        return f"{self.name}s"


def _named(read: Callable[[str], Scenario | Segment]) -> Callable[[str], tuple[str, str]]:
    def named(text: str) -> tuple[str, str]:
        told = read(text)
        return told.id, told.name

    return named


def _check_segment(files: Files, _caps: Sequence[Cap]) -> list[Finding]:
    return check_segment(files)


def _check_rfm(files: Files, _caps: Sequence[Cap]) -> list[Finding]:
    try:
        parse_rfm(files[RFM.main])
    except ScenarioError as error:
        return list(error.findings)
    return []


SCENARIO = Kind(
    name="scenario",
    main="scenario.yaml",
    verbs=("pause", "resume", "archive"),
    check=check_bundle,
    named=_named(parse),
)
SEGMENT = Kind(
    name="segment", main="segment.yaml", verbs=("archive",), check=_check_segment, named=_named(parse_segment)
)
RFM = Kind(name="rfm", main="rfm.yaml", verbs=(), check=_check_rfm, named=lambda _: ("rfm", "RFM"))
"""The rules of a shop's RFM: there is one of them, and nothing to tell it."""


class Ref(NamedTuple):
    """One published thing."""

    shop: str
    kind: KindName
    id: str


class Refused(ValueError):
    """A request that cannot be done; `field` says where, or is empty. `status` as in HTTP."""

    def __init__(self, status: int, detail: str, field: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.field = field


@dataclass(frozen=True, kw_only=True)
class Current:
    """What is published as it stands; `digest` is of its current version. Up to the version `over` all has ended."""

    version: int
    state: str
    changed_at: datetime
    told: bool
    digest: bytes
    over: int = 0


@dataclass(frozen=True, kw_only=True)
class Untold:
    """A version that Kafka has not acknowledged."""

    version: int
    files: Files
    published_at: datetime


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a publication leads to. `fresh` says that the version is new, `moved` that anything is to be stored."""

    version: int
    state: str
    fresh: bool
    moved: bool


def check_size(files: Files) -> None:
    """Raises `Refused` for a bundle that is too large, or that holds what cannot be stored."""
    if len(files) > MOST_FILES:
        raise Refused(413, f"files: {len(files)} of them; at most {MOST_FILES} are taken", "files")
    for name, text in files.items():
        if not name or len(name) > LONGEST_NAME or "\0" in name:
            raise Refused(422, f"files: a name is empty, longer than {LONGEST_NAME} or holds a NUL", "files")
        if "\0" in text:
            raise Refused(422, f"files.{name}: holds a NUL character", f"files.{name}")
        if len(text.encode()) > LARGEST_FILE:
            raise Refused(413, f"files.{name}: is larger than {LARGEST_FILE} bytes", f"files.{name}")
    if len(msgspec.json.encode(files)) > LARGEST_BUNDLE:
        detail = f"files: together larger than {LARGEST_BUNDLE} bytes; pictures belong on a web server"
        raise Refused(413, detail, "files")


def digest(files: Files) -> bytes:
    """Of the content: the same whatever the order of the files."""
    return hashlib.sha256(msgspec.json.encode(sorted(files.items()))).digest()


def publication(current: Current | None, content: bytes) -> Change:
    """New content is the next version, the same content keeps it. A paused scenario stays paused; an archived one lives
    again as the next version, so that what ran by the one before is over.
    """
    if current is None:
        return Change(version=1, state="live", fresh=True, moved=True)
    state = "live" if current.state == "archived" else current.state
    if current.digest == content and current.version > current.over:
        return Change(version=current.version, state=state, fresh=False, moved=state != current.state)
    return Change(version=current.version + 1, state=state, fresh=True, moved=True)


def transition(ref: Ref, current: Current | None, verb: str) -> str:
    """The state after `pause`, `resume` or `archive`; raises `Refused` saying what to do instead."""
    if current is None:
        raise Refused(404, f"no {ref.kind} {ref.id} in this shop; publish it first")
    if verb == "archive":
        return "archived"
    if current.state == "archived":
        raise Refused(409, f"{ref.kind} {ref.id} is archived; publish it to make it live again")
    return "paused" if verb == "pause" else "live"


def news(ref: Ref, current: Current, versions: Sequence[Untold]) -> list[Outgoing]:
    """The records that tell of versions, then of the state (RFM rules have none). The same ones whenever they are made
    (I3).
    """
    key = _key(ref)
    records = [
        outgoing(
            topics.SCENARIOS,
            _published(ref, one),
            key=key if ref.kind == "rfm" else f"{key}@{one.version}",
            id=ids.derive(f"{ref.kind}-published", ref.shop, ref.id, one.version),
            source=SOURCE,
            shop=ref.shop,
            time=one.published_at,
        )
        for one in versions
    ]
    if ref.kind == "rfm":
        return records
    changed = current.changed_at
    records.append(
        outgoing(
            topics.SCENARIOS,
            _state(ref, current),
            key=key,
            id=ids.derive(f"{ref.kind}-state", ref.shop, ref.id, current.version, current.state, changed.isoformat()),
            source=SOURCE,
            shop=ref.shop,
            time=changed,
        )
    )
    return records


def _key(ref: Ref) -> str:
    """Of the state; a version adds its number. Of RFM rules only the newest matter, so all have this one."""
    if ref.kind == "rfm":
        return f"{ref.shop}/{RFM.main}"
    return f"{ref.shop}/{ref.id}" if ref.kind == "scenario" else f"{ref.shop}/segments/{ref.id}"


def _published(ref: Ref, one: Untold) -> Message:
    if ref.kind == "rfm":
        return RfmPublished(version=one.version, published_at=one.published_at, text=one.files[RFM.main])
    if ref.kind == "segment":
        return SegmentPublished(segment=ref.id, version=one.version, published_at=one.published_at, files=one.files)
    return ScenarioPublished(scenario=ref.id, version=one.version, published_at=one.published_at, files=one.files)


def _state(ref: Ref, current: Current) -> Message:
    version, changed = current.version, current.changed_at
    if ref.kind == "segment":
        standing = cast(SegmentStanding, current.state)
        return SegmentState(segment=ref.id, version=version, state=standing, changed_at=changed)
    state = cast(State, current.state)
    return ScenarioState(scenario=ref.id, version=version, state=state, changed_at=changed, over=current.over)


def shown(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as JSON."""
    return [asdict(one) for one in findings]


def different(kind: Kind, before: Files | None, files: Files) -> list[dict[str, str]]:
    """What a new version has other than the one before, as JSON; nothing when there is none before."""
    return [] if before is None else [one.shown() for one in compare(before, files, kind.main)]


def audit(
    rules: Mapping[str, Any], scheduler: Mapping[str, Any], dispatch: Mapping[str, Any], ingest: Mapping[str, Any]
) -> dict[str, Any]:
    """The sums of four rooms side by side (docs/adr/0009): what one counted in, the others must have at hand.

    Events that ingest took and did not pass on come on top of those that rules has read.
    """
    events = {name: rules["events"][name] + ingest["events"].get(name, 0) for name in ("received", *SUMS)}
    events["received"] += ingest["events"]["stopped"]
    steps = {name: rules["steps"][name] for name in ("scheduled", *FATES[:-1])} | {"pending": scheduler["pending"]}
    messages = {"requested": rules["messages"]["requested"]} | {name: dispatch["messages"][name] for name in ENDS}
    events["difference"] = events["received"] - sum(events[name] for name in SUMS)
    steps["difference"] = steps["scheduled"] - sum(steps[name] for name in FATES)
    messages["difference"] = messages["requested"] - sum(messages[name] for name in ENDS)
    told = {"rules": rules, "scheduler": scheduler, "dispatch": dispatch, "ingest": ingest}
    ok = not any(part["difference"] for part in (events, steps, messages))
    lag = {name: lag_of(one) for name, one in told.items()}
    return {"ok": ok, "events": events, "steps": steps, "messages": messages, "lag": lag}


def lag_of(told: Mapping[str, Any] | None) -> int | None:
    """Records behind, as one number; None when it was not told."""
    lag = told.get("lag") if told is not None else None
    return sum(lag.values()) if isinstance(lag, dict) else lag


def explained(answer: dict[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What rules explains, with what dispatch knows of each step's message: its name, its end and the reason."""
    by_message = {row["message_id"]: row for row in rows}
    for scenario in answer["scenarios"]:
        for enrolment in scenario["enrolments"]:
            for step in enrolment["steps"]:
                row = by_message.get(step.get("message"))
                if row is not None:
                    step |= _fate(row, step)
    return answer


def _fate(row: Mapping[str, Any], step: Mapping[str, Any]) -> dict[str, Any]:
    told = {"name": row["message"], "channel": row["channel"]}
    if row["end"] != "pending":
        return told | {"verdict": row["end"], "because": row["reason"], "at": row["ended_at"] or step["at"]}
    if row["reason"]:
        until = f" until {row['until']}" if row.get("until") else ""
        return told | {"verdict": "deferred", "because": f"{row['reason']}{until}"}
    return told
