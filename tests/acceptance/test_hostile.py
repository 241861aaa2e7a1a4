"""Ten thousand hostile bodies at ingest, good events among them: no 5xx, no crash, nothing good lost."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil
import pytest

from libs.common.http.auth import DEMO_KEY
from tests.acceptance.stories import CART, HOUR
from tests.support.hostile import STRUCTURED, Body, bodies, sent
from tests.support.rawhttp import Answer, Door, Header
from tests.support.running import Running, eventually
from tests.support.shop import Customer, stamp, visit

COUNT, SEED, DOORS = 10_000, 20260302, 16
GOOD_CUSTOMERS, GOOD_EVENTS = 40, 8
ROOM = 400 * 1024 * 1024
"""By how much the memory of ingest may grow meanwhile."""
KEY: Header = (b"Authorization", f"Bearer {DEMO_KEY}".encode())
CLOSED_EARLY = {"10 MB", "gzip bomb"}
"""Kinds that a server may refuse by ending the connection while they are still being sent."""


@dataclass
class Seen:
    """What came of the attack."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    odd: list[tuple[str, bytes, Answer]] = field(default_factory=list)
    good: int = 0
    refused_good: list[bytes] = field(default_factory=list)
    most: int = 0


def good_bodies(customers: list[Customer], platform: Running) -> list[Body]:
    """Events that must all be taken, and a cart for each customer, left when it is told."""
    now = platform.now()
    told = [one.custom("good", now, number=number) for number in range(GOOD_EVENTS) for one in customers]
    told += [{name: value for name, value in one.cart(now).items() if name != "time"} for one in customers]
    return [sent("good", json.dumps(one).encode(), STRUCTURED) for one in told]


def mixed(hostile: Iterator[Body], good: list[Body]) -> Iterator[Body]:
    """The good ones evenly among the hostile ones."""
    every = COUNT // len(good)
    waiting = iter(good)
    for number, one in enumerate(hostile):
        if number % every == 0 and (next_good := next(waiting, None)) is not None:
            yield next_good
        yield one
    yield from waiting


async def attack(platform: Running, process: psutil.Process, queue: Iterator[Body]) -> Seen:
    seen = Seen()

    async def through_one_door() -> None:
        async with Door("127.0.0.1", platform.ports.service("ingest")) as door:
            for body in queue:
                headers = [KEY, *body.headers]
                note(seen, body, await door.post(body.path, headers, body.body))

    async def watch() -> None:
        while True:
            seen.most = max(seen.most, process.memory_info().rss)
            await asyncio.sleep(0.02)

    watching = asyncio.ensure_future(watch())
    await asyncio.gather(*(through_one_door() for _ in range(DOORS)))
    watching.cancel()
    return seen


def note(seen: Seen, body: Body, answer: Answer) -> None:
    seen.answers[body.kind, answer.status] += 1
    if body.kind == "good":
        if answer.status == 202 and json.loads(answer.body)["accepted"] == 1:
            seen.good += 1
        else:
            seen.refused_good.append(answer.body[:300])
    elif not acceptable(body, answer):
        seen.odd.append((body.kind, body.body[:300], answer))


def acceptable(body: Body, answer: Answer) -> bool:
    """Taken, or refused with a problem document; what is far too big may also find the door shut."""
    if answer.status == 0:
        return body.kind in CLOSED_EARLY
    if answer.status >= 400:
        return answer.status < 500 and answer.headers.get("content-type", "").startswith("application/problem+json")
    return answer.status in (200, 202)


@dataclass(frozen=True)
class Attack:
    """The attack when it is over."""

    seen: Seen
    customers: list[Customer]
    before: dict[str, int]
    memory: int


@pytest.fixture(scope="module")
def attacked(platform: Running) -> Attack:
    customers = [Customer(visit("good")) for _ in range(GOOD_CUSTOMERS)]
    now = platform.now()
    platform.tell(*(one.known(now - HOUR) for one in customers), *(one.consent(now - HOUR) for one in customers))
    before = platform.pids()
    process = psutil.Process(before["ingest"])
    memory = process.memory_info().rss
    queue = mixed(bodies(SEED, COUNT, stamp(now)), good_bodies(customers, platform))
    seen = asyncio.run(attack(platform, process, queue))
    print("hostile bodies:", {f"{kind}: {status}": n for (kind, status), n in sorted(seen.answers.items())})
    return Attack(seen, customers, before, memory)


def test_no_5xx_and_every_refusal_is_a_problem_document(attacked: Attack) -> None:
    assert attacked.seen.odd == []
    assert sum(attacked.seen.answers.values()) == COUNT + GOOD_CUSTOMERS * (GOOD_EVENTS + 1)


def test_hostile_bodies_are_refused(attacked: Attack) -> None:
    """Whole kinds of which nothing may be taken."""
    statuses: dict[str, set[int]] = {}
    for kind, status in attacked.seen.answers:
        statuses.setdefault(kind, set()).add(status)
    for kind in ("truncated", "noise", "bad UTF-8", "null bytes"):
        assert all(400 <= status < 500 for status in statuses[kind]), (kind, statuses[kind])
    assert statuses["10 MB"] <= {0, 400, 413, 422} and 413 in statuses["10 MB"] | {413}
    assert statuses["gzip bomb"] <= {0, 400, 413, 422}


def test_nothing_crashed(platform: Running, attacked: Attack) -> None:
    assert platform.pids() == attacked.before
    assert "starting it again" not in platform.told()


def test_memory_stays_bounded(platform: Running, attacked: Attack) -> None:
    assert attacked.seen.most - attacked.memory < ROOM, f"{attacked.seen.most / 2**20:.0f} MB"


def test_nothing_good_was_lost(platform: Running, attacked: Attack) -> None:
    assert attacked.seen.refused_good == []
    assert attacked.seen.good == GOOD_CUSTOMERS * (GOOD_EVENTS + 1)
    audit = platform.settled(60)
    assert audit["events"]["difference"] == 0
    for customer in attacked.customers:
        profile = platform.profile(customer.email)
        kinds = [one["type"] for one in platform.ask(f"/v1/profiles/{profile}/timeline", shop="demo")["events"]]
        assert kinds.count("custom.good") == GOOD_EVENTS
        assert kinds.count("cart.updated") == 1


def test_a_good_cart_among_them_leads_to_its_mail(platform: Running, attacked: Attack) -> None:
    for customer in attacked.customers:
        (mail, *_) = platform.await_mails(customer.email, 1, 60)
        assert "Sofa Oslo" in mail["html"]
        assert len(platform.enrolments(customer.email, CART)) == 1


def test_what_was_taken_did_no_harm_further_on(platform: Running, attacked: Attack) -> None:
    """Nobody but customers got a mail, and every service is ready."""
    eventually(lambda: platform.cli("status").code == 0, 20, "every service is ready")
    found = platform.http.get(f"{platform.url('inbox')}/api/messages").json()
    recipients = {address for mail in found for address in mail["to"]}
    assert not {address for address in recipients if "\n" in address or "\r" in address or "bcc" in address.lower()}
    assert "eve@evil.example" not in recipients
