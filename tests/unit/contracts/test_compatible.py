"""Which changes of a payload may follow under the same topic name."""

from typing import Any

import msgspec
import pytest

from libs.contracts.compatible import breaks


def made(**fields: Any) -> dict[str, Any]:
    """The schema of a struct with these fields: `name=type` required, `name=(type, default)` optional."""
    rows = [(name, *told) if isinstance(told, tuple) else (name, told) for name, told in fields.items()]
    struct = msgspec.defstruct("Told", rows, kw_only=True)
    (reference,), components = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    return {**reference, "$defs": components}


class Item(msgspec.Struct):
    name: str


class WiderItem(msgspec.Struct):
    name: str
    count: int = 0


class NarrowerItem(msgspec.Struct):
    name: int


OLD = made(id=str, count=int, note=(str | None, None), tags=(list[str], []), item=(Item | None, None))


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        made(id=str, count=int, note=(str | None, None), tags=(list[str], []), item=(Item | None, None), more=(int, 0)),
        made(id=str, count=float, note=(str | None, None), tags=(list[str], []), item=(Item | None, None)),
        made(id=str, count=(int, 0), note=(str | None, None), tags=(list[str], []), item=(Item | None, None)),
    ],
)
def test_what_may_follow(new: dict[str, Any]) -> None:
    assert breaks(OLD, new) == []


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (made(id=str, count=int, note=(str | None, None), tags=(list[str], [])), "/item: is gone"),
        (made(id=int, count=int, note=(str | None, None), tags=(list[str], []), item=(Item | None, None)), "/id: was"),
        (made(id=str, count=int, note=str, tags=(list[str], []), item=(Item | None, None)), "/note: was"),
        (made(id=str, count=int, note=(str | None, None), tags=(list[int], []), item=(Item | None, None)), "/tags"),
        (made(id=str, count=int, note=(str | None, None), tags=list[str], item=(Item | None, None)), "/tags: is req"),
        (
            made(id=str, count=int, note=(str | None, None), tags=(list[str], []), more=int, item=(Item | None, None)),
            "/mo",
        ),
    ],
)
def test_what_may_not(new: dict[str, Any], says: str) -> None:
    assert any(line.startswith(says) for line in breaks(OLD, new)), breaks(OLD, new)


def test_a_nested_struct_is_looked_into() -> None:
    old = made(items=list[Item])
    wider, narrower = made(items=list[WiderItem]), made(items=list[NarrowerItem])
    assert breaks(old, wider) == []
    assert breaks(old, narrower) == ["/items/items/name: was string, is integer"]
