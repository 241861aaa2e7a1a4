"""Tells a play to the platform, stubbornly: what was not acknowledged is told again, with the same ids.

Every event is in the journal before it is sent, and again when the 202 came. One customer's acts go down one
lane, in order; lanes do not wait for each other. Now and then a client leaves before it hears the answer.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from tests.faults.journal import Journal, read
from tests.faults.pace import Pace
from tests.faults.stories import Act, Customer, Play

BATCHES = (1, 1, 2, 5, 20, 60)
LANES = 4
PAUSE = 0.2
"""Real seconds before a request is tried again."""
LEAVES = 0.03
"""Share of requests whose client leaves before the answer."""
MANY = "application/cloudevents-batch+json"


class Refused(RuntimeError):
    """Ingest called an event of ours wrong: the harness and the platform disagree about the interface."""


class Generator:
    """One telling of one play."""

    def __init__(self, *, play: Play, ingest: str, key: str, journal: Journal, pace: Pace, began: float) -> None:
        self._play = play
        self._url = f"{ingest}/v1/events"
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": MANY}
        self._journal = journal
        self._pace = pace
        self._began = began
        self._requests = 0
        self.told = 0
        self.tries = 0

    async def run(self) -> None:
        """Return when everything is acknowledged."""
        lanes: list[list[Act]] = [[] for _ in range(LANES)]
        for act in self._play.acts:
            lanes[hash_of(act.customer) % LANES].append(act)
        async with asyncio.TaskGroup() as group:
            for number, acts in enumerate(lanes):
                group.create_task(self._lane(acts, random.Random(number)))

    def moment(self, at: float) -> float:
        """The Unix time of an hour of the play."""
        return self._began + at * 3600 / self._pace.speed

    async def _lane(self, acts: Sequence[Act], dice: random.Random) -> None:
        position = 0
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            while position < len(acts):
                await sleep_until(self.moment(acts[position].at))
                size = dice.choice(BATCHES)
                batch = [acts[position]]
                for act in acts[position + 1 : position + size]:
                    if self.moment(act.at) > now():
                        break
                    batch.append(act)
                await self._tell(client, batch, dice)
                position += len(batch)

    async def _tell(self, client: httpx.AsyncClient, batch: Sequence[Act], dice: random.Random) -> None:
        self._requests += 1
        request = self._requests
        told = [
            {"customer": act.customer, "repeat": act.repeat, "event": event} for act in batch for event in act.events
        ]
        self._journal.write({"kind": "intent", "request": request, "events": told})
        events = [one["event"] for one in told]
        if dice.random() < LEAVES:
            with suppress(httpx.HTTPError):
                await client.post(self._url, json=events, headers=self._headers, timeout=0.02)
        while True:
            self.tries += 1
            answer = await self._try(client, events)
            if answer is not None:
                break
            await asyncio.sleep(PAUSE)
        self.told += len(events)
        self._journal.write({"kind": "ack", "request": request, "duplicates": answer["duplicates"]})

    async def _try(self, client: httpx.AsyncClient, events: Sequence[Any]) -> dict[str, Any] | None:
        """The body of a 202; None when it must be told again."""
        try:
            answer = await client.post(self._url, json=events, headers=self._headers)
        except httpx.HTTPError:
            return None
        if answer.status_code in (429, 503):
            if "retry-after" not in answer.headers:
                self._journal.write({"kind": "wrong", "says": f"{answer.status_code} without Retry-After"})
            return None
        if answer.status_code >= 500:
            self._journal.write({"kind": "wrong", "says": f"ingest answers {answer.status_code}"})
            return None
        if answer.status_code != 202:
            raise Refused(f"ingest answers {answer.status_code}: {answer.text[:500]}")
        body: dict[str, Any] = answer.json()
        if body["rejected"]:
            raise Refused(f"ingest rejects {body['rejected'][:3]}")
        if body["accepted"] + body["duplicates"] != len(events):
            self._journal.write({"kind": "wrong", "says": f"{len(events)} told, answered {body}"})
        return body


class Unsubscriber:
    """Customers who use the link of a mail, as their mail programs do it (RFC 8058)."""

    def __init__(self, *, customers: Sequence[Customer], mails: Path, journal: Journal) -> None:
        self._wanted = {
            (customer.email, customer.unsubscribes_after): customer.name
            for customer in customers
            if customer.unsubscribes_after
        }
        self._mails = mails
        self._journal = journal

    async def run(self, stop: asyncio.Event) -> None:
        """Watch the sink's journal until `stop`."""
        read_so_far = 0
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client, asyncio.TaskGroup() as group:
            while not stop.is_set():
                mails = read(self._mails)
                for mail in mails[read_so_far:]:
                    name = self._wanted.pop((mail["to"][0], mail["subject"].partition(" ")[0]), None)
                    if name:
                        group.create_task(self._click(client, name, link(mail["headers"])))
                read_so_far = len(mails)
                await asyncio.sleep(PAUSE)

    async def _click(self, client: httpx.AsyncClient, customer: str, url: str | None) -> None:
        if url is None:
            self._journal.write({"kind": "wrong", "says": f"a mail to {customer} has no List-Unsubscribe link"})
            return
        self._journal.write({"kind": "unsubscribe", "customer": customer})
        while True:
            try:
                answer = await client.post(url, data={"List-Unsubscribe": "One-Click"})
                if answer.status_code < 300:
                    break
                if answer.status_code != 503:
                    says = f"one-click unsubscribe answers {answer.status_code}"
                    self._journal.write({"kind": "wrong", "says": says})
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(PAUSE)
        self._journal.write({"kind": "unsubscribed", "customer": customer})


def link(headers: dict[str, str]) -> str | None:
    """The HTTP link of a `List-Unsubscribe` header (RFC 2369), if `List-Unsubscribe-Post` allows one click."""
    if headers.get("list-unsubscribe-post", "").strip() != "List-Unsubscribe=One-Click":
        return None
    links = (part.strip(" <>\r\n\t") for part in headers.get("list-unsubscribe", "").split(","))
    return next((found for found in links if found.startswith("http")), None)


def hash_of(name: str) -> int:
    """The same in every run, unlike `hash`."""
    return sum(name.encode())


def now() -> float:
    """Unix time."""
    return time.time()


async def sleep_until(moment: float) -> None:
    """Return at a Unix time."""
    await asyncio.sleep(max(0.0, moment - now()))
