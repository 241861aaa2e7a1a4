"""Rendering: minijinja with limits on work and size; no Python object is reachable from a template."""

from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from minijinja import Environment

from libs.domain.money import shown
from libs.domain.scenario.match import zone
from libs.domain.template.compile import CompiledMessage

FUEL = 200_000
LARGEST = 1_000_000
CONTROL = dict.fromkeys((*range(32), 127, 8232, 8233))
POLISH_DAYS = ("poniedziałek", "wtorek", "środa", "czwartek", "piątek", "sobota", "niedziela")
POLISH_MONTHS = (
    *("stycznia", "lutego", "marca", "kwietnia", "maja", "czerwca"),
    *("lipca", "sierpnia", "września", "października", "listopada", "grudnia"),
)
"""As in a date: of the month."""


MAY_LACK: dict[str, Any] = {"coupon": {}, "product": {}}
"""Variables that a message may ask for and a request may be without."""


class TemplateError(ValueError):
    """A template that does not render. Its text names the kind of fault and never a variable's value."""


class Given(dict[str, Any]):
    """A mapping in which `items`, `keys` and the like are fields like any other: empty where they are not given.

    Without it a cart without `items` would show a method of Python's dict.
    """

    def __missing__(self, key: str) -> str:
        if hasattr(dict, key):
            return ""
        raise KeyError(key)


def given(value: Any) -> Any:
    """Plain values as a template may see them."""
    if isinstance(value, dict):
        return Given({name: given(told) for name, told in value.items()})
    if isinstance(value, list | tuple):
        return [given(told) for told in value]
    return value


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """A message for one person. `html` is empty for channels without it."""

    subject: str
    preheader: str
    sender: str
    html: str
    text: str
    url: str = ""


def environment() -> Environment:
    """A fresh environment with our limits and filters."""
    made = Environment()
    made.fuel = FUEL
    made.undefined_behavior = "chainable"
    made.auto_escape_callback = lambda name: name.startswith("html:")
    made.add_filter("money", _money)
    made.add_filter("date", _date)
    return made


_environment = lru_cache(maxsize=1)(environment)


def _money(value: Any, currency: str = "PLN", language: str | None = None) -> str:
    return "" if value is None else shown(value, currency or "PLN", language)


def _date(value: Any, form: str = "%Y-%m-%d", timezone: str | None = None, language: str | None = None) -> str:
    """In `timezone` where both it and the offset are told; else as written: that is on the customer's wall already."""
    if value is None:
        return ""
    try:
        told = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        local = told.astimezone(zone(timezone)) if told.tzinfo and timezone else told
        if (language or "").lower().startswith("pl"):
            form = form.replace("%A", POLISH_DAYS[local.weekday()]).replace("%B", POLISH_MONTHS[local.month - 1])
        return local.strftime(form)
    except (ValueError, OverflowError):
        return str(value)


_known: dict[str, str] = {}


def _run(kind: str, source: str, variables: dict[str, Any]) -> str:
    if "{" not in source:
        return source
    shared = _environment()
    name = f"{kind}:{hash(source)}"
    try:
        if _known.get(name) != source:
            if len(_known) > 2_000:
                shared.clear_templates()
                _known.clear()
            shared.add_template(name, source)
            _known[name] = source
        text = shared.render_template(name, **variables)
    except Exception as error:
        raise TemplateError(_kind(error)) from None
    if len(text) > LARGEST:
        raise TemplateError("the message is larger than 1 MB")
    return text.replace("&#x2f;", "/") if kind == "html" else text  # no harm in a slash; addresses stay readable


def _kind(error: Exception) -> str:
    """The first words of an error, before anything that it quotes."""
    line = str(error).split("\n")[0]
    head = line.split(":")[0].strip()
    return head[:80] or type(error).__name__


def render(message: CompiledMessage, variables: dict[str, Any]) -> Rendered:
    """Render every part with plain dicts, lists, strings and numbers; raises `TemplateError`.

    Header values (subject, sender, preheader) lose control characters, so no value can add a header (RFC 5322).
    """
    variables = given(variables)
    return Rendered(
        subject=_line(_run("line", message.subject, variables)),
        preheader=_line(_run("line", message.preheader, variables)),
        sender=_line(_run("line", message.sender, variables)),
        url=_line(_run("line", message.url, variables)),
        html=_run("html", message.html, variables),
        text=_run("text", message.text, variables),
    )


def plain(source: str, variables: dict[str, Any]) -> str:
    """One template alone, as text, with variables as `given` makes them; raises `TemplateError`."""
    return _run("text", source, variables)


def _line(text: str) -> str:
    return " ".join(text.translate({**CONTROL, 10: " ", 13: " ", 9: " "}).split())


def check_syntax(source: str) -> str | None:
    """What is wrong with a template's syntax, or None."""
    try:
        Environment().add_template("t", source)
    except Exception as error:
        return str(error).split("\n")[0][:200]
    return None


def variables(source: str) -> set[str]:
    """The dotted names that a template uses and does not define itself."""
    return set(Environment().undeclared_variables_in_str(source, nested=True))
