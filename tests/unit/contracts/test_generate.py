"""The generated files are those of the code, and a change that breaks readers is not written."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from libs.contracts import generate
from libs.contracts.messages import MessageRequested
from libs.contracts.topics import ALL, MESSAGES


def test_they_are_up_to_date() -> None:
    assert generate.main(["--check"]) == 0


def test_a_file_that_differs_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    files = generate.wanted()
    path = generate.SCHEMAS / f"{MESSAGES.name}.json"
    monkeypatch.setattr(generate, "wanted", lambda: files | {path: files[path] + " "})
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().err.startswith(f"{path.name} is not up to date")


def test_a_breaking_change_is_refused_and_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(generate, "SCHEMAS", tmp_path)
    path = tmp_path / f"{MESSAGES.name}.json"
    path.write_text(json.dumps(generate.schema(MESSAGES)))
    changed: dict[str, Any] = generate.schema(MESSAGES)
    del changed["$defs"]["MessageRequested"]["properties"]["purpose"]
    monkeypatch.setattr(generate, "wanted", lambda: {path: json.dumps(changed)})
    before = path.read_text()
    assert generate.main([]) == 1
    assert "MessageRequested/purpose: is gone: breaks readers" in capsys.readouterr().err
    assert path.read_text() == before


@pytest.mark.parametrize("topic", [topic for topic in ALL if topic.messages], ids=lambda topic: topic.name)
def test_every_schema_is_a_schema(topic: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(generate.schema(topic))


def test_what_we_write_is_valid_by_the_schema() -> None:
    fields = dict.fromkeys(("message", "profile", "scenario", "enrolment", "path", "name", "purpose"), "x")
    moment = "2026-03-02T10:00:00Z"
    told = {**fields, "version": 1, "channels": ["email"], "requested_at": moment, "due_at": moment}
    written = json.loads(MessageRequested.decode(json.dumps(told).encode()).encode())
    schema = generate.schema(MESSAGES)
    jsonschema.validate(written, {**schema["$defs"]["MessageRequested"], "$defs": schema["$defs"]})
