"""What it costs to look back: how many events of each customer are kept for a scenario, and with which fields."""

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from libs.domain.engine.questions import questions
from libs.domain.engine.state import HISTORY, UNASKED
from libs.domain.engine.tracks import Track
from libs.domain.lint.text import nodes
from libs.domain.scenario.model import Scenario
from libs.domain.scenario.source import Finding, Source

SAMPLE = "0123456789"


def check_cost(scenario: Scenario, source: Source) -> Iterator[Finding]:
    """One word for each type of event that conditions ask about, where they first do."""
    asked = questions(scenario)
    told: set[str] = set()
    for path, name, value in nodes(source.value):
        if name != "happened" or not isinstance(value, dict) or not isinstance(value.get("event"), str):
            continue
        type = value["event"].strip()
        if type in told or type not in asked:
            continue
        told.add(type)
        paths = sorted(asked[type].paths)
        fields = f" with {', '.join('.'.join(one) for one in paths)}" if paths else ""
        message = f"for this the last {HISTORY} `{type}` of each customer are kept{fields}"
        message += f": {size(paths) / 1000:.0f} kB of one who has so many"
        hint = f"published, it begins with what is known: of a type that nobody asked about the last {UNASKED}"
        yield source.finding(path, message, hint, "info")


def size(paths: list[tuple[str, ...]]) -> int:
    """About how many bytes a full track takes in the document of a profile."""
    moment = datetime(2026, 3, 2, tzinfo=UTC)
    data = {".".join(one): SAMPLE for one in paths}
    track = Track(HISTORY, [moment] * HISTORY, [data] * HISTORY if paths else [])
    return len(msgspec.msgpack.encode(track))
