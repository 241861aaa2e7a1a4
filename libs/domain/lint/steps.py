"""Lint of `scenario.yaml` beyond its grammar: forms that this version does not run, names that do not exist."""

import difflib
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from libs.domain.engine.state import HISTORY, HISTORY_FOR
from libs.domain.scenario import model
from libs.domain.scenario.conditions import SENT
from libs.domain.scenario.durations import duration
from libs.domain.scenario.model import Scenario, Send, Step
from libs.domain.scenario.parse import TRIGGERS
from libs.domain.scenario.source import Finding, Source
from libs.domain.vocabulary import CUSTOM, OWN_EVENTS, SHOP_EVENTS, is_event_type

READY_CHANNELS = ("email",)
"""Channels for which a kind of gateway exists that reaches customers."""
LONGEST = timedelta(days=5 * 365)
LATEST = timedelta(days=30)
MESSAGE = re.compile(r"[A-Za-z0-9_-]+")
LATER = "not available in this version"
DURATIONS = ("wait", "for", "before", "after", "within", "late")
CART = ("id", "value", "currency", "url", "items")
ORDER = ("id", "value", "currency", "status", "channel", "items", "url")
PROFILE = (
    *("first_name", "last_name", "language", "timezone", "birthday", "customer_type", "tags", "groups", "consents"),
    *("country", "city", "postal_code"),
)
FIELDS = {"cart": CART, "event.cart": CART, "order": ORDER, "event.order": ORDER, "profile": PROFILE}
"""Fields that have a meaning of their own. A shop may send others, so only a near miss is worth a word."""


def near(word: str, words: Iterable[str]) -> str:
    """`did you mean …?`, or nothing."""
    close = difflib.get_close_matches(word, list(words), 1, 0.7)
    return f"did you mean `{close[0]}`?" if close else ""


def near_miss(path: str) -> str:
    """A hint for a dotted path that looks like a well-known field written wrong, or nothing."""
    root, _, rest = path.partition(".")
    if root == "event" and "." in rest:
        root, rest = f"{root}.{rest.partition('.')[0]}", rest.partition(".")[2]
    known = FIELDS.get(root, ())
    field = rest.partition(".")[0]
    if not field or field in known:
        return ""
    close = difflib.get_close_matches(field, known, 1, 0.75)
    return f"did you mean `{root}.{close[0]}`?" if close else ""


def check_text(source: Source) -> Iterator[Finding]:
    """What the plain values show, even of a scenario that is otherwise wrong: events, lengths of time, paths."""
    for path, event in _events(source.value, ""):
        if not is_event_type(event):
            hint = near(event, (*SHOP_EVENTS, *OWN_EVENTS)) or f"an event of your own begins with `{CUSTOM}`"
            yield source.finding(path, f"no event `{event}` exists", hint)
    for path, name, told in _nodes(source.value, ""):
        length = duration(told) if name in DURATIONS else None
        if length is not None and length > LONGEST:
            yield source.finding(path, f"{told} is longer than 5 years")
        if name in ("where", "if") and isinstance(told, dict):
            yield from _condition(source, path, told)


def _nodes(value: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    """Every node below `value`: its path, its name (of a list's items: the list's), itself."""
    pairs: Iterable[tuple[str, str, Any]] = ()
    if isinstance(value, dict):
        pairs = ((f"{path}/{key}".lstrip("/"), key, told) for key, told in value.items())
    elif isinstance(value, list):
        pairs = ((f"{path}/{index}", path.rpartition("/")[2], told) for index, told in enumerate(value))
    for below, name, told in pairs:
        yield below, name, told
        yield from _nodes(told, below)


def _events(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every event type that is named, with its path."""
    for below, name, told in _nodes(value, path):
        if name in ("trigger", "exit", "happened", "until") and isinstance(told, dict):
            if isinstance(told.get("event"), str):
                yield f"{below}/event", told["event"].strip()
        elif name == "inactive" and isinstance(told, dict):
            events = told.get("events")
            for index, event in enumerate(events if isinstance(events, list) else [events]):
                if isinstance(event, str):
                    yield f"{below}/events/{index}", event.strip()


def _condition(source: Source, path: str, told: dict[str, Any]) -> Iterator[Finding]:
    for name, value in told.items():
        below = f"{path}/{name}"
        if name in ("all", "any"):
            for index, item in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(item, dict):
                    yield from _condition(source, f"{below}/{index}", item)
        elif name == "not" and isinstance(value, dict):
            yield from _condition(source, below, value)
        elif name == "happened":
            yield from _happened(source, below, value)
        elif name == "rfm" or name.startswith("rfm."):
            message = f"{name} is not known to this version: no comparison with it is true"
            yield source.finding(below, message, "leave it out", "warning")
        elif hint := near_miss(name):
            yield source.finding(below, f"{name} is not a field that is known", hint, "warning")


def _happened(source: Source, path: str, value: Any) -> Iterator[Finding]:
    within = duration(value.get("within")) if isinstance(value, dict) else None
    if within is not None and HISTORY_FOR < within <= LONGEST:
        message = f"of a busy customer only the last {HISTORY_FOR.days} days (or {HISTORY} events) are remembered"
        yield source.finding(f"{path}/within", message, f"up to {HISTORY_FOR.days}d is certain", "warning")


def check_scenario(scenario: Scenario, source: Source) -> Iterator[Finding]:
    """What a scenario that is grammatical still says wrongly."""
    yield from _trigger(scenario, source)
    yield from _head(scenario, source)
    yield from _steps(scenario.steps, source)
    yield from _sent(scenario, source)
    if not any(sends(scenario.steps)):
        yield source.finding("steps", "this scenario sends nothing", "add `- send: <message>`", "warning")


def _trigger(scenario: Scenario, source: Source) -> Iterator[Finding]:
    trigger = scenario.trigger
    if not isinstance(trigger, model.EventTrigger):
        kind = next(name for name in TRIGGERS if name in source.value["trigger"])
        yield source.finding(f"trigger/{kind}", f"trigger `{kind}` is {LATER}", "a trigger is `event: …` so far")
        return
    for name, given in (("nth", trigger.nth is not None), ("statuses", bool(trigger.statuses))):
        if given:
            yield source.finding(f"trigger/{name}", f"trigger `{name}` is {LATER}", f"leave `{name}` out")
    for index, way in enumerate(scenario.exits):
        if way.event == trigger.event and way.where is None:
            message = f"every {way.event} both starts and ends this scenario"
            yield source.finding(f"exit/{index}", message, "add a `where`", "warning")


def _head(scenario: Scenario, source: Source) -> Iterator[Finding]:
    basis = scenario.legal_basis
    if basis is not None and not (isinstance(basis, str) and basis.strip()):
        yield source.finding("legal_basis", "this must be text", "`legal_basis: contract`")
    elif scenario.purpose == "transactional" and basis is None:
        message = "`transactional` needs no consent, so it names its legal basis"
        yield source.finding("purpose", message, "add `legal_basis: contract`, or name a purpose such as `marketing`")
    told = source.value.get("window")
    holidays = told.get("holidays") if isinstance(told, dict) else None
    if holidays == "skip":
        yield source.finding("window/holidays", f"`holidays: skip` is {LATER}", "leave `holidays` out")
    elif holidays is not None:
        yield source.finding("window/holidays", "holidays can only be `skip`")


def _steps(steps: tuple[Step, ...], source: Source) -> Iterator[Finding]:
    for index, step in enumerate(steps):
        if index and _ends(steps[index - 1]):
            yield source.finding(
                step.path, "this is never reached: the step before it ends the scenario", "", "warning"
            )
            break
    for step in steps:
        if isinstance(step, Send):
            yield from _send(step, source)
        elif isinstance(step, model.If):
            yield from _steps(step.then, source)
            yield from _steps(step.otherwise, source)
        elif isinstance(step, model.Until | model.Split | model.Act):
            verb = step.verb if isinstance(step, model.Act) else type(step).__name__.lower()
            yield source.finding(step.path, f"step `{verb}` is {LATER}", "available: wait, send, if, exit")


def _ends(step: Step) -> bool:
    """Whether nothing can follow."""
    if isinstance(step, model.Stop):
        return True
    if isinstance(step, model.If):
        return all(bool(way) and _ends(way[-1]) for way in (step.then, step.otherwise))
    return False


def _send(step: Send, source: Source) -> Iterator[Finding]:
    path = step.path
    if not MESSAGE.fullmatch(step.message):
        yield source.finding(f"{path}/send", "a message has a name", "letters, digits, `-` and `_`: `send: first`")
    for name in ("coupon", "gateway"):
        if f"{path}/{name}" in source.positions:
            yield source.finding(f"{path}/{name}", f"`{name}` is {LATER}", f"leave `{name}` out")
    if step.late is not None and step.late <= timedelta():
        yield source.finding(f"{path}/late", "late must be longer than nothing", "`late: 6h`")
    elif step.late is not None and LATEST < step.late <= LONGEST:
        yield source.finding(f"{path}/late", f"this may be sent {step.late.days} days after it was due", "", "warning")
    for index, channel in enumerate(step.channels):
        if channel not in READY_CHANNELS:
            message = f"for {channel} this version has no gateway but `file`: elsewhere nothing is sent by it"
            hint = f"beside it use {', '.join(READY_CHANNELS)}" if len(step.channels) == 1 else ""
            yield source.finding(f"{path}/channels/{index}", message, hint, "warning")


def sends(steps: tuple[Step, ...]) -> Iterator[Send]:
    """Every send of a scenario, in the order written."""
    for step in steps:
        if isinstance(step, Send):
            yield step
        elif isinstance(step, model.If | model.Until):
            yield from sends(step.then)
            yield from sends(step.otherwise)
        elif isinstance(step, model.Split):
            for arm in step.steps.values():
                yield from sends(arm)


def _sent(scenario: Scenario, source: Source) -> Iterator[Finding]:
    """`since: sent(x)` and `until: {of: x}` name a message of this scenario."""
    names = {step.message for step in sends(scenario.steps)}
    for path, name, told in _nodes(source.value, ""):
        if name not in ("since", "of") or not isinstance(told, str):
            continue
        named = told if name == "of" else _name_in(told)
        if named is not None and named not in names:
            yield source.finding(path, f"no step sends `{named}`", near(named, names))


def _name_in(since: str) -> str | None:
    found = SENT.fullmatch(since)
    return found[1] if found else None
