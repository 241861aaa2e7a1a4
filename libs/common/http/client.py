"""How one service asks another: httpx with the service key; trouble becomes `Unavailable` or a `Problem`."""

from typing import Any, Self

import httpx
import msgspec

from libs.common.errors import Unavailable
from libs.common.http.problem import Problem


class Client:
    """Calls of one other service at `base_url`."""

    def __init__(self, base_url: str, service_key: str, *, timeout: float = 10.0) -> None:
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {service_key}"},
            timeout=timeout,
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=20),
        )
        self._name = base_url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def ask(self, method: str, path: str, *, json: Any = None, params: dict[str, str] | None = None) -> Any:
        """The decoded JSON answer. Raises `Unavailable` (no answer, 5xx) or the other side's `Problem` (4xx)."""
        content = msgspec.json.encode(json) if json is not None else None
        headers = {"Content-Type": "application/json"} if content is not None else None
        try:
            answer = await self._client.request(method, path, content=content, params=params, headers=headers)
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._name}: {type(error).__name__}") from error
        if answer.status_code >= 500:
            raise Unavailable(f"{self._name}: answered {answer.status_code}")
        body = msgspec.json.decode(answer.content) if answer.content else None
        if answer.status_code >= 400:
            told: dict[str, Any] = body if isinstance(body, dict) else {}
            more = {key: value for key, value in told.items() if key not in ("type", "title", "status", "detail")}
            raise Problem(answer.status_code, str(told.get("detail", "refused")), **more)
        return body

    async def close(self) -> None:
        await self._client.aclose()
