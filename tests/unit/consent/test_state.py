"""What stands: the same whatever the order in which words and merges come."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.consent.choices import NoSuchChoice, all_off, chosen, confirming, switching, unsubscribing
from libs.domain.consent.state import STATUSES, State, StateKey, Status, Told, moves, picture, settle, together

T0 = datetime(2026, 3, 2, 10, tzinfo=UTC)
KEY: StateKey = ("demo", "anna", "email", "marketing")


def state(status: Status, minute: int = 0, seq: int = 1) -> State:
    return State(status=status, at=T0 + timedelta(minutes=minute), seq=seq, hash=b"h")


def word(status: Status, minute: int = 0) -> Told:
    return Told(
        record=f"{status}-{minute}",
        shop="demo",
        profile="anna",
        channel="email",
        purpose="marketing",
        status=status,
        at=T0 + timedelta(minutes=minute),
        who="shop",
        source="s",
    )


words = st.lists(st.tuples(st.sampled_from(STATUSES), st.integers(0, 3)), min_size=1, max_size=6)


@given(words, st.randoms())
def test_any_order_of_words_ends_alike(said: list[tuple[Status, int]], random: "st.random") -> None:  # type: ignore[name-defined]
    shuffled = list(said)
    random.shuffle(shuffled)
    ends = []
    for order in (said, shuffled):
        before: dict[StateKey, State] = {}
        for status, minute in order:
            after, _ = settle(before, {}, [(KEY, state(status, minute), word(status, minute))])
            before |= after
        ends.append((before[KEY].status, before[KEY].at))
    assert ends[0] == ends[1]
    stands = ""
    for status, _ in sorted(said, key=lambda one: (one[1], STATUSES.index(one[0]))):
        stands = stands if (status, stands) == ("requested", "granted") else status
    assert ends[0][0] == stands, "as if every word had come in its turn"


@given(words, words)
def test_a_merge_ends_as_if_all_had_been_said_of_one(
    ours: list[tuple[Status, int]], theirs: list[tuple[Status, int]]
) -> None:
    def heard(said: list[tuple[Status, int]], key: StateKey) -> dict[StateKey, State]:
        before: dict[StateKey, State] = {}
        for status, minute in said:
            after, _ = settle(before, {}, [(key, state(status, minute), word(status, minute))])
            before |= after
        return before

    other: StateKey = ("demo", "ben", "email", "marketing")
    before = heard(ours, KEY) | heard(theirs, other)
    after, _ = settle(before, {("demo", "ben"): "anna"}, [])
    assert (before | after)[KEY] == heard(ours + theirs, KEY)[KEY]


@pytest.mark.parametrize(
    ("said", "stands"),
    [
        ([("granted", 1), ("requested", 2)], "granted"),
        ([("requested", 2), ("granted", 1)], "granted"),
        ([("granted", 1), ("requested", 1)], "granted"),
        ([("requested", 1), ("granted", 2), ("requested", 3), ("requested", 4)], "granted"),
        ([("granted", 1), ("requested", 2), ("withdrawn", 3)], "withdrawn"),
        ([("granted", 1), ("withdrawn", 2), ("requested", 3)], "requested"),
        ([("withdrawn", 2), ("requested", 3), ("granted", 1)], "requested"),
        ([("granted", 1), ("requested", 3), ("withdrawn", 2)], "requested"),
        ([("refused", 1), ("requested", 2)], "requested"),
        ([("refused", 1), ("requested", 3), ("granted", 2)], "granted"),
    ],
)
def test_a_second_sign_up_takes_no_permission_away(said: list[tuple[Status, int]], stands: Status) -> None:
    before: dict[StateKey, State] = {}
    for seq, (status, minute) in enumerate(said):
        one = state(status, minute, seq)
        before |= settle(before, {}, [(KEY, one, word(status, minute))])[0]
    assert before[KEY].status == stands


def test_a_second_sign_up_is_no_change_and_a_click_still_counts_after_it() -> None:
    after, changes = settle({KEY: state("granted")}, {}, [(KEY, state("requested", 9, 2), word("requested", 9))])
    assert (after[KEY].seq, changes) == (1, []), "the permission rests on the row of the grant"
    ((_, at),) = chosen({("email", "marketing"): after[KEY]}, all_off, T0)
    assert at > T0 + timedelta(minutes=9), "or the request would ask anew after the withdrawal"


def test_a_withdrawal_is_stronger_than_a_grant_of_the_same_moment() -> None:
    for one, other in permutations([state("granted"), state("withdrawn")]):
        assert together(one, other).status == "withdrawn"


def test_the_same_status_told_again_is_no_change() -> None:
    after, changes = settle({KEY: state("granted")}, {}, [(KEY, state("granted", 1, 2), word("granted", 1))])
    assert (after[KEY].seq, changes) == (2, [])


def test_an_older_word_changes_nothing() -> None:
    assert settle({KEY: state("withdrawn", 5)}, {}, [(KEY, state("granted", 1, 2), word("granted", 1))]) == ({}, [])


def test_merged_states_meet_at_the_winner() -> None:
    other: StateKey = ("demo", "ben", "email", "marketing")
    before = {KEY: state("granted", 3), other: state("withdrawn", 5)}
    after, changes = settle(before, {("demo", "anna"): "ben"}, [])
    assert (after, changes) == ({}, [])
    after, changes = settle(before, {("demo", "ben"): "anna"}, [])
    assert (after[KEY].status, [change.because for change in changes]) == ("withdrawn", ["merged"])


@pytest.mark.parametrize("order", list(permutations([("s", "a", "b"), ("s", "b", "c"), ("s", "d", "b")])))
def test_merges_in_any_order_end_at_the_same_profile(order: list[tuple[str, str, str]]) -> None:
    roots = {("s", name): name for name in "abcd"}
    assert moves(order, roots) == {("s", "a"): "c", ("s", "b"): "c", ("s", "d"): "c"}


def test_a_circle_of_merges_keeps_one_profile() -> None:
    roots = {("s", name): name for name in "ab"}
    assert moves([("s", "a", "b"), ("s", "b", "a"), ("s", "a", "a")], roots) == {("s", "a"): "b"}


def test_merges_of_profiles_that_were_merged_before() -> None:
    roots = {("s", "a"): "b", ("s", "b"): "b", ("s", "c"): "c"}
    assert moves([("s", "a", "c")], roots) == {("s", "b"): "c"}
    assert moves([("s", "c", "a")], roots) == {("s", "c"): "b"}


def test_a_picture() -> None:
    rows: list[tuple[str, str, Status]] = [("email", "marketing", "granted"), ("email", "surveys", "refused")]
    assert picture(rows) == {"email": {"marketing": "granted", "surveys": "refused"}}


STANDING = {("email", "marketing"): state("granted", 9), ("sms", "marketing"): state("requested"),
            ("push", "marketing"): state("withdrawn"), ("email", "transactional"): state("granted")}  # fmt: skip


def test_a_click_counts_after_everything_that_stands() -> None:
    ((wish, at),) = chosen(STANDING, unsubscribing("email", "marketing"), T0)
    assert (wish, at) == (("email", "marketing", "withdrawn"), T0 + timedelta(minutes=9, microseconds=1))
    ((wish, at),) = chosen({}, unsubscribing("email", "marketing"), T0)
    assert (wish, at) == (("email", "marketing", "withdrawn"), T0)


def test_what_is_fulfilled_is_not_wished_again() -> None:
    assert chosen(STANDING, unsubscribing("push", "marketing"), T0) == []


def test_all_off_leaves_what_a_contract_needs() -> None:
    assert {wish for wish, _ in chosen(STANDING, all_off, T0)} == {
        ("email", "marketing", "withdrawn"),
        ("sms", "marketing", "withdrawn"),
    }


@pytest.mark.parametrize(
    ("channel", "purpose", "on", "wishes"),
    [
        ("push", "marketing", True, [("push", "marketing", "granted")]),
        ("email", "marketing", True, []),
        ("sms", "marketing", False, [("sms", "marketing", "withdrawn")]),
    ],
)
def test_switches(channel: str, purpose: str, on: bool, wishes: list[tuple[str, str, str]]) -> None:
    assert switching(channel, purpose, on)(STANDING) == wishes


@pytest.mark.parametrize(
    ("channel", "purpose", "on"),
    [
        ("sms", "marketing", True),
        ("viber", "marketing", True),
        ("viber", "marketing", False),
        ("email", "transactional", False),
        ("", "", False),
    ],
)
def test_what_the_page_does_not_offer_is_refused(channel: str, purpose: str, on: bool) -> None:
    with pytest.raises(NoSuchChoice):
        switching(channel, purpose, on)(STANDING)


def test_only_what_was_requested_is_confirmed() -> None:
    assert confirming("sms", "marketing")(STANDING) == [("sms", "marketing", "granted")]
    assert confirming("push", "marketing")(STANDING) == []
    assert confirming("viber", "marketing")(STANDING) == []
