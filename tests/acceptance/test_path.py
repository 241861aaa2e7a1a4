"""A cart left in a shop becomes mails at the right hour, and is cancelled by a purchase; each with its reason."""

import re
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import SPEED
from tests.acceptance.stories import CART, HOUR, Stories, links, unsubscribe
from tests.support.running import Running

SLACK = timedelta(seconds=8 * SPEED)
"""How late a mail may be: eight real seconds."""


def arrived(mail: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(mail["received_at"])


def on_time(mail: dict[str, Any], due: datetime) -> None:
    assert due <= arrived(mail) <= due + SLACK, f"due {due}, arrived {mail['received_at']}"


def rows(platform: Running, stories: Stories, name: str) -> list[dict[str, Any]]:
    return [row for row in platform.outbox(platform.profile(stories[name].email)) if row["scenario"] == CART]


def ends(platform: Running, stories: Stories, name: str) -> list[tuple[str, str | None]]:
    return [(row["end"], row["reason"]) for row in rows(platform, stories, name)]


def enrolment(platform: Running, stories: Stories, name: str) -> dict[str, Any]:
    found = platform.enrolments(stories[name].email, CART)
    assert len(found) == 1, found
    return found[0]


def verdicts(one: dict[str, Any]) -> list[str]:
    return [step["verdict"] for step in one["steps"]]


def test_a_three_mails_on_time(platform: Running, stories: Stories) -> None:
    mails = platform.mails(stories["anna"].email)
    assert len(mails) == 3
    for mail, hours in zip(mails, (1, 24, 72), strict=True):
        on_time(mail, stories.at + hours * HOUR)
    assert ends(platform, stories, "anna") == [("sent", None)] * 3
    one = enrolment(platform, stories, "anna")
    assert (one["state"], one["because"]) == ("ended", "completed")
    assert verdicts(one).count("sent") == 3


def test_a_what_a_mail_shows(platform: Running, stories: Stories) -> None:
    for mail in platform.mails(stories["anna"].email):
        for part in (mail["html"], mail["text"]):
            assert "Sofa Oslo" in part
            assert re.search(r"249[.,]00", part), "no price"
        assert '"https://demo.example/i/sofa-1.jpg"' in mail["html"], "no picture"
        targets = [httpx.get(link, trust_env=False).headers["location"] for link in links(mail)]
        assert "https://demo.example/cart/c-anna" in targets
        assert "<" not in mail["text"], "tags in the text part"


def test_a_what_a_mail_says_of_itself(platform: Running, stories: Stories) -> None:
    for mail in platform.mails(stories["anna"].email):
        headers = mail["headers"]
        assert mail["to"] == [stories["anna"].email]
        assert stories["anna"].email in headers["To"]
        assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert unsubscribe(mail).startswith(platform.url("consent") + "/u/")
        assert headers["Content-Type"].startswith("multipart/alternative")
        assert headers["MIME-Version"] == "1.0"
        assert re.fullmatch(r"<[^@<>\s]+@[^@<>\s]+>", headers["Message-ID"])
        assert headers["From"] and headers["Date"] and headers["Subject"] == mail["subject"] != ""
        assert "{{" not in mail["html"] + mail["text"] + mail["subject"]


def test_a_a_click_redirects_and_is_recorded(platform: Running, stories: Stories) -> None:
    click, pixel = stories.found["click"], stories.found["pixel"]
    assert click.status_code in (302, 303, 307)
    assert click.headers["location"].startswith("https://demo.example/")
    assert pixel.status_code == 200
    assert pixel.headers["content-type"].startswith("image/")
    first = rows(platform, stories, "anna")[0]
    assert datetime.fromisoformat(first["clicked_at"]) >= stories.at + HOUR
    assert datetime.fromisoformat(first["opened_at"]) >= stories.at + HOUR
    profile = platform.profile(stories["anna"].email)
    timeline = platform.ask(f"/v1/profiles/{profile}/timeline", shop="demo")
    kinds = {one["type"] for one in timeline["events"]}
    assert {"cart.updated", "message.sent", "message.clicked", "message.opened"} <= kinds


@pytest.mark.parametrize("route", ["r", "o"])
def test_a_a_token_that_is_not_ours_leads_nowhere(platform: Running, route: str) -> None:
    answer = httpx.get(f"{platform.url('dispatch')}/{route}/nonsense", trust_env=False)
    assert "location" not in answer.headers
    assert answer.status_code == 404 or (route == "o" and answer.status_code == 200)


def test_b_a_purchase_at_the_till_ends_it_at_once(platform: Running, stories: Stories) -> None:
    told = stories.found["cancelled"]
    assert told["because"] == "order.placed"
    assert datetime.fromisoformat(told["ended_at"]) == stories.found["paid"]
    assert stories.found["cancelled at"] - stories.found["paid"] < SLACK
    assert verdicts(told)[-1] == "cancelled"
    assert len(platform.mails(stories["bea"].email)) == 1
    assert ends(platform, stories, "bea") == [("sent", None)]
    assert enrolment(platform, stories, "bea")["because"] == "order.placed"


@pytest.mark.parametrize("name", ["ben", "karl"])
def test_c_without_consent_nothing_is_sent(platform: Running, stories: Stories, name: str) -> None:
    assert platform.mails(stories[name].email) == []
    told = ends(platform, stories, name)
    assert told and set(told) == {("suppressed", "no_consent")}
    steps = [step for step in enrolment(platform, stories, name)["steps"] if step["verdict"] == "suppressed"]
    assert steps and all(step["because"] == "no_consent" for step in steps)


@pytest.mark.parametrize(("name", "how"), [("cecil", "one-click"), ("cora", "multipart")])
def test_d_after_one_click_no_second_mail(platform: Running, stories: Stories, name: str, how: str) -> None:
    answer = stories.found[how]
    assert 200 <= answer.status_code < 300, "RFC 8058: no redirect, no question"
    assert len(platform.mails(stories[name].email)) == 1
    told = ends(platform, stories, name)
    assert told[0] == ("sent", None)
    assert set(told[1:]) == {("suppressed", "withdrawn")}


def test_d_looking_at_the_page_changes_nothing(platform: Running, stories: Stories) -> None:
    """Scanners fetch every link of a mail."""
    assert stories.found["looked"].status_code == 200
    assert "text/html" in stories.found["looked"].headers["content-type"]
    assert len(platform.mails(stories["celina"].email)) == 3


def test_d_one_click_may_be_repeated_and_a_forged_token_does_nothing(platform: Running, stories: Stories) -> None:
    mail = platform.mails(stories["cecil"].email)[0]
    one_click = {"List-Unsubscribe": "One-Click"}
    assert httpx.post(unsubscribe(mail), data=one_click, trust_env=False).is_success
    forged = unsubscribe(platform.mails(stories["jan"].email)[0])[:-6] + "AAAAAA"
    assert 400 <= httpx.post(forged, data=one_click, trust_env=False).status_code < 500
    assert 400 <= httpx.get(forged, trust_env=False).status_code < 500


def test_e_a_changed_cart_starts_the_waits_anew(platform: Running, stories: Stories) -> None:
    mails = platform.mails(stories["emil"].email)
    assert len(mails) == 3
    on_time(mails[0], stories.at + HOUR)
    assert re.search(r"224[.,]50", mails[0]["html"]), "the mail shows an old cart"
    assert not re.search(r"135[.,]50", mails[0]["html"])
    assert len(platform.enrolments(stories["emil"].email, CART)) == 1


def test_e_the_wait_that_was_running_is_cancelled(platform: Running, stories: Stories) -> None:
    (mail,) = platform.mails(stories["ewa"].email)
    on_time(mail, stories.found["changed"] + 12 * HOUR)
    (one,) = platform.enrolments(stories["ewa"].email, "basket")
    assert verdicts(one)[:2] == ["cancelled", "woken"]


def test_f_five_deliveries_are_one_enrolment(platform: Running, stories: Stories) -> None:
    mails = platform.mails(stories["fela"].email)
    assert len(mails) == 3
    on_time(mails[0], stories.at + HOUR)
    assert ends(platform, stories, "fela") == [("sent", None)] * 3
    enrolment(platform, stories, "fela")


def test_g_a_purchase_before_the_cart_event_of_the_same_visit(platform: Running, stories: Stories) -> None:
    assert platform.mails(stories["greg"].email) == []
    assert rows(platform, stories, "greg") == []
    one = enrolment(platform, stories, "greg")
    assert (one["state"], one["because"]) == ("ended", "order.placed")


def test_h_a_malformed_event_is_named_and_the_others_are_taken(platform: Running, stories: Stories) -> None:
    mixed = stories.found["mixed"]
    assert mixed.status_code == 202
    body = mixed.json()
    assert body["accepted"] == 2
    (row,) = body["rejected"]
    assert row["index"] == 1
    assert "cart.value" in row["error"]
    assert len(platform.mails(stories["ivan"].email)) == 3


def test_h_a_malformed_event_alone_is_a_problem(stories: Stories) -> None:
    answer = stories.found["single"]
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["status"] == 422
    assert "cart.value" in answer.text


def test_a_cart_that_is_too_small_never_starts_and_explain_says_so(platform: Running, stories: Stories) -> None:
    assert platform.mails(stories["hana"].email) == []
    (row,) = platform.explain(stories["hana"].email, CART)["scenarios"]
    assert row["entered"] is False and row["enrolments"] == []
    (condition,) = [one for one in row["conditions"] if one["path"] == "event.cart.value"]
    assert (str(condition["found"]), condition["verdict"]) == ("19.00", False)


def test_the_sums_agree(platform: Running, stories: Stories) -> None:
    audit = platform.settled()
    for group in ("events", "steps", "messages"):
        assert audit[group]["difference"] == 0
    assert audit["steps"]["cancelled"] >= 1
    assert audit["messages"]["suppressed"] >= 2
