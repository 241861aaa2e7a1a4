"""I2: nothing is allowed but what is granted (or needs no consent) and can be reached."""

from datetime import UTC, datetime
from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.consent.decision import CLOSENESS, Reason, judge
from libs.domain.consent.state import STATUSES, TRANSACTIONAL, State

CHANNELS = ("email", "sms", "push")


def state(status: str) -> State:
    return State(status=status, at=datetime(2026, 3, 2, tzinfo=UTC), seq=7, hash=b"h")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "reachable", "reason"),
    [
        (None, None, "no_consent"),
        (None, True, "no_consent"),
        ("requested", None, "unconfirmed"),
        ("refused", False, "refused"),
        ("withdrawn", True, "withdrawn"),
        ("granted", None, "no_address"),
        ("granted", False, "suppressed"),
        ("granted", True, "allowed"),
        ("something new", True, "no_consent"),
    ],
)
def test_consent_comes_before_the_address(status: str | None, reachable: bool | None, reason: str) -> None:
    states = {("email", "marketing"): state(status)} if status else {}
    points = {"email": reachable} if reachable is not None else {}
    verdict = judge(["email"], "marketing", states, points)
    assert (verdict.reason, verdict.allowed) == (reason, reason == "allowed")
    assert (verdict.rested is not None) == (status is not None)


@given(
    st.lists(st.sampled_from(CHANNELS), max_size=3),
    st.dictionaries(st.sampled_from(CHANNELS), st.sampled_from([*STATUSES, "unheard of"])),
    st.dictionaries(st.sampled_from(CHANNELS), st.booleans()),
    st.sampled_from(["marketing", TRANSACTIONAL]),
)
def test_whatever_is_known_an_allow_has_a_grant_and_an_address(
    channels: list[str], told: dict[str, str], points: dict[str, bool], purpose: str
) -> None:
    states = {(channel, purpose): state(status) for channel, status in told.items()}
    verdict = judge(channels, purpose, states, points)
    if verdict.allowed:
        assert verdict.channel is not None
        assert points[verdict.channel]
        assert purpose == TRANSACTIONAL or told[verdict.channel] == "granted"
        before = channels[: channels.index(verdict.channel)]
        assert not any(judge([channel], purpose, states, points).allowed for channel in before)
    else:
        assert not any(judge([channel], purpose, states, points).allowed for channel in channels)
    if purpose == TRANSACTIONAL:
        assert verdict.rested is None


def test_of_several_channels_the_nearest_to_an_allow_gives_the_reason() -> None:
    states = {("email", "marketing"): state("withdrawn"), ("push", "marketing"): state("granted")}
    for channels in product(CHANNELS, repeat=3):
        reasons = [judge([channel], "marketing", states, {}).reason for channel in channels]
        nearest = max(reasons, key=CLOSENESS.index)
        assert judge(channels, "marketing", states, {}).reason == nearest


def test_every_reason_but_allowed_has_its_closeness() -> None:
    assert set(CLOSENESS) == set(get_args(Reason)) - {"allowed"}
