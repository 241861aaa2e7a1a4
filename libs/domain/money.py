"""Numbers as shops send them: strings or numbers, compared and shown as decimals, never as floats."""

from decimal import Decimal, InvalidOperation
from typing import Any

CENT = Decimal("0.01")


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
