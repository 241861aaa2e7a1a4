"""A request's body, never more of it than is allowed: whatever Content-Length says, and however well it is packed."""

import zlib

from fastapi import Request
from starlette.requests import ClientDisconnect

from libs.common.http.problem import Problem

IDENTITY = ("", "identity")
GZIP = ("gzip", "x-gzip")
WINDOW = 16 + zlib.MAX_WBITS


async def read(request: Request, limit: int) -> bytes:
    """The body, unpacked; raises `Problem` 413 beyond `limit` bytes, 400 when it breaks off, 415 for other packings."""
    packing = request.headers.get("content-encoding", "").strip().lower()
    if packing not in IDENTITY + GZIP:
        raise Problem(415, "Content-Encoding must be gzip, or none")
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 15 or int(declared) > limit):
        raise _too_big(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise _too_big(limit)
            chunks.append(chunk)
    except ClientDisconnect:
        raise Problem(400, "the body broke off") from None
    body = b"".join(chunks)
    return unpack(body, limit) if packing in GZIP else body


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
