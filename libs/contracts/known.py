"""What a field may hold, in words, for who sent something else: the known values, or how one looks."""

import re
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import inspect

AT = re.compile(r"^(?P<text>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>.*)`)?$", re.DOTALL)
MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]+)`$")
ENUM = "Invalid enum value"
PATTERN = "Expected `str` matching regex"
PIECES = re.compile(r"\.([^.\[\]]+)|(\[[^\]]*\])")


def fault(error: msgspec.ValidationError, shape: Any) -> tuple[str, str]:
    """Where in a value of `shape` the first thing is that does not fit, as `.consents[0].channel`, and what is wrong
    with it. The text never repeats what was sent.
    """
    found = AT.match(str(error))
    assert found is not None
    path, said = found["path"] or "", found["text"]
    if missing := MISSING.match(said):
        path = f"{path}.{missing['name']}"
        said = "is required"
    values = _values(shape, path, key=bool(found["key"]))
    if said.startswith(ENUM):
        said = "is none of the known values"
    elif values and said.startswith(PATTERN):
        return path, f"must be {values}"
    return path, f"{said}: {values}" if values else said


def _values(shape: Any, path: str, *, key: bool) -> str | None:
    """The values that a field may have, or what its shape says of them."""
    here: Any = _types(shape)
    told: str | None = None
    for name, _ in PIECES.findall(path):
        here, told = _below(here, name)
    here, own = _plain(here)
    if key:
        here = getattr(here, "key_type", here)
    if isinstance(here, inspect.LiteralType):
        return ", ".join(str(value) for value in here.values)
    return own or told


def _below(here: Any, name: str) -> tuple[Any, str | None]:
    here, _ = _plain(here)
    if not name:
        return getattr(here, "item_type", getattr(here, "value_type", None)), None
    found = next((one.type for one in getattr(here, "fields", ()) if one.encode_name == name), None)
    return _plain(found)


def _plain(here: Any) -> tuple[Any, str | None]:
    """The type without None and what is said of it."""
    told: str | None = None
    while True:
        if isinstance(here, inspect.Metadata):
            told = (here.extra_json_schema or {}).get("description", told)
            here = here.type
        elif isinstance(here, inspect.UnionType) and (some := [one for one in here.types if not _is_none(one)]):
            here = some[0] if len(some) == 1 else None
        else:
            return here, told


def _is_none(one: Any) -> bool:
    return isinstance(one, inspect.NoneType)


@lru_cache(maxsize=256)
def _types(shape: Any) -> inspect.Type:
    return inspect.type_info(shape)
