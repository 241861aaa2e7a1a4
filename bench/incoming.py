"""A shop's events as it sends them over HTTP: CloudEvents 1.0, structured and batch mode."""

import itertools
import json
import random
from datetime import UTC, datetime
from typing import Any

from bench import load
from bench.client import post

PATH = "/v1/events"
ONE = "application/cloudevents+json"
MANY = "application/cloudevents-batch+json"


class Shop:
    """Makes requests. `prefix` keeps its event ids and customers apart from those of others."""

    def __init__(self, prefix: str, customers: int) -> None:
        self._prefix = prefix
        self._customers = customers
        self._source = random.Random(prefix)
        self._numbers = itertools.count()

    def known(self, size: int) -> list[bytes]:
        """Requests that introduce every customer."""
        told = [
            self._event("profile.updated", {"user_id": self.customer(number), "first_name": "Anna", "language": "pl"})
            for number in range(self._customers)
        ]
        return [_many(told[first : first + size]) for first in range(0, len(told), size)]

    def single(self) -> bytes:
        """A request with one event."""
        return post(PATH, ONE, json.dumps(self._browse()).encode())

    def batch(self, size: int) -> bytes:
        """A request with `size` events."""
        return _many([self._browse() for _ in range(size)])

    def customer(self, number: int) -> str:
        """A user id."""
        return f"{self._prefix}-{number}"

    def _browse(self) -> dict[str, Any]:
        kind = self._source.choices(list(load.MIX), list(load.MIX.values()))[0]
        customer = self.customer(self._source.randrange(self._customers))
        return self._event(kind, {"user_id": customer} | load.data(kind, customer, next(self._numbers), self._source))

    def _event(self, kind: str, data: dict[str, Any]) -> dict[str, Any]:
        return event(f"{self._prefix}-{next(self._numbers)}", kind, data)


def event(id: str, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """A CloudEvent of now."""
    return {
        "specversion": "1.0",
        "id": id,
        "source": load.SOURCE,
        "type": kind,
        "time": datetime.now(UTC).isoformat(),
        "data": data,
    }


def _many(told: list[dict[str, Any]]) -> bytes:
    return post(PATH, MANY, json.dumps(told).encode())
