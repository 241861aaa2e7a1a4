"""What every door of the console asks: of which shop, and what is in the body."""

import re
from typing import TypeVar

from fastapi import Request

from libs.common.http import body as bodies
from libs.common.http.auth import Caller
from services.console import handlers

T = TypeVar("T")
LARGEST_BODY = 6_000_000
SHOP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def shop_of(caller: Caller, asked: str | None) -> str:
    """The shop a call is about (I9). Raises `Problem`."""
    shop = caller.for_shop(asked)
    if not SHOP.fullmatch(shop):
        raise handlers.Refused(422, "shop: letters, digits, `.`, `-` and `_`, up to 64", "shop")
    return shop


async def body_of(request: Request, kind: type[T]) -> T:
    """The decoded body; raises `Problem` 400, 413 or 422, which names the field."""
    return await bodies.decoded(request, kind, LARGEST_BODY)
