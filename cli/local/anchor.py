"""The platform's clock across restarts: an anchor in `clock.json`, never back.

While a platform runs, the file says up to which moment its clock may have come before the next saving
(`reached`). After an unclean end the next start goes on from there; a clean stop writes the exact moment.
While nothing runs a bent clock stands still; only a clock that never was bent, nor ahead of life, is real time.
"""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cli.local.process import LocalError
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


@dataclass(frozen=True, kw_only=True)
class Past:
    """What earlier runs left: how far their clock may have come, how fast the last one ran, whether it was bent."""

    reached: datetime
    speed: float = 1.0
    bent: bool = False


def choose(past: Past | None, real: float, speed: float, start: datetime | None) -> Anchor:
    """The anchor of a new run. `start` is what the user asks for, `real` is Unix time now.

    Of `start` and where the past ended the later one counts; a clock that was bent goes on from there at any speed.
    """
    now = datetime.fromtimestamp(real, UTC)
    if speed == 1.0 and start is None and (past is None or (not past.bent and past.reached <= now)):
        return Anchor(speed=1.0, start=None, anchor=real)
    begin = start or (past.reached if past else now)
    return Anchor(speed=speed, start=max(begin, past.reached) if past else begin, anchor=real)


def told(past: Past | None, chosen: Anchor, real: float, start: datetime | None) -> str | None:
    """What the user should know of the clock of a new run; None when nothing is out of the ordinary."""
    if past is None or chosen.start is None:
        return None
    ran = "in real time" if not past.bent and past.speed == 1.0 else f"at {past.speed:g}x"
    if start is not None and start > past.reached:
        return f"the data ran {ran} up to {_minute(past.reached)}; its clock moves on to {_minute(start)}"
    refused = f"--start {_minute(start)} is before that, and a clock never goes back; " if start is not None else ""
    text = (
        f"the data ran {ran} up to {_minute(past.reached)}; {refused}its clock goes on from there at {chosen.speed:g}x"
    )
    now = datetime.fromtimestamp(real, UTC)
    if chosen.start < now:
        return f"{text} (real time is {_minute(now)}; --start now moves on to it)"
    return text


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def load(path: Path) -> Past | None:
    """What earlier runs left; None when there were none. Raises `LocalError` when the file is damaged."""
    try:
        content = json.loads(path.read_text("utf-8"))
        speed = float(content["speed"])
        reached = datetime.fromisoformat(content["reached"]).astimezone(UTC)
        return Past(reached=reached, speed=speed, bent=bool(content.get("bent", speed != 1.0)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        told = "with it missing, the platform's clock begins at real time, which may be before what the data has seen"
        raise LocalError(f"{path} is damaged: put it back, or remove it ({told})", code=2) from None


def save(path: Path, anchor: Anchor, real: float, margin: float = MARGIN) -> None:
    """Write how far the clock can come in the next `margin` seconds of real time."""
    clock = anchor.clock()
    reached = clock.start + timedelta(seconds=(real + margin - anchor.anchor) * anchor.speed)
    partial = path.with_suffix(".partial")
    with partial.open("w") as file:
        content = {"reached": reached.isoformat(), "speed": anchor.speed, "bent": anchor.start is not None}
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
