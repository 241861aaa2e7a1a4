"""RFM at the console: rules as immutable versions, and questions to rules of the caller's own shop."""

from typing import Any

import pytest

from libs.common.db.engine import Database
from libs.contracts.envelope import Envelope
from libs.contracts.scenarios import RfmPublished
from tests.integration.console.conftest import AWAY, Console, Peers
from tests.support.web import Asked

RULES = "kurant: 1\ncurrency: PLN\n"
OTHER = RULES + "window: 90d\n"
PROFILE = "11111111-1111-5111-8111-111111111111"


async def put(console: Console, text: str, *, shop: str | None = "demo", key: str | None = None) -> Any:
    return await console.ask("PUT", "/v1/rfm", key=key, json={"shop": shop, "text": text})


def told(console: Console) -> list[tuple[str, int, str]]:
    """Key, version and text of what Kafka was told."""
    found = []
    for one in console.wire.sent:
        assert Envelope.read(one.headers).type == "kurant.rfm.published"
        rules = RfmPublished.decode(one.value)
        found.append((one.key.decode(), rules.version, rules.text))
    return found


async def test_new_rules_are_a_new_version(console: Console, peers: Peers) -> None:
    peers.answers["rules", "/v1/rfm"] = 200, {"known_version": 2}
    first = await put(console, RULES)
    assert (first.status_code, first.json()) == (
        201,
        {"version": 1, "changed": True, "published": True, "acted_on": True},
    )
    again = await put(console, RULES)
    assert (again.status_code, again.json()["version"], again.json()["changed"]) == (200, 1, False)
    assert (await put(console, OTHER)).json()["version"] == 2
    assert told(console) == [("demo/rfm.yaml", 1, RULES), ("demo/rfm.yaml", 2, OTHER)]
    found = (await console.ask("GET", "/v1/rfm/rules?shop=demo")).json()
    assert (found["version"], found["text"], [one["version"] for one in found["versions"]]) == (2, OTHER, [1, 2])
    assert (await console.ask("GET", "/v1/rfm/rules?shop=demo&version=1")).json()["text"] == RULES
    assert (await console.ask("GET", "/v1/rfm/rules?shop=demo&version=3")).status_code == 404
    assert (await console.ask("GET", "/v1/rfm/rules?shop=other")).status_code == 404


async def test_they_are_no_scenario(console: Console) -> None:
    await put(console, RULES)
    assert (await console.ask("GET", "/v1/scenarios?shop=demo")).json() == []
    assert (await console.ask("GET", "/v1/scenarios/rfm.yaml?shop=demo")).status_code == 404
    assert (await console.ask("POST", "/v1/scenarios/rfm.yaml/archive?shop=demo")).status_code == 404


async def test_a_version_never_changes(console: Console, database: Database) -> None:
    await put(console, RULES)
    async with database.connection() as connection:
        with pytest.raises(Exception, match="never changes"):
            await connection.execute("UPDATE console.scenario_version SET files = '{}'::jsonb")


async def test_wrong_rules_are_refused_with_the_place(console: Console) -> None:
    answer = await put(console, RULES + "windwo: 90d\n")
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["file"], error["line"], error["hint"]) == ("rfm.yaml", 3, "did you mean `window`?")
    assert told(console) == []
    assert (await put(console, "\0")).status_code == 422
    assert (await put(console, "a: 1\n" * 300_000)).status_code == 413


async def test_kafka_is_away(console: Console, peers: Peers) -> None:
    console.wire.fails = AWAY
    answer = await put(console, RULES)
    assert (answer.status_code, answer.json()["published"], answer.json()["acted_on"]) == (202, False, False)
    console.wire.fails = None
    assert (await put(console, RULES)).status_code == 200
    assert told(console) == [("demo/rfm.yaml", 1, RULES)]


async def test_only_who_may(console: Console, peers: Peers) -> None:
    """I9: a key names its shop; reading does not write."""
    read, other = await console.key("demo", "read"), await console.key("other", "admin")
    assert (await put(console, RULES, key=read)).status_code == 403
    assert (await put(console, RULES, key=other)).status_code == 403
    assert (await put(console, RULES, shop=None, key=other)).status_code == 201
    assert told(console)[0][0] == "other/rfm.yaml"
    for method, path in (("GET", "/v1/rfm"), ("GET", "/v1/rfm/customers"), ("POST", "/v1/rfm/runs")):
        assert (await console.ask(method, f"{path}?shop=demo", key=other)).status_code == 403
    assert (await console.ask("GET", f"/v1/rfm/explain?shop=demo&profile={PROFILE}", key=other)).status_code == 403
    assert (await console.ask("POST", "/v1/rfm/runs?shop=demo", key=read)).status_code == 403
    assert (await console.ask("GET", "/v1/rfm/rules?shop=demo", key=other)).status_code == 403
    assert peers.asked("rules") == [one for one in peers.asked("rules") if one.query["shop"] == "other"]


async def test_questions_go_to_rules(console: Console, peers: Peers) -> None:
    key = await console.key("demo", "read")
    peers.answers["rules", "/v1/rfm"] = 200, {"run": 3}
    peers.answers["rules", "/v1/rfm/customers"] = 200, [{"profile": PROFILE}]
    assert (await console.ask("GET", "/v1/rfm", key=key)).json() == {"run": 3}
    path = f"/v1/rfm/customers?segment=loyal&after={PROFILE}&limit=5"
    assert (await console.ask("GET", path, key=key)).json() == [{"profile": PROFILE}]
    first, second = peers.asked("rules")
    assert first.query == {"shop": "demo"}
    assert second.query == {"shop": "demo", "segment": "loyal", "after": PROFILE, "limit": "5"}


async def test_explain_by_address_or_profile(console: Console, peers: Peers) -> None:
    def resolve(asked: Asked) -> tuple[int, Any]:
        assert asked.body == {"shop": "demo", "email": "anna@example.com"}
        return 200, {"profile": PROFILE}

    peers.answers["ingest", "/v1/profiles/resolve"] = resolve
    peers.answers["rules", "/v1/rfm/explain"] = 200, {"segment": "loyal"}
    for asked in ("email=anna@example.com", f"profile={PROFILE}"):
        answer = await console.ask("GET", f"/v1/rfm/explain?shop=demo&{asked}")
        assert answer.json() == {"segment": "loyal"}
    assert [one.query for one in peers.asked("rules")] == [{"shop": "demo", "profile": PROFILE}] * 2
    assert (await console.ask("GET", "/v1/rfm/explain?shop=demo")).status_code == 422


async def test_a_run_that_takes_long_is_202(console: Console, peers: Peers) -> None:
    peers.answers["rules", "/v1/rfm/runs"] = 200, {"done": True, "run": 1}
    answer = await console.ask("POST", "/v1/rfm/runs?shop=demo&now=true&quiet=true")
    assert answer.status_code == 200
    peers.answers["rules", "/v1/rfm/runs"] = 202, {"done": False, "run": 2}
    answer = await console.ask("POST", "/v1/rfm/runs?shop=demo")
    assert (answer.status_code, answer.json()) == (202, {"done": False, "run": 2})
    first, second = peers.asked("rules")
    assert (first.method, first.query) == ("POST", {"shop": "demo", "now": "true", "quiet": "true"})
    assert second.query == {"shop": "demo"}
