"""`python -m libs.contracts.generate [--check]`: JSON Schemas and AsyncAPI from the Python types.

Without an option it writes them; a change that would break records or readers of what is written there now is
refused, since it needs a topic of the next version. `--check` writes nothing and fails where a file differs.
"""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import yaml

from libs.contracts import asyncapi
from libs.contracts.compatible import breaks
from libs.contracts.topics import ALL, Topic

HERE = Path(__file__).resolve().parent
SCHEMAS = HERE / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(topic: Topic) -> dict[str, Any]:
    """The JSON Schema of a topic's payloads, one `$defs` entry per type, the payloads themselves under `oneOf`."""
    references, components = msgspec.json.schema_components(topic.messages, ref_template="#/$defs/{name}")
    for component in components.values():
        if "description" in component:
            component["description"] = " ".join(component["description"].split())
    return {
        "$schema": DIALECT,
        "$id": f"urn:kurant:{topic.name}",
        "title": topic.name,
        "description": topic.says,
        "oneOf": list(references),
        "$defs": dict(components),
    }


def wanted() -> dict[Path, str]:
    """Every generated file with its text."""
    files = {SCHEMAS / f"{topic.name}.json": _json(schema(topic)) for topic in ALL if topic.messages}
    described = yaml.safe_dump(asyncapi.document(ALL), sort_keys=False, allow_unicode=True, width=110)
    files[HERE / "asyncapi.yaml"] = described
    return files


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def broken(files: dict[Path, str]) -> list[str]:
    """Every break between the schemas on disk and `files`, each with its file."""
    found: list[str] = []
    for path, text in files.items():
        if path.suffix == ".json" and path.exists():
            old, new = json.loads(path.read_text("utf-8")), json.loads(text)
            for name, told in old["$defs"].items():
                if name not in new["$defs"]:
                    found.append(f"{path.name}: {name} is gone")
                    continue
                sides = ({**told, "$defs": old["$defs"]}, {**new["$defs"][name], "$defs": new["$defs"]})
                found += [f"{path.name}: {name}{line}" for line in breaks(*sides)]
    return found


def main(arguments: list[str]) -> int:
    """Exit code 0 done, 1 a file differs or a change breaks readers, 2 called wrong."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)  # noqa: T201  # a command's own output
        return 2
    files = wanted()
    stale = {path for path in [*SCHEMAS.glob("*.json"), HERE / "asyncapi.yaml"] if path not in files}
    wrong = [path for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text]
    if arguments:
        for path in [*wrong, *stale]:
            print(f"{path.name} is not up to date: run `make generate`", file=sys.stderr)  # noqa: T201
        return 1 if wrong or stale else 0
    if found := broken(files):
        for line in found:
            print(f"{line}: breaks readers; make a topic of the next version", file=sys.stderr)  # noqa: T201
        return 1
    SCHEMAS.mkdir(exist_ok=True)
    for path in wrong:
        path.write_text(files[path], "utf-8")
    for path in stale:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
