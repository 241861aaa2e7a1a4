"""Which platform a verb talks to, and how: HTTP, with trouble told in one line."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cli.local.folder import Folder
from cli.terminal import CliError
from libs.common.http.demo import DEMO_KEY, DEMO_SHOP
from libs.common.secrets import Secrets

DEFAULT_FOLDER = Path(".kurant")
TIMEOUT = 30.0
DOORLESS = {None, "Not Found", "Method Not Allowed"}
"""What a service says of a door that it does not have."""


class Away(CliError):
    """The same call may succeed later; exit code 1."""

    def __init__(self, text: str) -> None:
        super().__init__(text, code=1)


class Unreachable(Away):
    """Nobody answers at the address."""

    def __init__(self, url: str, error: Exception) -> None:
        super().__init__(f"{url} does not answer ({type(error).__name__}): does the platform run there?")


class Refused(CliError):
    """The platform answered with an error; `body` is its problem document (RFC 9457)."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        text = str(body.get("detail") or body.get("title") or f"answered {status}")
        super().__init__(text, code=1 if status >= 500 else 2)
        self.status = status
        self.body = body

    @property
    def strange(self) -> bool:
        """Whether no service answers so that we meant to ask: it has no such door, or wants other parameters."""
        if self.status in (404, 405):
            return self.body.get("detail") in DOORLESS
        errors = self.body.get("errors") if self.status == 422 else None
        rows = [row for row in errors if isinstance(row, dict)] if isinstance(errors, list) else []
        return any(str(row.get("field")).startswith("query.") for row in rows)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A platform. `local` is its folder when it runs on this machine."""

    console: str
    ingest: str | None
    key: str
    local: Folder | None = None

    def shop(self, asked: str | None) -> str | None:
        """The shop a call is about: as asked; locally `demo`; elsewhere the one the key belongs to."""
        return asked or (DEMO_SHOP if self.local else None)

    def ask(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: dict[str, str | None] | None = None,
        holds: Collection[str] = (),
    ) -> Any:
        """The console's decoded answer, an object with all that it must hold, if that is said.

        Raises `Refused`, or `CliError` when it does not answer, or when it is not a console.
        """
        given = {name: value for name, value in (params or {}).items() if value is not None}
        answer = request(method, self.console + path, self.key, json=json, params=given)
        if answer.status_code == 401 and self.local:
            told = "is not the file that this platform was started with: put it back, or start the platform again"
            raise CliError(f"{self.local.secrets} {told}")
        try:
            found = decoded(answer)
        except Refused as refused:
            if refused.strange:
                self.check("console")
            raise
        if holds and not (isinstance(found, dict) and found.keys() >= set(holds)):
            self.check("console")
            raise CliError(f"{path}: the answer is not what a console tells; is it of another version?", code=1)
        return found

    def check(self, wanted: str) -> None:
        """Raises `CliError` when the console, or ingest, is not what answers at its address; asked when in doubt."""
        url, variable = (self.console, "KURANT_URL") if wanted == "console" else (self.ingest, "KURANT_INGEST_URL")
        if self.local or url is None:
            return  # the addresses are the platform's own
        try:
            told = request("GET", f"{url}/healthz", self.key).json()
        except (Unreachable, ValueError):
            told = None
        found = told.get("service") if isinstance(told, dict) else None
        if found is None:
            raise CliError(f"{variable} {url} is not the {wanted} of a Kurant")
        if found != wanted:
            raise CliError(f"{variable} {url} is {found}, it must be {wanted if wanted == 'ingest' else 'the console'}")

    def ingest_key(self, shop: str | None) -> str:
        """The key with which events of a shop are sent."""
        return DEMO_KEY if self.local and shop == DEMO_SHOP else self.key


def find(data: Path | None) -> Target:
    """The platform meant: the folder given, else `.kurant` when it runs, else KURANT_URL. Raises `CliError`."""
    if data is not None:
        return _local(Folder(data.resolve()), data)
    folder = Folder(DEFAULT_FOLDER.resolve())
    if folder.addresses.exists() and folder.running():
        return _local(folder, DEFAULT_FOLDER)
    url, key = os.environ.get("KURANT_URL"), os.environ.get("KURANT_KEY")
    if not url:
        raise CliError("no platform: start one (kurant up), or give --data DIR, or set KURANT_URL and KURANT_KEY")
    if not key:
        raise CliError("KURANT_KEY is not set: it must hold an API key of the platform at KURANT_URL")
    if not (key.isascii() and key.isprintable()):
        raise CliError("KURANT_KEY is no API key: it holds what no key holds; see `kurant keys create`")
    ingest = os.environ.get("KURANT_INGEST_URL")
    for name, value in (("KURANT_URL", url), ("KURANT_INGEST_URL", ingest)):
        if value and not value.startswith(("http://", "https://")):
            raise CliError(f"{name} {value}: must begin with http:// or https://")
    return Target(console=url.rstrip("/"), ingest=ingest.rstrip("/") if ingest else None, key=key)


def _local(folder: Folder, said: Path) -> Target:
    addresses = folder.read_addresses()
    if not folder.running():
        raise CliError(f"the platform in {said} does not run: start it with `kurant up --data {said}`")
    key = Secrets.load(folder.secrets).service_key()
    return Target(console=addresses["console"], ingest=addresses["ingest"], key=key, local=folder)


def request(method: str, url: str, key: str, **options: Any) -> httpx.Response:
    """One HTTP call; raises `Unreachable`."""
    headers = {"Authorization": f"Bearer {key}"} | options.pop("headers", {})
    try:
        return httpx.request(method, url, headers=headers, timeout=TIMEOUT, trust_env=False, **options)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError) as error:
        raise Unreachable(url, error) from None


def decoded(answer: httpx.Response) -> Any:
    """The JSON body; raises `Refused` for an error status, `CliError` for something that is not JSON."""
    try:
        body = answer.json() if answer.content else None
    except ValueError:
        body = None
        if answer.is_success:
            raise CliError(f"{answer.request.url.path}: the answer is not JSON; is this a Kurant?", code=1) from None
    if answer.status_code in (429, 503):
        told = body if isinstance(body, dict) else {}
        raise Away(str(told.get("detail") or f"answered {answer.status_code}"))
    if not answer.is_success:
        raise Refused(answer.status_code, body if isinstance(body, dict) else {})
    return body
