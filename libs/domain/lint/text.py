"""Lint of the plain values of `scenario.yaml`, even where it is otherwise wrong: events, times, conditions."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from libs.domain.lint.conditions import Place, check_condition
from libs.domain.lint.fields import has_product, look, no_date, no_event, shape, trigger_shape
from libs.domain.scenario.durations import clock, duration
from libs.domain.scenario.source import Finding, Source
from libs.domain.vocabulary import is_event_type

LONGEST = timedelta(days=5 * 365)
LENGTHS = ("wait", "for", "before", "after", "within", "late", "valid")
FREE = ("set", "webhook", "description")
"""What an author fills with words of his own."""
Json = dict[str, Any]


def check_text(source: Source) -> Iterator[Finding]:
    """Events, lengths of time, conditions, paths."""
    for path, event in events(source.value):
        if event and not is_event_type(event):
            yield source.finding(path, f"no event `{event}` exists", no_event(event))
    for path, name, told in nodes(source.value):
        length = duration(told) if name in LENGTHS else None
        if length is not None and length > LONGEST:
            yield source.finding(path, f"{told} is longer than 5 years")
    if isinstance(source.value, dict):
        yield from _head(source, source.value)


def nodes(value: Any, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every node below `value`: its path, its name (of a list's items: the list's), itself."""
    pairs: Iterable[tuple[str, str, Any]] = ()
    if isinstance(value, dict):
        pairs = ((f"{path}/{key}".lstrip("/"), key, told) for key, told in value.items())
    elif isinstance(value, list):
        pairs = ((f"{path}/{index}", path.rpartition("/")[2], told) for index, told in enumerate(value))
    for below, name, told in pairs:
        yield below, name, told
        if name not in FREE:
            yield from nodes(told, below)


def events(value: Any) -> Iterator[tuple[str, str]]:
    """Every event type that is named, with its path."""
    for below, name, told in nodes(value):
        if not isinstance(told, dict):
            continue
        if name in ("trigger", "exit", "happened", "until") and isinstance(told.get("event"), str):
            yield f"{below}/event", told["event"].strip()
        elif name == "inactive":
            named = told.get("events")
            for index, event in enumerate(named if isinstance(named, list) else [named]):
                if isinstance(event, str):
                    yield f"{below}/events/{index}", event.strip()


def _head(source: Source, value: Json) -> Iterator[Finding]:
    """Conditions and paths, where `event.` means what: the trigger's event, or the one that is named beside."""
    trigger = value.get("trigger")
    event = trigger_shape(trigger)
    keyed = isinstance(value.get("key"), str)
    place = Place(event=event, running=True, keyed=keyed, product=has_product(event))
    if isinstance(trigger, dict):
        entering = replace(place, running=False, entering=True)
        yield from check_condition(source, "trigger/where", trigger.get("where"), entering)
        if isinstance(trigger.get("date"), str) and (word := no_date(trigger["date"])):
            yield source.finding("trigger/date", word[1], word[2], word[0])
    yield from _own_key(source, value, place)
    ways = value.get("exit")
    for index, way in enumerate(ways if isinstance(ways, list) else [ways]):
        if isinstance(way, dict) and isinstance(way.get("event"), str):
            leaving = replace(place, event=shape(way["event"].strip()), running=False, product=False)
            yield from check_condition(source, f"exit/{index}/where", way.get("where"), leaving)
    yield from _steps(source, "steps", value.get("steps"), place)


def _own_key(source: Source, value: Json, place: Place) -> Iterator[Finding]:
    key = value.get("key")
    if not isinstance(key, str):
        return
    root = key.partition(".")[0]
    trigger = value.get("trigger")
    told = trigger if isinstance(trigger, Mapping) else {}
    profile_date = isinstance(told.get("date"), str) and told["date"].startswith("profile.")
    if key == "key":
        yield source.finding("key", "the key cannot be itself", "`key: event.cart.id`")
    elif root == "product":
        yield source.finding("key", "the key is what the event says", f"`key: event.{key}`")
    elif root != "profile" and ("inactive" in told or profile_date):
        message = f"no event starts this scenario: {key} is never there, and the key is the profile all the same"
        yield source.finding("key", message, "leave `key` out", "warning")
    elif word := look(key, place.event):
        yield source.finding("key", word[1], word[2], word[0])


def _steps(source: Source, path: str, steps: Any, place: Place) -> Iterator[Finding]:
    for index, step in enumerate(steps if isinstance(steps, list) else ()):
        if isinstance(step, dict):
            yield from _step(source, f"{path}/{index}", step, place)


def _step(source: Source, path: str, step: Json, place: Place) -> Iterator[Finding]:
    yield from check_condition(source, f"{path}/if", step.get("if"), place)
    for name, told in step.items():
        if name in ("then", "else") or ("split" in step and name != "split"):
            yield from _steps(source, f"{path}/{name}", told, place)
    until = step.get("until")
    if isinstance(until, dict) and isinstance(until.get("event"), str):
        awaited = replace(place, event=shape(until["event"].strip()))
        yield from check_condition(source, f"{path}/until/where", until.get("where"), awaited)
    wait = step.get("wait")
    until = wait.get("until") if isinstance(wait, dict) else None
    if isinstance(until, str) and until and clock(until) is None:
        word = no_date(until) or look(until, place.event)
        if word is not None:
            yield source.finding(f"{path}/wait/until", word[1], word[2], word[0])
