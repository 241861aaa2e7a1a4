"""Where the nodes of a file stand."""

import pytest

from libs.domain.lint.check import check_bundle
from libs.domain.scenario.source import read

HEAD = "kurant: 1\nid: s\nname: s\npurpose: marketing\n"
MAIL = "---\nsubject: s\n---\n<p>Hello <a href='{{ unsubscribe_url }}'>no more</a></p>\n"


@pytest.mark.parametrize(
    ("text", "path", "place"),
    [
        ("a: 1\nb: 2\n", "b", (2, 4)),
        ("a:\n  b: 1\n", "a", (1, 1)),
        ("a:\n\n  # why\n  - b\n", "a", (1, 1)),
        ("a:\n\n  # why\n  - b\n", "a/0", (4, 5)),
        ("a: {b: 1}\n", "a", (1, 4)),
        ("a: [\n  1,\n  2]\n", "a/1", (3, 3)),
        ("a: |\n  text\n", "a", (1, 4)),
        ("a:\n  text\n", "a", (1, 1)),
        ("a:\n  b:\n\n\n", "a/b", (2, 3)),
        ("a:\n  - b: 1\n    c:\n\n  - d\n", "a/0/c", (3, 5)),
        ("a: {b: , c: 1}\n", "a/b", (1, 5)),
        ("a: null\n", "a", (1, 1)),
    ],
)
def test_a_value_stands_where_it_begins_or_at_its_key_when_that_is_elsewhere(
    text: str, path: str, place: tuple[int, int]
) -> None:
    assert read(text, "x.yaml").positions[path] == place


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("triger:\n  event: cart.updated\nsteps:\n  - send: a\n", 5, 1, "triger is not known here"),
        (
            "trigger: {event: cart.updated}\nsteps:\n  - if: {cart.value: 1}\n    thn:\n\n      - send: a\n",
            8,
            5,
            "thn is",
        ),
        ("trigger:\n  event: cart.updated\n  where:\n\nsteps:\n  - send: a\n", 7, 3, "a condition is a mapping"),
        ("trigger: {event: cart.updated}\nsteps:\n  - send: a\n    late:\n", 8, 5, "None is no duration"),
    ],
)
def test_a_key_that_is_wrong_is_told_in_its_line(text: str, line: int, column: int, message: str) -> None:
    found = check_bundle({"scenario.yaml": HEAD + text, "messages/a.email.html": MAIL})
    told = [one for one in found if message in one.message]
    assert [(one.line, one.column) for one in told] == [(line, column)], found
