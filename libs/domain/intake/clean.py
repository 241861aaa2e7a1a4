"""JSON from outside: read with exact decimals, without addresses, and within what every store of ours can keep."""

from collections.abc import Callable, Collection
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import msgspec

from libs.domain.intake import Invalid
from libs.domain.intake.escapes import mended

T = TypeVar("T")
Json = dict[str, Any]
LARGEST = 200_000
"""Bytes of one event's or product's data after which it is too large for a record."""
DEEPEST = 24
WHOLE = 2**63
EXPONENT = 300
ADDRESSES = frozenset(
    (
        *("email", "e_mail", "mail", "email_address", "emailAddress", "phone", "phone_number", "phoneNumber"),
        *("mobile", "mobile_phone", "telephone", "push_token"),
    )
)
"""Fields that hold an address, wherever they are (I1)."""

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_pieces = msgspec.json.Decoder(list[msgspec.Raw])
_encoder = msgspec.json.Encoder(decimal_format="number")


def parse(body: bytes | msgspec.Raw) -> Any:
    """JSON with exact decimals; raises `ValueError` for what is none, bad UTF-8 and absurd depth included."""
    return _decoded(_decoder.decode, body, "JSON")


def parts(body: bytes) -> list[msgspec.Raw]:
    """The elements of a JSON array, each as it was written; raises `ValueError`."""
    return _decoded(_pieces.decode, body, "a JSON array")


def _decoded(decode: Callable[[bytes | msgspec.Raw], T], body: bytes | msgspec.Raw, kind: str) -> T:
    """Half a surrogate pair costs that character alone, not all that came with it."""
    try:
        try:
            return decode(body)
        except msgspec.DecodeError:
            whole = mended(bytes(body))
            if whole is None:
                raise
            return decode(whole)
    except UnicodeDecodeError:
        raise ValueError("the body is not UTF-8") from None
    except RecursionError:
        raise ValueError("the JSON is too deep") from None
    except (msgspec.MsgspecError, InvalidOperation) as error:
        raise ValueError(f"the body is not {kind}: {error}") from None


def encoded(data: Json, root: str = "data") -> bytes:
    """Back to JSON; raises `Invalid` for what is too large for a record."""
    found = _encoder.encode(data)
    if len(found) > LARGEST:
        raise Invalid(root, f"is larger than {LARGEST} bytes")
    return found


def clean(data: Json, without: Collection[str] = (), root: str = "data") -> Json:
    """A copy without the fields `without` and without addresses; raises `Invalid` for what no store could keep."""
    kept: Json = _inner({name: value for name, value in data.items() if name not in without}, root, 0)
    return kept


def _inner(value: Any, path: str, depth: int) -> Any:
    """`path` is the root, and the field of it: faults further inside are told of that field."""
    kind = value.__class__
    if kind is str:
        if "\0" in value:
            raise Invalid(path, "holds a null character")
        return value
    if depth > DEEPEST:
        raise Invalid(path.partition(".")[0], f"is deeper than {DEEPEST} levels")
    if kind is dict:
        kept: Json = {}
        for name, inner in value.items():
            if "\0" in name:
                raise Invalid(path, "has a field whose name holds a null character")
            if name not in ADDRESSES:
                kept[name] = _inner(inner, f"{path}.{name}" if depth == 0 else path, depth + 1)
        return kept
    if kind is list:
        return [_inner(one, path, depth + 1) for one in value]
    if kind is Decimal and abs(value.adjusted()) > EXPONENT:
        raise Invalid(path, "holds a number out of range")
    if kind is int and not -WHOLE <= value < WHOLE:
        raise Invalid(path, "holds a whole number of more than 64 bits")
    return value
