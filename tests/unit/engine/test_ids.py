"""Ids are UUIDv5 as the library makes them, only faster."""

from uuid import uuid5

from hypothesis import given
from hypothesis import strategies as st

from libs.domain import ids


@given(st.text(), st.lists(st.one_of(st.text(), st.integers())))
def test_an_id_is_the_uuid_of_its_parts(kind: str, parts: list[object]) -> None:
    text = "".join(f"{len(part)}:{part}" for part in (kind, *map(str, parts)))
    assert ids.derive(kind, *parts) == str(uuid5(ids.NAMESPACE, text))


def test_an_id_of_old_is_the_same_today() -> None:
    assert (
        ids.message_id("75068061-f59c-5619-a262-fd5c733225f5", "steps/0", 3) == "bf53ad94-db14-5911-941a-17957783a44c"
    )
