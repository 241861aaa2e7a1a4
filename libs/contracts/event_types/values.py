"""Values that are more than text or a number: checked here, kept as they were written."""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from libs.domain.money import PLACES, rounded

DIGITS = 15
"""Digits before the decimal point that an amount may have; behind it, as many as `PLACES`."""
LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,4}")
AMOUNT = re.compile(rf"-?[0-9]{{1,{DIGITS}}}(\.[0-9]{{1,{PLACES}}})?")


class Money:
    """An amount: a decimal as text (`"249.00"`) or as a number, whose digits of a binary float are rounded away."""


class Number:
    """A quantity, a rating: a decimal as text or as a number."""


class Moment:
    """A date or a time (ISO 8601); a time without an offset is in the customer's zone."""


class Day(Moment):
    """A date (ISO 8601)."""


class Zone:
    """An IANA time zone, as `Europe/Warsaw`."""


class Language:
    """A language tag (BCP 47), as `pl` or `pl-PL`."""


SCHEMAS: dict[Any, dict[str, Any]] = {
    Money: {"type": ["string", "number"], "pattern": f"^{AMOUNT.pattern}$", "description": "amount, decimal"},
    Number: {"type": ["string", "number"], "pattern": f"^{AMOUNT.pattern}$", "description": "decimal"},
    Moment: {"type": "string", "description": "ISO 8601 date or time"},
    Day: {"type": "string", "format": "date"},
    Zone: {"type": "string", "description": "IANA time zone"},
    Language: {"type": "string", "pattern": f"^{LANGUAGE.pattern}$"},
}


def amount(value: Any) -> str | None:
    """The plain decimal text of an amount (`249`, `249.00`), None when the value is none.

    A number is rounded to `PLACES`: `3 * 33.1` is 99.30000000000001 in a browser. A text says what it means.
    """
    if isinstance(value, str):
        return value if AMOUNT.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    try:
        number = Decimal(value)
        if not number.is_finite() or number.adjusted() >= DIGITS:
            return None
        text = format(rounded(number), "f")
    except (InvalidOperation, ValueError):
        return None
    return text if AMOUNT.fullmatch(text) else None


def moment(value: Any) -> bool:
    """Whether a value is an ISO 8601 date or time of our era."""
    if not isinstance(value, str) or not 8 <= len(value) <= 40:
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def day(value: Any) -> bool:
    """Whether a value is an ISO 8601 date."""
    if not isinstance(value, str) or len(value) != 10:
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1)
def zones() -> frozenset[str]:
    """Every IANA zone of this machine's data."""
    return frozenset(available_timezones())


def zone(value: Any) -> bool:
    """Whether a value names an IANA zone."""
    return isinstance(value, str) and value in zones()


def language(value: Any) -> bool:
    """Whether a value is a language tag."""
    return isinstance(value, str) and LANGUAGE.fullmatch(value) is not None


def decode(kind: type[Any], value: Any) -> Any:
    """msgspec's hook for the types of this file; raises `ValueError` saying what was expected."""
    judge, text = JUDGES[kind]
    if not judge(value):
        raise ValueError(text)
    return INSTANCES[kind]


def schema_of(kind: Any) -> dict[str, Any]:
    """msgspec's hook for JSON Schemas."""
    if kind not in SCHEMAS:
        raise NotImplementedError
    return SCHEMAS[kind]


def _is_amount(value: Any) -> bool:
    return amount(value) is not None


DECIMAL = f"Expected a decimal of at most {DIGITS} digits and {PLACES} places, as text or number"
JUDGES: dict[Any, tuple[Callable[[Any], bool], str]] = {
    Money: (_is_amount, DECIMAL),
    Number: (_is_amount, DECIMAL),
    Moment: (moment, "Expected an ISO 8601 date or time"),
    Day: (day, "Expected an ISO 8601 date"),
    Zone: (zone, "Expected an IANA time zone, as `Europe/Warsaw`"),
    Language: (language, "Expected a language tag, as `pl` or `pl-PL`"),
}
INSTANCES: dict[Any, Any] = {kind: kind() for kind in JUDGES}
