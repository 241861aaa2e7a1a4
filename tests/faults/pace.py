"""The platform's time and ours: a straight line (standard library only, for the oracle's sake)."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Pace:
    """At Unix time `real` the platform's clock said `platform`; it runs `speed` times faster."""

    real: float
    platform: datetime
    speed: float

    def at(self, real: float) -> datetime:
        """What the platform's clock says at a Unix time."""
        return self.platform + timedelta(seconds=(real - self.real) * self.speed)

    def when(self, platform: datetime) -> float:
        """The Unix time at which the platform's clock says so."""
        return self.real + (platform - self.platform).total_seconds() / self.speed

    def entry(self) -> dict[str, Any]:
        """For a journal."""
        return {**asdict(self), "platform": self.platform.isoformat()}

    @classmethod
    def of(cls, entry: dict[str, Any]) -> Self:
        """From a journal."""
        return cls(real=entry["real"], platform=datetime.fromisoformat(entry["platform"]), speed=float(entry["speed"]))
