"""The examples of docs/scenarios.md: each is right (or wrong, where it says so), runs, and no word is without one."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cli.rehearse import canonical
from libs.domain.lint.check import check_bundle
from libs.domain.lint.segment import check_segment
from libs.domain.lint.text import nodes
from libs.domain.rehearsal.read import read_test
from libs.domain.rehearsal.rehearse import rehearse
from libs.domain.rehearsal.stage import Stage, prepare
from libs.domain.scenario.model import OPERATORS
from libs.domain.scenario.parse import FIELDS, TRIGGERS, VERBS
from libs.domain.scenario.source import read
from tests.unit.lint.test_properties import files_of, plain

PAGE = Path(__file__).resolve().parents[3] / "docs" / "scenarios.md"
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)
BASE: dict[str, Any] = {
    "kurant": 1,
    "id": "made",
    "name": "Made",
    "purpose": "marketing",
    "trigger": {"event": "cart.updated"},
    "key": "event.cart.id",
    "steps": [{"wait": "1h"}, {"send": "first"}],
}
HISTORY = {
    "name": "made",
    "given": {"profile": {"email": "a@example.com", "consents": {"email": ["marketing"]}, "birthday": "1990-03-09"}},
    "when": [{"at": "2026-03-02T10:00", "event": "cart.updated", "data": {"cart": {"id": "c1", "value": "549.00"}}}],
    "then": ["nothing_more"],
}


def texts() -> list[str]:
    """Every example; several in one block are parted by `---`."""
    found = [part.strip() + "\n" for block in BLOCK.findall(PAGE.read_text()) for part in block.split("\n---\n")]
    return [text for text in found if any(line and not line.startswith("#") for line in text.splitlines())]


def does(step: Any) -> bool:
    return step == "exit" or (isinstance(step, dict) and any(verb in step for verb in VERBS))


def scenarios(value: Any) -> list[dict[str, Any]]:
    """The scenarios that an example makes: as it is, as a part of one, as steps, as conditions of steps."""
    if isinstance(value, dict):
        base = {name: told for name, told in BASE.items() if name != "key"} if "trigger" in value else BASE
        return [value if "kurant" in value else {**base, **value}]
    if all(does(step) for step in value):
        tail = [] if any(name in ("send", *VERBS[5:9]) for _, name, _ in nodes(value)) else [{"send": "first"}]
        return [{**BASE, "steps": [*value, *tail]}]
    return [{**BASE, "steps": [{"wait": "1h"}, {"send": "first"}, {"if": told, "then": ["exit"]}]} for told in value]


EXAMPLES = [(text, plain(read(text, "x").value)) for text in texts()]
OF_SEGMENTS = [text for text, value in EXAMPLES if isinstance(value, dict) and "condition" in value]
OF_TESTS = [text for text, value in EXAMPLES if isinstance(value, dict) and "then" in value]
CASES = [
    pytest.param(text, json.dumps(made), id=f"{number}.{place}")
    for number, (text, value) in enumerate(EXAMPLES)
    if text not in (*OF_TESTS, *OF_SEGMENTS)
    for place, made in enumerate(scenarios(value))
]


@pytest.mark.parametrize(("text", "made"), CASES)
def test_it_is_right_or_wrong_as_it_says(text: str, made: str) -> None:
    files = files_of(json.loads(made))
    found = {one.severity for one in check_bundle(files)} - {"info"}
    if text.startswith("# refused"):
        assert "error" in found
        return
    assert found == ({"warning"} if text.startswith("# warned") else set()), check_bundle(files)
    outcome = rehearse(Stage(prepare(files)), read_test(json.dumps(HISTORY), "made.yaml", canonical))
    assert outcome.played.faults == []


def test_what_is_refused_can_be_tried_on_virtual_time() -> None:
    tried = 0
    for text, value in EXAMPLES:
        if text.startswith("# refused"):
            for made in scenarios(value):
                rehearse(Stage(prepare(files_of(made))), read_test(json.dumps(HISTORY), "made.yaml", canonical))
                tried += 1
    assert tried == 5


def test_the_examples_of_tests_can_be_read() -> None:
    assert len(OF_TESTS) == 2
    assert all(read_test(text, "x", canonical).moves for text in OF_TESTS)


def test_the_examples_of_segments_are_right() -> None:
    assert OF_SEGMENTS
    assert [check_segment({"segment.yaml": text}) for text in OF_SEGMENTS] == [[]] * len(OF_SEGMENTS)


def test_no_word_of_the_language_is_without_an_example() -> None:
    values = [value for text, value in EXAMPLES if not text.startswith("# refused")]
    words = {name for value in values for _, name, _ in nodes({"x": value})} | {"exit"}
    assert set(FIELDS) - {"description"} <= words
    assert set(VERBS) <= words
    assert set(TRIGGERS) <= words
    assert {word for form in TRIGGERS.values() for word in form} <= words
    assert set(OPERATORS) <= words
    assert {"all", "any", "not", "happened", "within", "since", "times", "of", "holdout", "add", "remove"} <= words
    assert {"for", "at", "until", "days", "before", "after", "between"} <= words
