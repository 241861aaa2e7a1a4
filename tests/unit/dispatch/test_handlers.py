"""Decisions of dispatch, without anything around them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from libs.domain.mail import Letter, Links, Mailbox
from libs.domain.template import compile_bundle
from libs.domain.template.shelf import Shelf
from services.dispatch import handlers
from services.dispatch.handlers import Decision, Job, Outcome, news
from services.dispatch.handlers.letter import Style, write
from tests.integration.dispatch.conftest import FILES, SECRETS, START, message_id, profile_id, request

LINKS = Links(base="https://go.example", sign=SECRETS.sign)


def job(**changes: Any) -> Job:
    return Job(
        message=message_id("anna"),
        shop="demo",
        profile=profile_id("anna"),
        tries=0,
        reason=None,
        traceparent=None,
        request=request("anna", **changes),
    )


def shelf() -> Shelf:
    made = Shelf()
    made.publish("demo", "abandoned-cart", 1, compile_bundle(FILES))
    return made


def test_channels_to_ask_about_are_those_with_a_gateway_and_a_text() -> None:
    found = handlers.before_asking(job(channels=["push", "sms", "email"]), shelf(), ["email", "sms"], START)
    assert found == (["sms", "email"], None)


def test_another_shops_scenario_of_the_same_name_is_not_used() -> None:
    """I9."""
    foreign = replace(job(), shop="elsewhere")
    channels, change = handlers.before_asking(foreign, shelf(), ["email"], START)
    assert channels == []
    assert change is not None and change.reason == "version_unknown"


@pytest.mark.parametrize(
    ("outcome", "state", "reason"),
    [
        (Outcome(kind="sent"), "sent", None),
        (Outcome(kind="refused", reason="smtp_550"), "failed", "smtp_550"),
        (Outcome(kind="unknown", reason="smtp_no_answer"), "unknown", "smtp_no_answer"),
        (Outcome(kind="not_now", reason="smtp_451"), "pending", "smtp_451"),
    ],
)
def test_what_an_outcome_comes_to(outcome: Outcome, state: str, reason: str | None) -> None:
    change = handlers.after_sending(job(), outcome, START)
    assert (change.was, change.state, change.reason, change.tried) == ("sending", state, reason, state == "pending")


def test_the_pause_grows_and_never_reaches_beyond_the_end() -> None:
    later = Outcome(kind="not_now", reason="smtp_451")
    pauses = []
    for tries in range(9):
        change = handlers.after_sending(replace(job(), tries=tries), later, START)
        assert change.not_before is not None
        pauses.append(change.not_before - START)
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (timedelta(seconds=5), timedelta(hours=1))
    soon = job(expires_at=START + timedelta(seconds=3))
    change = handlers.after_sending(soon, later, START)
    assert change.not_before == START + timedelta(seconds=3, milliseconds=1)


def test_too_late_is_after_the_moment_not_at_it() -> None:
    one = job(expires_at=START)
    assert not one.expired(START)
    assert one.expired(START + timedelta(microseconds=1))
    assert not job(expires_at=None).expired(START + timedelta(days=9_999))


def test_a_defer_never_spins() -> None:
    change = handlers.after_asking(job(), Decision(decision="defer", until=START - timedelta(days=1)), START)
    assert change is not None and change.not_before == START + timedelta(seconds=1)


def test_the_language_of_the_customer() -> None:
    bundle = compile_bundle(FILES | {"messages/first.email.pl.html": "---\nsubject: Koszyk\n---\n<p>Cześć</p>"})
    from libs.domain.template import pick

    def subject(language: str | None) -> str:
        chosen = pick(bundle, "first", "email", language)
        assert chosen is not None
        return chosen.subject

    assert subject("pl") == subject("pl-PL") == "Koszyk"
    assert subject("de") == subject(None) != "Koszyk"


def written(tracking: bool = True, **context: Any) -> Letter:
    message = compile_bundle(FILES)["first.email"]
    style = Style(sender=Mailbox(address="n@s.example", name="S"), tracking=tracking)
    decision = Decision(
        decision="allow", channel="email", address="a@b.example", unsubscribe_url="https://s.example/u/1/2?x=1&y=2"
    )
    base = {"profile": {"first_name": "Anna"}, "cart": {"value": "249.00"}}
    return write(job(context=base | context), message, decision, style, LINKS, START)


def test_values_are_escaped_in_html_and_plain_in_text() -> None:
    files = {
        "messages/first.email.html": "---\nsubject: '{{ profile.first_name }}'\n---\n<p>{{ profile.first_name }}</p>"
    }
    message = compile_bundle(files)["first.email"]
    one = job(context={"profile": {"first_name": "<b>A & B</b>"}})
    allowed = Decision(decision="allow", channel="email", address="a@b.example")
    letter = write(one, message, allowed, Style(sender=Mailbox(address="n@s.example")), LINKS, START)
    assert "<p>&lt;b&gt;A &amp; B" in letter.html
    assert letter.text.strip() == "<b>A & B</b>"
    assert letter.subject == "<b>A & B</b>"


def test_the_way_out_is_not_counted_and_the_rest_is() -> None:
    html = written().html
    assert "/r/" in html and "/o/" in html
    assert "https://demo.example/cart" not in html
    assert "s.example" in html
    untracked = written(tracking=False).html
    assert "/r/" not in untracked and "/o/" not in untracked


def test_a_confirmation_is_asked_by_consents_own_link_and_is_not_counted() -> None:
    html = '<body><a href="{{ confirm_url }}">yes</a><a href="https://s.example/">shop</a></body>'
    files = {"messages/first.email.html": f"---\nsubject: s\n---\n{html}"}
    url = "https://s.example/c/token"
    allowed = Decision(decision="allow", channel="email", address="a@b.example", confirm_url=url)
    style = Style(sender=Mailbox(address="n@s.example"), tracking=True)
    letter = write(job(), compile_bundle(files)["first.email"], allowed, style, LINKS, START)
    assert f'href="{url}"' in letter.html
    assert letter.html.count("/r/") == 1


def test_the_shop_cannot_be_said_by_the_context() -> None:
    files = {"messages/first.email.html": "---\nsubject: '{{ shop.id }}'\n---\n{{ unsubscribe_url }}"}
    one = job(context={"shop": {"id": "evil"}, "unsubscribe_url": "https://evil.example"})
    allowed = Decision(decision="allow", channel="email", address="a@b.example", unsubscribe_url="https://good.example")
    message = compile_bundle(files)["first.email"]
    letter = write(one, message, allowed, Style(sender=Mailbox(address="n@s.example")), LINKS, START)
    assert letter.subject == "demo"
    assert "evil" not in letter.html + letter.text


def test_what_is_said_of_the_shop_and_of_the_hour() -> None:
    files = {"messages/first.email.html": "---\nsubject: s\n---\n{{ shop.name }} {{ shop.id }} {{ profile.timezone }}"}
    message, style = compile_bundle(files)["first.email"], Style(sender=Mailbox(address="n@s.example"))
    allowed = Decision(decision="allow", channel="email", address="a@b.example")
    shop = {"name": "Vado", "id": "evil"}
    letter = write(job(context={"profile": {}}), message, allowed, style, LINKS, START, shop=shop)
    assert letter.text.split() == ["Vado", "demo", str(job().request.timezone)]


def test_a_fault_of_our_own_is_tried_again_a_few_times() -> None:
    again = handlers.after_trouble(job(), START)
    assert (again.state, again.reason, again.tried) == ("pending", "internal_error", True)
    assert again.not_before is not None and again.not_before > START
    last = handlers.after_trouble(replace(job(), tries=handlers.TROUBLE), START)
    assert (last.state, last.reason) == ("failed", "internal_error")


def test_the_same_news_has_the_same_id() -> None:
    """I3."""
    row = news.Untold(
        message=message_id("a"),
        shop="demo",
        profile=profile_id("a"),
        scenario="s",
        version=1,
        enrolment=profile_id("e"),
        path="steps/0",
        name="first",
        state="sent",
        reason=None,
        channel="email",
        gateway="mail",
        ended_at=START,
        not_before=START,
        traceparent=None,
    )
    first, again = news.deliveries([row], START), news.deliveries([row], START + timedelta(hours=1))
    assert first == again
    put_off = news.deliveries([replace(row, state="pending", reason="smtp_451", ended_at=None)], START)
    assert put_off[0].headers[1] != first[0].headers[1]


def test_a_look_is_one_within_a_minute() -> None:
    ids = [news.touch_id("m", "clicked", "https://x", START + timedelta(seconds=s)) for s in (0, 59, 60)]
    assert ids[0] == ids[1] != ids[2]
    assert news.touch_id("m", "opened", None, START) != news.touch_id("m", "clicked", None, START)


def test_an_address_is_not_in_what_is_printed() -> None:
    assert "a@b.example" not in repr(Decision(decision="allow", channel="email", address="a@b.example"))
