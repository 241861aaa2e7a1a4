"""May we write? Pure: what is asked and what is known in, a verdict out. What is not plainly allowed is denied (I2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from libs.domain.consent.state import TRANSACTIONAL, State

Reason = Literal["allowed", "no_consent", "unconfirmed", "refused", "withdrawn", "no_address", "suppressed"]
CLOSENESS: tuple[Reason, ...] = ("no_consent", "unconfirmed", "refused", "withdrawn", "no_address", "suppressed")
"""How near a channel came to being allowed; of several channels the reason of the nearest is given."""
SPOKEN: dict[str, Reason] = {"requested": "unconfirmed", "refused": "refused", "withdrawn": "withdrawn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`channel` is the one allowed, or the one whose reason is given; `rested` the consent that decided, if one did."""

    allowed: bool
    reason: Reason
    channel: str | None = None
    rested: State | None = None


def judge(
    channels: Sequence[str],
    purpose: str,
    states: Mapping[tuple[str, str], State],
    reachable: Mapping[str, bool],
) -> Verdict:
    """The first of `channels` that is permitted and has an address that is not suppressed.

    `states` by channel and purpose; `reachable` names the channels with an address: False when it is suppressed.
    """
    nearest: Verdict | None = None
    for channel in channels:
        verdict = _judge_one(channel, purpose, states.get((channel, purpose)), reachable.get(channel))
        if verdict.allowed:
            return verdict
        if nearest is None or CLOSENESS.index(verdict.reason) > CLOSENESS.index(nearest.reason):
            nearest = verdict
    return nearest or Verdict(allowed=False, reason="no_address" if purpose == TRANSACTIONAL else "no_consent")


def _judge_one(channel: str, purpose: str, state: State | None, reachable: bool | None) -> Verdict:
    rested = None if purpose == TRANSACTIONAL else state
    reason: Reason = "allowed"
    if purpose != TRANSACTIONAL and (state is None or state.status != "granted"):
        reason = SPOKEN.get(state.status, "no_consent") if state else "no_consent"
    elif reachable is None:
        reason = "no_address"
    elif not reachable:
        reason = "suppressed"
    return Verdict(allowed=reason == "allowed", reason=reason, channel=channel, rested=rested)
