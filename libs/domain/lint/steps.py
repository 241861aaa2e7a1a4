"""Lint of a scenario that is grammatical: what its trigger, head and steps still say wrongly."""

import re
from collections.abc import Iterator
from datetime import timedelta

from libs.domain.engine.program import HOLDOUT
from libs.domain.lint.conditions import check_ready_made
from libs.domain.lint.fields import KEPT_OUT, PROFILE, near, near_miss, shape
from libs.domain.lint.limits import check_head_limits, check_send_limits, check_webhook
from libs.domain.lint.text import LONGEST, nodes
from libs.domain.scenario import model
from libs.domain.scenario.conditions import SENT
from libs.domain.scenario.match import known_zone
from libs.domain.scenario.model import Act, Scenario, Send, Step, Until
from libs.domain.scenario.source import Finding, Source
from libs.domain.vocabulary import CUSTOM

__all__ = ["check_scenario", "near", "near_miss", "sends", "walk"]
LATEST = timedelta(days=30)
MESSAGE = re.compile(r"[A-Za-z0-9_-]+")
DAY = re.compile(r"\d{4}-\d\d-\d\d")
ARM = re.compile(r"[A-Za-z0-9_-]+")
PURPOSE = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}")
TRANSACTIONAL = "transactional"
KNOWN_PURPOSES = (TRANSACTIONAL, "marketing")
PRIORITIES = (0, 100)
YEAR = timedelta(days=365)
OF_MESSAGES = "message."


def check_scenario(scenario: Scenario, source: Source) -> Iterator[Finding]:
    """All of it but the order of steps, which is `flow`'s."""
    yield from _trigger(scenario, source)
    yield from _head(scenario, source)
    yield from _window(scenario, source)
    yield from check_head_limits(scenario, source)
    for step in walk(scenario.steps):
        yield from _step(step, source)
    yield from _sent(scenario, source)
    yield from _names(scenario, source)
    if not any(isinstance(step, Send | Act) for step in walk(scenario.steps)):
        yield source.finding("steps", "this scenario sends nothing", "add `- send: <message>`", "warning")


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Every step, those within others too, in the order written."""
    for step in steps:
        yield step
        if isinstance(step, model.If | Until):
            yield from walk(step.then)
            yield from walk(step.otherwise)
        elif isinstance(step, model.Split):
            for arm in step.steps.values():
                yield from walk(arm)


def sends(steps: tuple[Step, ...]) -> Iterator[Send]:
    """Every send of a scenario, in the order written."""
    return (step for step in walk(steps) if isinstance(step, Send))


def _goes_out(step: Step) -> bool:
    return isinstance(step, Send) or (isinstance(step, Act) and step.verb == "webhook")


def _trigger(scenario: Scenario, source: Source) -> Iterator[Finding]:
    trigger = scenario.trigger
    if isinstance(trigger, model.EventTrigger):
        yield from _event(trigger, scenario, source)
    elif isinstance(trigger, model.DateTrigger):
        yield from _date(trigger, source)
    elif isinstance(trigger, model.InactiveTrigger) and not trigger.lasting:
        yield source.finding("trigger/inactive/for", "for must be longer than nothing", "`for: 90d`")
    elif isinstance(trigger, model.RfmTrigger):
        yield from _rfm(trigger, source)
    elif isinstance(trigger, model.PriceTrigger) and not trigger.drops.strip("0.% "):
        yield source.finding("trigger/price/drops", "a drop of nothing is no drop", "`drops: 10%`")


def _event(trigger: model.EventTrigger, scenario: Scenario, source: Source) -> Iterator[Finding]:
    fields = shape(trigger.event).fields
    if trigger.statuses and not trigger.event.startswith(CUSTOM) and not fields & {"order", "status"}:
        message = f"no {trigger.event} has a status: nobody enters"
        yield source.finding("trigger/statuses", message, "`event: order.status_changed`")
    narrow = trigger.where is not None or trigger.nth is not None or trigger.statuses
    for index, way in enumerate(scenario.exits):
        if way.event == trigger.event and way.where is None and not narrow:
            message = f"every {way.event} both starts and ends this scenario"
            yield source.finding(f"exit/{index}", message, "add a `where`", "warning")


def _rfm(trigger: model.RfmTrigger, source: Source) -> Iterator[Finding]:
    if both := ", ".join(sorted(set(trigger.left) & set(trigger.to))):
        message = f"nobody goes from {both} to {both}: only a change is told"
        yield source.finding("trigger/rfm", message, "name a segment on one side", "warning")
    for side, segments in (("from", trigger.left), ("to", trigger.to)):
        for index, segment in enumerate(segments):
            yield from check_ready_made(source, f"trigger/rfm/{side}/{index}", segment)


def _date(trigger: model.DateTrigger, source: Source) -> Iterator[Finding]:
    yield from _sides("trigger", source)
    if trigger.late is not None and not trigger.late:
        message = "late must be longer than nothing: no call comes at the very moment"
        yield source.finding("trigger/late", message, "`late: 1d`")
    for name, length in (("before", trigger.before), ("after", trigger.after)):
        if trigger.every and length is not None and length > YEAR:
            yield source.finding(f"trigger/{name}", "what comes every year is never that far away", "up to 365d")


def _sides(path: str, source: Source) -> Iterator[Finding]:
    """`before` and `after` of one date."""
    if f"{path}/before" in source.positions and f"{path}/after" in source.positions:
        yield source.finding(f"{path}/after", "a date is met before it or after it, not both", "keep one of them")


def _head(scenario: Scenario, source: Source) -> Iterator[Finding]:
    basis, purpose = scenario.legal_basis, scenario.purpose
    if basis is not None and not (isinstance(basis, str) and basis.strip()):
        yield source.finding("legal_basis", "this must be text", "`legal_basis: contract`")
    elif purpose == TRANSACTIONAL and basis is None:
        message = "`transactional` needs no consent, so it names its legal basis"
        yield source.finding("purpose", message, "add `legal_basis: contract`, or name a purpose such as `marketing`")
    if not PURPOSE.fullmatch(purpose):
        message = f"{purpose} is no purpose that a consent can name"
        yield source.finding("purpose", message, "lower-case letters, digits, `-` and `_`, up to 50")
    elif purpose not in KNOWN_PURPOSES and (hint := near(purpose, KNOWN_PURPOSES, 0.8)):
        yield source.finding("purpose", f"only who consented to `{purpose}` is written to", hint, "warning")
    least, most = PRIORITIES
    if not least <= scenario.priority <= most:
        yield source.finding("priority", f"a priority is from {least} to {most}", "50 unless said")
    again = scenario.again
    if isinstance(again, timedelta) and not again:
        yield source.finding("again/after", "after nothing means always", "`again: always`, or `{after: 7d}`")


def _window(scenario: Scenario, source: Source) -> Iterator[Finding]:
    told, window = source.value.get("window"), scenario.window
    if window is None:
        return
    if told.get("holidays") not in (None, "skip"):
        yield source.finding("window/holidays", "holidays can only be `skip`")
    if not told:
        yield source.finding("window", "this window is always open", '`{between: ["09:00", "20:00"]}`', "warning")
    if window.closes == window.opens:
        message = "it closes in the minute in which it opens: it is never open"
        yield source.finding("window/between", message, '`["00:00", "24:00"]` is the whole day')
    elif window.closes is not None and window.closes < window.opens:
        message = f"this window is open over night, from {window.opens:%H:%M} to {window.closes:%H:%M}"
        yield source.finding("window/between", message, "the hour of opening comes first", "warning")


def _step(step: Step, source: Source) -> Iterator[Finding]:
    if isinstance(step, Send):
        yield from _send(step, source)
    elif isinstance(step, Until):
        yield from _until(step, source)
    elif isinstance(step, model.If) and not step.then and not step.otherwise:
        hint = "add `then:` or `else:`, or leave it out"
        yield source.finding(f"{step.path}/if", "nothing follows from this `if`", hint, "warning")
    elif isinstance(step, model.Wait):
        yield from _sides(f"{step.path}/wait", source)
    elif isinstance(step, model.Split):
        yield from _split(step, source)
    elif isinstance(step, Act):
        yield from check_webhook(step, source) if step.verb == "webhook" else _act(step, source)


def _send(step: Send, source: Source) -> Iterator[Finding]:
    path = step.path
    if not MESSAGE.fullmatch(step.message):
        yield source.finding(f"{path}/send", "a message has a name", "letters, digits, `-` and `_`: `send: first`")
    if step.late is not None and step.late <= timedelta():
        message = "late must be longer than nothing: this can only be too late"
        yield source.finding(f"{path}/late", message, "`late: 6h`")
    elif step.late is not None and LATEST < step.late <= LONGEST:
        yield source.finding(f"{path}/late", f"this may be sent {step.late.days} days after it was due", "", "warning")
    for index, channel in enumerate(step.channels):
        if channel in step.channels[:index]:
            yield source.finding(f"{path}/channels/{index}", f"{channel} is named twice", "name it once", "warning")
    yield from check_send_limits(step, source)


def _until(step: Until, source: Source) -> Iterator[Finding]:
    if not step.within:
        yield source.finding(f"{step.path}/within", "within must be longer than nothing", "`within: 48h`")
    if step.of is not None and not step.event.startswith(OF_MESSAGES):
        message = f"{step.event} is of no message: this never comes"
        yield source.finding(f"{step.path}/until/of", message, "`of` goes with message.clicked, message.opened …")


def _split(step: model.Split, source: Source) -> Iterator[Finding]:
    path = f"{step.path}/split/arms"
    for arm, share in step.arms.items():
        if not ARM.fullmatch(arm):
            yield source.finding(f"{path}/{arm}", "an arm has a name", "letters, digits, `-` and `_`")
        if share == 0:
            yield source.finding(f"{path}/{arm}", f"nobody draws {arm}: its share is nothing", "", "warning")
        if arm == HOLDOUT and any(_goes_out(one) for one in walk(step.steps.get(arm, ()))):
            message = f"the arm `{HOLDOUT}` gets nothing, and this sends"
            yield source.finding(f"{step.path}/{arm}", message, "give the arm another name")
        if arm != HOLDOUT and arm not in step.steps:
            message = f"the arm {arm} has no steps: who draws it goes on after the split"
            yield source.finding(f"{path}/{arm}", message, f"`{arm}: []` says that this is meant", "warning")


def _act(step: Act, source: Source) -> Iterator[Finding]:
    path = f"{step.path}/{step.verb}"
    if step.verb != "set":
        both = set(step.what.get("add", ())) & set(step.what.get("remove", ()))
        if both:
            yield source.finding(path, f"{', '.join(sorted(both))} is added and removed", "keep one of them")
        return
    for name, value in step.what.items():
        at = f"{path}/{name}"
        if name in KEPT_OUT:
            yield source.finding(at, f"{name} is kept by consent alone, no scenario can set it", "leave it out")
        elif name in ("tags", "consents", "segments"):
            hint = "`tag: {add: [vip]}`" if name == "tags" else "leave it out"
            yield source.finding(at, f"{name} cannot be set", hint)
        elif "." in name or not name:
            yield source.finding(at, "set names one field of the profile", "`set: {vip_since: 2026}`")
        elif name in PROFILE and name not in ("tags", "groups") and not isinstance(value, str):
            yield source.finding(at, f"{name} is text", "put it in quotes")
        elif name == "groups" and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
            yield source.finding(at, "groups are a list of names", "`set: {groups: [wholesale]}`")
        elif name == "timezone" and known_zone(str(value)) is None:
            yield source.finding(at, f"{value} is no time zone", "an IANA zone, such as `Europe/Warsaw`")
        elif name == "birthday" and not DAY.fullmatch(str(value)):
            yield source.finding(at, f"{value} is no day", "such as `1990-03-09`")


def _sent(scenario: Scenario, source: Source) -> Iterator[Finding]:
    """`since: sent(x)` and `until: {of: x}` name a message of this scenario."""
    names = {step.message for step in sends(scenario.steps)}
    for path, name, told in nodes(source.value):
        if name not in ("since", "of") or not isinstance(told, str):
            continue
        found = SENT.fullmatch(told)
        named = told if name == "of" else found[1] if found else None
        if named is not None and named not in names:
            yield source.finding(path, f"no step sends `{named}`", near(named, names))


def _names(scenario: Scenario, source: Source) -> Iterator[Finding]:
    """Names that differ by case alone are one file on many disks; splits of one name draw one lot."""
    seen: dict[str, str] = {}
    for step in sends(scenario.steps):
        known = seen.setdefault(step.message.casefold(), step.message)
        if known != step.message:
            message = f"{step.message} and {known} are one file on many disks"
            yield source.finding(f"{step.path}/send", message, "give it another name", "warning")
    lots: dict[str, model.Split] = {}
    for split in walk(scenario.steps):
        if isinstance(split, model.Split) and lots.setdefault(split.name, split) is not split:
            message = f"this split and that at {lots[split.name].path} have one name, and so draw one lot"
            yield source.finding(f"{split.path}/split/name", message, "give it another name", "warning")
