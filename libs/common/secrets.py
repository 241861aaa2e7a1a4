"""Keys: one file, newest first; every use derives its own key (HKDF-SHA256, RFC 5869).

```yaml
keys:
  - {id: k2, secret: "<base64, 32 bytes>"}   # signs, encrypts
  - {id: k1, secret: "..."}                  # still opens what it once made
```
Identifier hashes and the service key come from the oldest key, so that a rotation does not change them.
"""

import base64
import hashlib
import hmac
import os
import re
from functools import lru_cache
from typing import Any, Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from itsdangerous import BadData, URLSafeSerializer

from libs.common.errors import Misconfigured
from libs.common.settings_file import SettingsFile

VARIABLE = "KURANT_SECRET_FILE"
KEY_ID = re.compile(r"[^:\s]{1,80}")
SHORTEST = 32
MADE = "make one: python -c 'import base64,os;print(base64.b64encode(os.urandom(32)).decode())'"


class BadToken(ValueError):
    """A token that we did not sign, or for another use."""


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        return b""


class Secrets:
    """The platform's keys. `keys` maps key ids to 32-byte secrets, newest first."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        if not keys:
            raise Misconfigured("KURANT_SECRET_FILE holds no key")
        self._keys = keys
        self._newest = next(iter(keys))
        self._oldest = next(reversed(keys))
        self._derived = lru_cache(maxsize=256)(self._derive)
        self._serializer = lru_cache(maxsize=64)(self._make_serializer)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read the file; raises `Misconfigured` saying where it is wrong, never what a secret is."""
        file = SettingsFile.load(path, VARIABLE)
        rows = file.value.get("keys") if isinstance(file.value, dict) else None
        if not isinstance(rows, list) or not rows:
            raise file.wrong("keys", 'there must be a list `keys:` of `{id: k1, secret: "..."}`')
        keys: dict[str, bytes] = {}
        for number, row in enumerate(rows):
            place = f"keys/{number}"
            id, text = (row.get("id"), row.get("secret")) if isinstance(row, dict) else (None, None)
            if not isinstance(id, str | int) or not KEY_ID.fullmatch(str(id)):
                raise file.wrong(f"{place}/id", "id is missing, or holds a colon or a blank; such as k2")
            if str(id) in keys:
                raise file.wrong(f"{place}/id", f"two keys have the id {id}; each needs its own")
            keys[str(id)] = secret = _decoded(text)
            if len(secret) < SHORTEST:
                raise file.wrong(f"{place}/secret", f"the secret of {id} is no {SHORTEST} bytes in base64; {MADE}")
        return cls(keys)

    @property
    def identity(self) -> str:
        """The id of the key that identifiers and the service key rest on: the oldest."""
        return self._oldest

    def fingerprints(self) -> dict[str, bytes]:
        """Of each key what tells it from another and gives nothing of it away (32 bytes), newest first."""
        use = "fingerprint"
        return {key: hmac.digest(self._derived(key, use), key.encode(), hashlib.sha256) for key in self._keys}

    def _derive(self, key: str, use: str) -> bytes:
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=use.encode()).derive(self._keys[key])

    def service_key(self) -> str:
        """The bearer key with which services (and a local CLI) speak to each other."""
        return "kurant-service-" + self._derived(self._oldest, "service-key").hex()

    def identifier(self, shop: str, kind: str, value: str) -> bytes:
        """Keyed hash (HMAC-SHA256, 32 bytes) of a normalised identifier, different in every shop."""
        key = self._derived(self._oldest, f"identifier:{shop}:{kind}")
        return hmac.digest(key, value.encode(), hashlib.sha256)

    def webhook_keys(self, shop: str) -> list[bytes]:
        """The keys (32 bytes) with which calls of a shop's web addresses are signed, newest first."""
        return [self._derived(key, f"webhook:{shop}") for key in self._keys]

    def sign(self, use: str, payload: Any) -> str:
        """A URL-safe token that carries `payload` (JSON); anyone can read it, nobody can change it."""
        return str(self._serializer(use).dumps(payload))

    def unsign(self, use: str, token: str) -> Any:
        """The payload of a token made by `sign` for the same use; raises `BadToken`."""
        try:
            return self._serializer(use).loads(token)
        except BadData:
            raise BadToken(f"not a valid {use} token") from None

    def _make_serializer(self, use: str) -> URLSafeSerializer:
        oldest_first = [self._derived(key, f"token:{use}") for key in reversed(self._keys)]
        return URLSafeSerializer(oldest_first, salt=use, signer_kwargs={"digest_method": hashlib.sha256})

    def encrypt(self, use: str, text: str) -> bytes:
        """AES-256-GCM; the result begins with the key's id, so that older keys still open."""
        nonce = os.urandom(12)
        sealed = AESGCM(self._derived(self._newest, f"encrypt:{use}")).encrypt(nonce, text.encode(), use.encode())
        return self._newest.encode() + b":" + nonce + sealed

    def decrypt(self, use: str, sealed: bytes) -> str:
        """The text again; raises `BadToken` when no key opens it."""
        key, _, rest = sealed.partition(b":")
        if key.decode() not in self._keys:
            raise BadToken(f"key {key.decode(errors='replace')} is not in KURANT_SECRET_FILE")
        aead = AESGCM(self._derived(key.decode(), f"encrypt:{use}"))
        return aead.decrypt(rest[:12], rest[12:], use.encode()).decode()
