"""Publishing: versions that never change, states that reach Kafka in their order, crashes in between."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from libs.common.bus.kafka import Consumer, Producer, create_topics
from libs.common.db.engine import Database
from libs.contracts import topics
from libs.contracts.scenarios import ScenarioState
from services.console import ticker
from services.console.ticker import Teller
from tests.integration.console.conftest import AWAY, Console, Peers, Wire, bundle, opened, told


async def rows(console: Console, table: str) -> list[dict[str, Any]]:
    async with console.database.connection() as connection:
        return [dict(row) for row in await connection.fetch(f"SELECT * FROM console.{table} ORDER BY shop, id")]


async def test_a_new_scenario_is_version_one_and_live(console: Console) -> None:
    answer = await console.publish()
    assert answer.status_code == 201
    assert answer.json() == {
        "id": "cart",
        "version": 1,
        "changed": True,
        "state": "live",
        "published": True,
        "acted_on": False,
        "warnings": [],
        "diff": [],
        "running": None,
    }
    assert console.wire.told() == ["demo/cart@1", "demo/cart=1 live"]


async def test_the_answer_comes_when_rules_has_learned_of_it(console: Console, peers: Peers) -> None:
    """Whoever publishes and then sends an event at once expects it to be judged."""
    looks: list[int] = []

    def known(_asked: Any) -> tuple[int, Any]:
        looks.append(1)
        return 200, [{"id": "cart", "version": 1, "state": "live"}] if len(looks) > 3 else []

    peers.answers[("rules", "/v1/scenarios")] = known
    answer = await console.publish()
    assert (answer.json()["acted_on"], len(looks)) == (True, 4)


async def test_the_same_content_keeps_its_version_and_new_content_is_the_next(console: Console) -> None:
    await console.publish()
    again = await console.publish(dict(reversed(bundle().items())))
    assert (again.status_code, again.json()["version"], again.json()["changed"]) == (200, 1, False)
    assert len(console.wire.sent) == 2
    changed = await console.publish(bundle(name="Cart, renamed"))
    assert (changed.status_code, changed.json()["version"], changed.json()["changed"]) == (201, 2, True)
    assert console.wire.told()[2:] == ["demo/cart@2", "demo/cart=2 live"]


async def test_publishing_tells_what_is_other_than_before(console: Console) -> None:
    await console.publish()
    assert (await console.publish()).json()["diff"] == []
    changed = bundle(name="B")
    changed["scenario.yaml"] = changed["scenario.yaml"].replace("wait: 1h", "wait: 2h")
    told = (await console.publish(changed)).json()["diff"]
    assert [one["text"] for one in told] == ["~ name: Cart -> B", "~ steps/0/wait: 1h -> 2h"]
    mail = changed["messages/first.email.mjml"].replace("Your cart", "Still yours")
    told = (await console.publish(changed | {"messages/first.email.mjml": mail})).json()["diff"]
    assert told == [
        {
            "what": "changed",
            "path": "messages/first.email.mjml/subject",
            "was": "Your cart",
            "now": "Still yours",
            "text": "~ messages/first.email.mjml/subject: Your cart -> Still yours",
        }
    ], "against the version before, not the first"


async def test_content_of_an_older_version_is_a_version_of_its_own(console: Console) -> None:
    for name, version in (("A", 1), ("B", 2), ("A", 3)):
        assert (await console.publish(bundle(name=name))).json()["version"] == version


async def test_errors_keep_a_scenario_out_and_warnings_do_not(console: Console) -> None:
    files = bundle()
    files["scenario.yaml"] = files["scenario.yaml"].replace("cart.updated", "cart.updatd")
    refused = await console.publish(files)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    (error,) = refused.json()["errors"]
    assert (error["file"], error["line"], error["severity"]) == ("scenario.yaml", 5, "error")
    assert error["hint"] == "did you mean `cart.updated`?"
    assert await rows(console, "scenario") == []
    assert console.wire.sent == []
    taken = await console.publish(bundle() | {"messages/notes.md": "not sent"})
    assert taken.status_code == 201
    assert [one["file"] for one in taken.json()["warnings"]] == ["messages/notes.md"]


async def test_states(console: Console) -> None:
    await console.publish()
    for verb, state in (("pause", "paused"), ("pause", "paused"), ("resume", "live"), ("archive", "archived")):
        answer = await console.ask("POST", f"/v1/scenarios/cart/{verb}?shop=demo")
        assert (answer.status_code, answer.json()["state"]) == (200, state)
    assert console.wire.told()[2:] == ["demo/cart=1 paused", "demo/cart=1 live", "demo/cart=1 archived"]
    refused = await console.ask("POST", "/v1/scenarios/cart/resume?shop=demo")
    assert refused.status_code == 409
    assert "publish it" in refused.json()["detail"]
    assert (await console.ask("POST", "/v1/scenarios/none/pause?shop=demo")).status_code == 404
    assert (await console.ask("POST", "/v1/scenarios/%00/pause?shop=demo")).status_code == 404
    assert (await console.ask("POST", "/v1/scenarios/cart/explode?shop=demo")).status_code == 404


async def test_publishing_keeps_a_pause_and_wakes_the_archived(console: Console) -> None:
    await console.publish()
    await console.ask("POST", "/v1/scenarios/cart/pause?shop=demo")
    paused = await console.publish(bundle(name="B"))
    assert (paused.json()["version"], paused.json()["state"]) == (2, "paused")
    await console.ask("POST", "/v1/scenarios/cart/archive?shop=demo")
    woken = await console.publish(bundle(name="B"))
    assert (woken.status_code, woken.json()["version"], woken.json()["state"]) == (201, 3, "live"), "what ran is over"
    assert console.wire.told()[-2:] == ["demo/cart@3", "demo/cart=3 live"]
    states = [ScenarioState.decode(one.value) for one in console.wire.sent if "@" not in one.key.decode()]
    assert [(one.state, one.over) for one in states[-2:]] == [("archived", 2), ("live", 2)]
    again = await console.publish(bundle(name="B"))
    assert (again.status_code, again.json()["version"]) == (200, 3)


async def test_kafka_away_is_202_and_told_later(console: Console) -> None:
    console.wire.fails = AWAY
    answer = await console.publish()
    assert (answer.status_code, answer.json()["published"]) == (202, False)
    teller = Teller(console.database, console.wire)  # type: ignore[arg-type]
    with pytest.raises(type(AWAY)):
        await teller.tell_all()
    assert [row["told"] for row in await rows(console, "scenario_version")] == [False]
    console.wire.fails = None
    assert await teller.tell_all() == 1
    assert console.wire.told() == ["demo/cart@1", "demo/cart=1 live"]
    assert await teller.tell_all() == 0
    again = await console.publish()
    assert (again.status_code, again.json()["published"]) == (200, True)


async def test_everything_that_was_decided_while_kafka_was_away_is_told_in_order(console: Console) -> None:
    console.wire.fails = AWAY
    await console.publish(bundle(name="A"))
    await console.publish(bundle(name="B"))
    await console.ask("POST", "/v1/scenarios/cart/pause?shop=demo")
    console.wire.fails = None
    await Teller(console.database, console.wire).tell_all()  # type: ignore[arg-type]
    assert console.wire.told() == ["demo/cart@1", "demo/cart@2", "demo/cart=2 paused"]


async def test_a_crash_after_the_acknowledgement_tells_the_same_again(console: Console) -> None:
    """Killed between Kafka's yes and the commit: the very same records come again."""
    console.wire.fails = AWAY
    await console.publish()
    console.wire.fails = None

    class Killed(BaseException):
        """The end of the process, as far as the transaction can tell."""

    class Dying(Wire):
        async def send(self, records: Any) -> list[tuple[int, int]]:
            await super().send(records)
            raise Killed

    dying = Dying()
    with pytest.raises(Killed):
        await Teller(console.database, dying).tell_all()  # type: ignore[arg-type]
    await console.clock.move(timedelta(hours=1))
    await Teller(console.database, console.wire).tell_all()  # type: ignore[arg-type]
    assert len(dying.sent) == 2
    assert console.wire.sent == dying.sent


async def test_two_publishers_of_the_same_content_make_one_version(console: Console) -> None:
    await console.publish(bundle(name="A"))
    answers = await asyncio.gather(*(console.publish(bundle(name="B")) for _ in range(8)))
    assert {answer.json()["version"] for answer in answers} == {2}
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len(await rows(console, "scenario_version")) == 2


async def test_two_publishers_of_different_content_make_a_version_each(console: Console) -> None:
    answers = await asyncio.gather(*(console.publish(bundle(name=f"N{n}")) for n in range(6)))
    assert sorted(answer.json()["version"] for answer in answers) == [1, 2, 3, 4, 5, 6]
    assert [answer.status_code for answer in answers] == [201] * 6
    last = [one for one in console.wire.told() if "=" in one][-1]
    assert last == "demo/cart=6 live"
    assert {one for one in console.wire.told() if "@" in one} == {f"demo/cart@{n}" for n in range(1, 7)}


async def test_a_state_decided_later_is_published_later(console: Console) -> None:
    """One publisher waits for Kafka; whoever decides meanwhile waits for it."""
    await console.publish()
    while len(console.wire.told()) < 2:  # on a busy machine it is told a little later
        await asyncio.sleep(0.01)
    console.wire.gate = asyncio.Event()
    first = asyncio.ensure_future(console.ask("POST", "/v1/scenarios/cart/pause?shop=demo"))
    while not [row for row in await rows(console, "scenario") if row["state"] == "paused"]:
        await asyncio.sleep(0.01)
    second = asyncio.ensure_future(console.ask("POST", "/v1/scenarios/cart/resume?shop=demo"))
    _, pending = await asyncio.wait({second}, timeout=0.3)
    assert pending, "the second publisher did not wait for the first"
    console.wire.gate.set()
    await asyncio.gather(first, second)
    assert console.wire.told()[2:] == ["demo/cart=1 paused", "demo/cart=1 live"]


async def test_a_slow_kafka_is_waited_for_in_the_background(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticker, "PATIENCE", 0.05)
    console.wire.gate = asyncio.Event()
    answer = await console.publish()
    assert (answer.status_code, answer.json()["published"]) == (202, False)
    console.wire.gate.set()
    while not all(row["told"] for row in await rows(console, "scenario")):
        await asyncio.sleep(0.01)
    assert console.wire.told() == ["demo/cart@1", "demo/cart=1 live"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE console.scenario_version SET files = '{}'::jsonb",
        "UPDATE console.scenario_version SET version = 2",
        "UPDATE console.scenario_version SET shop = 'other'",
        "UPDATE console.scenario_version SET digest = ''::bytea, told = false",
        "DELETE FROM console.scenario_version",
        "TRUNCATE console.scenario_version",
    ],
)
async def test_a_version_cannot_be_changed_even_by_hand(console: Console, statement: str) -> None:
    await console.publish()
    before = await rows(console, "scenario_version")
    async with console.database.connection() as connection:
        with pytest.raises(asyncpg.RaiseError, match="I8"):
            await connection.execute(statement)
    assert await rows(console, "scenario_version") == before


async def test_a_real_kafka_hears_it_and_a_new_process_tells_what_was_left(
    database: Database, peers: Peers, kafka: str
) -> None:
    await create_topics(kafka, [topics.SCENARIOS], partitions=1, replication=1)
    producer = await Producer.connect(kafka, name="console-test")
    consumer = Consumer(kafka, name="console-test", group=None)
    try:
        console = await opened(database, producer, peers)
        assert (await console.publish(bundle(id="real"), shop="kafka-shop")).status_code == 201
        crashed = await opened(database, Wire(fails=AWAY), peers)
        await crashed.publish(bundle(id="real", name="second"), shop="kafka-shop")
        await crashed.ask("POST", "/v1/scenarios/real/pause?shop=kafka-shop")
        stop = asyncio.Event()
        running = asyncio.ensure_future(Teller(database, producer).run(stop))
        await consumer.start()
        await consumer.assign_all(topics.SCENARIOS.name)
        heard: list[str] = []
        while len(heard) < 4:
            records = await consumer.poll(timeout_ms=100)
            heard += [told(one.key, one.value, one.headers) for one in records if b"kafka-shop" in (one.key or b"")]
        stop.set()
        await running
        assert heard == [
            "kafka-shop/real@1",
            "kafka-shop/real=1 live",
            "kafka-shop/real@2",
            "kafka-shop/real=2 paused",
        ]
    finally:
        await consumer.close()
        await producer.close()


def tagging(id: str, sees: str, sets: str, more: str = "") -> dict[str, str]:
    """A scenario that answers one tag with another."""
    head = f"kurant: 1\nid: {id}\nname: {id}\npurpose: marketing\n{more}trigger: {{tag: {{added: {sees}}}}}\n"
    return {"scenario.yaml": f"{head}steps:\n  - untag: {sees}\n  - tag: {sets}\n"}


async def test_a_ring_with_what_is_published_is_refused(console: Console) -> None:
    await console.publish(tagging("a", "x", "y"))
    refused = await console.publish(tagging("b", "y", "x"))
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["message"].startswith("a ring of scenarios: b -> a -> b")
    assert refused.json()["detail"].startswith("this scenario is not published: scenario.yaml:")
    assert (await console.publish(tagging("b", "y", "x"), shop="other")).status_code == 201
    assert (await console.publish(tagging("b", "y", "x", more="again: never\n"))).status_code == 201
    await console.ask("POST", "/v1/scenarios/a/archive?shop=demo")
    assert (await console.publish(tagging("b", "y", "x"))).status_code == 201


async def test_a_segment_that_nobody_has_published_is_warned_of(console: Console) -> None:
    text = "kurant: 1\nid: s\nname: s\npurpose: marketing\ntrigger: {segment: {enters: vip}}\nsteps: [{tag: seen}]\n"
    first = await console.publish({"scenario.yaml": text})
    (warning,) = first.json()["warnings"]
    assert warning["message"] == "no segment vip is published in this shop: nobody is ever in it"
    segment = {"segment.yaml": "kurant: 1\nid: vip\nname: vip\ncondition: {rfm.segment: champion}\n"}
    await console.ask("POST", "/v1/segments", json={"shop": "demo", "files": segment})
    assert (await console.publish({"scenario.yaml": text})).json()["warnings"] == []
