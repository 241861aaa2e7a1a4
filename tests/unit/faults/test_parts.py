"""The parts of the kill test, each by itself: sink, generator, killer's plan, stories, mutations."""

import asyncio
import smtplib
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.faults import mutants, sink, stories
from tests.faults.facts import load
from tests.faults.generator import Generator, Refused, Unsubscriber, link, now
from tests.faults.journal import Journal, read
from tests.faults.killer import plan
from tests.faults.pace import Pace
from tests.support.web import Asked, Web, serving

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
MAIL = "To: a@example.com\r\nSubject: first u/1\r\nMessage-ID: <1@x>\r\nList-Unsubscribe: <http://u/1>\r\n\r\n.dot\r\n"


class Served:
    """A sink in a thread of this process."""

    def __init__(self, journal: Path, moods: sink.Moods) -> None:
        self.journal = journal
        self._loop = asyncio.new_event_loop()
        made = sink.Sink(Journal(journal), moods)
        starting = asyncio.start_server(made.serve, "127.0.0.1", 0)
        self._server = self._loop.run_until_complete(starting)
        self.port = int(self._server.sockets[0].getsockname()[1])
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


@pytest.fixture
def kind_sink(tmp_path: Path) -> Iterator[Served]:
    with closing(Served(tmp_path / "mails.jsonl", sink.Moods())) as served:
        yield served


def test_the_sink_writes_down_before_it_answers(kind_sink: Served) -> None:
    with smtplib.SMTP("127.0.0.1", kind_sink.port) as client:
        client.sendmail("shop@example.com", ["a@example.com"], MAIL)
        (mail,) = read(kind_sink.journal)
        client.sendmail("shop@example.com", ["b@example.com"], MAIL)
    assert mail["to"] == ["a@example.com"] and mail["from"] == "shop@example.com"
    assert mail["subject"] == "first u/1" and mail["message_id"] == "<1@x>"
    assert mail["headers"] == {"list-unsubscribe": "<http://u/1>"}
    assert [mail["to"] for mail in read(kind_sink.journal)] == [["a@example.com"], ["b@example.com"]]


def test_a_busy_sink_puts_off_once(tmp_path: Path) -> None:
    with (
        closing(Served(tmp_path / "mails.jsonl", sink.Moods(busy=1))) as served,
        smtplib.SMTP("127.0.0.1", served.port) as client,
    ):
        with pytest.raises(smtplib.SMTPDataError, match="451"):
            client.sendmail("shop@example.com", ["a@example.com"], MAIL)
        assert read(served.journal) == []
        client.sendmail("shop@example.com", ["a@example.com"], MAIL)
        assert len(read(served.journal)) == 1


def test_a_cut_mail_is_written_down_and_not_answered(tmp_path: Path) -> None:
    with closing(Served(tmp_path / "mails.jsonl", sink.Moods(cut=1))) as served:
        client = smtplib.SMTP("127.0.0.1", served.port)
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionResetError)):
            client.sendmail("shop@example.com", ["a@example.com"], MAIL)
        assert len(read(served.journal)) == 1


def test_moods_have_their_shares() -> None:
    moods = sink.Moods(busy=0.1, slow=0.2, cut=0.05)
    found = [moods.of(f"mail {number}") for number in range(4_000)]
    assert 0.08 < found.count("busy") / 4_000 < 0.12
    assert 0.17 < found.count("slow") / 4_000 < 0.23
    assert 0.035 < found.count("cut") / 4_000 < 0.065


def play(customers: int = 20, **more: Any) -> stories.Play:
    return stories.make(START, customers=customers, seed=1, carts_over=0.5, receipts=10, **more)


def test_stories_are_the_same_in_every_run_and_all_occur() -> None:
    assert play() == play()
    assert {customer.story for customer in play().customers} == set(stories.STORIES)
    assert any(act.repeat for act in play(200).acts)


def test_event_ids_are_unique_but_for_repeats() -> None:
    events = [event for act in play(200).acts if not act.repeat for event in act.events]
    assert len({event["id"] for event in events}) == len(events)
    repeated = {event["id"] for act in play(200).acts if act.repeat for event in act.events}
    assert repeated <= {event["id"] for event in events}


class Ingest:
    """A scripted ingest: answers 503 to every third call, forgets to answer none, remembers who told what."""

    def __init__(self) -> None:
        self.calls = 0
        self.ids: list[str] = []
        self.status = 503

    def answer(self, asked: Asked) -> tuple[int, Any]:
        self.calls += 1
        if self.calls % 3 == 1:
            return self.status, {"detail": "away"}
        assert asked.headers["Authorization"] == "Bearer the-key"
        fresh = [id for id in dict.fromkeys(event["id"] for event in asked.body) if id not in self.ids]
        self.ids += fresh
        return 202, {"accepted": len(fresh), "duplicates": len(asked.body) - len(fresh), "rejected": []}


def generator(web: Web, told: stories.Play, folder: Path) -> Generator:
    pace = Pace(real=now(), platform=START, speed=36_000)  # an hour is a tenth of a second
    journal = Journal(folder / "told.jsonl")
    customers = [{"name": c.name, "email": c.email, "story": c.story} for c in told.customers]
    journal.write({"kind": "play", "pace": pace.entry(), "customers": customers})
    return Generator(play=told, ingest=web.url, key="the-key", journal=journal, pace=pace, began=pace.real)


async def test_the_generator_tells_everything_until_it_is_acknowledged(tmp_path: Path) -> None:
    ingest, told = Ingest(), play()
    with serving(ingest.answer) as web:
        await generator(web, told, tmp_path).run()
    wanted = {event["id"] for act in told.acts for event in act.events}
    assert set(ingest.ids) == wanted
    facts = load(tmp_path, [])
    assert not facts.wrong
    events = [event for customer in facts.told.values() for event in customer]
    assert {event.id for event in events} == wanted
    assert all(event.sent <= event.acked < float("inf") for event in events)


async def test_one_customers_acts_stay_in_order(tmp_path: Path) -> None:
    ingest, told = Ingest(), play(repeats=0)
    with serving(ingest.answer) as web:
        await generator(web, told, tmp_path).run()
    for customer in told.customers:
        wanted = [e["id"] for act in told.acts if act.customer == customer.name and not act.repeat for e in act.events]
        assert [id for id in ingest.ids if id.startswith(f"{customer.name}-")] == wanted


async def test_a_server_error_is_told_again_and_written_down(tmp_path: Path) -> None:
    ingest = Ingest()
    ingest.status = 500
    with serving(ingest.answer) as web:
        await generator(web, play(3), tmp_path).run()
    assert "ingest answers 500" in load(tmp_path, []).wrong


async def test_an_event_called_wrong_ends_the_run(tmp_path: Path) -> None:
    with serving(lambda _asked: (422, {"detail": "no"})) as web, pytest.raises(ExceptionGroup) as raised:
        await generator(web, play(3), tmp_path).run()
    assert raised.group_contains(Refused)


async def test_customers_use_the_link_of_their_mail(tmp_path: Path) -> None:
    customer = stories.Customer(name="c1", email="a@example.com", story="", unsubscribes_after="first")
    mails, told = Journal(tmp_path / "mails.jsonl"), Journal(tmp_path / "told.jsonl")
    answers = iter([503, 200])
    with serving(lambda _asked: (next(answers), {})) as web:
        headers = {
            "list-unsubscribe": f"<mailto:x@example.com>, <{web.url}/u/t>",
            "list-unsubscribe-post": "List-Unsubscribe=One-Click",
        }
        mail = {"to": ["a@example.com"], "headers": headers}
        mails.write({**mail, "subject": "second u/1"}, {**mail, "subject": "first u/1"})
        stop = asyncio.Event()
        running = asyncio.create_task(
            Unsubscriber(customers=[customer], mails=tmp_path / "mails.jsonl", journal=told).run(stop)
        )
        while [entry["kind"] for entry in read(tmp_path / "told.jsonl")] != ["unsubscribe", "unsubscribed"]:
            await asyncio.sleep(0.01)
        stop.set()
        await running
    assert [asked.path for asked in web.asked] == ["/u/t", "/u/t"]


def test_a_link_without_one_click_is_none() -> None:
    assert link({"list-unsubscribe": "<http://u/1>"}) is None


def test_the_plan_kills_everyone_evenly_and_near_due_times() -> None:
    dues = [100 + 0.5 * number for number in range(200)]
    made = plan(services=("a", "b", "c"), kills=30, servers=("kafka", "postgres"), span=(100, 200), dues=dues, seed=1)
    victims = [kill.victim for kill in made]
    assert {name: victims.count(name) for name in "abc"} == {"a": 10, "b": 10, "c": 10}
    assert victims.count("kafka") == victims.count("postgres") == 1
    assert all(99 < kill.at < 201 for kill in made)
    assert made == plan(
        services=("a", "b", "c"), kills=30, servers=("kafka", "postgres"), span=(100, 200), dues=dues, seed=1
    )


def test_a_mutation_whose_text_is_gone_fails_loudly() -> None:
    change = mutants.Mutation(says="x", file="f", old="a\n", new="b\n")
    assert mutants.mutate("a\nc\n", change) == "b\nc\n"
    for text in ("c\n", "a\na\n"):
        with pytest.raises(mutants.NotFound, match="f has the text"):
            mutants.mutate(text, change)
