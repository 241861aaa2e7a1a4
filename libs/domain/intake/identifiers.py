"""Identifiers in their comparable form: the same customer must give the same text, however it was typed."""

from functools import lru_cache

import phonenumbers
from email_validator import EmailNotValidError, validate_email

KINDS = ("user_id", "crm_id", "loyalty_card", "email", "phone", "anonymous_id")
"""Strongest first. The place is the number that is stored, so a new kind needs a migration."""
RANK = {kind: place for place, kind in enumerate(KINDS)}
LONGEST = 200
REGION = "PL"
"""Whose numbers may be written without a country code."""


@lru_cache(maxsize=50_000)
def normalise(kind: str, value: str) -> str | None:
    """The comparable form, None for an empty value; raises `ValueError` that says what is wrong, not with what."""
    text = value.strip()
    if not text:
        return None
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters")
    if not text.isprintable():
        raise ValueError("holds a control character")
    if kind == "email":
        return _email(text)
    if kind == "phone":
        return _phone(text)
    return text


def _email(text: str) -> str:
    """Lower case, the domain as DNS writes it (IDNA): `Anna@Bücher.example` is `anna@xn--bcher-kva.example`."""
    try:
        found = validate_email(text, check_deliverability=False, globally_deliverable=False, test_environment=True)
    except (EmailNotValidError, ValueError):
        raise ValueError("is not an e-mail address") from None
    return f"{found.local_part.lower()}@{(found.ascii_domain or found.domain).lower()}"


def _phone(text: str) -> str:
    """E.164: `601 000 000` is `+48601000000`."""
    try:
        number = phonenumbers.parse(text, REGION)
    except phonenumbers.NumberParseException:
        raise ValueError("is not a telephone number") from None
    if not phonenumbers.is_possible_number(number):
        raise ValueError("is not a telephone number")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
