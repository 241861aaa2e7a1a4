"""Web addresses that scenarios call (`webhook` steps), signed by Standard Webhooks.

A call may come twice: whoever is called tells repeats by `webhook-id`, which is the message's id. So nothing is ever
`unknown` here; whatever is not an answer is tried again. A host that does not answer is left alone for a moment, so
that it does not take the slots of the others.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from libs.common import VERSION
from libs.common.telemetry.log import logger
from libs.contracts.messages import WEBHOOK
from libs.domain import webhook
from libs.domain.template import MAY_LACK
from services.dispatch.channels.base import CannotSend
from services.dispatch.handlers import Job, Outcome

log = logger(__name__)
SIZE = 32
"""Calls on their way at once."""
TIMEOUT = 15.0
"""Real seconds for all of a call."""
CONNECT = 5.0
AWAY = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Real seconds for which a host that did not answer is left alone."""
AGAIN = (408, 429)
LONGEST = 2_000
HOSTS = 10_000


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call, ready but for the time of signing."""

    message: str
    shop: str
    url: httpx.URL = field(repr=False)
    body: bytes = field(repr=False)
    traceparent: str | None


@dataclass(frozen=True, kw_only=True)
class _Absence:
    """A host that did not answer."""

    failures: int
    until: float
    reason: str


class Hooks:
    """Calls any web address; with `anywhere` also those of the own house, which production refuses."""

    def __init__(
        self,
        *,
        keys: Callable[[str], Sequence[bytes]],
        now: Callable[[], datetime],
        anywhere: bool,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`keys` gives the signing keys of a shop, newest first; `now` the platform's time."""
        self.name = WEBHOOK
        self.channels: tuple[str, ...] = (WEBHOOK,)
        self.size = SIZE
        self.slots = asyncio.Semaphore(SIZE)
        self._keys = keys
        self._now = now
        self._anywhere = anywhere
        self._away: dict[str, _Absence] = {}
        self._client = httpx.AsyncClient(
            verify=tls or ssl.create_default_context(),
            trust_env=False,  # a proxy would resolve the name itself
            follow_redirects=False,
            timeout=httpx.Timeout(TIMEOUT, connect=CONNECT),
            # an open connection is told apart by its IP address alone, and many hosts may share one
            limits=httpx.Limits(max_connections=SIZE, max_keepalive_connections=0),
        )

    def prepare(self, job: Job, traceparent: str, shop: Mapping[str, str]) -> Call:
        """The call that a message asks for; raises `CannotSend`, or `TemplateError`."""
        asked = job.request.context.get(WEBHOOK)
        url = asked.get("url") if isinstance(asked, dict) else None
        if not isinstance(url, str) or len(url) > LONGEST:
            raise CannotSend("webhook_bad_url")
        try:
            target = httpx.URL(url)
        except httpx.InvalidURL:
            raise CannotSend("webhook_bad_url") from None
        if target.scheme not in ("http", "https") or not target.host:
            raise CannotSend("webhook_bad_url")
        if target.scheme != "https" and not self._anywhere:
            raise CannotSend("webhook_not_https")
        try:
            body = _body(job, shop)
        except webhook.TooLarge:
            raise CannotSend("webhook_too_large") from None
        return Call(message=job.message, shop=job.shop, url=target, body=body, traceparent=traceparent)

    async def send(self, prepared: Call) -> Outcome:
        """One call. Raises nothing."""
        host = prepared.url.raw_host.decode("ascii", "replace")
        absence = self._away.get(host)
        if absence is not None and time.monotonic() < absence.until:
            return Outcome(kind="not_now", reason=absence.reason)
        try:
            async with asyncio.timeout(TIMEOUT):
                outcome = await self._call(prepared, host)
        except (TimeoutError, httpx.TimeoutException):
            return self._absent(host, "webhook_timeout")
        except (httpx.ConnectError, OSError):
            return self._absent(host, "webhook_unreachable")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError):
            return self._absent(host, "webhook_disconnected")
        self._away.pop(host, None)
        return outcome

    async def _call(self, call: Call, host: str) -> Outcome:
        """Resolve, then connect to what was resolved and judged, so that no second answer of the DNS counts."""
        found = await self._addresses(host, call.url.port or (443 if call.url.scheme == "https" else 80))
        addresses = found if self._anywhere else [one for one in found if webhook.is_public(one)]
        if not addresses:
            return Outcome(kind="refused", reason="webhook_address_refused")
        for address in addresses[:-1]:
            try:
                return await self._post(call, host, address)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._post(call, host, addresses[-1])

    async def _addresses(self, host: str, port: int) -> list[str]:
        """The IP addresses of a host, in the order to try them; raises `OSError`."""
        rows = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(row[4][0]) for row in rows))[:4]

    async def _post(self, call: Call, host: str, address: str) -> Outcome:
        request = self._client.build_request(
            "POST",
            call.url.copy_with(host=address),
            content=call.body,
            headers=self._headers(call),
            extensions={"sni_hostname": host},
        )
        answer = await self._client.send(request, stream=True)  # what it says beyond the status is nothing to us
        await answer.aclose()
        status = answer.status_code
        if 200 <= status < 300:
            return Outcome(kind="sent")
        again = status in AGAIN or status >= 500
        return Outcome(kind="not_now" if again else "refused", reason=f"webhook_{status}")

    def _headers(self, call: Call) -> dict[str, str]:
        timestamp = int(self._now().timestamp())
        headers = {
            "Host": call.url.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "User-Agent": f"Kurant/{VERSION}",
            "webhook-id": call.message,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": webhook.sign(self._keys(call.shop), call.message, timestamp, call.body),
        }
        return headers | ({"traceparent": call.traceparent} if call.traceparent else {})

    def _absent(self, host: str, reason: str) -> Outcome:
        known = self._away.get(host)
        failures = known.failures + 1 if known else 0
        if len(self._away) > HOSTS:
            self._away.clear()
        pause = AWAY[min(failures, len(AWAY) - 1)]
        self._away[host] = _Absence(failures=failures, until=time.monotonic() + pause, reason=reason)
        log.warning("web address away", cause=reason, failures=failures)
        return Outcome(kind="not_now", reason=reason)

    def away_for(self) -> float:
        return 0.0

    async def close(self) -> None:
        await self._client.aclose()


def _body(job: Job, shop: Mapping[str, str]) -> bytes:
    """What is said: who and what it is about, and the step's own data."""
    request = job.request
    variables = {name: value for name, value in request.context.items() if name != WEBHOOK}
    head = {
        "id": job.message,
        "type": request.name,
        "timestamp": request.due_at.isoformat(),
        "shop": job.shop,
        "scenario": request.scenario,
        "version": request.version,
        "enrolment": request.enrolment,
        "profile": job.profile,
        "key": variables.get("key"),
    }
    data = request.context[WEBHOOK].get("data", {})
    profile = {"timezone": request.timezone, **(variables.get("profile") or {})}
    return webhook.body(head, data, {**MAY_LACK, **variables, "profile": profile, "shop": {**shop, "id": job.shop}})
