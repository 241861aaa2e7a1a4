"""Lint of scenarios and their folders together: ids that are not the folder's, or are there twice, and rings in which
what one does starts the next for ever.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from libs.domain.lint.steps import sends, walk
from libs.domain.scenario import model
from libs.domain.scenario.match import holds
from libs.domain.scenario.model import Act, Condition, Scenario
from libs.domain.scenario.source import Finding, Source

MOST = 1_000
"""Rings beyond that are not told one by one."""
FOLDERS = re.compile(r"[\\/]")
NO_NAMES = ("", ".", "..")
"""What a scenario's folder may be called where nobody knows its name."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """A scenario that can be read, by the folder it is in."""

    folder: str
    scenario: Scenario
    source: Source


@dataclass(frozen=True, kw_only=True)
class Edge:
    """What `by` does at `path` starts `starts`. `undo` is what must be done before it can start it once more."""

    by: str
    starts: str
    path: str
    what: str
    undo: tuple[str, str] | None = None


def check_together(known: Sequence[Known]) -> list[tuple[str, Finding]]:
    """Findings by folder."""
    by_id = {one.scenario.id: one for one in reversed(known)}
    rings = ((by_id[ring[0].by].folder, _told(ring, by_id)) for ring in _unhindered(by_id))
    return [*_ids(known), *rings]


def check_among(new: Known, published: Iterable[Known]) -> list[Finding]:
    """The rings that a scenario closes with others, each told where it takes part."""
    by_id = {one.scenario.id: one for one in (*published, new)}
    places = ((ring, [edge.by for edge in ring]) for ring in _unhindered(by_id))
    turned = ((ring, names.index(new.scenario.id)) for ring, names in places if new.scenario.id in names)
    return [_told((*ring[place:], *ring[:place]), by_id) for ring, place in turned]


def _unhindered(by_id: Mapping[str, Known]) -> Iterator[tuple[Edge, ...]]:
    """The rings that no `again` holds up."""
    edges = {id: list(_edges(one, by_id)) for id, one in sorted(by_id.items())}
    for ring in _rings(edges):
        if all(by_id[edge.by].scenario.again is None for edge in ring):
            yield ring


def _told(ring: tuple[Edge, ...], by_id: Mapping[str, Known]) -> Finding:
    """An endless ring is an error, one that goes round once a warning."""
    names = " -> ".join([*(edge.by for edge in ring), ring[0].by])
    acts = "; ".join(f"{edge.by}: {edge.what}" for edge in ring)
    endless = all(edge.undo is None or _undone(edge.undo, ring, by_id) for edge in ring)
    message = f"a ring of scenarios: {names} ({acts})" + ("" if endless else "; it goes round once")
    hint = "give one of them `again: {after: 1d}` or `again: never`"
    finding = by_id[ring[0].by].source.finding(ring[0].path, message, hint)
    return finding if endless else replace(finding, severity="warning")


def _ids(known: Sequence[Known]) -> Iterator[tuple[str, Finding]]:
    first: dict[str, str] = {}
    for one in known:
        folder = first.setdefault(one.scenario.id, one.folder)
        if folder != one.folder:
            message = f"{one.scenario.id} is the id of {folder} too: the one published last would be its next version"
            yield one.folder, one.source.finding("id", message, "give it an id of its own")
        elif (name := FOLDERS.split(one.folder)[-1]) not in (*NO_NAMES, one.scenario.id):
            message = f"the id is also the folder's name, and this folder is called {name}"
            yield one.folder, one.source.finding("id", message, "rename one of the two", "warning")


def _edges(one: Known, known: Mapping[str, Known]) -> Iterator[Edge]:
    """What this scenario does that may start others, or itself."""
    id = one.scenario.id
    for step in walk(one.scenario.steps):
        if not isinstance(step, Act) or step.verb == "webhook":
            continue
        for event, data, undo in _effects(step, id):
            for other in known.values():
                if _starts(other.scenario, event, data, undo):
                    what = f"{step.verb} {', '.join(data['tags']) if 'tags' in data else ', '.join(step.what)}"
                    yield Edge(by=id, starts=other.scenario.id, path=step.path, what=what, undo=undo)
    for send in sends(one.scenario.steps):
        for channel in send.channels:
            data = {"scenario": id, "name": send.message, "channel": channel}
            for other in known.values():
                if any(_starts(other.scenario, event, data, None) for event in ("message.sent", "message.delivered")):
                    yield Edge(by=id, starts=other.scenario.id, path=send.path, what=f"send {send.message}")


def _effects(step: Act, id: str) -> Iterator[tuple[str, dict[str, Any], tuple[str, str] | None]]:
    """The events that others see, and what must be done first before the same can be seen once more."""
    if step.verb == "set":
        yield "profile.updated", {**step.what, "by": id}, ("set", ",".join(sorted(step.what)))
        return
    for word, event, other in (("add", "profile.tagged", "remove"), ("remove", "profile.untagged", "add")):
        for tag in step.what.get(word, ()):
            yield event, {"tags": [tag], "by": id}, (other, tag)


def _starts(scenario: Scenario, event: str, data: dict[str, Any], undo: tuple[str, str] | None) -> bool:
    """Whether an event may start a scenario; where a condition asks for more than the event, it may."""
    trigger = scenario.trigger
    if isinstance(trigger, model.TagTrigger) and "tags" in data and undo is not None:
        return str(data["tags"][0]) == (trigger.added if undo[0] == "remove" else trigger.removed)
    if not isinstance(trigger, model.EventTrigger) or trigger.event != event or trigger.nth is not None:
        return False
    where = trigger.where
    return where is None or not _only_of_event(where) or holds(where, {"event": {"type": event, **data}})


def _only_of_event(condition: Condition) -> bool:
    if isinstance(condition, model.Compare):
        root, *rest = condition.path.split(".")
        return root == "event" and rest[:1] not in (["time"], ["id"], ["message"]) and not condition.own_key
    if isinstance(condition, model.Not):
        return _only_of_event(condition.of)
    if isinstance(condition, model.Happened):
        return False
    return all(_only_of_event(part) for part in condition.of)


def _undone(undo: tuple[str, str], ring: Sequence[Edge], known: Mapping[str, Known]) -> bool:
    """Whether a scenario of the ring undoes it, so that it can be done anew."""
    word, name = undo
    acts = [step for edge in ring for step in walk(known[edge.by].scenario.steps) if isinstance(step, Act)]
    if word == "set":
        told = [step.what for step in acts if step.verb == "set"]
        return any(len({repr(one[field]) for one in told if field in one}) > 1 for field in name.split(","))
    return any(name in step.what.get(word, ()) for step in acts if step.verb in ("tag", "untag"))


def _rings(edges: Mapping[str, Sequence[Edge]]) -> Iterator[tuple[Edge, ...]]:
    """Every ring once, beginning at the id that comes first; of parallel edges the first."""
    count = 0
    for start in edges:
        ways: list[tuple[Edge, ...]] = [(edge,) for edge in _first(edges[start]) if edge.starts >= start]
        while ways and count < MOST:
            way = ways.pop()
            last = way[-1].starts
            if last == start:
                count += 1
                yield way
                continue
            seen = {edge.by for edge in way}
            ways += [
                (*way, edge)
                for edge in _first(edges[last])
                if edge.starts >= start and edge.starts not in seen - {start}
            ]
            if len(ways) > MOST:
                return


def _first(edges: Sequence[Edge]) -> list[Edge]:
    """One edge for each scenario that is started, an endless one before others."""
    found: dict[str, Edge] = {}
    for edge in sorted(edges, key=lambda edge: edge.undo is not None):
        found.setdefault(edge.starts, edge)
    return list(found.values())
