"""A platform without services: `python -m tests.support.bare_platform DIR BASE SPEED`."""

import os
import signal
import sys
import threading
from pathlib import Path

from cli.local.folder import Folder
from cli.local.platform import Platform
from cli.local.ports import Ports
from cli.up import live, reporter


def main() -> int:
    folder, base, speed = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    platform = Platform(
        folder=Folder(folder),
        ports=Ports(base),
        speed=speed,
        start=None,
        report=reporter(),
        services=(),
        stop=stop,
    )
    return live(platform, demo=False, scenarios=folder / "none")


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
