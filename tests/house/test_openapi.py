"""Every route of every service says what it takes and gives, and what it says of keys and shops is true (I9)."""

import asyncio
import importlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock
from uuid import UUID

import httpx
import jsonschema
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from openapi_spec_validator import OpenAPIV31SpecValidator

from libs.common.clock import ManualClock
from libs.common.db.keys import SCOPES, ApiKey
from libs.common.errors import Unavailable
from libs.common.http.auth import Gate
from libs.common.runtime import Parts
from libs.common.secrets import Secrets
from libs.common.settings import Settings

SERVICES = ("ingest", "rules", "scheduler", "dispatch", "consent", "console")
NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
PUBLIC = {"/healthz", "/readyz", "/metrics", "/v1/schemas", "/v1/schemas/{type}", "/v1/reports/{gateway}"}
PUBLIC |= {"/u/{token}", "/p/{token}", "/c/{token}", "/o/{token}", "/r/{token}"}
"""Open to everybody on purpose: probes, schemas, and what customers and gateways touch."""
BODILESS = {"/v1/scenarios/{id}/{verb}", "/v1/segments/{id}/{verb}", "/v1/rfm/runs", "/v1/reports/{gateway}"}
"""Posted without a body."""
PLACES = {"id": "00000000-0000-4000-8000-000000000001", "verb": "archive"}
SHOPLESS = {"/v1/settled", "/v1/keys/{id}"}
"""Keep to the key's own shop without being told it: nobody can name another one."""


class Nobody:
    """A database and a broker that are away; the keys are `<shop>.<scope>`."""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[None]:
        raise Unavailable("database: away")
        yield

    transaction = connection

    async def ping(self) -> None:
        raise Unavailable("away")

    async def find(self, text: str) -> ApiKey | None:
        shop, _, scope = text.partition(".")
        return ApiKey(id=UUID(int=1), shop=shop, scopes=(scope,), created_at=NOW) if scope in SCOPES else None


async def composed(service: str, folder: Path) -> FastAPI:
    nobody: Any = Nobody()
    (folder / "gateways.yaml").write_text('gateways: [{name: mail, kind: smtp, url: "smtp://127.0.0.1:1"}]')
    parts = Parts(
        settings=Settings(profile="local", gateways=str(folder / "gateways.yaml")),  # type: ignore[call-arg]
        secrets=Secrets({"k1": b"1" * 32}),
        clock=ManualClock(NOW),
        database=nobody,
        producer=nobody,
        gate=Gate(service_key="service", keys=nobody, local=False),
        stop=asyncio.Event(),
    )
    app: FastAPI
    app, _ = await importlib.import_module(f"services.{service}.app").compose(parts)
    return app


@pytest.fixture(params=SERVICES)
async def app(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr("libs.common.bus.kafka.AIOKafkaConsumer", MagicMock())
    return await composed(request.param, tmp_path)


def operations(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in app.openapi()["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


async def test_the_document_is_openapi(app: FastAPI) -> None:
    document = app.openapi()
    assert document["openapi"].startswith("3.1")
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    assert document["components"]["securitySchemes"].keys() == {"bearer", "basic"}


async def test_no_route_is_left_out(app: FastAPI) -> None:
    told = {(method, path) for method, path, _ in operations(app)}
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    assert told == {(method.lower(), route.path) for route in routes for method in route.methods}
    assert len(told) >= 5


async def test_every_route_says_what_it_is_for(app: FastAPI) -> None:
    poor = []
    for method, path, operation in operations(app):
        summary, guessed = operation.get("summary", ""), operation["operationId"]
        if " " not in summary or summary.lower() == guessed.replace("_", " ") or not operation.get("tags"):
            poor.append((method, path, summary))
    assert poor == []


async def test_every_route_says_how_it_answers_and_how_it_fails(app: FastAPI) -> None:
    for method, path, operation in operations(app):
        answers = operation["responses"]
        good = [status for status in answers if status[0] in "23"]
        bad = [status for status in answers if status[0] in "45"] + ["default"]
        assert good, (method, path)
        for status in good:
            bare = status in ("204", "302") or method == "head" or path in BODILESS
            assert bare or answers[status]["content"], (method, path, status)
        for status in bad:
            kinds = set(answers[status].get("content", {}))
            page = {"text/html"} if path in PUBLIC and status != "default" else set()
            probe = {"application/json"} if path == "/readyz" else set()
            assert kinds in ({"application/problem+json"}, page, probe) or method == "head", (method, path, status)
        if operation["security"]:
            assert {"401", "403", "503"} <= set(bad), (method, path)
        if any(one["in"] == "query" for one in operation.get("parameters", ())):
            assert "422" in bad, (method, path)


async def test_every_body_has_a_shape_and_an_example_that_fits(app: FastAPI) -> None:
    for method, path, operation in operations(app):
        if method not in ("post", "put", "patch") or path in BODILESS:
            continue
        assert operation["requestBody"]["content"], (method, path)
        assert path in PUBLIC or {"400", "413", "422"} <= operation["responses"].keys(), (method, path)
        for kind, body in operation["requestBody"]["content"].items():
            assert body["schema"], (path, kind)
            if kind.endswith("json") and "ndjson" not in kind and "example" in body:
                jsonschema.validate(body["example"], body["schema"])
        assert any("example" in body for body in operation["requestBody"]["content"].values()), path


def request_of(method: str, path: str, operation: dict[str, Any], shop: str | None) -> dict[str, Any]:
    """Arguments of a request that the route can read; wherever a shop can be named, it is `shop`."""
    params: dict[str, str] = {}
    for one in operation.get("parameters", ()):
        if one["in"] == "query" and (one["required"] or one["name"] == "shop"):
            params[one["name"]] = PLACES["id"]
    params |= {"shop": shop} if shop is not None and "shop" in params else {}
    if shop is None and "shop" in params:
        params["shop"] = "mine"
    made: dict[str, Any] = {"params": params}
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        if "example" in body:
            made["json"] = named(body["example"], shop or "mine")
            made["headers"] = {"Content-Type": kind}
            break
    return {
        "method": method,
        "url": re.sub(r"\{(\w+)\}", lambda found: PLACES.get(found[1], PLACES["id"]), path),
        **made,
    }


def named(example: Any, shop: str) -> Any:
    if isinstance(example, dict):
        return {name: shop if name == "shop" else named(value, shop) for name, value in example.items()}
    return [named(one, shop) for one in example] if isinstance(example, list) else example


async def answered(app: FastAPI, made: dict[str, Any], key: str | None) -> httpx.Response:
    headers = made.pop("headers", {}) | ({"Authorization": f"Bearer {key}"} if key else {})
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        return await http.request(**made, headers=headers)


async def test_what_is_said_of_keys_is_true(app: FastAPI) -> None:
    """Without a key 401, with one of another scope 403; what is open answers without one."""
    for method, path, operation in operations(app):
        made = request_of(method, path, operation, None)
        status = (await answered(app, dict(made), None)).status_code
        assert (operation["security"] == []) == (path in PUBLIC), (method, path)
        assert (status == 401) == (path not in PUBLIC), (method, path, status)
        for told in operation["security"]:
            ((scope,),) = told.values()
            assert scope in SCOPES
            for other in {"ingest", "read"} - {scope}:
                answer = await answered(app, dict(made), f"mine.{other}")
                assert (answer.status_code, answer.json()["detail"]) == (
                    403,
                    f"this key has no scope {scope}; make one that has: kurant keys create --scope {scope}",
                )


async def test_who_one_is_comes_before_what_one_asks(app: FastAPI) -> None:
    """Without parameters, and with absurd ones: 401 without a key, 403 with one of another scope; and never 422."""
    for method, path, operation in operations(app):
        named = {one["name"]: "%%" for one in operation.get("parameters", ()) if one["in"] == "query"}
        for url, params in ((re.sub(r"\{\w+\}", "x", path), named), (request_of(method, path, {}, None)["url"], {})):
            made = {"method": method, "url": url, "params": params}
            answer = await answered(app, dict(made), None)
            assert (answer.status_code == 401) == (path not in PUBLIC), (method, url, params, answer.text)
            for told in operation["security"]:
                ((scope,),) = told.values()
                for other in {"ingest", "read"} - {scope}:
                    answer = await answered(app, dict(made), f"mine.{other}")
                    assert answer.status_code == 403, (method, url, params, answer.text)


async def test_the_key_of_one_shop_is_refused_wherever_another_can_be_named(app: FastAPI) -> None:
    """I9, by walking: a new route that forgets it is found here."""
    for method, path, operation in operations(app):
        if path in PUBLIC | SHOPLESS:
            continue
        made = request_of(method, path, operation, "theirs")
        assert "theirs" in repr(made), f"{method} {path} can be told no shop: is it SHOPLESS?"
        if "json" in made and made["params"].get("shop"):
            made["params"]["shop"] = "theirs"
        answer = await answered(app, made, "mine.admin")
        assert answer.status_code == 403, (method, path, answer.status_code, answer.text)
        assert "not for shop theirs" in answer.json()["detail"]
