"""Who is calling: the service key, an API key of a shop, and in local mode the demo key (I9)."""

import base64
import binascii
import hmac
import time
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import Request

from libs.common.db.keys import SCOPES, ApiKey
from libs.common.http.demo import DEMO_KEY, DEMO_SHOP
from libs.common.http.problem import Problem

__all__ = ["DEMO_KEY", "DEMO_SHOP", "REMEMBER", "Caller", "Gate", "Keys", "credential"]
REMEMBER = 10.0
"""Seconds for which an answer about a key is remembered, so also the longest life of a revoked one."""


class Keys(Protocol):
    """Where API keys are looked up."""

    async def find(self, text: str) -> ApiKey | None: ...


@dataclass(frozen=True, kw_only=True)
class Caller:
    """An authenticated caller. `shop` None: a service, which speaks for every shop."""

    shop: str | None
    scopes: frozenset[str]

    def for_shop(self, asked: str | None) -> str:
        """The shop this call is about; raises `Problem` 403 when it is not the caller's, 422 when unsaid."""
        if self.shop is None:
            if asked is None:
                raise Problem(422, "shop: say which shop (?shop=...)")
            if not asked.isprintable():
                raise Problem(422, "shop: this is no shop")
            return asked
        if asked not in (None, self.shop):
            raise Problem(403, f"this key is not for shop {asked}")
        return self.shop

    def within(self, asked: str | None) -> str | None:
        """The shop that an answer keeps to; None, for a service that names none: all shops. Raises as `for_shop`."""
        return None if self.shop is None and asked is None else self.for_shop(asked)

    def platform(self, told: dict[str, Any]) -> dict[str, Any]:
        """What concerns all shops together: for a service; the key of a shop learns nothing of it (I9)."""
        return told if self.shop is None else {}


class Gate:
    """Checks credentials: `Authorization: Bearer KEY`, or Basic with the key as user name."""

    def __init__(self, *, service_key: str, keys: Keys, local: bool) -> None:
        self._service_key = service_key
        self._keys = keys
        self._local = local
        self._known: dict[str, tuple[float, Caller | None]] = {}

    async def caller(self, request: Request, scope: str) -> Caller:
        """The caller, if it may do `scope` (`ingest`, `read`, `admin`); raises `Problem` 401 or 403."""
        text = credential(request.headers.get("authorization"))
        if text is None:
            raise Problem(
                401,
                "send Authorization: Bearer KEY, or Basic with the key as user name",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return await self.holder(text, scope)

    async def holder(self, text: str, scope: str) -> Caller:
        """The caller who holds this key, for protocols that send it elsewhere; raises as `caller` does."""
        caller = await self._look_up(text)
        if caller is None:
            raise Problem(401, "this key is not known or was revoked", headers={"WWW-Authenticate": "Bearer"})
        if scope not in caller.scopes and "admin" not in caller.scopes:
            raise Problem(403, f"this key has no scope {scope}; make one that has: kurant keys create --scope {scope}")
        return caller

    async def _look_up(self, text: str) -> Caller | None:
        if hmac.compare_digest(text.encode(), self._service_key.encode()):
            return Caller(shop=None, scopes=frozenset(SCOPES))
        if self._local and text == DEMO_KEY:
            return Caller(shop=DEMO_SHOP, scopes=frozenset(SCOPES))
        known = self._known.get(text)
        if known and time.monotonic() - known[0] < REMEMBER:
            return known[1]
        key = await self._keys.find(text)
        caller = Caller(shop=key.shop, scopes=frozenset(key.scopes)) if key else None
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[text] = (time.monotonic(), caller)
        return caller


def credential(header: str | None) -> str | None:
    """The key in an `Authorization` header (RFC 6750 Bearer, RFC 7617 Basic), or None."""
    scheme, _, value = (header or "").partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value or None
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[0] or None
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None
