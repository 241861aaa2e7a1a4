"""The table of contents tells the truth: who reads and who writes each topic is read out of the code."""

import ast
from pathlib import Path

import pytest

from libs.contracts import topics
from libs.contracts.topics import ALL, Topic

ROOT = Path(__file__).resolve().parents[2]
NAMES = {name: topic for name, topic in vars(topics).items() if isinstance(topic, Topic)}
SERVICES = ("ingest", "rules", "scheduler", "dispatch", "consent", "console")


class Uses(ast.NodeVisitor):
    """Collects `topics.X`: written where it is given to `outgoing` or `Outgoing`, read where a list, a table or a
    loop of topics holds it."""

    def __init__(self) -> None:
        self.written: set[str] = set()
        self.read: set[str] = set()

    def visit_Call(self, node: ast.Call) -> None:  # ast's name
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        if called in ("outgoing", "Outgoing"):
            self.written |= _named([*node.args[:1], *([keywords["topic"]] if "topic" in keywords else [])])
        elif called == "Table":
            self.read |= _named([keywords["topic"]])
        elif called in ("Loop", "Stream"):
            self.read |= _named([keywords["topics"]])
        self.generic_visit(node)


def _named(nodes: list[ast.expr]) -> set[str]:
    return {
        found.attr
        for node in nodes
        for found in ast.walk(node)
        if isinstance(found, ast.Attribute) and isinstance(found.value, ast.Name) and found.value.id == "topics"
    } & NAMES.keys()


def uses(service: str) -> Uses:
    found = Uses()
    for path in (ROOT / "services" / service).rglob("*.py"):
        found.visit(ast.parse(path.read_text()))
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_writers_and_readers_are_those_that_it_names(service: str) -> None:
    found = uses(service)
    assert {NAMES[name].name for name in found.written} == {t.name for t in ALL if service in t.producers}
    assert {NAMES[name].name for name in found.read} == {t.name for t in ALL if service in t.consumers}


def test_every_topic_is_listed_once() -> None:
    assert sorted(topic.name for topic in ALL) == sorted(topic.name for topic in NAMES.values())


def test_one_customers_records_meet_in_one_partition() -> None:
    assert {topic.partitions for topic in ALL if topic.key == "profile id"} == {None}
