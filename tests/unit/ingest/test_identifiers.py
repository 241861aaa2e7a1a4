"""The comparable form of identifiers."""

import pytest

from libs.domain.intake.identifiers import normalise


@pytest.mark.parametrize(
    ("kind", "written", "comparable"),
    [
        ("email", " Anna@Example.COM ", "anna@example.com"),
        ("email", "anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("email", "anna@shop.test", "anna@shop.test"),
        ("phone", "601 000 000", "+48601000000"),
        ("phone", "+48 601-000-000", "+48601000000"),
        ("phone", "+420 601 123 456", "+420601123456"),
        ("user_id", " 42 ", "42"),
        ("user_id", "A", "A"),
        ("loyalty_card", "LC-5", "LC-5"),
        ("email", "  ", None),
    ],
)
def test_written_and_comparable(kind: str, written: str, comparable: str | None) -> None:
    assert normalise(kind, written) == comparable


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("email", "anna"),
        ("email", "anna@"),
        ("email", "a@b@c.example"),
        ("email", "a\r\nBcc: x@y.example"),
        ("phone", "call me"),
        ("phone", "12"),
        ("phone", "+999999999999999999"),
        ("user_id", "x" * 201),
        ("user_id", "a\0b"),
        ("anonymous_id", "a\nb"),
    ],
)
def test_what_cannot_be_used_is_told_without_repeating_it(kind: str, written: str) -> None:
    with pytest.raises(ValueError, match=r"is|holds") as error:
        normalise(kind, written)
    assert written not in str(error.value)
