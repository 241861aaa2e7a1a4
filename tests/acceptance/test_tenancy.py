"""I9: a shop's key reaches nothing of another shop, by whatever door."""

from typing import Any

import httpx
import pytest

from tests.acceptance.stories import CART, HOUR, Stories
from tests.support.running import Running, eventually
from tests.support.shop import Customer

SHOP = "neighbour"


@pytest.fixture(scope="module")
def key(platform: Running) -> str:
    """A key of another shop that may do everything there."""
    scopes = ("--scope", "ingest", "--scope", "read", "--scope", "admin")
    return str(platform.cli("keys", "create", "--shop", SHOP, *scopes, "--json").json["key"])


def ask(platform: Running, service: str, key: str, method: str, path: str, **options: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.request(method, platform.url(service) + path, headers=headers, trust_env=False, **options)


@pytest.fixture(scope="module")
def profile(platform: Running, begun: Stories) -> str:
    """A customer of the shop `demo`."""
    return platform.profile(begun["anna"].email)


def test_reading_another_shop_is_refused(platform: Running, key: str, begun: Stories, profile: str) -> None:
    email = begun["anna"].email
    demo = {"shop": "demo"}
    calls: list[tuple[str, str, dict[str, str]]] = [
        ("console", "/v1/outbox", demo),
        ("console", "/v1/explain", demo | {"email": email}),
        ("console", "/v1/explain", demo | {"profile": profile}),
        ("console", f"/v1/profiles/{profile}/timeline", demo),
        ("console", "/v1/scenarios", demo),
        ("console", f"/v1/scenarios/{CART}", demo),
        ("console", "/v1/keys", demo),
        ("dispatch", "/v1/outbox", demo),
        ("rules", "/v1/explain", demo | {"profile": profile}),
        ("rules", "/v1/timeline", demo | {"profile": profile}),
        ("rules", "/v1/scenarios", demo),
    ]
    for service, path, params in calls:
        answer = ask(platform, service, key, "GET", path, params=params)
        assert answer.status_code == 403, (service, path, answer.status_code, answer.text)


def test_the_same_ids_in_the_own_shop_are_not_there(platform: Running, key: str, begun: Stories, profile: str) -> None:
    email = begun["anna"].email
    own = {"shop": SHOP}
    assert ask(platform, "console", key, "GET", "/v1/outbox", params={}).json() == []
    assert ask(platform, "console", key, "GET", "/v1/outbox", params={"profile": profile}).json() == []
    assert ask(platform, "dispatch", key, "GET", "/v1/outbox", params=own | {"profile": profile}).json() == []
    calls: list[tuple[str, str, dict[str, str]]] = [
        ("console", "/v1/explain", {"email": email}),
        ("console", "/v1/explain", {"profile": profile}),
        ("console", f"/v1/profiles/{profile}/timeline", {}),
        ("console", f"/v1/scenarios/{CART}", {}),
        ("rules", "/v1/explain", own | {"profile": profile}),
        ("rules", "/v1/timeline", own | {"profile": profile}),
    ]
    for service, path, params in calls:
        answer = ask(platform, service, key, "GET", path, params=params)
        assert answer.status_code == 404, (service, path, answer.status_code, answer.text)
    assert ask(platform, "console", key, "GET", "/v1/scenarios").json() == []
    assert {row["shop"] for row in ask(platform, "console", key, "GET", "/v1/keys").json()} == {SHOP}


def test_changing_another_shop_is_refused(platform: Running, key: str) -> None:
    made = platform.cli("keys", "create", "--shop", "demo", "--scope", "read", "--json").json
    files = {"scenario.yaml": "kurant: 1\n"}
    for verb in ("pause", "resume", "archive"):
        for params in ({"shop": "demo"}, {}):
            answer = ask(platform, "console", key, "POST", f"/v1/scenarios/{CART}/{verb}", params=params)
            assert answer.status_code in (403, 404), (verb, params, answer.text)
    for path, body in (
        ("/v1/scenarios", {"shop": "demo", "files": files}),
        ("/v1/keys", {"shop": "demo", "scopes": ["read"]}),
    ):
        answer = ask(platform, "console", key, "POST", path, json=body)
        assert answer.status_code == 403, (path, answer.status_code, answer.text)
    assert ask(platform, "console", key, "DELETE", f"/v1/keys/{made['id']}").status_code in (403, 404)
    assert platform.get("/v1/outbox", made["key"]).status_code == 200, "the other shop's key was revoked"
    assert platform.cli("keys", "revoke", made["id"]).code == 0


def test_no_address_of_another_shop_is_given_out(platform: Running, key: str, begun: Stories, profile: str) -> None:
    request: dict[str, Any] = {
        "message": "00000000-0000-4000-8000-000000000001",
        "profile": profile,
        "channels": ["email"],
    }
    request |= {"purpose": "marketing", "scenario": CART, "contacts_at": {}}
    for shop in ("demo", SHOP):
        answer = ask(platform, "consent", key, "POST", "/v1/decisions", json={"requests": [request | {"shop": shop}]})
        assert answer.status_code < 500, answer.text
        assert begun["anna"].email not in answer.text
        assert '"allow"' not in answer.text
    named = {"shop": "demo", "email": begun["anna"].email}
    for shop, statuses in (("demo", (403,)), (SHOP, (403, 404))):
        answer = ask(platform, "ingest", key, "POST", "/v1/profiles/resolve", json=named | {"shop": shop})
        assert answer.status_code in statuses, (shop, answer.text)


def test_events_of_one_shop_never_meet_those_of_another(platform: Running, key: str, begun: Stories) -> None:
    """The same address, loyalty card and source path; only the key tells the shop, and only it counts."""
    twin = Customer("anna", shop=SHOP)
    before = platform.mails(twin.email)
    now = platform.now()
    platform.tell(Customer("anna-of-demo").known(now))
    for source in ("web", "pos/1"):
        told = twin.order(now, till=source != "web")
        assert platform.post([told], key).status_code == 202
    eventually(
        lambda: ask(platform, "console", key, "GET", "/v1/explain", params={"email": twin.email}).is_success,
        20,
        "the neighbour knows its own customer",
    )
    found = ask(platform, "console", key, "GET", "/v1/explain", params={"email": twin.email}).json()
    assert found["profile"] != platform.profile(begun["anna"].email)
    (one,) = platform.enrolments(begun["anna"].email, CART)
    assert one["because"] != "order.placed", "the purchase in another shop ended the enrolment"
    assert len(platform.mails(twin.email)) >= len(before)


def test_a_source_that_names_another_shop_is_not_believed(platform: Running, key: str, begun: Stories) -> None:
    """The key says the shop (I9); an event that claims another is refused, or counted for the key's own."""
    forged = Customer("bea").order(platform.now() - HOUR)
    answer = platform.post([forged], key)
    assert answer.status_code in (202, 403, 422), answer.text
    platform.settled()
    profile = platform.profile(begun["bea"].email)
    timeline = platform.ask(f"/v1/profiles/{profile}/timeline", shop="demo")["events"]
    assert [one["type"] for one in timeline].count("order.placed") <= 1


def test_the_sums_are_the_shops_own(platform: Running) -> None:
    """A shop that did nothing sees nothing of what the others do, by any service's audit or status."""
    scopes = ("--scope", "read", "--scope", "admin")
    key = platform.cli("keys", "create", "--shop", "newcomer", *scopes, "--json").json["key"]
    audit = ask(platform, "console", key, "GET", "/v1/audit").json()
    assert audit.pop("ok") is True
    assert {count for part in audit.values() for count in part.values()} == {0}
    assert platform.ask("/v1/audit", platform.service_key)["events"]["received"] > 0
    status = ask(platform, "console", key, "GET", "/v1/status").json()
    assert {row["lag"] for row in status["services"].values()} == {None}
    assert status["steps"] == {"pending": 0, "oldest_due": None}
    for service in ("ingest", "rules", "scheduler", "dispatch", "consent"):
        for path in ("/v1/audit", "/v1/status"):
            answer = ask(platform, service, key, "GET", path)
            told = answer.json()
            assert answer.status_code == 200 and "lag" not in told, (service, path, told)
            numbers = [part if isinstance(part, dict) else {"": part} for part in told.values()]
            assert {count for part in numbers for count in part.values()} <= {0, None}, (service, path, told)
            assert ask(platform, service, key, "GET", path, params={"shop": "demo"}).status_code == 403
