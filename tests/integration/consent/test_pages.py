"""The customers' pages: looking changes nothing, a click takes effect before it is answered, whatever Kafka does."""

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import structlog

from libs.common.errors import Unavailable
from libs.contracts.contacts import ProfileMerged
from services.consent.app import compose
from tests.integration.consent.conftest import ADDRESS, ANNA, BEN, CECIL, IP, PHONE, Bench, asked, consent, told

GRANT = consent("granted")
Link = Callable[[str | None], str]


async def subscribed(bench: Bench, profile: str = ANNA) -> None:
    await bench.consume((told(profile, GRANT, consent("granted", "sms"), email=ADDRESS, phone=PHONE), 0))


async def test_looking_at_the_page_changes_nothing(bench: Bench, link: Link) -> None:
    """Mail scanners follow every link."""
    await subscribed(bench)
    (answer,) = await bench.answers()
    for url in (answer.unsubscribe_url, answer.preferences_url):
        for method in ("GET", "HEAD"):
            page = await bench.http.request(method, link(url))
            assert page.status_code == 200
    assert await bench.may() == ["email"]
    assert await bench.rows() == 2


@pytest.mark.parametrize("kind", ["form", "multipart", "nothing", "wild"])
async def test_one_click_unsubscribes_at_once_and_again_changes_nothing(bench: Bench, link: Link, kind: str) -> None:
    """RFC 8058: no cookie, no redirect, 200; form or multipart; idempotent."""
    await subscribed(bench)
    (answer,) = await bench.answers()
    path = link(answer.unsubscribe_url)
    field = {"List-Unsubscribe": "One-Click"}
    for _ in range(3):
        if kind == "form":
            page = await bench.http.post(path, data=field)
        elif kind == "multipart":
            page = await bench.http.post(path, files={name: (None, value) for name, value in field.items()})
        elif kind == "nothing":
            page = await bench.http.post(path)
        else:
            page = await bench.http.post(path, content=b"\xff\x00--", headers={"Content-Type": "multipart/form-data"})
        assert (page.status_code, page.headers.get("set-cookie"), page.history) == (200, None, [])
    assert await bench.may(asked(), asked(ANNA, "sms")) == ["withdrawn", "sms"]
    assert await bench.rows() == 3
    (change,) = [one for one in await bench.changes() if one.because == "link"]
    assert (change.status, change.consents["email"]["marketing"], change.consents["sms"]["marketing"]) == (
        "withdrawn", "withdrawn", "granted",
    )  # fmt: skip


async def test_the_register_knows_who_withdrew_by_which_message(bench: Bench, link: Link) -> None:
    await subscribed(bench)
    (answer,) = await bench.answers()
    await bench.http.post(link(answer.unsubscribe_url), headers={"User-Agent": "Thunderbird"})
    row = (await bench.get(f"/v1/exports/{ANNA}"))["register"][-1]
    assert (row["who"], row["status"], row["user_agent"], row["ip"]) == (
        "link",
        "withdrawn",
        "Thunderbird",
        "127.0.0.1",
    )
    assert answer.message in row["source"]


async def test_a_withdrawal_takes_effect_while_kafka_is_away_and_is_told_when_it_is_back(
    bench: Bench, link: Link
) -> None:
    await subscribed(bench)
    await bench.changes()
    (answer,) = await bench.answers()
    bench.wire.fails = Unavailable("kafka: away")
    assert (await bench.http.post(link(answer.unsubscribe_url))).status_code == 200
    assert await bench.may() == ["withdrawn"]
    with pytest.raises(Unavailable):
        await bench.changes()
    bench.wire.fails = None
    assert [(one.channel, one.status) for one in await bench.changes()] == [("email", "withdrawn")]
    assert await bench.changes() == []


async def test_a_crash_between_the_acknowledgement_and_the_end_tells_it_again(bench: Bench, link: Link) -> None:
    await subscribed(bench)
    await bench.changes()
    (answer,) = await bench.answers()
    await bench.http.post(link(answer.unsubscribe_url))
    bench.wire.dies = Unavailable("killed here")
    with pytest.raises(Unavailable):
        await bench.changes()
    bench.wire.dies = None
    assert [one.status for one in await bench.changes()] == ["withdrawn"]
    assert len({one.headers[1] for one in bench.wire.sent[-2:]}) == 1, "the same record, by its id"


async def test_a_customers_click_counts_even_if_the_shops_word_is_from_the_future(bench: Bench, link: Link) -> None:
    await bench.consume((told(ANNA, GRANT, email=ADDRESS), 9_000))
    (answer,) = await bench.answers()
    await bench.http.post(link(answer.unsubscribe_url))
    assert await bench.may() == ["withdrawn"]


async def test_a_link_of_a_merged_profile_works_for_the_one_it_became(bench: Bench, link: Link) -> None:
    await subscribed(bench)
    (answer,) = await bench.answers()
    await bench.consume((ProfileMerged(profile=ANNA, into=BEN), 1), (ProfileMerged(profile=BEN, into=CECIL), 2))
    assert "SMS" in (await bench.http.get(link(answer.preferences_url))).text
    await bench.http.post(link(answer.unsubscribe_url))
    assert await bench.may(asked(CECIL), asked(CECIL, "sms")) == ["withdrawn", "sms"]


async def test_a_link_of_a_transactional_message_turns_the_rest_of_its_channel_off(bench: Bench, link: Link) -> None:
    await bench.consume((told(ANNA, GRANT, consent(purpose="surveys"), consent("granted", "sms"), email=ADDRESS), 0))
    (answer,) = await bench.answers(asked(purpose="transactional"))
    assert (await bench.http.post(link(answer.unsubscribe_url))).status_code == 200
    answers = await bench.may(asked(), asked(purpose="surveys"), asked(purpose="transactional"), asked(ANNA, "sms"))
    assert answers == ["withdrawn", "withdrawn", "email", "no_address"]


async def test_a_link_that_is_not_ours_says_so_politely(bench: Bench, link: Link) -> None:
    await subscribed(bench)
    (answer,) = await bench.answers()
    token = link(answer.unsubscribe_url).removeprefix("/u/")
    for path in ("/u/x", f"/u/{token[:-2]}", f"/p/{token}", f"/c/{token}", "/u/%00", "/c/" + "a" * 5000):
        for method in ("GET", "POST"):
            page = await bench.http.request(method, path)
            assert (page.status_code, "not valid" in page.text) == (404, True), path
    assert await bench.may() == ["email"]


async def test_pages_speak_polish_and_english_and_load_nothing(bench: Bench, link: Link) -> None:
    await subscribed(bench)
    (answer,) = await bench.answers()
    for url in (answer.unsubscribe_url, answer.preferences_url):
        polish = await bench.http.get(link(url), headers={"Accept-Language": "de, pl;q=0.9, en;q=0.5"})
        english = await bench.http.get(link(url), headers={"Accept-Language": "de"})
        assert ('lang="pl"' in polish.text, 'lang="en"' in english.text) == (True, True)
        for page in (polish, english):
            policy = page.headers["content-security-policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy
            assert not re.search(r"src=|href=|<script|@import|url\(", page.text)
            assert page.headers["cache-control"] == "no-store"
            assert ADDRESS not in page.text


async def test_markup_in_names_stays_text(bench: Bench, link: Link) -> None:
    await bench.consume((told(ANNA, consent(purpose='<b onclick="x">'), email=ADDRESS), 0))
    (answer,) = await bench.answers(asked(purpose='<b onclick="x">'))
    for url in (answer.unsubscribe_url, answer.preferences_url):
        assert "<b onclick" not in (await bench.http.get(link(url))).text


async def test_the_preference_page_switches_each_and_all(bench: Bench, link: Link) -> None:
    await bench.consume((told(ANNA, GRANT, consent("withdrawn", "sms"), email=ADDRESS, phone=PHONE), 0))
    (answer,) = await bench.answers()
    path = link(answer.preferences_url)
    page = seen = (await bench.http.get(path)).text
    assert 'name="off" value="email:marketing"' in page and 'name="on" value="sms:marketing"' in page
    page = (await bench.http.post(path, data={"on": "sms:marketing"})).text
    assert 'name="off" value="sms:marketing"' in page
    assert await bench.may(asked(), asked(ANNA, "sms")) == ["email", "sms"]
    row = (await bench.get("/v1/consents", profile=ANNA))["history"][-1]
    assert (row["who"], row["status"]) == ("preferences", "granted")
    assert row["text"].startswith("I agree to get")
    assert row["text"] in seen, "what is registered as agreed to is what stood beside the button"
    await bench.http.post(path, data={"off": "email:marketing"})
    assert await bench.may(asked(), asked(ANNA, "sms")) == ["withdrawn", "sms"]
    await bench.http.post(path, data={"on": "email:marketing"})
    await bench.http.post(path, data={"all": "off"})
    assert await bench.may(asked(), asked(ANNA, "sms")) == ["withdrawn", "withdrawn"]


@pytest.mark.parametrize(
    "form",
    [
        {"on": "sms:marketing"},
        {"on": "push:marketing"},
        {"on": "email:transactional"},
        {"on": "x"},
        {},
        {"off": ""},
        {"off": "fax:marketing"},
        {"off": "email:horoscopes"},
        {"all": "on"},
        {"off": "email:marketing", "all": "off"},
    ],
)
async def test_the_preference_page_refuses_what_it_does_not_offer(
    bench: Bench, link: Link, form: dict[str, str]
) -> None:
    await bench.consume((told(ANNA, GRANT, consent("requested", "sms"), email=ADDRESS, phone=PHONE), 0))
    (answer,) = await bench.answers()
    page = await bench.http.post(link(answer.preferences_url), data=form)
    assert (page.status_code, "Nothing was changed" in page.text, "saved" in page.text) == (422, True, False)
    assert await bench.rows() == 2
    assert await bench.may(asked(), asked(ANNA, "sms")) == ["email", "unconfirmed"]


async def test_a_switch_that_stands_as_wished_is_saved_again(bench: Bench, link: Link) -> None:
    """Somebody presses twice, or an old page: what is told is true."""
    await subscribed(bench)
    (answer,) = await bench.answers()
    for _ in range(2):
        page = await bench.http.post(link(answer.preferences_url), data={"off": "sms:marketing"})
        assert (page.status_code, "saved" in page.text) == (200, True)
    assert await bench.may(asked(), asked(ANNA, "sms")) == ["email", "withdrawn"]


async def test_pages_call_the_shop_by_its_name(bench: Bench, link: Link, tmp_path: Path) -> None:
    file = tmp_path / "shops.yaml"
    file.write_text("shops: {demo: {name: Sofy i Kanapy}}")
    await bench.consume((told(ANNA, consent("requested"), email=ADDRESS), 0))
    (answer,) = await bench.answers(asked(purpose="transactional"))
    app, _ = await compose(replace(bench.parts, settings=bench.parts.settings.model_copy(update={"shops": str(file)})))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="https://c.example") as http:
        for url in (answer.unsubscribe_url, answer.preferences_url, answer.confirm_url):
            page = (await http.get(link(url))).text
            assert "Sofy i Kanapy" in page and "demo" not in page
        await http.post(link(answer.confirm_url))
    row = (await bench.get("/v1/consents", profile=ANNA))["history"][-1]
    assert "Sofy i Kanapy" in row["text"], "what is registered is what was read"


async def test_a_second_sign_up_keeps_what_was_confirmed(bench: Bench, link: Link) -> None:
    await bench.consume((told(ANNA, consent("requested"), email=ADDRESS), 0))
    (answer,) = await bench.answers(asked(purpose="transactional"))
    await bench.http.post(link(answer.confirm_url))
    await bench.changes()
    await bench.consume((told(ANNA, consent("requested")), 9_000))
    assert await bench.may() == ["email"]
    assert await bench.changes() == []
    shown = await bench.get("/v1/consents", profile=ANNA)
    assert [row["status"] for row in shown["history"]] == ["requested", "granted", "requested"]
    assert shown["consents"]["email"]["marketing"]["row"] == 2, "the permission rests on the confirmation"
    assert (await bench.get("/v1/consents/verify"))["ok"]
    await bench.http.post(link((await bench.answers())[0].unsubscribe_url))
    assert await bench.may() == ["withdrawn"], "the request of before does not outlive the withdrawal"
    await bench.consume((told(ANNA, consent("requested")), 9_500))
    assert await bench.may() == ["unconfirmed"]


async def test_what_stands_beside_outlives_the_process_and_a_merge(bench: Bench) -> None:
    await bench.consume((told(ANNA, consent("granted"), email=ADDRESS), 1))
    await bench.consume((told(ANNA, consent("requested")), 5))
    await bench.consume((ProfileMerged(profile=ANNA, into=BEN), 6))
    assert await bench.may(asked(BEN)) == ["email"]
    await bench.consume((told(BEN, consent("withdrawn")), 3))
    assert await bench.may(asked(BEN)) == ["unconfirmed"], "withdrawn before the second sign-up, though heard of later"
    await bench.consume((told(BEN, consent("granted")), 4))
    assert await bench.may(asked(BEN)) == ["email"], "and granted between the two"


async def test_double_opt_in(bench: Bench, link: Link) -> None:
    await bench.consume((told(ANNA, consent("requested"), email=ADDRESS), 0))
    assert await bench.may() == ["unconfirmed"]
    (answer,) = await bench.answers(asked(purpose="transactional"))
    path = link(answer.confirm_url)
    assert "<button" in (await bench.http.get(path)).text
    assert await bench.may() == ["unconfirmed"]
    for _ in range(2):
        assert (await bench.http.post(path)).status_code == 200
    assert await bench.may() == ["email"]
    assert await bench.rows() == 2
    await bench.http.post(link((await bench.answers())[0].unsubscribe_url))
    assert "Nothing" in (await bench.http.post(path)).text
    assert await bench.may() == ["withdrawn"], "an old confirmation brought a withdrawn consent back"


async def test_a_confirmation_sent_to_another_address_confirms_nothing(bench: Bench, link: Link) -> None:
    await bench.consume((told(ANNA, consent("requested"), email=ADDRESS), 0))
    (answer,) = await bench.answers(asked(purpose="transactional"))
    await bench.consume((told(ANNA, email="other@example.com"), 5))
    assert "Nothing" in (await bench.http.post(link(answer.confirm_url))).text
    assert await bench.may() == ["unconfirmed"]


async def test_when_the_database_is_away_the_page_says_try_again(
    bench: Bench, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    await subscribed(bench)
    (answer,) = await bench.answers()

    async def away(*_arguments: object) -> None:
        raise Unavailable("database: away")

    monkeypatch.setattr("services.consent.store.know", away)
    page = await bench.http.post(link(answer.unsubscribe_url))
    assert (page.status_code, "try again" in page.text, "Retry-After" in page.headers) == (503, True, True)


async def test_no_address_in_logs_changes_or_pages(
    bench: Bench, link: Link, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """I1: what was told with an address, and what was told wrongly, leaves no trace of it."""
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as lines:
        evidence = consent("granted", ip=IP, user_agent="Firefox", page=f"https://shop.example/?email={ADDRESS}")
        await bench.consume((told(ANNA, evidence, email=ADDRESS, phone=PHONE), 0))
        await bench.consume((told(ANNA, email=f"{ADDRESS}\n{ADDRESS}"), 0), (told(ADDRESS, email=ADDRESS), 0))
        (answer,) = await bench.answers()
        await bench.http.post(link(answer.unsubscribe_url))
        await bench.changes()
    written = repr(lines) + "".join(capfd.readouterr()) + caplog.text
    for one in bench.wire.sent:
        if not one.topic.endswith(".quarantine"):
            written += one.value.decode() + repr(one.headers)
        else:
            written += repr([header for header in one.headers if "quarantine" in header[0]])
    written += repr(await bench.fetch("SELECT * FROM consent.register")) + repr(
        await bench.fetch("TABLE consent.contact")
    )
    for secret in (ADDRESS, ADDRESS.split("@")[0], PHONE, IP):
        assert secret not in written
