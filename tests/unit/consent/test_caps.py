"""Places in rolling windows: never more than a cap lets through, in whatever order and whenever it is asked."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from libs.domain.consent.caps import Cap, Place, counts, longest, take

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DAILY = Cap(channel="email", most=1, per=DAY)
WEEKLY = Cap(most=3, per=7 * DAY)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def placed(**hours: float) -> dict[str, Place]:
    return {name: Place(channel="email", at=at(hour)) for name, hour in hours.items()}


def test_without_caps_there_is_always_a_place() -> None:
    assert take([], placed(a=0), "b", "email", at(0)) == Place(channel="email", at=at(0))


def test_a_full_window_puts_off_until_the_oldest_falls_out_of_it() -> None:
    assert take([DAILY], placed(a=0), "b", "email", at(5)) == at(24)
    assert take([DAILY], placed(a=0), "b", "email", at(24) - timedelta(microseconds=1)) == at(24)
    assert take([DAILY], placed(a=0), "b", "email", at(24)) == Place(channel="email", at=at(24))


def test_of_several_that_are_too_many_so_many_must_fall_out_that_there_is_room() -> None:
    """Two customers turned out to be one: four places where three are."""
    assert take([WEEKLY], placed(a=0, b=1, c=2, d=3), "e", "email", at(5)) == at(1 + 7 * 24)


def test_the_cap_that_holds_longest_decides() -> None:
    assert take([DAILY, WEEKLY], placed(a=0, b=30, c=60), "d", "email", at(61)) == at(7 * 24)
    assert take([WEEKLY, DAILY], placed(a=0, b=30, c=60), "d", "email", at(61)) == at(7 * 24)


def test_a_channel_counts_for_itself_and_for_all_together() -> None:
    assert take([DAILY], placed(a=0), "b", "sms", at(1)) == Place(channel="sms", at=at(1))
    places = {**placed(a=0, b=30), "c": Place(channel="sms", at=at(31))}
    assert take([DAILY, WEEKLY], places, "d", "sms", at(32)) == at(7 * 24)


def test_a_message_that_has_its_place_keeps_it_and_it_moves_along() -> None:
    """It goes out after the last answer: from then on the window counts."""
    assert take([DAILY], placed(a=0), "a", "email", at(5)) == Place(channel="email", at=at(5))
    assert take([DAILY], placed(a=0, b=1), "a", "email", at(5)) == Place(channel="email", at=at(0))
    assert take([DAILY], placed(a=6), "a", "email", at(5)) == Place(channel="email", at=at(6))


def test_a_place_that_is_over_is_none() -> None:
    assert take([DAILY], placed(a=0, b=25), "a", "email", at(30)) == at(49)


def test_a_place_of_another_channel_is_none_of_this_one() -> None:
    places = {"a": Place(channel="sms", at=at(0)), **placed(b=1)}
    assert take([DAILY], places, "a", "email", at(2)) == at(25)


def test_contracts_are_never_capped_and_how_far_back_to_look() -> None:
    assert (counts("marketing"), counts("tips"), counts("transactional")) == (True, True, False)
    assert (longest([DAILY, WEEKLY]), longest([])) == (7 * DAY, timedelta())


CAPS = st.lists(
    st.builds(
        Cap,
        channel=st.sampled_from([None, "email", "sms"]),
        most=st.integers(1, 3),
        per=st.integers(1, 48).map(lambda hours: hours * HOUR),
    ),
    max_size=3,
)
ASKED = st.lists(
    st.tuples(st.integers(0, 100), st.sampled_from("abcdefgh"), st.sampled_from(["email", "sms"])), max_size=40
)


def crowded(caps: list[Cap], places: dict[str, Place]) -> list[Cap]:
    """The caps that some stretch of their length holds more than."""
    wrong = []
    for cap in caps:
        times = sorted(one.at for one in places.values() if cap.covers(one.channel))
        if any(last - first < cap.per for first, last in zip(times, times[cap.most :], strict=False)):
            wrong.append(cap)
    return wrong


@given(CAPS, ASKED)
def test_never_more_than_most_whatever_the_order(caps: list[Cap], asked: list[tuple[int, str, str]]) -> None:
    """Times go forth and back: replicas have clocks of their own. Places of before are kept to be counted."""
    places: dict[str, Place] = {}
    for hour, message, channel in asked:
        found = take(caps, places, message, channel, at(hour))
        if isinstance(found, Place):
            places[message] = found
        else:
            assert found > at(hour)
        assert crowded(caps, places) == []


@given(CAPS, ASKED, st.data())
def test_who_comes_back_at_the_moment_that_was_said_finds_a_place(
    caps: list[Cap], asked: list[tuple[int, str, str]], data: st.DataObject
) -> None:
    places: dict[str, Place] = {}
    for hour, message, channel in sorted(asked):
        found = take(caps, places, message, channel, at(hour))
        if isinstance(found, Place):
            places[message] = found
    channel = data.draw(st.sampled_from(["email", "sms"]))
    found = take(caps, places, "late", channel, at(101))
    if not isinstance(found, Place):
        assert isinstance(take(caps, places, "late", channel, found), Place)
        assert not isinstance(take(caps, places, "late", channel, found - timedelta(microseconds=1)), Place)


@given(CAPS, ASKED)
def test_who_has_a_place_is_never_refused_it_while_it_lasts(caps: list[Cap], asked: list[tuple[int, str, str]]) -> None:
    places: dict[str, Place] = {}
    for hour, message, channel in sorted(asked):
        found = take(caps, places, message, channel, at(hour))
        if isinstance(found, Place):
            places[message] = found
            assert take(caps, places, message, channel, at(hour)) == found
            assert take(caps, places, message, channel, at(hour) + HOUR / 2) == Place(
                channel=channel, at=at(hour) + HOUR / 2
            )
