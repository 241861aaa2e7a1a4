"""A file as a gateway: one line of JSON a message, on disk before it counts as sent."""

import asyncio
import os

import msgspec

from libs.domain.mail import Letter
from services.dispatch.channels.base import style_of
from services.dispatch.handlers import Outcome
from services.dispatch.settings import FileGateway


class FileSink:
    """Appends to `path`; lines of several processes do not mix."""

    def __init__(self, settings: FileGateway, fallback_sender: str) -> None:
        self.name = settings.name
        self.channels: tuple[str, ...] = settings.channels
        self.size = 1
        self.slots = asyncio.Semaphore(self.size)
        self.style = style_of(settings.sender, fallback_sender, (), settings.tracking)
        self._path = settings.path

    def prepare(self, letter: Letter) -> bytes:
        line = {
            "message_id": letter.message,
            "channel": letter.channel,
            "to": letter.to,
            "from": letter.sender.address,
            "subject": letter.subject,
            "text": letter.text,
            "html": letter.html,
            "url": letter.url,
            "shop": letter.shop,
            "scenario": letter.scenario,
            "message": letter.name,
            "purpose": letter.purpose,
            "unsubscribe_url": letter.unsubscribe_url,
            "traceparent": letter.traceparent,
            "at": letter.date,
        }
        return msgspec.json.encode(line) + b"\n"

    async def send(self, prepared: bytes) -> Outcome:
        return await asyncio.to_thread(self._append, prepared)

    def _append(self, line: bytes) -> Outcome:
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError:
            return Outcome(kind="not_now", reason="file_unavailable")
        try:
            written = os.write(file, line)
            os.fsync(file)
        except OSError:
            return Outcome(kind="unknown", reason="file_error")
        finally:
            os.close(file)
        return Outcome(kind="sent") if written == len(line) else Outcome(kind="unknown", reason="file_error")

    def away_for(self) -> float:
        return 0.0

    async def close(self) -> None:
        return
