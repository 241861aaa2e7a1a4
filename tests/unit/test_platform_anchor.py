"""The platform's clock across restarts: never back."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.local import anchor
from cli.local.anchor import Past, choose, told
from cli.local.process import LocalError

T0 = datetime(2026, 3, 2, 8, tzinfo=UTC)
REAL = T0.timestamp()


def test_speed_one_without_start_is_real_time() -> None:
    chosen = choose(None, REAL, 1.0, None)
    assert chosen.environment() == {}
    assert chosen.start is None


def test_real_time_goes_on_as_real_time() -> None:
    assert choose(Past(reached=T0 - timedelta(hours=1)), REAL, 1.0, None).environment() == {}


def test_a_clock_ahead_of_life_stays_ahead_even_at_speed_one() -> None:
    ahead = T0 + timedelta(days=3)
    chosen = choose(Past(reached=ahead), REAL, 1.0, None)
    assert chosen.start == ahead
    assert chosen.environment()["KURANT_CLOCK_SPEED"] == "1.0"


def test_a_start_is_taken_the_first_time() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    chosen = choose(None, REAL, 60.0, start)
    assert chosen.environment() == {
        "KURANT_CLOCK_SPEED": "60.0",
        "KURANT_CLOCK_START": "2026-01-01T00:00:00+00:00",
        "KURANT_CLOCK_ANCHOR": repr(REAL),
    }


def test_the_same_start_again_goes_on_where_it_was() -> None:
    start, reached = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 5, tzinfo=UTC)
    assert choose(Past(reached=reached), REAL, 60.0, start).start == reached


def test_a_later_start_moves_on() -> None:
    later = T0 + timedelta(days=30)
    assert choose(Past(reached=T0), REAL, 1.0, later).start == later


def test_a_bent_clock_stands_still_while_nothing_runs() -> None:
    reached = T0 + timedelta(days=1)
    assert choose(Past(reached=reached), REAL + 86_400 * 5, 60.0, None).start == reached


@given(
    runs=st.lists(
        st.tuples(
            st.sampled_from([1.0, 2.0, 4320.0]),
            st.none() | st.integers(-400, 400).map(lambda days: T0 + timedelta(days=days)),
            st.floats(0, 100),
            st.floats(0, 1000),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_never_back_whatever_the_runs(
    runs: list[tuple[float, datetime | None, float, float, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("clock") / "clock.json"
    real, seen = REAL, datetime(1970, 1, 1, tzinfo=UTC)
    for speed, start, lasts, pause, clean in runs:
        chosen = choose(anchor.load(path), real, speed, start)
        anchor.save(path, chosen, real)
        assert _at(chosen, real) >= seen
        end = real + lasts
        last_saved = max(real, end - (0.0 if clean else anchor.EVERY))
        anchor.save(path, chosen, last_saved, margin=0.0 if clean else anchor.MARGIN)
        seen = _at(chosen, end)
        real = end + pause


def _at(chosen: anchor.Anchor, real: float) -> datetime:
    clock = chosen.clock()
    return clock.start + timedelta(seconds=(real - chosen.anchor) * chosen.speed)


def test_an_unclean_end_skips_what_was_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    anchor.save(path, choose(None, REAL, 4320.0, T0), REAL + 10)
    reached = T0 + timedelta(seconds=(10 + anchor.MARGIN) * 4320)
    assert anchor.load(path) == Past(reached=reached, speed=4320.0, bent=True)


def test_no_file_is_no_past(tmp_path: Path) -> None:
    assert anchor.load(tmp_path / "clock.json") is None


def test_what_ran_fast_in_the_past_goes_on_there_at_speed_one(tmp_path: Path) -> None:
    """Not in real time, which may be months ahead: every wait would be over at once."""
    path = tmp_path / "clock.json"
    first = choose(None, REAL, 720.0, T0 - timedelta(days=100))
    anchor.save(path, first, REAL + 60, margin=0.0)
    past = anchor.load(path)
    again = choose(past, REAL + 120, 1.0, None)
    assert again.start == T0 - timedelta(days=100) + timedelta(hours=12)
    said = told(past, again, REAL + 120, None)
    assert said == (
        "the data ran at 720x up to 2025-11-22 20:00 UTC; its clock goes on from there at 1x "
        "(real time is 2026-03-02 08:02 UTC; --start now moves on to it)"
    )
    anchor.save(path, again, REAL + 180, margin=0.0)
    third = choose(anchor.load(path), REAL + 240, 1.0, None)
    assert third.start == T0 - timedelta(days=100) + timedelta(hours=12, minutes=1), "and so ever after"


def test_a_start_that_is_past_is_refused_in_words() -> None:
    past = Past(reached=T0 + timedelta(days=2), speed=10.0, bent=True)
    chosen = choose(past, REAL, 10.0, T0)
    assert chosen.start == past.reached
    said = told(past, chosen, REAL, T0)
    assert said is not None
    assert "--start 2026-03-02 08:00 UTC is before that, and a clock never goes back" in said
    later = T0 + timedelta(days=3)
    said = told(past, choose(past, REAL, 10.0, later), REAL, later)
    assert said is not None
    assert said.endswith("its clock moves on to 2026-03-05 08:00 UTC")


def test_real_time_needs_no_word() -> None:
    past = Past(reached=T0 - timedelta(days=1))
    assert told(past, choose(past, REAL, 1.0, None), REAL, None) is None
    assert told(None, choose(None, REAL, 60.0, None), REAL, None) is None


def test_a_file_of_an_older_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    path.write_text('{"reached": "2026-03-02T08:00:00+00:00", "speed": 720.0}')
    assert anchor.load(path) == Past(reached=T0, speed=720.0, bent=True)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"reached": "soon", "speed": 1}', "\x00\xff"])
def test_a_damaged_file_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clock.json"
    path.write_text(text, "latin-1")
    with pytest.raises(LocalError, match=r"clock\.json is damaged: put it back, or remove it") as caught:
        anchor.load(path)
    assert caught.value.code == 2
