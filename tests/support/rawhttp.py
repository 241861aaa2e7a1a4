"""HTTP/1.1 by hand, over a socket: any bytes in headers and body, as no client library would send them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

Header = tuple[bytes, bytes]


@dataclass(frozen=True)
class Answer:
    """Status (0: the connection ended without one), headers with lower-case names, body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Door:
    """One connection, opened again when the server closed it."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._leave()

    async def post(self, path: bytes, headers: Sequence[Header], body: bytes) -> Answer:
        """One request. A server may answer and close before it has read everything."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port, limit=2**20)
        reader, writer = self._streams
        lines = [b"POST " + path + b" HTTP/1.1", b"Host: ingest", b"Content-Length: %d" % len(body)]
        lines += [name + b": " + value for name, value in headers]
        writing = asyncio.ensure_future(self._write(writer, b"\r\n".join(lines) + b"\r\n\r\n" + body))
        try:
            answer = await asyncio.wait_for(_read(reader), 60)
        except (asyncio.IncompleteReadError, ConnectionError):
            answer = Answer(0, {}, b"")
        finished = writing.done()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        if not finished or answer.status == 0 or answer.headers.get("connection") == "close":
            self._leave()
        return answer

    @staticmethod
    async def _write(writer: asyncio.StreamWriter, content: bytes) -> None:
        try:
            writer.write(content)
            await writer.drain()
        except ConnectionError:
            return

    def _leave(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _read(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    status = int(head[0].split()[1])
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(status, headers, body)
