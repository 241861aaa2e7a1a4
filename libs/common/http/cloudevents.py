"""CloudEvents 1.0 over HTTP: structured, batch and binary mode (HTTP protocol binding)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from libs.common.http.problem import Problem
from libs.domain.intake.clean import parse

ONE = "application/cloudevents+json"
MANY = "application/cloudevents-batch+json"
PLAIN = "application/json"


def read(headers: Mapping[str, str], body: bytes) -> tuple[list[Any], bool]:
    """The events of a request, and whether it is a single one; raises `Problem` 400 or 415."""
    kind, _, parameters = headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if "charset=" in parameters.lower() and charset not in ("utf-8", "utf8", "us-ascii"):
        raise Problem(415, "the charset must be UTF-8")
    if kind not in (ONE, MANY) and "ce-specversion" in headers:
        if kind not in ("", PLAIN) and not kind.endswith("+json"):
            raise Problem(415, f"the data of a binary CloudEvent must be {PLAIN}")
        return [_attributes(headers) | {"data": parsed(body) if body else None}], True
    if kind not in (ONE, MANY, PLAIN):
        raise Problem(415, f"send {ONE}, {MANY}, {PLAIN}, or binary mode (ce-* headers)")
    value = parsed(body)
    return (value, False) if isinstance(value, list) else ([value], True)


def _attributes(headers: Mapping[str, str]) -> dict[str, Any]:
    """The `ce-*` headers, percent-decoded (CloudEvents HTTP binding 3.1.3.2)."""
    found: dict[str, Any] = {}
    for name, value in headers.items():
        if name.startswith("ce-"):
            try:
                found[name[3:]] = unquote_to_bytes(value.encode("latin-1")).decode()
            except UnicodeError:
                raise Problem(400, f"header {name[:60]} is not UTF-8 in percent encoding") from None
    return found


def parsed(body: bytes) -> Any:
    """JSON with exact decimals; raises `Problem` 400."""
    try:
        return parse(body)
    except ValueError as error:
        raise Problem(400, str(error)) from None
