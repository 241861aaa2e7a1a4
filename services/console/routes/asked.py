"""What every door of the console asks: of which shop, and what is in the body."""

import re
from typing import Any, TypeVar

import msgspec
from fastapi import Request

from libs.common.http.auth import Caller
from libs.common.http.problem import Problem
from services.console import handlers

T = TypeVar("T")
LARGEST_BODY = 6_000_000
SHOP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
FIELD = re.compile(r" - at `\$\.?(.*)`$")


def shop_of(caller: Caller, asked: str | None) -> str:
    """The shop a call is about (I9). Raises `Problem`."""
    shop = caller.for_shop(asked)
    if not SHOP.fullmatch(shop):
        raise handlers.Refused(422, "shop: letters, digits, `.`, `-` and `_`, up to 64", "shop")
    return shop


async def body_of(request: Request, kind: type[T]) -> T:
    """The decoded body; raises `Problem` 400, 413 or 422, which names the field."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST_BODY:
            raise Problem(413, f"the body is larger than {LARGEST_BODY} bytes")
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        told = str(error)
        found = FIELD.search(told)
        named = found or re.search(r"field `(\w+)`", told)
        raise handlers.Refused(422, told.replace("`$.", "`"), named[1] if named else "body") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, f"the body is not JSON: {error}") from None


def takes(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """What OpenAPI says of a body that we read ourselves, after the caller is known."""
    _, schemas = msgspec.json.schema_components([kind])
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schemas[kind.__name__]}}}}
