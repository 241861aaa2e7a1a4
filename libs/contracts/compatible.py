"""Whether a JSON Schema may follow another under the same topic name. Pure.

Both directions must hold: the new code reads what lies in Kafka already (backward), and programs outside that were
written for the old schema read what the new code writes (forward). So nothing may be taken away, nothing that was
optional or absent may become required, and nothing may change its type. Fields and enum values may be added.
"""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]


def breaks(old: Schema, new: Schema) -> list[str]:
    """What of `new` breaks records or readers of `old`, a line each; empty when it may follow."""
    return list(_breaks(old, new, (old.get("$defs", {}), new.get("$defs", {})), "", frozenset()))


def _breaks(old: Schema, new: Schema, defs: tuple[Schema, Schema], at: str, seen: frozenset[str]) -> Iterator[str]:
    if (name := old.get("$ref", "")) in seen:
        return
    seen |= {name} if name else set()
    old, new = _resolved(old, defs[0]), _resolved(new, defs[1])
    if not _kinds(old) <= _taken(new):
        yield f"{at or '/'}: was {'/'.join(sorted(_kinds(old)))}, is {'/'.join(sorted(_kinds(new)))}"
        return
    enum = old.get("enum") or []
    if gone := {str(value) for value in enum} - {str(value) for value in new.get("enum") or enum}:
        yield f"{at or '/'}: no longer {', '.join(sorted(gone))}"
    now = new.get("properties", {})
    for field, told in old.get("properties", {}).items():
        if field not in now:
            yield f"{at}/{field}: is gone"
        else:
            yield from _breaks(told, now[field], defs, f"{at}/{field}", seen)
    for field in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield f"{at}/{field}: is required now"
    for inner in ("items", "additionalProperties"):
        if isinstance(old.get(inner), dict) and isinstance(new.get(inner), dict):
            yield from _breaks(old[inner], new[inner], defs, f"{at}/{inner}", seen)
    for name in ("anyOf", "oneOf"):
        for known, chosen in zip(old.get(name, ()), new.get(name, ()), strict=False):
            yield from _breaks(known, chosen, defs, at, seen)


def _resolved(schema: Schema, defs: Schema) -> Schema:
    while "$ref" in schema:
        schema = defs[schema["$ref"].rpartition("/")[2]]
    return schema


def _kinds(schema: Schema) -> set[str]:
    """The JSON types of a schema; `anything` where it does not say."""
    for name in ("anyOf", "oneOf"):
        if name in schema:
            return {kind for part in schema[name] for kind in ({"object"} if "$ref" in part else _kinds(part))}
    kind = schema.get("type", "anything")
    return set(kind) if isinstance(kind, list) else {kind}


def _taken(schema: Schema) -> set[str]:
    """The JSON types that a schema lets through."""
    kinds = _kinds(schema)
    if "anything" in kinds:
        return {"anything", "object", "array", "string", "number", "integer", "boolean", "null"}
    return kinds | ({"integer"} if "number" in kinds else set())
