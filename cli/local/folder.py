"""The data folder of a platform: what lies where, who holds it, its keys and its gateways."""

import base64
import contextlib
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
from libs.common.http.demo import DEMO_SHOP

SENDER = "Demo shop <hello@demo.example>"
NOT_OURS = "does not look like a data folder of Kurant"
GENERATED = b"# Made by `kurant up`; delete the next line and edit to keep your own.\n# generated\n"


ADDRESSES = {"console", "ingest", "postgres"}
OURS = ("secrets.yaml", "platform.yaml", "clock.json", "lock", "postgres", "kafka")
"""One of these is in every folder that we have worked in."""


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
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self.path / "lock").open("a+")
        except (FileExistsError, NotADirectoryError):
            raise LocalError(f"{self.path} is not a folder: --data must name one", code=2) from None
        except OSError as error:
            told = f"{self.path} cannot be written ({error.strerror}): --data must name a folder that can"
            raise LocalError(told, code=2) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise LocalError(f"{self.path} is in use by a running platform", code=2) from None
        return lock

    def running(self) -> bool:
        """Whether a platform holds the folder now."""
        with contextlib.suppress(OSError):
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
            if self.has_database:
                told = f"{self.secrets} is missing, and the data beside it cannot be read without its keys: put the "
                raise LocalError(f"{told}file back, or begin anew: kurant reset --data {self.path}", code=2)
            secret = base64.b64encode(secrets.token_bytes(32)).decode()
            write_private(self.secrets, yaml.safe_dump({"keys": [{"id": "k1", "secret": secret}]}))
        if self._gateways_are_ours():
            mail = {"name": "mail", "kind": "smtp", "url": f"smtp://{HOST}:{ports.smtp}", "sender": SENDER}
            text = yaml.safe_dump({"gateways": [mail]}, sort_keys=False)
            self.gateways.write_bytes(GENERATED + text.encode())
        if not self.shops.exists():
            demo = {"name": "Demo shop", "url": "https://demo.example"}
            self.shops.write_text(yaml.safe_dump({"shops": {DEMO_SHOP: demo}}, sort_keys=False))

    @property
    def has_database(self) -> bool:
        """Whether there is data that was made with the keys."""
        return (self.path / "postgres" / "PG_VERSION").exists()

    def _gateways_are_ours(self) -> bool:
        """Whether nobody has edited the gateways file; one that cannot be read is somebody's."""
        try:
            return self.gateways.read_bytes().startswith(GENERATED)
        except FileNotFoundError:
            return True
        except OSError:
            return False

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
        except (FileNotFoundError, NotADirectoryError):
            told = "no platform was ever started there; start one: kurant up --data DIR"
            raise LocalError(f"{self.path}: {told}", code=2) from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            content = None
        if not isinstance(content, dict) or not content.keys() >= ADDRESSES:
            raise LocalError(f"{self.addresses} is damaged: `kurant up` writes it anew", code=2)
        return content

    def reset(self) -> bool:
        """Empty the folder; False when it was. Raises `LocalError` (code 2) when it is none, runs, or is not ours."""
        if not self.path.is_dir():
            told = "is not a folder" if self.path.exists() else "does not exist"
            raise LocalError(f"{self.path} {told}: --data must name a data folder", code=2)
        if not any(self.path.iterdir()):
            return False
        if not any((self.path / name).exists() for name in OURS):
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
