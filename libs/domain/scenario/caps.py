"""Frequency caps as people write them, in the shops file and in tests: `[{channel: email, most: 1, per: 1d}]`."""

from datetime import timedelta
from typing import Any

from libs.domain.consent.caps import Cap
from libs.domain.scenario.durations import duration
from libs.domain.scenario.parse import CHANNELS
from libs.domain.scenario.source import Finding, Source

FIELDS = ("channel", "most", "per")
MOST = 1_000
LONGEST = timedelta(days=366)
LEAST = timedelta(minutes=1)


def read_caps(source: Source, path: str, value: Any) -> tuple[tuple[Cap, ...], list[Finding]]:
    """The caps of the list at `path`, and everything that is wrong with it."""
    reader = _Reader(source)
    caps = reader.caps(path, value)
    return caps, reader.findings


class _Reader:
    def __init__(self, source: Source) -> None:
        self._source = source
        self.findings: list[Finding] = []

    def error(self, path: str, message: str, hint: str = "") -> None:
        self.findings.append(self._source.finding(path, message, hint))

    def caps(self, path: str, value: Any) -> tuple[Cap, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            self.error(path, "caps are a list", "`- {channel: email, most: 1, per: 1d}`")
            return ()
        found: dict[tuple[str | None, timedelta], Cap] = {}
        for index, told in enumerate(value):
            cap = self.cap(f"{path}/{index}", told)
            if cap is None:
                continue
            if (cap.channel, cap.per) in found:
                about = cap.channel or "all channels"
                self.error(f"{path}/{index}", f"a cap of {about} in this time is given twice", "keep one of them")
            found[cap.channel, cap.per] = cap
        return tuple(found.values())

    def cap(self, path: str, told: Any) -> Cap | None:
        """One line, or None when it is none."""
        before = len(self.findings)
        if not isinstance(told, dict):
            self.error(path, "a cap is a mapping", "`{channel: email, most: 1, per: 1d}`")
            return None
        for name in told:
            if name not in FIELDS:
                self.error(f"{path}/{name}", f"{name} is not known here", f"a cap has {', '.join(FIELDS)}")
        channel, most, per = (told.get(name) for name in FIELDS)
        if "channel" in told and channel not in CHANNELS:
            hint = f"one of: {', '.join(CHANNELS)}; without `channel` all count together"
            self.error(f"{path}/channel", f"{channel} is no channel", hint)
        if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= MOST:
            self.error(f"{path}/most", "most is how many messages are let through", f"a number from 1 to {MOST}")
        length = duration(per)
        if length is None or not LEAST <= length <= LONGEST:
            self.error(f"{path}/per", "per is a length of time", "such as `1d` or `7d`; from 1m to 366d")
        if len(self.findings) > before or length is None:
            return None
        return Cap(channel=channel, most=most, per=length)  # type: ignore[arg-type]  # checked above
