"""The gateways file (KURANT_GATEWAYS): through whom messages go out.

```yaml
gateways:                       # the first of a channel is its default
  - {name: mail, kind: smtp, url: "smtp://user:${SMTP_PASSWORD}@relay:587", sender: "Shop <news@shop.example>"}
  - {name: sandbox, kind: file, channel: sms, path: sms.jsonl}
```
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.common.errors import Misconfigured
from libs.domain.mail import BadAddress, read_sender

CHANNELS = ("email", "sms", "push", "whatsapp", "viber")
LATER = ("smsapi", "twilio", "webpush", "fcm", "apns", "whatsapp", "viber", "http")
"""Kinds that the file may come to name; this version has none of them."""
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
Channel = Literal["email", "sms", "push", "whatsapp", "viber"]


class _Gateway(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")


class SmtpGateway(_Gateway):
    """A mail server. `starttls`: true must, false must not, unsaid when it is offered."""

    kind: Literal["smtp"]
    url: str
    sender: str | None = None
    senders: tuple[str, ...] = ()
    pool: int = Field(8, ge=1, le=500)
    starttls: bool | None = None
    username: str | None = None
    password: str | None = None
    helo: str | None = None
    timeout: float = Field(60.0, gt=0, le=600)
    tracking: bool = True

    @property
    def channels(self) -> tuple[str, ...]:
        return ("email",)

    @property
    def server(self) -> "Server":
        """The address taken apart; what `username` and `password` say goes before what the address says."""
        parts = urlsplit(self.url)
        tls = parts.scheme == "smtps"
        return Server(
            host=parts.hostname or "",
            port=parts.port or (465 if tls else 25),
            tls=tls,
            username=self.username or (unquote(parts.username) if parts.username else None),
            password=self.password or (unquote(parts.password) if parts.password else None),
        )


class Server(BaseModel):
    """Where an SMTP server is, and as whom to log in."""

    model_config = ConfigDict(frozen=True)

    host: str
    port: int
    tls: bool
    username: str | None
    password: str | None = Field(repr=False)


class FileGateway(_Gateway):
    """Appends every message to a file as a line of JSON; for sandboxes and tests. Without `channel`: every channel."""

    kind: Literal["file"]
    path: Path
    channel: Channel | None = None
    sender: str | None = None
    tracking: bool = True

    @property
    def channels(self) -> tuple[str, ...]:
        return (self.channel,) if self.channel else CHANNELS


GatewaySettings = SmtpGateway | FileGateway


def load(path: str, environment: Mapping[str, str] = os.environ) -> list[GatewaySettings]:
    """Read the file; raises `Misconfigured` saying what is wrong with it."""
    try:
        return read(Path(path).read_text("utf-8"), environment)
    except (OSError, ValueError, yaml.YAMLError) as error:
        told = str(error).split("\n")[0] if isinstance(error, ValueError) else type(error).__name__
        raise Misconfigured(f"KURANT_GATEWAYS {path}: {told}") from None


def read(text: str, environment: Mapping[str, str]) -> list[GatewaySettings]:
    """The gateways in the order of the file; raises `ValueError`."""
    content = yaml.safe_load(text)
    rows = content.get("gateways") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise ValueError("`gateways:` must be a list")
    found = [_one(_expanded(row, environment), number) for number, row in enumerate(rows)]
    names = [gateway.name for gateway in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two gateways have the name {twice}")
    return found


def _one(row: Any, number: int) -> GatewaySettings:
    place = f"gateway {row.get('name', number + 1)}" if isinstance(row, dict) else f"gateway {number + 1}"
    kind = row.get("kind") if isinstance(row, dict) else None
    if kind in LATER:
        raise ValueError(f"{place}: kind {kind} is not available in this version (there are smtp and file)")
    if kind not in ("smtp", "file"):
        raise ValueError(f"{place}: kind must be smtp or file")
    gateway: GatewaySettings
    try:
        gateway = SmtpGateway.model_validate(row) if kind == "smtp" else FileGateway.model_validate(row)
        _check(gateway)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise ValueError(f"{place}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except BadAddress as error:
        raise ValueError(f"{place}: sender: {error}") from None
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    return gateway


def _check(gateway: GatewaySettings) -> None:
    """Raises `ValueError` for an address that no server can be found by, or a sender that is none."""
    if gateway.sender is not None:
        read_sender(gateway.sender)
    if not isinstance(gateway, SmtpGateway):
        return
    parts = urlsplit(gateway.url)
    if parts.scheme not in ("smtp", "smtps") or not gateway.server.host:
        raise ValueError("url must be smtp://host:port or smtps://host:port")
    if parts.scheme == "smtps" and gateway.starttls:
        raise ValueError("starttls does not go with smtps://")


def _expanded(value: Any, environment: Mapping[str, str]) -> Any:
    """`${NAME}` in any text, from the environment; after YAML was read, so that a value cannot add to it."""
    if isinstance(value, dict):
        return {key: _expanded(item, environment) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item, environment) for item in value]
    if not isinstance(value, str):
        return value

    def variable(found: re.Match[str]) -> str:
        if found[1] not in environment:
            raise ValueError(f"the environment has no {found[1]}")
        return environment[found[1]]

    return VARIABLE.sub(variable, value)
