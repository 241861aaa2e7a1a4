"""The platform's clock across restarts: an anchor in `clock.json`, never back.

While a platform runs, the file says up to which moment its clock may have come before the next saving
(`reached`). After an unclean end the next start goes on from there; a clean stop writes the exact moment.
While nothing runs a bent clock stands still; a clock of speed 1 that never was ahead of life is real time.
"""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from libs.common.clock import PlatformClock

EVERY = 1.0
"""Seconds of real time between savings."""
MARGIN = 3.0
"""Seconds of real time for which a saving holds; a supervisor that is held up longer has missed two."""


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """`platform = start + (real - anchor) * speed`; without `start` it is real time."""

    speed: float
    start: datetime | None
    anchor: float

    def clock(self) -> PlatformClock:
        return PlatformClock(
            start=self.start or datetime.fromtimestamp(self.anchor, UTC), anchor=self.anchor, speed=self.speed
        )

    def environment(self) -> dict[str, str]:
        """The settings that give every service this clock."""
        if self.start is None:
            return {}
        return {
            "KURANT_CLOCK_SPEED": repr(self.speed),
            "KURANT_CLOCK_START": self.start.isoformat(),
            "KURANT_CLOCK_ANCHOR": repr(self.anchor),
        }


def choose(reached: datetime | None, real: float, speed: float, start: datetime | None) -> Anchor:
    """The anchor of a new run.

    `reached` is what an earlier run left, `start` what the user asks for: the later one counts. `real` is Unix
    time now.
    """
    now = datetime.fromtimestamp(real, UTC)
    if speed == 1.0 and start is None and (reached is None or reached <= now):
        return Anchor(speed=1.0, start=None, anchor=real)
    begin = start or reached or now
    return Anchor(speed=speed, start=max(begin, reached or begin), anchor=real)


def load(path: Path) -> datetime | None:
    """How far the clock of earlier runs may have come; None when there was none."""
    try:
        return datetime.fromisoformat(json.loads(path.read_text())["reached"])
    except FileNotFoundError:
        return None


def save(path: Path, anchor: Anchor, real: float, margin: float = MARGIN) -> None:
    """Write how far the clock can come in the next `margin` seconds of real time."""
    clock = anchor.clock()
    reached = clock.start + timedelta(seconds=(real + margin - anchor.anchor) * anchor.speed)
    partial = path.with_suffix(".partial")
    with partial.open("w") as file:
        content = {"reached": reached.isoformat(), "speed": anchor.speed}
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
