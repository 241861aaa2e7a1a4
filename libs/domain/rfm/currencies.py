"""Money as whole minor units (ISO 4217): cents, grosze, yen. Never a float."""

from decimal import Decimal
from math import gcd

DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI"), 0),
    **dict.fromkeys(("VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


def digits(currency: str) -> int:
    """How many decimals the currency has."""
    return DIGITS.get(currency, 2)


def minor(amount: Decimal, currency: str) -> int | None:
    """The amount in minor units; None when it has more decimals than the currency."""
    scaled = amount.scaleb(digits(currency))
    return int(scaled) if scaled == scaled.to_integral_value() else None


def major(amount: int, currency: str) -> Decimal:
    """Minor units as an amount for people: `12345` is `123.45` PLN."""
    return Decimal(amount).scaleb(-digits(currency))


def factor(rate: Decimal, currency: str, into: str) -> tuple[int, int]:
    """Numerator and denominator that turn minor units of `currency` into those of `into`; a rate is per whole unit."""
    over, under = rate.as_integer_ratio()
    over, under = over * 10 ** digits(into), under * 10 ** digits(currency)
    common = gcd(over, under)
    return over // common, under // common
