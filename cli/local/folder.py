"""The data folder of a platform: what lies where, who holds it, its keys and its gateways."""

import base64
import fcntl
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml

from cli.local.ports import HOST, Ports
from cli.local.process import LocalError
from libs.common.http.auth import DEMO_SHOP

SENDER = "Demo shop <hello@demo.example>"
NOT_OURS = "does not look like a data folder of Kurant"


@dataclass(frozen=True)
class Folder:
    """Paths in a data folder."""

    path: Path

    @property
    def secrets(self) -> Path:
        return self.path / "secrets.yaml"

    @property
    def gateways(self) -> Path:
        return self.path / "gateways.yaml"

    @property
    def shops(self) -> Path:
        return self.path / "shops.yaml"

    @property
    def addresses(self) -> Path:
        """`platform.yaml`: how other verbs find the platform."""
        return self.path / "platform.yaml"

    @property
    def clock(self) -> Path:
        return self.path / "clock.json"

    @property
    def processes(self) -> Path:
        """`processes.json`: `{name: {"pid", "started"}}` of what runs."""
        return self.path / "processes.json"

    @property
    def inbox(self) -> Path:
        return self.path / "inbox"

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    def hold(self) -> IO[str]:
        """Take the folder for this process, until the returned file is closed; raises `LocalError` (code 2).

        The kernel lets go when the process ends, however it ends.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (self.path / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise LocalError(f"{self.path} is in use by a running platform", code=2) from None
        return lock

    def running(self) -> bool:
        """Whether a platform holds the folder now."""
        if not (self.path / "lock").exists():
            return False
        try:
            self.hold().close()
        except LocalError:
            return True
        return False

    def prepare(self, ports: Ports) -> None:
        """Make keys the first time, and the gateways file for these ports unless somebody changed it."""
        for folder in (self.inbox, self.path / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
        if not self.secrets.exists():
            secret = base64.b64encode(secrets.token_bytes(32)).decode()
            write_private(self.secrets, yaml.safe_dump({"keys": [{"id": "k1", "secret": secret}]}))
        first = "# Made by `kurant up`; delete the next line and edit to keep your own.\n# generated\n"
        if not self.gateways.exists() or self.gateways.read_text().startswith(first):
            mail = {"name": "mail", "kind": "smtp", "url": f"smtp://{HOST}:{ports.smtp}", "sender": SENDER}
            self.gateways.write_text(first + yaml.safe_dump({"gateways": [mail]}, sort_keys=False))

        if not self.shops.exists():
            demo = {"name": "Demo shop", "url": "https://demo.example"}
            self.shops.write_text(yaml.safe_dump({"shops": {DEMO_SHOP: demo}}, sort_keys=False))

    def write_addresses(self, ports: Ports, database_url: str) -> None:
        """Write `platform.yaml`; it holds the database's password, hence private."""
        found: dict[str, Any] = {"port_base": ports.base, "pid": os.getpid()}
        found |= {name: ports.url(name) for name in ("console", "ingest", "consent", "dispatch", "rules", "scheduler")}
        found |= {"inbox": ports.url("inbox"), "smtp": f"smtp://{HOST}:{ports.smtp}"}
        found |= {"kafka": f"{HOST}:{ports.kafka}", "postgres": database_url}
        write_private(self.addresses, yaml.safe_dump(found, sort_keys=False))

    def read_addresses(self) -> dict[str, Any]:
        """What `write_addresses` wrote; raises `LocalError` (code 2)."""
        try:
            content = yaml.safe_load(self.addresses.read_text("utf-8"))
        except (OSError, yaml.YAMLError):
            raise LocalError(f"{self.path}: no platform was ever started there", code=2) from None
        if not isinstance(content, dict):
            raise LocalError(f"{self.addresses} is damaged", code=2)
        return content

    def reset(self) -> bool:
        """Empty the folder; False when there was none. Raises `LocalError` (code 2) when it runs or is not ours."""
        if not self.path.exists() or not any(self.path.iterdir()):
            return False
        if not self.secrets.exists():
            raise LocalError(f"{self.path} {NOT_OURS}", code=2)
        with self.hold():
            for entry in self.path.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
        return True


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
