"""What every gateway is to the worker."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any, Generic, Protocol, TypeVar

from libs.domain.mail import Letter, read_sender
from services.dispatch.handlers import Outcome
from services.dispatch.handlers.letter import Style


class CannotSend(Exception):
    """This message can never go through this gateway; `reason` says why, in one word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Way(Protocol):
    """One way out. `slots` bounds how many messages it takes at once."""

    name: str
    slots: asyncio.Semaphore
    size: int

    @property
    def channels(self) -> Collection[str]:
        """What it can deliver."""
        ...

    async def send(self, prepared: Any) -> Outcome:
        """Hand it over. Raises nothing: what is not known to have happened is `unknown`."""
        ...

    def away_for(self) -> float:
        """Real seconds for which it need not be tried, as it was not there a moment ago."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Gateway(Way, Protocol):
    """A way to customers."""

    style: Style

    def prepare(self, letter: Letter) -> Any:
        """The message in the gateway's own form; raises `CannotSend`. Does no I/O."""
        ...


W = TypeVar("W", bound=Way)


class Gateways(Generic[W]):
    """All gateways; the first of a channel is its default."""

    def __init__(self, gateways: Sequence[W]) -> None:
        self._all = gateways
        self._default: dict[str, W] = {}
        for gateway in gateways:
            for channel in gateway.channels:
                self._default.setdefault(channel, gateway)

    @property
    def channels(self) -> Collection[str]:
        """Those that can be reached."""
        return self._default.keys()

    @property
    def size(self) -> int:
        """How many messages can be on their way at once."""
        return sum(gateway.size for gateway in self._all)

    def of(self, channel: str) -> W:
        """The gateway of a channel that is among `channels`."""
        return self._default[channel]

    def away_for(self) -> float:
        """Real seconds for which no gateway need be tried."""
        return min((gateway.away_for() for gateway in self._default.values()), default=0.0)

    async def close(self) -> None:
        for gateway in self._all:
            await gateway.close()


def style_of(sender: str | None, fallback: str, senders: Collection[str], tracking: bool) -> Style:
    """Where the file names a sender, authors may use its domain and `senders`; where it names none, any."""
    own = read_sender(sender or fallback)
    named = {domain.lower() for domain in senders}
    allowed = frozenset(named | {own.domain.lower()}) if sender or named else None
    return Style(sender=own, senders=allowed, tracking=tracking)
