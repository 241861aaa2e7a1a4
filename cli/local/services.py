"""The environment and the command of each of our own processes."""

import os
import sys
from pathlib import Path

from cli.local.anchor import Anchor
from cli.local.folder import Folder
from cli.local.ports import HOST, SERVICES, Ports
from cli.local.process import Command


def environment(folder: Folder, ports: Ports, database_url: str, anchor: Anchor) -> dict[str, str]:
    """What every process gets beside the user's own environment; HTTP port apart."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KURANT_CLOCK_")}
    return (
        inherited
        | {f"KURANT_{name.upper()}_URL": ports.url(name) for name in SERVICES}
        | {
            "KURANT_PROFILE": "local",
            "KURANT_INSTANCE": "local",
            "KURANT_KAFKA_BOOTSTRAP": f"{HOST}:{ports.kafka}",
            "KURANT_DATABASE_URL": database_url,
            "KURANT_HTTP_HOST": HOST,
            "KURANT_SECRET_FILE": str(folder.secrets),
            "KURANT_SHOPS": _own("KURANT_SHOPS", folder.shops),
            "KURANT_GATEWAYS": _own("KURANT_GATEWAYS", folder.gateways),
            "KURANT_LOG_FORMAT": os.environ.get("KURANT_LOG_FORMAT", "json"),
            "PYTHONUNBUFFERED": "1",
        }
        | anchor.environment()
    )


def _own(variable: str, made: Path) -> str:
    """The file that the user names, from where he is; else the one in the folder."""
    named = os.environ.get(variable)
    return str(Path(named).resolve() if named else made)


def service(name: str, folder: Folder, ports: Ports, common: dict[str, str]) -> Command:
    """`python -m services.<name>`."""
    return Command(
        name=name,
        argv=(sys.executable, "-m", f"services.{name}"),
        log=folder.log(name),
        env=common | {"KURANT_HTTP_PORT": str(ports.service(name))},
    )


def inbox(folder: Folder, ports: Ports, common: dict[str, str]) -> Command:
    """`python -m cli.local.inbox`."""
    where = ("--folder", str(folder.inbox), "--smtp-port", str(ports.smtp), "--page-port", str(ports.inbox))
    return Command(
        name="inbox", argv=(sys.executable, "-m", "cli.local.inbox", *where), log=folder.log("inbox"), env=common
    )


def gateways(folder: Folder, common: dict[str, str]) -> Command:
    """The check of the settings and of the gateways file, which dispatch alone understands."""
    return task("gateways", "services.dispatch.settings", folder, common)


def task(name: str, module: str, folder: Folder, common: dict[str, str]) -> Command:
    """A command that runs to its end: checks, migrations, topics."""
    return Command(name=name, argv=(sys.executable, "-m", module), log=folder.log(name), env=common)
