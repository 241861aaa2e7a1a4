"""A mail server that does as it is told, good or bad, over a real socket."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

HANG_UP = "hang up"
SILENCE = "silence"
Script = Callable[[str, str], str | None]
"""Stage (`MAIL`, `RCPT`, `DATA`, `END`, `RSET`) and recipient to an answer of its own, `HANG_UP` or `SILENCE`."""


def always(stage: str, answer: str) -> Script:
    """The same answer at that stage, every time."""
    return lambda at, _recipient: answer if at == stage else None


@dataclass
class Received:
    """One mail that was taken."""

    recipient: str
    envelope: str
    content: bytes

    @property
    def mail(self) -> EmailMessage:
        made = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(made, EmailMessage)
        return made

    def part(self, kind: str) -> str:
        found = self.mail.get_body(preferencelist=(kind,))
        assert found is not None
        return str(found.get_content())


@dataclass
class MailServer:
    """Listens between `start` and `stop`; `port` stays the same, so that it can go away and come back."""

    script: Script = lambda _stage, _recipient: None
    extensions: tuple[str, ...] = ("8BITMIME", "PIPELINING")
    port: int = 0
    received: list[Received] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    at_once: int = 0
    most_at_once: int = 0
    pause: float = 0.0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        self.drop_all()
        self._server = None

    def drop_all(self) -> None:
        """End every connection without a word."""
        for writer in self._writers:
            writer.close()

    def to(self, recipient: str) -> list[Received]:
        return [one for one in self.received if one.recipient == recipient]

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            writer.write(b"220 test ESMTP\r\n")
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        envelope = recipient = ""
        while line := await reader.readline():
            text = line.decode().rstrip("\r\n")
            verb = text.partition(" ")[0].upper()
            self.commands.append(text)
            if verb == "EHLO":
                answers = ["250-test", *(f"250-{extension}" for extension in self.extensions), "250 HELP"]
                writer.write("".join(f"{answer}\r\n" for answer in answers).encode())
                continue
            if verb == "MAIL":
                envelope = text.partition("<")[2].partition(">")[0]
            if verb == "RCPT":
                recipient = text.partition("<")[2].partition(">")[0]
            told = self.script(verb, recipient)
            if verb == "DATA" and told is None:
                writer.write(b"354 go on\r\n")
                content = await self._content(reader)
                told = self.script("END", recipient)
                if self.pause:
                    await asyncio.sleep(self.pause)
                self.at_once -= 1
                if told is None:
                    self.received.append(Received(recipient, envelope, content))
            if told == HANG_UP:
                return
            if told == SILENCE:
                await asyncio.sleep(3600)
            writer.write(f"{told or '250 2.0.0 fine'}\r\n".encode())
            if verb == "QUIT":
                return

    async def _content(self, reader: asyncio.StreamReader) -> bytes:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        raw = await reader.readuntil(b"\r\n.\r\n")
        return raw[:-3].replace(b"\r\n..", b"\r\n.")
