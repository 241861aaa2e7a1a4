"""What `/openapi.json` says beyond what FastAPI finds out by itself: bodies with examples, credentials, errors.

Our routes read their bodies themselves, after the caller is known; so each says with `door` what it takes and gives.
The summary of a route is the first sentence of its docstring.
"""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, get_args, get_origin

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

PROBLEM_TYPE = "application/problem+json"
PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "An error (RFC 9457). `detail` says what to do; some errors have more members.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "field": {"type": "string", "description": "the field that cannot be used"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
SCHEMES: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "an API key of a shop, or the service key"},
    "basic": {"type": "http", "scheme": "basic", "description": "the same, the key being the user name"},
}
RETRY = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
SHOP: dict[str, Any] = {
    "name": "shop",
    "in": "query",
    "required": False,
    "schema": {"type": "string"},
    "description": "needed with the service key alone: the key of a shop says it",
}
ALWAYS_WITH_KEY = (401, 403, 503)
ALWAYS_WITH_BODY = (400, 413, 422)
METHODS = ("get", "put", "post", "delete", "head", "patch")
Content = dict[str, dict[str, Any]]
"""By media type: schema and example."""


def json(example: Any, kind: Any = None, *, media: str = "application/json") -> Content:
    """A body of this media type: the shape of `kind` (as msgspec reads it), else that of the example."""
    return {media: {"schema": shape(example) if kind is None else schema(kind), "example": example}}


def html() -> Content:
    """A page for people."""
    return {"text/html": {"schema": {"type": "string"}}}


def text(media: str = "text/plain") -> Content:
    """Text that is not for people."""
    return {media: {"schema": {"type": "string"}}}


def door(
    *,
    scope: str | None,
    gives: Mapping[int, Content | None],
    takes: Content | None = None,
    errors: Iterable[int] = (),
    optional: bool = False,
    parameters: Iterable[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Arguments for a route's decorator. `scope` None: open to everybody. `gives`: what is answered, by status.

    `errors` are those beside the ones that a credential (401, 403, 503) or a body (400, 413, 422) brings anyway;
    `optional` says that the body may be left out; `parameters` are those that the route reads itself.
    """
    told = {*errors, *(ALWAYS_WITH_KEY if scope else ()), *(ALWAYS_WITH_BODY if takes and not optional else ())}
    responses: dict[str, Any] = {str(status): _answer(status, content) for status, content in gives.items()}
    responses |= {str(status): _error(status) for status in sorted(told)}
    said: dict[str, Any] = {"responses": responses}
    said["security"] = [{name: [scope]} for name in SCHEMES] if scope else []
    if parameters:
        said["parameters"] = list(parameters)
    if takes:
        said["requestBody"] = {"required": not optional, "content": takes}
    return {"openapi_extra": said}


def scope_of(route: Any) -> str | None:
    """The scope that a route says it needs; None for one that is open, and for what is no route."""
    said = getattr(route, "openapi_extra", None) or {}
    return next((scope for one in said.get("security", ()) for (scope,) in one.values()), None)


def _answer(status: int, content: Content | None) -> dict[str, Any]:
    told: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    return told if content is None else told | {"content": content}


def _error(status: int) -> dict[str, Any]:
    told = {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    return told | ({"headers": RETRY} if status in (429, 503) else {})


def shape(example: Any) -> dict[str, Any]:
    """The JSON Schema that an example suggests."""
    if isinstance(example, dict):
        return {"type": "object", "properties": {name: shape(value) for name, value in example.items()}}
    if isinstance(example, list):
        return {"type": "array", "items": shape(example[0]) if example else {}}
    if example is None:
        return {}
    kinds = {bool: "boolean", int: "integer", float: "number"}
    return {"type": kinds.get(type(example), "string")}


def schema(kind: Any) -> dict[str, Any]:
    """The JSON Schema of a msgspec type, whole: definitions put in where they are referred to."""
    if get_origin(kind) is list:
        return {"type": "array", "items": schema(get_args(kind)[0])}
    _, known = msgspec.json.schema_components([kind], ref_template="#/{name}")
    whole: dict[str, Any] = _whole(known[kind.__name__], known)
    return whole


def _whole(part: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(part, dict):
        if "$ref" in part:
            return _whole(known[part["$ref"].removeprefix("#/")], known)
        return {name: _whole(value, known) for name, value in part.items()}
    return [_whole(one, known) for one in part] if isinstance(part, list) else part


def install(app: FastAPI) -> None:
    """Let `/openapi.json` and `/docs` tell all of it."""

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = described(app)
        return app.openapi_schema

    app.openapi = whole  # type: ignore[method-assign]


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document of an application."""
    made = get_openapi(title=app.title, version=app.version, routes=app.routes)
    components = made.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM
    components["securitySchemes"] = SCHEMES
    for path, item in made["paths"].items():
        for method in METHODS:
            if method in item:
                _finish(path, method, item[method])
    return made


def _finish(path: str, method: str, operation: dict[str, Any]) -> None:
    operation["operationId"] = re.sub(r"\W+", "_", f"{method}{path}").strip("_")
    description = " ".join(str(operation.get("description", "")).split())
    if description:
        operation["summary"] = re.split(r"(?<=[.?])\s", description, maxsplit=1)[0].rstrip(".")
        operation["description"] = description
    responses = operation["responses"]
    if "422" in responses:
        responses["422"] = _error(422)
    if method == "head":
        for answer in responses.values():
            answer.pop("content", None)
        operation.pop("requestBody", None)
    responses.setdefault("default", _error(500) | {"description": "Any other error"})
