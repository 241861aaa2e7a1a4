"""The gateways file (KURANT_GATEWAYS): through whom messages go out.

```yaml
gateways:                       # the first of a channel is its default
  - {name: mail, kind: smtp, url: "smtp://user:${SMTP_PASSWORD}@relay:587", sender: "Shop <news@shop.example>"}
  - {name: sandbox, kind: file, channel: sms, path: sms.jsonl}
```
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.common import settings
from libs.common.errors import Misconfigured
from libs.common.settings_file import SettingsFile
from libs.domain.mail import BadAddress, read_sender

VARIABLE = "KURANT_GATEWAYS"
CHANNELS = ("email", "sms", "push", "whatsapp", "viber")
LATER = ("smsapi", "twilio", "webpush", "fcm", "apns", "whatsapp", "viber", "http")
"""Kinds that the file may come to name; this version has none of them."""
VARIABLE_USED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
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
KINDS: dict[str, type[SmtpGateway] | type[FileGateway]] = {"smtp": SmtpGateway, "file": FileGateway}


def load(path: str | os.PathLike[str], environment: Mapping[str, str] = os.environ) -> list[GatewaySettings]:
    """Read the file; raises `Misconfigured` saying where it is wrong."""
    return _gateways(SettingsFile.load(path, VARIABLE), environment)


def read(text: str, environment: Mapping[str, str], name: str = "gateways.yaml") -> list[GatewaySettings]:
    """The gateways of a text, in its order; raises `Misconfigured`."""
    return _gateways(SettingsFile.of(text, name), environment)


def _gateways(file: SettingsFile, environment: Mapping[str, str]) -> list[GatewaySettings]:
    rows = file.value.get("gateways") if isinstance(file.value, dict) else None
    if not isinstance(rows, list):
        raise file.wrong("gateways", "there must be a list `gateways:` of `{name: mail, kind: smtp, url: ...}`")
    other = next((name for name in file.value if name != "gateways"), None)
    if other is not None:
        raise file.wrong(other, f"'{other}' is not known; known: gateways")
    found: list[GatewaySettings] = []
    for number, row in enumerate(rows):
        place = f"gateways/{number}"
        gateway = _one(file, place, _expanded(file, place, row, environment))
        if gateway.name in [one.name for one in found]:
            raise file.wrong(f"{place}/name", f"two gateways have the name {gateway.name}; give this one another")
        found.append(gateway)
    return found


def _one(file: SettingsFile, place: str, row: Any) -> GatewaySettings:
    if not isinstance(row, dict):
        raise file.wrong(place, "a gateway must be a mapping: {name: mail, kind: smtp, url: ...}")
    kind = row.get("kind")
    if kind is None:
        raise file.wrong(place, f"kind is missing; known: {', '.join(KINDS)}")
    if kind in LATER:
        raise file.wrong(f"{place}/kind", f"kind '{kind}' is not available in this version; known: {', '.join(KINDS)}")
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise file.wrong(f"{place}/kind", f"kind '{kind}' is not known; known: {', '.join(KINDS)}")
    try:
        gateway = model.model_validate(row)
    except ValidationError as error:
        if error.errors()[0]["loc"] == ("name",) and "name" in row:
            raise file.wrong(f"{place}/name", "name must be 1 to 40 letters, digits, - or _") from None
        raise file.misfit(place, error, model.model_fields) from None
    _check(file, place, gateway)
    return gateway


def _check(file: SettingsFile, place: str, gateway: GatewaySettings) -> None:
    """Raises `Misconfigured` for an address that no server can be found by, or a sender that is none."""
    try:
        if gateway.sender is not None:
            read_sender(gateway.sender)
    except BadAddress as error:
        raise file.wrong(f"{place}/sender", f"sender: {error}; such as Shop <news@shop.example>") from None
    if not isinstance(gateway, SmtpGateway):
        return
    try:
        parts = urlsplit(gateway.url)
        usable = parts.scheme in ("smtp", "smtps") and bool(gateway.server.host)
    except ValueError:  # a port that is no number, a bracket that is not closed
        usable = False
    if not usable:
        raise file.wrong(f"{place}/url", "url must be smtp://host:port or smtps://host:port")
    if parts.scheme == "smtps" and gateway.starttls:
        raise file.wrong(f"{place}/starttls", "starttls does not go with smtps://; leave it out, or write smtp://")


def _expanded(file: SettingsFile, place: str, value: Any, environment: Mapping[str, str]) -> Any:
    """`${NAME}` in any text, from the environment; after YAML was read, so that a value cannot add to it."""
    if isinstance(value, dict):
        return {key: _expanded(file, f"{place}/{key}", item, environment) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(file, f"{place}/{number}", item, environment) for number, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def variable(found: re.Match[str]) -> str:
        if found[1] not in environment:
            raise file.wrong(place, f"the environment has no {found[1]}; set it, or write the value here")
        return environment[found[1]]

    return VARIABLE_USED.sub(variable, value)


def main() -> int:
    """`python -m services.dispatch.settings`: only check the settings and the file; exit code 2 and one line."""
    try:
        load(settings.load().gateways)
    except Misconfigured as error:
        print(error, file=sys.stderr)  # noqa: T201  # a command's own output
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
