"""Texts in both languages, and how a browser's wish is read."""

import pytest

from libs.domain.consent import pages, texts
from libs.domain.consent.address import comparable, tidy


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        (None, "en"),
        ("pl", "pl"),
        ("pl-PL,pl;q=0.9,en-US;q=0.8", "pl"),
        ("en,pl;q=0.9", "en"),
        ("de,pl;q=0.1", "pl"),
        ("en;q=0.2, pl;q=0.3", "pl"),
        ("pl;q=0", "en"),
        ("pl;q=nonsense", "en"),
        ("*", "en"),
        (",;;=,", "en"),
    ],
)
def test_language(accept: str | None, language: str) -> None:
    assert texts.language(accept)["lang"] == language


def test_both_languages_say_the_same_things() -> None:
    assert texts.EN.keys() == texts.PL.keys()
    for name, text in texts.EN.items():
        for place in ("{shop}", "{channel}", "{purpose}"):
            assert (place in text) == (place in texts.PL[name]), name


@pytest.mark.parametrize("words", [texts.EN, texts.PL])
def test_every_page_is_whole(words: texts.Texts) -> None:
    standing = {("email", "marketing"): "granted", ("sms", "x<y"): "withdrawn", ("push", "marketing"): "requested"}
    made = [
        pages.unsubscribe(words, "<shop>", "email", "marketing"),
        pages.unsubscribed(words, "<shop>", "email", "marketing"),
        pages.confirm(words, "<shop>", "email", "marketing"),
        pages.confirmed(words, "<shop>", "email", "marketing"),
        pages.preferences(words, "<shop>", standing, saved=True),  # type: ignore[arg-type]
        pages.preferences(words, "<shop>", {}, saved=False),
        *(pages.plain(words, name) for name in ("bad", "stale", "away")),
    ]
    for page in made:
        assert page.startswith("<!doctype html>") and page.endswith("</html>")
        assert "<shop>" not in page and "{" not in page.replace(pages.STYLE, "")


@pytest.mark.parametrize(
    ("channel", "address", "tidied"),
    [
        ("email", " Anna.Nowak+x@Example.com ", "Anna.Nowak+x@Example.com"),
        ("email", "zażółć@przykład.pl", "zażółć@przykład.pl"),
        ("email", "a@b", "a@b"),
        ("email", "a b@c.de", None),
        ("email", "a@b.c\nx", None),
        ("email", "a@b.c, d@e.f", None),
        ("email", "@", None),
        ("email", "x" * 400 + "@y.z", None),
        ("sms", "+48 601-000-000", "+48601000000"),
        ("sms", "601000000", None),
        ("whatsapp", "+1 (212) 555.0100", "+12125550100"),
        ("viber", "+0", None),
        ("push", "token:abc", "token:abc"),
        ("push", "", None),
        ("push", "a\x00b", None),
    ],
)
def test_addresses(channel: str, address: str, tidied: str | None) -> None:
    assert tidy(channel, address) == tidied


def test_mail_is_compared_without_case() -> None:
    assert comparable("email", "Anna@Example.com") == comparable("email", "anna@example.COM")
    assert comparable("push", "Ab") != comparable("push", "ab")
