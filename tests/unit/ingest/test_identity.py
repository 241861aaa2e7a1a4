"""Who is who: attached, merged, kept apart. Pure."""

from collections import Counter

from hypothesis import example, given
from hypothesis import strategies as st

from libs.domain.intake.identifiers import RANK
from libs.domain.intake.identity import Claim, Identifier, Settled, plain, settle

SHOP = "demo"


def one(kind: str, value: str) -> Identifier:
    return Identifier(RANK[kind], f"{kind}={value}".encode())


def claim(forced: bool = False, **identifiers: str) -> Claim:
    found = sorted((one(kind, value) for kind, value in identifiers.items()), key=lambda i: i.kind)
    return Claim(shop=SHOP, identifiers=tuple(found), forced=forced)


def name(_shop: str, kind: str, digest: bytes) -> str:
    return f"by {digest.decode()}"


class World:
    """What the database would hold after each request."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, bytes], str] = {}
        self.kinds: dict[tuple[str, bytes], int] = {}
        self.ended: dict[str, str] = {}

    def say(self, *claims: Claim) -> list[str]:
        self.last = settle(claims, self.known, self.holds(), name)
        for key, profile in self.known.items():
            if profile in self.last.merged:
                self.known[key] = self.last.merged[profile][1]
        for key, (kind, profile) in self.last.attach.items():
            self.known[key], self.kinds[key] = profile, kind
        for loser, (_, into) in self.last.merged.items():
            self.ended[loser] = into
        return self.last.profiles

    def holds(self) -> dict[str, Counter[int]]:
        found: dict[str, Counter[int]] = {}
        for key, profile in self.known.items():
            found.setdefault(profile, Counter())[self.kinds[key]] += 1
        return found

    def who(self, kind: str, value: str) -> str | None:
        return self.known.get((SHOP, one(kind, value).digest))


def test_a_new_customer_is_named_after_the_strongest_identifier() -> None:
    world = World()
    assert world.say(claim(email="a", user_id="42", anonymous_id="x")) == ["by user_id=42"]
    assert {world.who("email", "a"), world.who("anonymous_id", "x")} == {"by user_id=42"}


def test_a_browser_becomes_the_customer_who_logs_in() -> None:
    world = World()
    world.say(claim(anonymous_id="x"))
    world.say(claim(user_id="42"))
    assert world.say(claim(anonymous_id="x", user_id="42")) == ["by user_id=42"]
    assert world.last.merged == {"by anonymous_id=x": (SHOP, "by user_id=42")}
    assert world.who("anonymous_id", "x") == "by user_id=42"


def test_two_accounts_with_one_telephone_stay_two() -> None:
    world = World()
    world.say(claim(user_id="42", phone="1"))
    assert world.say(claim(user_id="43", phone="1")) == ["by user_id=43"]
    assert world.last.merged == {}
    assert world.who("phone", "1") == "by user_id=43", "the number goes to who named it last"
    assert world.who("user_id", "42") == "by user_id=42"


def test_a_new_account_with_a_known_address_of_another_takes_the_address_only() -> None:
    world = World()
    world.say(claim(user_id="42", email="a", phone="1"))
    assert world.say(claim(user_id="43", email="a")) == ["by user_id=43"]
    assert world.who("email", "a") == "by user_id=43"
    assert world.who("phone", "1") == "by user_id=42"


def test_the_second_account_of_a_browser_takes_the_browser() -> None:
    world = World()
    world.say(claim(user_id="42", anonymous_id="x"))
    assert world.say(claim(user_id="43", anonymous_id="x")) == ["by user_id=43"]
    assert world.say(claim(anonymous_id="x")) == ["by user_id=43"]


def test_two_crm_ids_stay_two() -> None:
    world = World()
    world.say(claim(crm_id="8", email="a"))
    assert world.say(claim(crm_id="9", email="a")) == ["by crm_id=9"]
    assert world.last.merged == {}


def test_an_account_learned_later_joins_what_was_known_by_address() -> None:
    world = World()
    world.say(claim(email="a"))
    assert world.say(claim(email="a", user_id="42")) == ["by email=a"]
    assert world.say(claim(user_id="42")) == ["by email=a"]


def test_a_chain_of_merges_within_one_batch_ends_at_the_last() -> None:
    world = World()
    world.say(claim(anonymous_id="x"), claim(email="a"), claim(user_id="42"))
    profiles = world.say(claim(anonymous_id="x"), claim(anonymous_id="x", email="a"), claim(email="a", user_id="42"))
    assert profiles == ["by user_id=42"] * 3
    assert {into for _, into in world.last.merged.values()} == {"by user_id=42"}


def test_a_telephone_used_by_many_does_not_join_them_all() -> None:
    world = World()
    for number in range(30):
        world.say(claim(email=f"guest-{number}", phone="shop's own"))
    assert len({world.who("email", f"guest-{n}") for n in range(30)}) >= 6


def test_an_alias_joins_two_accounts() -> None:
    world = World()
    world.say(claim(user_id="old"), claim(user_id="new"))
    both = Claim(shop=SHOP, identifiers=(one("user_id", "new"), one("user_id", "old")), forced=True)
    assert world.say(both) == ["by user_id=new"]
    assert world.who("user_id", "old") == "by user_id=new"


def test_shops_know_nothing_of_each_other() -> None:
    world = World()
    world.say(claim(user_id="42", phone="1"))
    other = Claim(shop="other", identifiers=(one("phone", "1"),))
    assert world.say(other) == ["by phone=1"]


def test_plain_is_for_the_known_only() -> None:
    known = {(SHOP, one("email", "a").digest): "p", (SHOP, one("phone", "1").digest): "q"}
    assert plain([claim(email="a")], known) == ["p"]
    assert plain([claim(email="a"), claim(email="b")], known) is None
    assert plain([claim(email="a", phone="1")], known) is None


TAKEN_AWAY = {"crm_id": "a", "loyalty_card": "b"}
"""The card's account has given its CRM id to another account a moment before."""
VALUES = st.dictionaries(st.sampled_from(list(RANK)), st.sampled_from("abc"), min_size=1, max_size=3)


@given(st.lists(st.lists(VALUES, min_size=1, max_size=4), max_size=12))
def test_whatever_comes_an_account_is_one_customer_and_a_customer_one_account(
    batches: list[list[dict[str, str]]],
) -> None:
    world = World()
    for batch in batches:
        claims = [claim(**values) for values in batch]
        profiles = world.say(*claims)
        settled: Settled = world.last
        assert not set(profiles) & settled.merged.keys()
        for wanted, profile in zip(claims[-1:], profiles[-1:], strict=True):
            assert all(world.known[(SHOP, i.digest)] == profile for i in wanted.identifiers)
        accounts = Counter(profile for key, profile in world.known.items() if key[1].startswith(b"user_id="))
        assert all(count == 1 for count in accounts.values())
        assert not set(world.known.values()) & settled.merged.keys()


@given(st.lists(VALUES, min_size=1, max_size=8))
@example([{"user_id": "b", "crm_id": "b", "loyalty_card": "b"}, {"crm_id": "b", "user_id": "a"}, TAKEN_AWAY])
def test_one_batch_and_many_requests_come_to_the_same(values: list[dict[str, str]]) -> None:
    together, apart = World(), World()
    together.say(*(claim(**one) for one in values))
    for row in values:
        apart.say(claim(**row))
    assert together.known == apart.known
