"""What the console decides, without a server."""

from datetime import UTC, datetime

import pytest

from libs.contracts.envelope import Envelope
from services.console import handlers
from services.console.handlers import Change, Current, Ref, Refused, Untold

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
CART = Ref("demo", "scenario", "cart")


def current(state: str = "live", digest: bytes = b"a", version: int = 3) -> Current:
    return Current(version=version, state=state, changed_at=NOW, told=True, digest=digest)


@pytest.mark.parametrize(
    ("before", "content", "after"),
    [
        (None, b"a", Change(version=1, state="live", fresh=True, moved=True)),
        (current(), b"a", Change(version=3, state="live", fresh=False, moved=False)),
        (current(), b"b", Change(version=4, state="live", fresh=True, moved=True)),
        (current("paused"), b"a", Change(version=3, state="paused", fresh=False, moved=False)),
        (current("paused"), b"b", Change(version=4, state="paused", fresh=True, moved=True)),
        (current("archived"), b"a", Change(version=3, state="live", fresh=False, moved=True)),
        (current("archived"), b"b", Change(version=4, state="live", fresh=True, moved=True)),
    ],
)
def test_publication(before: Current | None, content: bytes, after: Change) -> None:
    assert handlers.publication(before, content) == after


@pytest.mark.parametrize(
    ("state", "verb", "after"),
    [
        ("live", "pause", "paused"),
        ("paused", "pause", "paused"),
        ("paused", "resume", "live"),
        ("live", "resume", "live"),
        ("live", "archive", "archived"),
        ("paused", "archive", "archived"),
        ("archived", "archive", "archived"),
    ],
)
def test_transition(state: str, verb: str, after: str) -> None:
    assert handlers.transition(CART, current(state), verb) == after


@pytest.mark.parametrize(
    ("before", "verb", "status"),
    [
        (None, "pause", 404),
        (None, "archive", 404),
        (current("archived"), "pause", 409),
        (current("archived"), "resume", 409),
    ],
)
def test_transition_that_cannot_be(before: Current | None, verb: str, status: int) -> None:
    with pytest.raises(Refused, match="publish it") as refused:
        handlers.transition(CART, before, verb)
    assert refused.value.status == status


def test_the_digest_is_of_the_content() -> None:
    assert handlers.digest({"a": "1", "b": "2"}) == handlers.digest({"b": "2", "a": "1"})
    different = [{"a": "1", "b": "2"}, {"a": "12", "b": ""}, {"a": "1"}, {"a": "1", "c": "2"}, {}]
    assert len({handlers.digest(files) for files in different}) == len(different)


def test_the_news_is_the_same_whenever_it_is_told() -> None:
    versions = [Untold(version=number, files={"scenario.yaml": "x"}, published_at=NOW) for number in (2, 3)]
    told = handlers.news(CART, current(), versions)
    assert [one.key for one in told] == [b"demo/cart@2", b"demo/cart@3", b"demo/cart"]
    assert told == handlers.news(CART, current(), versions)
    assert len({Envelope.read(one.headers).id for one in told}) == 3
    assert {Envelope.read(one.headers).shop for one in told} == {"demo"}


def test_a_bundle_that_fits() -> None:
    handlers.check_size({f"messages/{number}.txt": "x" * 4_000 for number in range(200)})
    with pytest.raises(Refused) as refused:
        handlers.check_size({"a": "\x01" * 200_000})  # six times as long as JSON
    assert refused.value.status == 413
    with pytest.raises(Refused) as refused:
        handlers.check_size({"a" * 201: ""})
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("told", "lag"), [(None, None), ({}, None), ({"lag": 3}, 3), ({"lag": {"a": 1, "b": 2}}, 3), ({"lag": {}}, 0)]
)
def test_lag_as_one_number(told: dict[str, object] | None, lag: int | None) -> None:
    assert handlers.lag_of(told) == lag
