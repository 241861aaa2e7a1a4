"""Lint of message files: each send has one, each one compiles, and asks only for variables that exist."""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from libs.domain.lint.fields import Shape, has_product, look, near
from libs.domain.lint.limits import READY_CHANNELS
from libs.domain.lint.steps import sends
from libs.domain.scenario.model import Scenario
from libs.domain.scenario.source import Finding, ScenarioError, Source, read
from libs.domain.template import compile_bundle, names, variables
from libs.domain.template.trial import Fault, trial

FORMS = {"email": ("mjml", "html", "txt"), "push": ("yaml",)}
ROOTS = (
    *("profile", "event", "cart", "order", "product", "rfm", "coupon", "shop", "key"),
    *("unsubscribe_url", "preferences_url", "confirm_url"),
)
OF_RUN = ("profile", "event", "cart", "order", "product", "rfm", "key")
NOT_YET = ("coupon",)
FUNCTIONS = ("range", "dict", "debug", "namespace", "loop")
ITEM = {"product_id": "p-1", "name": "Sofa", "quantity": 1, "price": "249.00", "image": "https://example.com/p.jpg"}
CART = {"id": "c-1", "value": "249.00", "currency": "PLN", "url": "https://example.com/c", "items": [ITEM]}
ORDER = {"id": "o-1", "value": "249.00", "currency": "PLN", "status": "new", "channel": "web", "items": [ITEM]}
LINKS = {"unsubscribe_url": "https://example.com/u", "preferences_url": "https://example.com/p"} | {
    "confirm_url": "https://example.com/c"
}
FULL: dict[str, Any] = {
    "profile": {"first_name": "Anna", "last_name": "Nowak", "language": "pl", "timezone": "Europe/Warsaw"},
    "event": {"type": "cart.updated", "time": "2026-03-02T10:00:00+00:00", "id": "e-1", "cart": CART, "order": ORDER},
    "cart": CART,
    "order": ORDER,
    "product": ITEM | {"currency": "PLN", "stock": "3", "available": True, "dearer": False},
    "rfm": {},
    "coupon": {},
    "shop": {"name": "demo"},
    "key": "c-1",
    **LINKS,
}
SPARSE: dict[str, Any] = {
    "profile": {},
    "event": {},
    "cart": {},
    "order": None,
    "product": {},
    "shop": {},
    "key": "",
    **LINKS,
}
COMPONENT = re.compile(r"<(mj[a-z0-9-]*|mjml)[\s/>]")
COMPONENTS = (
    *("mjml", "mj-head", "mj-body", "mj-include", "mj-attributes", "mj-all", "mj-class", "mj-breakpoint", "mj-font"),
    *("mj-preview", "mj-style", "mj-title", "mj-html-attributes", "mj-selector", "mj-html-attribute"),
    *("mj-section", "mj-column", "mj-group", "mj-wrapper", "mj-text", "mj-button", "mj-image", "mj-divider"),
    *("mj-spacer", "mj-table", "mj-raw", "mj-hero", "mj-social", "mj-social-element", "mj-navbar", "mj-navbar-link"),
    *("mj-accordion", "mj-accordion-element", "mj-accordion-title", "mj-accordion-text", "mj-carousel"),
    "mj-carousel-image",
)
PICTURE = re.compile(r"<(?:img|mj-image)\b(?:[^>\"']|\"[^\"]*\"|'[^']*')*>")
ALT = re.compile(r"\balt\s*=")


def check_names(files: dict[str, str]) -> Iterator[Finding]:
    """Files that nothing reads, and two that would be the same message."""
    found = names(files)
    same: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for file in sorted(files):
        if file == "scenario.yaml" or file.startswith("tests/"):
            continue
        match = found.get(file)
        if match is None:
            hint = "a message is messages/<message>.<channel>[.<language>].<ext>, such as messages/first.email.pl.mjml"
            yield _at(file, 1, "this file is not read", hint, "warning")
            continue
        channel, form = match["channel"], match["form"]
        allowed = _forms(channel)
        if form not in allowed:
            forms = " or ".join(f".{one}" for one in allowed)
            yield _at(file, 1, f"a message for {channel} cannot be .{form}", f"name it {forms}")
        elif not _is_text_part(file, files):
            same[match["name"], channel, match["language"] or ""].append(file)
    for alike in same.values():
        for file in alike[1:]:
            yield _at(file, 1, f"{alike[0]} is the same message", "keep one of the two")


def check_sends(scenario: Scenario, source: Source, files: dict[str, str]) -> Iterator[Finding]:
    """Messages that are sent and not there; messages that are there and not sent."""
    found = names(files)
    written = {(one["name"], one["channel"]) for one in found.values() if one["form"] in _forms(one["channel"])}
    sent = {(step.message, channel) for step in sends(scenario.steps) for channel in step.channels}
    for step in sends(scenario.steps):
        any_way = any((step.message, channel) in written for channel in step.channels)
        for channel in step.channels:
            needed = channel in READY_CHANNELS or not any_way
            if needed and step.message and (step.message, channel) not in written:
                file = f"messages/{step.message}.{channel}.{_forms(channel)[0]}"
                close = near(step.message, {name for name, way in written if way == channel} - {step.message})
                hint = f"create {file}" + (f"; {close}" if close else "")
                yield source.finding(f"{step.path}/send", f"message {step.message} has no file for {channel}", hint)
    for file, one in found.items():
        if (one["name"], one["channel"]) not in sent and one["form"] in _forms(one["channel"]):
            message = f"no step sends {one['name']} by {one['channel']}"
            yield _at(file, 1, message, near(one["name"], {name for name, _ in sent}), "warning")


def _forms(channel: str) -> tuple[str, ...]:
    """The extensions that a message of this channel may have, the usual one first."""
    return FORMS.get(channel, ("txt",))


def _is_text_part(file: str, files: dict[str, str]) -> bool:
    """Whether a file is the text of a mail that has HTML as well."""
    stem = file.removesuffix(".txt")
    return stem != file and (f"{stem}.mjml" in files or f"{stem}.html" in files)


def check_content(file: str, files: dict[str, str], purpose: str, event: Shape) -> Iterator[Finding]:
    """One message file: front matter, MJML, templates, variables; `event` is what a run was started by."""
    match = names(files).get(file)
    if match is None or match["form"] not in _forms(match["channel"]):
        return
    content = files[file]
    front, body, offset, wrong = _front(content, file)
    yield from wrong
    if wrong:
        return
    for line, template in [(front.positions[name][0], str(told)) for name, told in (front.value or {}).items()]:
        yield from _template(file, template, line, event)
    told = list(_template(file, body, offset + 1, event))
    broken = any(one.severity == "error" for one in told)
    yield from told
    if match["channel"] != "email" or _is_text_part(file, files):
        return
    if not str((front.value or {}).get("subject") or "").strip():
        yield _at(file, 1, "the mail has no subject", "add `subject: …` between two `---` lines at the beginning")
    if not body.strip():
        yield _at(file, offset + 1, "the mail has no content")
        return
    if match["form"] != "txt":
        yield from _markup(file, body, offset, mjml=match["form"] == "mjml")
        yield from _compiled(file, files, offset, whole=not told)
    if purpose != "transactional" and not broken and "unsubscribe_url" not in variables(body):
        hint = '`<a href="{{ unsubscribe_url }}">`; the mail\'s headers carry one anyway'
        yield _at(file, offset + 1, "there is no link to unsubscribe by", hint, "warning")


def _front(content: str, file: str) -> tuple[Source, str, int, list[Finding]]:
    """Front matter, body, the lines before the body, and what is wrong with the front matter."""
    lines = content.split("\n")
    none = Source(file=file, value={})
    if lines[0].strip() != "---":
        return none, content, 0, []
    end = next((number for number, line in enumerate(lines[1:], 1) if line.strip() == "---"), None)
    if end is None:
        return none, "", 0, [_at(file, 1, "the front matter does not end", "add a line `---` after it")]
    body = "\n".join(lines[end + 1 :])
    if not any(line.strip() and not line.lstrip().startswith("#") for line in lines[1:end]):
        return none, body, end + 1, []
    try:
        source = read("\n".join(lines[:end]), file)
    except ScenarioError as error:
        quoted = any("{{" in line for line in lines[error.findings[0].line - 1 : error.findings[0].line])
        hint = "put a value with {{ … }} in double quotes" if quoted else ""
        return none, body, end + 1, [_at(file, one.line, one.message, one.hint or hint) for one in error.findings]
    if not isinstance(source.value, dict):
        return none, body, end + 1, [_at(file, 1, "front matter is a mapping", "`subject: Your cart`")]
    wrong = [
        source.finding(name, f"{name} must be text", "put a value with {{ … }} in double quotes")
        for name, told in source.value.items()
        if isinstance(told, dict | list)
    ]
    return source, body, end + 1, wrong


def _template(file: str, template: str, first: int, event: Shape) -> Iterator[Finding]:
    """Faults and unknown variables of a template whose first line is line `first` of the file."""
    fault = trial(template, FULL, SPARSE)
    if fault is not None:
        yield _fault(file, first + fault.line - 1, fault)
        if fault.message.startswith("syntax"):
            return
    unknown: set[str] = set()
    for name in sorted(variables(template)):
        root = name.partition(".")[0]
        if root in FUNCTIONS:
            continue
        line = first + _line_of(template, name)
        if root not in ROOTS and root not in unknown:
            unknown.add(root)
            yield _at(file, line, f"{name} is not known", near(root, ROOTS) or f"one of: {', '.join(ROOTS)}")
        elif root in NOT_YET:
            yield _at(file, line, f"{name} is empty: {root} is not available in this version", "", "warning")
        elif root == "product" and not has_product(event):
            message = f"{name} is of the product that a trigger tells of, and there is none here: it is empty"
            yield _at(file, line, message, "the lines of a cart are `cart.items`, of an order `order.items`")
        elif root in OF_RUN and (word := look(name, event)):
            yield _at(file, line, word[1], word[2], word[0])


def _fault(file: str, line: int, fault: Fault) -> Finding:
    if fault.certain:
        return _at(file, line, fault.message)
    return _at(file, line, f"this fails where a value is missing: {fault.message}", "guard it: {% if … %}", "warning")


def _line_of(template: str, name: str) -> int:
    """In which line (from 0) a variable is first used within a tag."""
    word = re.compile(rf"(?<![\w.]){re.escape(name)}\b")
    for tag in re.finditer(r"\{[{%].*?[}%]\}", template, re.DOTALL):
        if found := word.search(tag[0]):
            return template.count("\n", 0, tag.start() + found.start())
    return 0


def _markup(file: str, body: str, offset: int, *, mjml: bool) -> Iterator[Finding]:
    for tag in COMPONENT.finditer(body) if mjml else ():
        if tag[1] not in COMPONENTS:
            yield _at(file, _line(body, offset, tag.start()), f"MJML knows no <{tag[1]}>", near(tag[1], COMPONENTS))
    for tag in PICTURE.finditer(body):
        if not ALT.search(tag[0]):
            message = "this picture has no alt text: many see no pictures"
            yield _at(file, _line(body, offset, tag.start()), message, 'add `alt="…"`', "warning")


def _line(body: str, offset: int, position: int) -> int:
    return offset + 1 + body.count("\n", 0, position)


def _compiled(file: str, files: dict[str, str], offset: int, *, whole: bool) -> Iterator[Finding]:
    """Compile as publishing does; then the tags must still stand in an order that works."""
    beside = re.sub(r"(mjml|html)$", "txt", file)
    try:
        made = compile_bundle({name: files[name] for name in (file, beside) if name in files})
    except ScenarioError as error:
        yield from (one for one in error.findings if one.file == file)
        return
    for message in made.values() if whole else ():
        for part, template in (("HTML", message.html), ("text part", message.text)):
            if fault := trial(template, FULL, SPARSE):
                hint = "put {% … %} around whole elements; inside tables and between sections use <mj-raw>"
                yield _at(file, offset + 1, f"in the {part} made from this: {fault.message}", hint)
                break


def _at(file: str, line: int, message: str, hint: str = "", severity: str = "error") -> Finding:
    return Finding(
        file=file,
        line=line,
        column=1,
        path="",
        message=message,
        hint=hint,
        severity="warning" if severity == "warning" else "error",
    )
