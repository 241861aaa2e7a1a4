"""Half a surrogate pair is one lost character; whatever else is written stays as it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.intake.clean import parse, parts
from libs.domain.intake.escapes import mended


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb'"cut \ud83d"', "cut \ufffd"),
        (rb'"\uDE00 cut"', "\ufffd cut"),
        (rb'"\ud83d\ude00"', "😀"),
        (rb'"\ud83d\ud83d\ude00\ude00"', "\ufffd😀\ufffd"),
        (rb'"\ud83d\\ud83d"', "\ufffd\\ud83d"),
        (rb'"\\\ud83d\\\\ude00"', "\\\ufffd\\\\ude00"),
        (rb'"\ud83d\u0041\n"', "\ufffdA\n"),
    ],
)
def test_halves_are_replaced_and_pairs_stay(written: bytes, read: str) -> None:
    assert parse(written) == read
    assert [parse(part) for part in parts(b"[" + written + b", 1]")] == [read, 1]


@pytest.mark.parametrize("broken", [rb'"cut \ud83d', rb'"\ud83d" x', rb'"\ud8zz"', b'"\\ud83d\0"'])
def test_what_is_no_json_for_another_reason_is_still_none(broken: bytes) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        parse(broken)


@given(st.text(st.characters(exclude_categories=()) | st.sampled_from('\\"\ud83d\ude00u')))
def test_whatever_javascript_writes_is_read(text: str) -> None:
    """Halves that stand together are a pair, as they are in a browser's string."""
    written = json.dumps(text).encode()
    assert parse(written) == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    found = mended(written)
    assert found is None or len(found) == len(written)
