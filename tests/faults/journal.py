"""A journal: JSON lines, each on disk before the writer goes on. Standard library only, for the oracle's sake."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


class Journal:
    """Appends entries to one file; several threads may share it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self._lock = threading.Lock()

    def write(self, *entries: Entry) -> None:
        """Return when the entries are on disk. Each gets `real`, Unix time, unless it has one."""
        now = time.time()
        lines = "".join(json.dumps({"real": now, **entry}, separators=(",", ":")) + "\n" for entry in entries)
        with self._lock:
            self._file.write(lines.encode())
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> list[Entry]:
    """Every whole entry; a last line that was cut off by a crash is left out."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    return [json.loads(line) for line in lines[:-1] if line]
