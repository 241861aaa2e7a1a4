"""An SMTP server (RFC 5321) that writes a mail down before it says 250: `python -m tests.faults.sink`.

What its journal holds was sent. It is not always kind: some mails hear 451 the first time, some wait for their
answer, and for some the connection ends after the writing and before the answer, so that nobody can know.
It shares no code with the platform.
"""

import argparse
import asyncio
import hashlib
import os
import signal
import time
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path

from tests.faults.journal import Entry, Journal

KEPT = ("x-", "list-")
HELLO = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 33554432")


@dataclass(frozen=True, kw_only=True)
class Moods:
    """Shares of mails (0 to 1) that are put off once, answered late, or cut off after they were written down."""

    busy: float = 0.0
    slow: float = 0.0
    cut: float = 0.0
    slowness: float = 0.3
    """Real seconds between the writing and the answer of a slow one."""

    def of(self, identity: str) -> str:
        """What happens to the mail with this identity: the same in every run."""
        point = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:4], "big") / 2**32
        for mood, share in (("busy", self.busy), ("slow", self.slow), ("cut", self.cut)):
            if point < share:
                return mood
            point -= share
        return "kind"


@dataclass
class Envelope:
    """What the client has said so far."""

    sender: str | None = None
    recipients: list[str] = field(default_factory=list)


class Sink:
    """One SMTP server over one journal."""

    def __init__(self, journal: Journal, moods: Moods) -> None:
        self._journal = journal
        self._moods = moods
        self._put_off: set[str] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client was killed
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        envelope = Envelope()
        writer.write(b"220 sink ESMTP\r\n")
        while line := await reader.readline():
            verb, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
            verb = verb.upper()
            if verb == "DATA":
                answer = await self._data(reader, writer, envelope)
                envelope = Envelope()
                if answer is None:
                    writer.transport.abort()
                    return
            else:
                answer = command(verb, rest, envelope)
            writer.write(answer.encode() + b"\r\n")
            await writer.drain()
            if verb == "QUIT":
                return

    async def _data(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, envelope: Envelope) -> str | None:
        """Take a mail; the answer, or None to end the connection without one."""
        if not envelope.recipients:
            return "503 5.5.1 RCPT first"
        writer.write(b"354 go on\r\n")
        await writer.drain()
        content = await body(reader)
        entry = describe(content, envelope)
        mood = self._moods.of(f"{entry['to']}{entry['subject']}")
        identity = f"{entry['to']}{entry['subject']}"
        if mood == "busy" and identity not in self._put_off:
            self._put_off.add(identity)
            return "451 4.3.2 busy, try again"
        self._journal.write({**entry, "mood": mood})
        if mood == "cut":
            return None
        if mood == "slow":
            await asyncio.sleep(self._moods.slowness)
        return "250 2.0.0 written down"


def command(verb: str, rest: str, envelope: Envelope) -> str:
    """The answer to any command but DATA; changes the envelope."""
    if verb == "EHLO":
        return "\r\n".join([*(f"250-{name}" for name in ("sink", *HELLO[:-1])), f"250 {HELLO[-1]}"])
    if verb in ("HELO", "NOOP"):
        return "250 2.0.0 sink"
    if verb == "RSET":
        envelope.sender = None
        envelope.recipients.clear()
        return "250 2.0.0 forgotten"
    if verb == "MAIL":
        envelope.sender = address(rest)
        return "250 2.1.0 sender"
    if verb == "RCPT":
        envelope.recipients.append(address(rest))
        return "250 2.1.5 recipient"
    if verb == "QUIT":
        return "221 2.0.0 bye"
    return "502 5.5.1 not here"


def address(rest: str) -> str:
    """The address in `FROM:<a@b.c> SIZE=1`."""
    return rest.partition("<")[2].partition(">")[0]


async def body(reader: asyncio.StreamReader) -> bytes:
    """The lines up to the lone dot, without the dots that were put in front (RFC 5321, 4.5.2)."""
    lines: list[bytes] = []
    while (line := await reader.readline()) not in (b".\r\n", b".\n"):
        if not line:
            raise ConnectionError("the client left in the middle of a mail")
        lines.append(line[1:] if line.startswith(b".") else line)
    return b"".join(lines)


def describe(content: bytes, envelope: Envelope) -> Entry:
    """What the journal says of a mail."""
    mail = message_from_bytes(content, policy=policy.default)
    headers = {name.lower(): str(value) for name, value in mail.items()}
    return {
        "real": time.time(),
        "from": envelope.sender,
        "to": list(envelope.recipients),
        "subject": headers.get("subject", ""),
        "message_id": headers.get("message-id", ""),
        "date": headers.get("date", ""),
        "headers": {name: value for name, value in headers.items() if name.startswith(KEPT)},
        "size": len(content),
    }


async def run(journal: Path, port_file: Path, moods: Moods) -> None:
    """Serve on a free port, written to `port_file`, until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    sink = Sink(Journal(journal), moods)
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0, limit=2**20)
    partial = port_file.with_suffix(".partial")
    partial.write_text(str(server.sockets[0].getsockname()[1]))
    partial.replace(port_file)
    await stop.wait()
    os._exit(0)  # open connections of a platform that is still there are of no interest


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.faults.sink")
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--port-file", type=Path, required=True)
    for name in ("busy", "slow", "cut"):
        parser.add_argument(f"--{name}", type=float, default=0.0)
    given = parser.parse_args()
    moods = Moods(busy=given.busy, slow=given.slow, cut=given.cut)
    asyncio.run(run(given.journal, given.port_file, moods))


if __name__ == "__main__":
    main()
