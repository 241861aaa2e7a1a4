"""A request's body, never more of it than is allowed: whatever Content-Length says, and however well it is packed."""

import zlib
from collections.abc import AsyncIterator, Iterator
from typing import TypeVar

import msgspec
from fastapi import Request
from starlette.requests import ClientDisconnect

from libs.common.http.problem import Problem
from libs.contracts.known import fault
from libs.domain.intake.escapes import mended

T = TypeVar("T")
IDENTITY = ("", "identity")
GZIP = ("gzip", "x-gzip")
WINDOW = 16 + zlib.MAX_WBITS
PIECE = 256 * 1024


async def read(request: Request, limit: int) -> bytes:
    """The body, unpacked; raises `Problem` 413 beyond `limit` bytes, 400 when it breaks off, 415 for other packings."""
    packed = is_packed(request)
    body = b"".join([chunk async for chunk in _chunks(request, limit)])
    return unpack(body, limit) if packed else body


async def pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The same, unpacked piece by piece as it comes, so that it need not be held as a whole."""
    if not is_packed(request):
        async for chunk in _chunks(request, limit):
            yield chunk
        return
    unpacking = Unpacking(limit)
    async for chunk in _chunks(request, limit):
        for piece in unpacking.feed(chunk):
            yield piece
    unpacking.end()


def is_packed(request: Request) -> bool:
    """Whether the body is gzip; raises `Problem` 415 for what else it may be."""
    packing = request.headers.get("content-encoding", "").strip().lower()
    if packing not in IDENTITY + GZIP:
        raise Problem(415, "Content-Encoding must be gzip, or none")
    return packing in GZIP


async def _chunks(request: Request, limit: int) -> AsyncIterator[bytes]:
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 15 or int(declared) > limit):
        raise _too_big(limit)
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise _too_big(limit)
            yield chunk
    except ClientDisconnect:
        raise Problem(400, "the body broke off") from None


class Unpacking:
    """gzip (RFC 1952, several members too) in pieces of at most `PIECE` bytes, and never more than `limit` in all."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._inflater = zlib.decompressobj(WINDOW)
        self._begun = False

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """What a piece of the packed body holds."""
        while packed:
            if self._inflater.eof:
                self._inflater = zlib.decompressobj(WINDOW)
            self._begun = True
            try:
                found = self._inflater.decompress(packed, PIECE)
            except zlib.error:
                raise Problem(400, "the body is not gzip") from None
            self._size += len(found)
            if self._size > self._limit:
                raise _too_big(self._limit)
            if found:
                yield found
            packed = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail

    def end(self) -> None:
        """Raises `Problem` where the body breaks off."""
        if self._begun and not self._inflater.eof:
            raise Problem(400, "the gzip body breaks off")


def unpack(body: bytes, limit: int) -> bytes:
    """gzip (RFC 1952, several members too), stopped as soon as it grows beyond `limit`."""
    found = bytearray()
    while body:
        inflater = zlib.decompressobj(WINDOW)
        try:
            found += inflater.decompress(body, limit + 1 - len(found))
        except zlib.error:
            raise Problem(400, "the body is not gzip") from None
        if len(found) > limit:
            raise _too_big(limit)
        if not inflater.eof:
            raise Problem(400, "the gzip body breaks off")
        body = inflater.unused_data
    return bytes(found)


def _too_big(limit: int) -> Problem:
    return Problem(413, f"the body is larger than {limit:,} bytes", headers={"Connection": "close"})


async def decoded(request: Request, kind: type[T], limit: int) -> T:
    """The JSON body as `kind`; raises `Problem` 400, 413, or 422 that names the field and what it may hold."""
    raw = await read(request, limit)
    try:
        return _typed(raw, kind)
    except msgspec.ValidationError as error:
        path, said = fault(error, kind)
        field = path.lstrip(".") or "body"
        detail = f"{field}: {said}"
        raise Problem(422, detail, field=field, errors=[{"field": field, "message": detail}]) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, f"the body is not JSON: {error}") from None


def _typed(raw: bytes, kind: type[T]) -> T:
    """Half a surrogate pair costs that character alone."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        whole = mended(raw)
        if whole is None:
            raise
        return msgspec.json.decode(whole, type=kind)
