"""What stands of a permission: the newest word by event time; of two words at one time, the more restrictive."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Status = Literal["granted", "requested", "refused", "withdrawn"]
STATUSES: tuple[Status, ...] = ("granted", "requested", "refused", "withdrawn")
"""From the least to the most restrictive."""
Who = Literal["shop", "link", "preferences", "confirmation", "erasure"]
"""Whose word it is: the shop's, or the customer's by which page; `erasure` when all of a profile is forgotten."""
TRANSACTIONAL = "transactional"
"""The purpose that rests on a contract and needs no consent."""

RANK = {status: rank for rank, status in enumerate(STATUSES)}
ProfileKey = tuple[str, str]
"""Shop and profile id."""
StateKey = tuple[str, str, str, str]
"""Shop, profile id, channel, purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One word about a permission, with its evidence. `record` is the same when the same word is told again."""

    record: str
    shop: str
    profile: str
    channel: str
    purpose: str
    status: Status
    at: datetime
    who: Who
    source: str
    clause: str | None = None
    text: str | None = None
    how: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    page: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What stands, since when (event time), and the register's row that it rests on."""

    status: Status
    at: datetime
    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A permission that stands otherwise than before."""

    key: StateKey
    state: State
    because: str
    traceparent: str | None = None


def stronger(one: State, other: State) -> State:
    """The one that stands when both were said; `one` when they weigh the same."""
    return other if (other.at, RANK[other.status]) > (one.at, RANK[one.status]) else one


def moves(merges: Iterable[tuple[str, str, str]], roots: Mapping[ProfileKey, str]) -> dict[ProfileKey, str]:
    """Which profiles give everything to which, after `merges` (shop, profile, into), told in any order.

    `roots` says for each profile named which one it already is. The answer's values give nothing away themselves.
    """
    parent: dict[ProfileKey, str] = {}

    def find(shop: str, profile: str) -> str:
        while (shop, profile) in parent:
            profile = parent[(shop, profile)]
        return profile

    for shop, profile, into in merges:
        loser, winner = find(shop, roots[(shop, profile)]), find(shop, roots[(shop, into)])
        if loser != winner:
            parent[(shop, loser)] = winner
    return {(shop, loser): find(shop, loser) for shop, loser in parent}


def settle(
    before: Mapping[StateKey, State],
    moved: Mapping[ProfileKey, str],
    told: Iterable[tuple[StateKey, State, Told]],
) -> tuple[dict[StateKey, State], list[Change]]:
    """What must be stored anew, and what of it is another permission than before.

    `before` is what stands for every profile concerned, `moved` what `moves` answered, `told` the new words, each
    under the key of the profile that it counts for now.
    """
    after: dict[StateKey, State] = {}
    because: dict[StateKey, tuple[str, str | None]] = {}

    def say(key: StateKey, state: State, reason: str, traceparent: str | None = None) -> None:
        stands = after.get(key) or before.get(key)
        if stands is None or stronger(stands, state) is state:
            after[key] = state
            because[key] = (reason, traceparent)

    for (shop, profile, channel, purpose), state in before.items():
        winner = moved.get((shop, profile))
        if winner is not None:
            say((shop, winner, channel, purpose), state, "merged")
    for key, state, word in told:
        say(key, state, word.who, word.traceparent)
    changes = [
        Change(key=key, state=state, because=because[key][0], traceparent=because[key][1])
        for key, state in after.items()
        if key not in before or before[key].status != state.status
    ]
    return after, changes


def picture(states: Iterable[tuple[str, str, Status]]) -> dict[str, dict[str, Status]]:
    """Channel -> purpose -> status, as `ConsentChanged` carries it."""
    drawn: dict[str, dict[str, Status]] = {}
    for channel, purpose, status in states:
        drawn.setdefault(channel, {})[purpose] = status
    return drawn
