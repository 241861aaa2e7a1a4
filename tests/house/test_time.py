"""I7: nobody reads a clock of the machine but the clock itself, and the process that makes it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAY = {"libs/common/clock.py", "libs/common/runtime.py"}
READS = {"now", "utcnow", "today", "time", "time_ns", "localtime", "gmtime"}
OWNERS = {"datetime", "date", "time", "dt"}
"""`clock.now()` is asked of somebody; `datetime.now()` and `time.time()` read the machine's clock."""


def readings(source: str) -> list[int]:
    """The lines on which a machine's clock is read. `time.monotonic` measures a duration and is none."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and node.attr in READS
        and (node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")) in OWNERS
    ]


def test_time_is_passed_in() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for folder in ("libs", "services")
        for path in (ROOT / folder).rglob("*.py")
        if str(path.relative_to(ROOT)) not in MAY
        for line in readings(path.read_text())
    }
    assert found == set()


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("datetime.now(UTC)", [1]),
        ("\ntime.time()", [2]),
        ("import datetime as dt\ndt.datetime.now()", [2]),
        ("date.today", [1]),
        ("clock.now(), parts.clock.now(), time.monotonic(), event.time", []),
    ],
)
def test_a_reading_is_seen(source: str, lines: list[int]) -> None:
    assert readings(source) == lines
