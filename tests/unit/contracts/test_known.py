"""An error says what a field may hold, and never what was sent."""

from typing import Annotated, Any, Literal

import msgspec
import pytest

from libs.contracts import event_types
from libs.contracts.known import fault


class Part(msgspec.Struct):
    kind: Literal["b", "a"]
    name: Annotated[str, msgspec.Meta(pattern="^[a-z]+$", description="a word")] = "x"


class Whole(msgspec.Struct):
    parts: list[Part] | None = None
    ways: dict[Literal["one", "two"], int] = {}
    free: str = ""


@pytest.mark.parametrize(
    ("value", "path", "said"),
    [
        ({"parts": [{"kind": "secret"}]}, ".parts[0].kind", "is none of the known values: a, b"),
        ({"parts": [{"kind": 7}]}, ".parts[0].kind", "Expected `str`, got `int`: a, b"),
        ({"parts": [{"kind": "a"}, {}]}, ".parts[1].kind", "is required: a, b"),
        ({"parts": [{"kind": "a", "name": "SECRET"}]}, ".parts[0].name", "must be a word"),
        ({"ways": {"secret": 1}}, ".ways", "is none of the known values: one, two"),
        ({"ways": {"one": "secret"}}, ".ways[...]", "Expected `int`, got `str`"),
        ({"free": 7}, ".free", "Expected `str`, got `int`"),
        ([], "", "Expected `object`, got `array`"),
    ],
)
def test_what_a_field_may_hold(value: Any, path: str, said: str) -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert(value, Whole)
    assert fault(error.value, Whole) == (path, said)


@pytest.mark.parametrize(
    ("wrong", "field", "known"),
    [
        ({"channel": "fax"}, "channel", "email, push, sms, viber, whatsapp"),
        ({"status": "maybe"}, "status", "granted, refused, requested, withdrawn"),
        ({"purpose": "Me & You"}, "purpose", "marketing, transactional, or a name of the shop's own"),
    ],
)
def test_a_consent_of_an_event(wrong: dict[str, str], field: str, known: str) -> None:
    consent = {"channel": "email", "purpose": "marketing", "status": "granted"} | wrong
    shape = event_types.shape("consent.changed")
    assert shape is not None
    with pytest.raises(event_types.Misfit) as error:
        event_types.check(shape, {"user_id": "42", "consents": [consent]})
    assert error.value.field == f"data.consents[0].{field}"
    assert known in error.value.text and not set(wrong.values()) & set(error.value.text.split())
