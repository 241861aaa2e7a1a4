"""What stands of a permission: the newest word by event time; of two words at one time, the more restrictive.

But who has said yes and signs up once more has not taken the yes back: a `requested` leaves a permission as it is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
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
    """What stands, since when (event time), and the register's row that it rests on.

    `beside` is a word that does not stand, but may when others come late: behind a request what was said last before
    it, beside a permission a request that was made after it.
    """

    status: Status
    at: datetime
    seq: int
    hash: bytes
    beside: "State | None" = None

    @property
    def newest(self) -> datetime:
        """When the last word was said that counts."""
        return max(self.at, self.beside.at) if self.beside else self.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A permission that stands otherwise than before."""

    key: StateKey
    state: State
    because: str
    traceparent: str | None = None


def together(one: State, other: State) -> State:
    """What stands when both were said: the same in whatever order words are put together."""
    words = [word for state in (one, other) for word in (state, state.beside) if word is not None]
    settled = _newest(word for word in words if word.status != "requested")
    asked = _newest(word for word in words if word.status == "requested")
    if settled is None or asked is None:
        return replace(settled or asked or one, beside=None)
    if asked.at < settled.at or (asked.at == settled.at and settled.status != "granted"):
        return replace(settled, beside=None)
    stands, beside = (settled, asked) if settled.status == "granted" else (asked, settled)
    return replace(stands, beside=replace(beside, beside=None))


def _newest(words: Iterable[State]) -> State | None:
    """Of several at one moment the most restrictive, then the first that was registered."""
    return max(words, key=lambda word: (word.at, RANK[word.status], -word.seq), default=None)


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
        now = together(stands, state) if stands else state
        if now != stands:
            after[key] = now
        if stands is None or (now.seq, now.status) != (stands.seq, stands.status):
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
