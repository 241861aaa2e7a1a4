"""Who is who: which profile an event belongs to, when two profiles are one, and when they are not.

A profile holds any number of anonymous ids, a few addresses and cards, and one `user_id` and one `crm_id`: two
accounts are two customers, even if they share a telephone or a card. Where joining two profiles would break
that, they stay two, and the weaker identifier goes to the profile that named it last.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from libs.domain.intake.identifiers import KINDS, RANK

LIMITS = {RANK["user_id"]: 1, RANK["crm_id"]: 1, RANK["loyalty_card"]: 5, RANK["email"]: 5, RANK["phone"]: 5}
"""How many identifiers of a kind two profiles may have together and still be one customer."""
Key = tuple[str, bytes]
"""Shop and keyed hash of an identifier."""
Holds = dict[str, Counter[int]]
"""Profile -> how many identifiers of each limited kind it holds."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """One identifier of an event. `kind` is its place among `KINDS`."""

    kind: int
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """That all these identifiers, strongest first, are one customer. `forced`: whatever the limits say."""

    shop: str
    identifiers: tuple[Identifier, ...]
    forced: bool = False


@dataclass(slots=True)
class Settled:
    """What claims come to: the profile of each; identifiers that are new or have moved; profiles that ended."""

    profiles: list[str] = field(default_factory=list)
    attach: dict[Key, tuple[int, str]] = field(default_factory=dict)
    merged: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The losing profile -> its shop and the profile that it is now."""


def plain(claims: Iterable[Claim], known: Mapping[Key, str]) -> list[str] | None:
    """The profile of each claim, if every one is about identifiers known to be of one profile; else None."""
    profiles: list[str] = []
    for claim in claims:
        shop = claim.shop
        first, *others = claim.identifiers
        found = known.get((shop, first.digest))
        if found is None or any(known.get((shop, other.digest)) != found for other in others):
            return None
        profiles.append(found)
    return profiles


def settle(
    claims: Sequence[Claim], known: Mapping[Key, str], holds: Holds, name: Callable[[str, str, bytes], str]
) -> Settled:
    """Take the claims one after the other. `name` makes a profile id of shop, kind and digest."""
    return _Settling(dict(known), holds, name).take(claims)


class _Settling:
    def __init__(self, known: dict[Key, str], holds: Holds, name: Callable[[str, str, bytes], str]) -> None:
        self._known = known
        self._holds = holds
        self._name = name
        self._result = Settled()

    def take(self, claims: Sequence[Claim]) -> Settled:
        found = [self._one(claim) for claim in claims]
        result = self._result
        result.profiles = [self._now(profile) for profile in found]
        result.attach = {key: (kind, self._now(profile)) for key, (kind, profile) in result.attach.items()}
        result.merged = {loser: (shop, self._now(into)) for loser, (shop, into) in result.merged.items()}
        return result

    def _now(self, profile: str) -> str:
        while profile in self._result.merged:
            profile = self._result.merged[profile][1]
        return profile

    def _one(self, claim: Claim) -> str:
        """The profile of one claim; strongest identifiers first, so that they decide."""
        winner: str | None = None
        mine: Counter[int] = Counter()
        take: list[Identifier] = []
        for identifier in claim.identifiers:
            profile = self._known.get((claim.shop, identifier.digest))
            profile = None if profile is None else self._now(profile)
            if profile is None:
                take.append(identifier)
                mine[identifier.kind] += 1
            elif profile == winner:
                continue
            elif not claim.forced and self._clash(mine, profile):
                take.append(identifier)
                mine[identifier.kind] += 1
                self._holds[profile] = self._holds.get(profile, Counter()) - Counter({identifier.kind: 1})
            elif winner is None:
                winner = profile
                mine += self._holds.get(profile, Counter())
            else:
                mine += self._holds.get(profile, Counter())
                self._result.merged[profile] = (claim.shop, winner)
        if winner is None:
            strongest = claim.identifiers[0]
            winner = self._name(claim.shop, KINDS[strongest.kind], strongest.digest)
        for identifier in take:
            self._known[(claim.shop, identifier.digest)] = winner
            self._result.attach[(claim.shop, identifier.digest)] = (identifier.kind, winner)
        self._holds[winner] = mine
        return winner

    def _clash(self, mine: Counter[int], profile: str) -> bool:
        """Whether both together would hold more of a kind than one customer has."""
        theirs = self._holds.get(profile, Counter())
        return any(theirs[kind] and mine[kind] + theirs[kind] > most for kind, most in LIMITS.items() if mine[kind])
