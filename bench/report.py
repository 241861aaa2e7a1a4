"""Figures of several rounds, and the files that keep them."""

import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).with_name("results")
ROUNDS = 5


@dataclass(frozen=True)
class Figure:
    """One number measured in every round. `aim` says what it should be, `at_least` which way."""

    name: str
    unit: str
    rounds: list[float]
    aim: float | None = None
    at_least: bool = True

    def row(self) -> dict[str, Any]:
        """As stored."""
        found = median(self.rounds)
        row: dict[str, Any] = {
            "name": self.name,
            "unit": self.unit,
            "median": _short(found),
            "min": _short(min(self.rounds)),
            "max": _short(max(self.rounds)),
            "rounds": [_short(value) for value in self.rounds],
        }
        if self.aim is not None:
            reached = found >= self.aim if self.at_least else found <= self.aim
            row |= {"aim": f"{'>=' if self.at_least else '<='} {self.aim:g}", "reached": reached}
        return row


@dataclass
class Report:
    """What one benchmark found. `says` tells what was compared with what, `notes` what to know about it, `repeat` how
    to measure it again."""

    name: str
    says: str
    notes: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    repeat: str = ""

    def save(self) -> None:
        """Write `results/<name>.json`, and the README anew from all of them."""
        RESULTS.mkdir(exist_ok=True)
        content = {
            "name": self.name,
            "says": self.says,
            "machine": _machine(),
            "repeat": self.repeat or f"make bench ARGS={self.name}",
            "notes": self.notes,
            "figures": [figure.row() for figure in self.figures],
        }
        (RESULTS / f"{self.name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        (RESULTS / "README.md").write_text(_readme())


def ratio(
    name: str, over: list[float], under: list[float], aim: float | None = None, *, at_least: bool = True
) -> Figure:
    """The ratio of two measurements, round by round."""
    return Figure(name, "x", [a / b for a, b in zip(over, under, strict=True)], aim, at_least)


def _short(value: float) -> float:
    """Three digits say what a benchmark knows."""
    return float(f"{value:.3g}")


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def _readme() -> str:
    lines = [
        "# What was measured",
        "",
        "Written by `make bench` (or `make bench ARGS=rules` for one of them). Every ratio compares two things in",
        "the same run, round by round, on the same broker and the same load; median of the rounds, least and most",
        "in brackets. Kafka, PostgreSQL, the load generator and what is measured share the machine's cores.",
    ]
    for path in sorted(RESULTS.glob("*.json")):
        found = json.loads(path.read_text())
        lines += ["", f"## {found['name']}", "", found["says"], "", _how(found), ""]
        lines += ["| figure | median | min to max | aim |", "|---|---|---|---|"]
        for row in found["figures"]:
            aim = f"{row['aim']}{'' if row['reached'] else ': missed'}" if "aim" in row else ""
            lines.append(
                f"| {row['name']} | {_text(row['median'])} {row['unit']} "
                f"| {_text(row['min'])} to {_text(row['max'])} | {aim} |"
            )
        lines += ["", *(f"- {note}" for note in found["notes"])] if found["notes"] else []
    return "\n".join(lines) + "\n"


def _how(found: dict[str, Any]) -> str:
    repeat = f" Again: `{found['repeat']}`." if "repeat" in found else ""
    return f"Machine: {found['machine']}.{repeat}"


def _text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:g}"
