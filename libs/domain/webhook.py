"""Calls of web addresses that a scenario asks for: what is said, how it is signed, and where it never goes.

Signed as Standard Webhooks 1.0 has it (standardwebhooks.com): HMAC-SHA256 over `id.timestamp.body`.
"""

import base64
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from libs.domain.template.render import given, plain

Json = dict[str, Any]
LARGEST = 256_000
"""Bytes of a body."""
DEEPEST = 24
VALUE = re.compile(r"\{\{\s*([a-zA-Z_]\w*(?:\.\w+)*)\s*\}\}")
"""A text that is one path and nothing else stands for the value itself, not for its text."""
PREFIX = "whsec_"
METADATA = frozenset({"168.63.129.16"})
"""Public addresses at which a cloud speaks to its machines; the others' are link-local or private."""
PROTOCOL = ipaddress.ip_network("192.0.0.0/24")
UNICAST = ipaddress.ip_network("2000::/3")
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class TooLarge(ValueError):
    """What was to be said is too much."""


def body(head: Json, data: Any, variables: Json) -> bytes:
    """`head` with the step's own `data`, its texts rendered; raises `TemplateError` or `TooLarge`."""
    found = msgspec.json.encode({**head, "data": filled(data, given(variables), 0)})
    if len(found) > LARGEST:
        raise TooLarge(f"more than {LARGEST} bytes")
    return found


def filled(value: Any, variables: Json, depth: int) -> Any:
    """`value` with every text in it rendered; names of fields stay as they are."""
    if depth > DEEPEST:
        raise TooLarge(f"deeper than {DEEPEST} levels")
    if isinstance(value, dict):
        return {name: filled(inner, variables, depth + 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, variables, depth + 1) for inner in value]
    if not isinstance(value, str):
        return value
    whole = VALUE.fullmatch(value.strip())
    return _found(whole[1], variables) if whole else plain(value, variables)


def _found(path: str, value: Any) -> Any:
    for name in path.split("."):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def sign(keys: Sequence[bytes], id: str, timestamp: int, content: bytes) -> str:
    """A signature by each key, so that a receiver who still has an older secret believes it too."""
    signed = f"{id}.{timestamp}.".encode() + content
    return " ".join("v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)


def secret(key: bytes) -> str:
    """A key as receivers are given it."""
    return PREFIX + base64.b64encode(key).decode()


def is_public(text: str) -> bool:
    """Whether an IP address is one of the open internet, whatever it is wrapped in.

    Not private, loopback, link-local, shared, reserved, multicast, nor one at which a cloud keeps metadata.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is None:
            return address in UNICAST and address.is_global
        address = inner
    usual = address.is_global and not address.is_multicast and not address.is_reserved
    return usual and address not in PROTOCOL and str(address) not in METADATA
