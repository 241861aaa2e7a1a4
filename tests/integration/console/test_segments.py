"""Segments are published by the mechanism of scenarios: the same promises, side by side and never mixed up."""

import asyncpg
import httpx
import pytest

from libs.common.db.engine import Database
from services.console import store
from services.console.ticker import Teller
from tests.integration.console.conftest import AWAY, Console, Peers, Wire, bundle, opened

VIP = "kurant: 1\nid: {id}\nname: {name}\ncondition: {{rfm.segment: {{in: [champion, loyal]}}}}\n"


def files(name: str = "Very important", id: str = "vip") -> dict[str, str]:
    return {"segment.yaml": VIP.format(name=name, id=id)}


async def publish(console: Console, told: dict[str, str] | None = None, shop: str = "demo") -> httpx.Response:
    body = {"shop": shop, "files": files() if told is None else told}
    return await console.ask("POST", "/v1/segments", json=body)


async def test_versions_states_and_what_kafka_hears(console: Console) -> None:
    first = await publish(console)
    assert (first.status_code, first.json()["id"], first.json()["version"], first.json()["state"]) == (
        201,
        "vip",
        1,
        "live",
    )
    again = await publish(console)
    assert (again.status_code, again.json()["changed"]) == (200, False)
    second = await publish(console, files("VIP"))
    assert (second.json()["version"], [one["text"] for one in second.json()["diff"]]) == (
        2,
        ["~ name: Very important -> VIP"],
    )
    archived = await console.ask("POST", "/v1/segments/vip/archive?shop=demo")
    assert (archived.status_code, archived.json()["state"]) == (200, "archived")
    assert (await publish(console, files("VIP"))).json()["state"] == "live"
    assert console.wire.told() == [
        "demo/segments/vip@1",
        "demo/segments/vip=1 live",
        "demo/segments/vip@2",
        "demo/segments/vip=2 live",
        "demo/segments/vip=2 archived",
        "demo/segments/vip=2 live",
    ]


async def test_a_segment_cannot_be_paused(console: Console) -> None:
    await publish(console)
    assert (await console.ask("POST", "/v1/segments/vip/pause?shop=demo")).status_code == 422
    assert (await console.ask("POST", "/v1/segments/none/archive?shop=demo")).status_code == 404
    async with console.database.connection() as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute("UPDATE console.scenario SET state = 'paused'")


async def test_of_one_name_a_scenario_and_a_segment_are_two_things(console: Console) -> None:
    await console.publish(bundle(id="vip", name="A scenario"))
    await publish(console)
    await console.ask("POST", "/v1/scenarios/vip/archive?shop=demo")
    scenarios = (await console.ask("GET", "/v1/scenarios?shop=demo")).json()
    segments = (await console.ask("GET", "/v1/segments?shop=demo")).json()
    assert [(one["id"], one["name"], one["state"]) for one in scenarios] == [("vip", "A scenario", "archived")]
    assert [(one["id"], one["name"], one["state"]) for one in segments] == [("vip", "Very important", "live")]
    shown = (await console.ask("GET", "/v1/segments/vip?shop=demo")).json()
    assert (shown["files"], [one["version"] for one in shown["versions"]]) == (files(), [1])
    assert (await console.ask("GET", "/v1/segments/vip?shop=demo&version=2")).status_code == 404
    assert (await console.ask("GET", "/v1/segments?shop=other")).json() == []


async def test_what_is_wrong_stays_out(console: Console) -> None:
    wrong = VIP.format(name="x", id="vip").replace("rfm.segment", "event.cart.value")
    refused = await publish(console, {"segment.yaml": wrong})
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert (error["file"], error["line"]) == ("segment.yaml", 4)
    assert refused.json()["detail"].startswith("this segment is not published: segment.yaml:4")
    assert (await publish(console, files() | {"other.txt": "x"})).status_code == 422
    assert (await publish(console, bundle())).status_code == 422
    assert console.wire.sent == []


async def test_a_published_version_never_changes(console: Console) -> None:
    await publish(console)
    statements = (
        "UPDATE console.scenario_version SET kind = 'scenario'",
        "UPDATE console.scenario_version SET files = '{}'",
        "DELETE FROM console.scenario_version",
        "TRUNCATE console.scenario_version",
    )
    for statement in statements:
        async with console.database.connection() as connection:
            with pytest.raises(asyncpg.RaiseError, match="never changes"):
                await connection.execute(statement)


async def test_what_kafka_could_not_hear_it_hears_later(database: Database, peers: Peers) -> None:
    crashed = await opened(database, Wire(fails=AWAY), peers)
    assert (await publish(crashed)).status_code == 202
    wire = Wire()
    teller = Teller(database, wire)  # type: ignore[arg-type]
    assert await teller.tell_all() == 1
    assert wire.told() == ["demo/segments/vip@1", "demo/segments/vip=1 live"]
    async with database.connection() as connection:
        assert await store.untold(connection) == []
    await crashed.http.aclose()


async def test_the_answer_comes_when_rules_knows_it(console: Console, peers: Peers) -> None:
    peers.answers[("rules", "/v1/segments")] = (200, [{"id": "vip", "version": 1, "state": "live"}])
    assert (await publish(console)).json()["acted_on"] is True


async def test_explain_passes_on_who_is_in(console: Console, peers: Peers) -> None:
    profile = "11111111-1111-5111-8111-111111111111"
    row = {"segment": "vip", "in": True, "since": "2026-03-02T10:00:00+00:00", "conditions": []}
    peers.answers[("rules", "/v1/explain")] = (200, {"profile": profile, "scenarios": [], "segments": [row]})
    peers.answers[("dispatch", "/v1/outbox")] = (200, [])
    answer = await console.ask("GET", f"/v1/explain?shop=demo&profile={profile}")
    assert answer.json()["segments"] == [row]
