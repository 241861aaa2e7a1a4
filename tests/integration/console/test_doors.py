"""Who may do what, and bodies of the wrong shape (I9)."""

from typing import Any

import pytest

from tests.integration.console.conftest import Console, bundle

BIG = "x" * 500_000


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "files"),
        ({"files": []}, 422, "files"),
        ({"files": {"scenario.yaml": 1}}, 422, "files"),
        ({"files": bundle(), "shop": 7}, 422, "shop"),
        ({"files": bundle(), "shop": "demo", "sho": "demo"}, 422, "sho"),
        ({"files": bundle()}, 422, "shop"),
        ({"files": bundle(), "shop": "a/b"}, 422, "shop"),
        ({"files": bundle(), "shop": "a\0b"}, 422, "shop"),
        ({"files": bundle() | {"messages/x.txt": "a\0b"}, "shop": "demo"}, 422, "messages/x.txt"),
        ({"files": {f"messages/{n}.txt": "" for n in range(201)}, "shop": "demo"}, 413, "files"),
        ({"files": {"a": BIG, "b": BIG}, "shop": "demo"}, 413, "files"),
        ({"files": {"a": BIG + BIG + "x"}, "shop": "demo"}, 413, "files.a"),
        ([], 422, "body"),
    ],
)
async def test_a_body_of_the_wrong_shape_is_told_its_field(
    console: Console, body: Any, status: int, field: str
) -> None:
    answer = await console.ask("POST", "/v1/scenarios", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in answer.text
    assert console.wire.sent == []


@pytest.mark.parametrize(
    ("content", "status"), [(b"{", 400), (b"", 400), (b"\xff", 400), (b"{}" + b" " * 6_000_000, 413)]
)
async def test_a_body_that_is_no_json(console: Console, content: bytes, status: int) -> None:
    answer = await console.ask("POST", "/v1/scenarios", content=content)
    assert answer.status_code == status


async def test_who_is_not_known_is_asked_who_he_is_before_his_body_is_read(console: Console) -> None:
    assert (await console.http.post("/v1/scenarios", content=b"{")).status_code == 401
    assert (await console.http.post("/v1/keys", content=b"{")).status_code == 401
    assert (await console.ask("GET", "/v1/scenarios", key="kurant_wrong")).status_code == 401


async def test_the_scopes(console: Console) -> None:
    reads, sends, rules = [await console.key("demo", scope) for scope in ("read", "ingest", "admin")]
    assert (await console.publish(key=reads)).status_code == 403
    assert (await console.publish(key=sends)).status_code == 403
    assert (await console.publish(shop=None, key=rules)).status_code == 201
    assert (await console.ask("GET", "/v1/scenarios", key=reads)).status_code == 200
    assert (await console.ask("GET", "/v1/scenarios", key=sends)).status_code == 403
    assert (await console.ask("POST", "/v1/scenarios/cart/pause", key=reads)).status_code == 403
    assert (await console.ask("GET", "/v1/keys", key=reads)).status_code == 403
    assert (await console.ask("GET", "/v1/audit", key=reads)).status_code == 403
    assert (await console.ask("GET", "/v1/status", key=reads)).status_code == 403


async def test_a_shop_sees_only_itself(console: Console) -> None:
    await console.publish(shop="one")
    await console.publish(bundle(name="of two"), shop="two")
    one = await console.key("one", "admin")
    listed = (await console.ask("GET", "/v1/scenarios", key=one)).json()
    assert [(row["id"], row["name"]) for row in listed] == [("cart", "Cart")]
    for method, path in (
        ("GET", "/v1/scenarios?shop=two"),
        ("GET", "/v1/scenarios/cart?shop=two"),
        ("POST", "/v1/scenarios/cart/archive?shop=two"),
        ("GET", "/v1/keys?shop=two"),
        ("GET", "/v1/outbox?shop=two"),
        ("GET", "/v1/explain?shop=two&email=a@example.com"),
        ("GET", "/v1/profiles/00000000-0000-0000-0000-000000000000/timeline?shop=two"),
    ):
        assert (await console.ask(method, path, key=one)).status_code == 403, path
    assert (await console.publish(shop="two", key=one)).status_code == 403
    await console.ask("POST", "/v1/scenarios/cart/archive", key=one)
    (other,) = (await console.ask("GET", "/v1/scenarios?shop=two")).json()
    assert other["state"] == "live"


async def test_a_scenario_is_shown_with_its_versions_and_files(console: Console) -> None:
    await console.publish(bundle(name="A"))
    await console.publish(bundle(name="B"))
    found = (await console.ask("GET", "/v1/scenarios/cart?shop=demo")).json()
    assert (found["version"], found["state"], found["files"]) == (2, "live", bundle(name="B"))
    assert [(row["version"], row["name"]) for row in found["versions"]] == [(1, "A"), (2, "B")]
    older = (await console.ask("GET", "/v1/scenarios/cart?shop=demo&version=1")).json()
    assert older["files"] == bundle(name="A")
    assert (await console.ask("GET", "/v1/scenarios/cart?shop=demo&version=3")).status_code == 404
    assert (await console.ask("GET", "/v1/scenarios/other?shop=demo")).status_code == 404


async def test_keys_are_made_listed_and_revoked(console: Console) -> None:
    made = await console.ask("POST", "/v1/keys", json={"shop": "one", "scopes": ["admin", "ingest", "ingest"]})
    assert made.status_code == 201
    key = made.json()
    assert (key["shop"], key["scopes"]) == ("one", ["ingest", "admin"])
    other = (await console.ask("POST", "/v1/keys", json={"shop": "two", "scopes": ["read"]})).json()
    assert [row["shop"] for row in (await console.ask("GET", "/v1/keys")).json()] == ["one", "two"]
    own = (await console.ask("GET", "/v1/keys", key=key["key"])).json()
    assert [row["id"] for row in own] == [key["id"]]
    assert key["key"] not in str(own)
    foreign = await console.ask("POST", "/v1/keys", key=key["key"], json={"shop": "two", "scopes": ["read"]})
    assert foreign.status_code == 403
    assert (await console.ask("DELETE", f"/v1/keys/{other['id']}", key=key["key"])).status_code == 404
    assert (await console.ask("DELETE", f"/v1/keys/{other['id']}")).status_code == 204
    assert (await console.ask("DELETE", f"/v1/keys/{other['id']}")).status_code == 404
    assert [bool(row["revoked_at"]) for row in (await console.ask("GET", "/v1/keys")).json()] == [False, True]
    assert await console.keys.find(other["key"]) is None


@pytest.mark.parametrize("scopes", [[], ["root"], ["read", "root"], "read", [1], None])
async def test_scopes_that_do_not_exist(console: Console, scopes: Any) -> None:
    answer = await console.ask("POST", "/v1/keys", json={"shop": "one", "scopes": scopes})
    assert answer.status_code == 422
    assert "scopes" in answer.json()["detail"]
    assert (await console.ask("GET", "/v1/keys")).json() == []
