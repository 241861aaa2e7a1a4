"""Deterministic ids (I3): UUIDv5 (RFC 9562, section 5.5) of what they are about, so a replay makes the same ones."""

from hashlib import blake2b, sha1
from uuid import UUID

NAMESPACE = UUID("6d1a7d3c-6b0e-5d3c-9a53-1f6f4b7572a7")
OWN = NAMESPACE.bytes
FREE = ~(0xF << 76 | 0x3 << 62)
VERSION_5 = 0x5 << 76 | 0x2 << 62
"""The bits of a UUID that say its version and variant. Made by hand: ids are made by the thousand every second."""


def derive(kind: str, *parts: object) -> str:
    """The id of `kind` for `parts`; each part is length-prefixed, so that no two lists read the same."""
    text = f"{len(kind)}:{kind}"
    for part in map(str, parts):
        text += f"{len(part)}:{part}"
    number = int.from_bytes(sha1(OWN + text.encode(), usedforsecurity=False).digest()[:16])
    told = f"{number & FREE | VERSION_5:032x}"
    return f"{told[:8]}-{told[8:12]}-{told[12:16]}-{told[16:20]}-{told[20:]}"


def profile_id(shop: str, kind: str, digest: bytes) -> str:
    """The profile first known by an identifier of this kind with this keyed hash."""
    return derive("profile", shop, kind, digest.hex())


def event_digest(shop: str, source: str, id: str) -> int:
    """One event, as 60 bits: CloudEvents says that source and id together are unique.

    BLAKE2b (RFC 7693) and no UUID, because every event needs one, and only to be compared.
    """
    text = f"{len(shop)}:{shop}{len(source)}:{source}{id}"
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()) >> 4


def enrolment_id(shop: str, scenario: str, profile: str, key: str, ordinal: int) -> str:
    """One run of a scenario for a key; `ordinal` is the trigger's time in microseconds since 1970."""
    return derive("enrolment", shop, scenario, profile, key, ordinal)


def step_id(enrolment: str, path: str, call: int) -> str:
    """One wake-up call of an enrolment."""
    return derive("step", enrolment, path, call)


def message_id(enrolment: str, path: str, round: int) -> str:
    """The message of one send step; `round` counts restarts."""
    return derive("message", enrolment, path, round)
