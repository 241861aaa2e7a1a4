"""Numbers as shops send them: strings or numbers, compared and shown as decimals, never as floats."""

from decimal import Decimal, InvalidOperation
from typing import Any

CENT = Decimal("0.01")
PLACES = 9
"""Digits behind the decimal point that an amount may have."""
LEAST = Decimal(1).scaleb(-PLACES)


def decimal(value: Any) -> Decimal | None:
    """The number that a value stands for, or None. Booleans, NaN and infinities stand for none."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, (int, float, str)):
        try:
            number = Decimal(str(value).strip())
        except InvalidOperation:
            return None
        return number if number.is_finite() else None
    return None


def rounded(number: Decimal) -> Decimal:
    """With `PLACES` behind the point where there are more, as a binary float has them: nobody meant those."""
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= -PLACES:
        return number
    try:
        return Decimal(format(number.quantize(LEAST).normalize() + 0, "f"))
    except InvalidOperation:
        return number  # so large that no amount is


def shown(value: Any, currency: str, language: str | None) -> str:
    """An amount for a reader: `1 249,00 zł` in Polish, `1,249.00 PLN` elsewhere. Not a number: as it is."""
    number = decimal(value)
    if number is None:
        return str(value)
    text = f"{number.quantize(CENT):,}"
    if (language or "").lower().startswith("pl"):
        text = text.replace(",", "\u00a0").replace(".", ",")
        return f"{text} {'zł' if currency == 'PLN' else currency}"
    return f"{text} {currency}"
