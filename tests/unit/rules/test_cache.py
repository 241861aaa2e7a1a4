"""What rules keeps in memory is bounded by the size of the documents."""

from libs.domain.engine.state import Profile
from services.rules.app import Cache


def test_what_was_used_longest_ago_goes_first() -> None:
    cache = Cache(most=10)
    kept = {name: Profile() for name in "abc"}
    for name in "ab":
        cache.keep(("demo", name), 1, kept[name], 4)
    assert cache.take(("demo", "a")) == (1, kept["a"])
    cache.keep(("demo", "a"), 2, kept["a"], 5)
    cache.keep(("demo", "c"), 1, kept["c"], 3)
    assert cache.take(("demo", "b")) is None
    assert (len(cache), cache.bytes) == (2, 8)


def test_what_is_taken_is_not_there_any_more_and_weighs_nothing() -> None:
    cache = Cache(most=10)
    cache.keep(("demo", "a"), 1, Profile(), 4)
    cache.keep(("demo", "a"), 2, Profile(), 6)
    assert cache.bytes == 6
    assert cache.take(("demo", "a")) == (2, Profile())
    assert (cache.take(("demo", "a")), cache.bytes, len(cache)) == (None, 0, 0)


def test_one_that_is_too_large_for_it_is_not_kept() -> None:
    cache = Cache(most=10)
    cache.keep(("demo", "a"), 1, Profile(), 11)
    assert (len(cache), cache.bytes) == (0, 0)


def test_it_forgets() -> None:
    cache = Cache()
    cache.keep(("demo", "a"), 1, Profile(), 11)
    cache.clear()
    assert (len(cache), cache.bytes) == (0, 0)
