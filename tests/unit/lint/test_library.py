"""The scenarios that come with Kurant: without a fault, and good mails in every language, whatever is missing."""

import re
from pathlib import Path
from typing import Any

import pytest

from cli.scenario import read_bundle
from libs.domain.engine.program import Send, WaitFor, compile_program
from libs.domain.lint.check import check_bundle, errors
from libs.domain.scenario.parse import parse
from libs.domain.template import Rendered, compile_bundle, pick, render

LIBRARY = Path(__file__).resolve().parents[3] / "scenarios"
FOLDERS = sorted(file.parent for file in LIBRARY.rglob("scenario.yaml"))
LATER = LIBRARY / "not-yet"
CART = read_bundle(LIBRARY / "abandoned-cart")
MESSAGES = compile_bundle(CART)
LINKS = {"unsubscribe_url": "https://shop.example/u/t1", "preferences_url": "https://shop.example/p/t1"}
SOFA = {
    "product_id": "sofa-1",
    "name": "Sofa <Oslo> & co",
    "quantity": 1,
    "price": "249.00",
    "image": "https://shop.example/i/sofa-1.jpg",
}
LAMP = {"product_id": "lamp-7", "name": "Lamp Bergen", "quantity": 2, "price": "89.50"}
FULL: dict[str, Any] = {
    "profile": {"first_name": "Anna"},
    "cart": {
        "id": "c-77",
        "value": "428.00",
        "currency": "PLN",
        "url": "https://shop.example/cart/c-77?a=1&b=2",
        "items": [SOFA, LAMP],
    },
    "shop": {"name": "Demo"},
    **LINKS,
}
EACH = pytest.mark.parametrize(
    ("name", "language"), [(name, language) for name in ("first", "second", "third") for language in ("en", "pl")]
)


def mail(name: str, language: str, variables: dict[str, Any]) -> Rendered:
    chosen = pick(MESSAGES, name, "email", language)
    assert chosen is not None
    assert chosen.language == (None if language == "en" else language)
    return render(chosen, variables)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_there_is_nothing_to_mend(folder: Path) -> None:
    """What is said of a scenario is what this version cannot do; where that is too much, it is kept apart."""
    files = read_bundle(folder)
    findings = check_bundle(files)
    assert [one for one in findings if one.severity != "info" and "this version" not in one.message] == []
    assert bool(errors(findings)) is (folder.parent == LATER)
    assert parse(files["scenario.yaml"]).id == folder.name


def test_the_abandoned_cart_goes_out_after_1_24_and_72_hours() -> None:
    program = compile_program(parse(CART["scenario.yaml"]), 1)
    hours, sent = 0.0, {}
    for step in program.instructions:
        if isinstance(step, WaitFor):
            assert step.wait.for_ is not None
            hours += step.wait.for_.total_seconds() / 3600
        elif isinstance(step, Send):
            sent[step.name] = hours
    assert sent == {"first": 1, "second": 24, "third": 72}
    assert program.restart
    assert program.key == "event.cart.id"
    assert [way.event for way in program.exits] == ["order.placed", "order.paid", "cart.cleared"]


@EACH
def test_a_full_cart(name: str, language: str) -> None:
    made = mail(name, language, FULL)
    assert made.subject.startswith("Anna, ")
    assert made.preheader
    assert "Sofa &lt;Oslo&gt; &amp; co" in made.html
    assert '<img src="https://shop.example/i/sofa-1.jpg" alt="Sofa &lt;Oslo&gt; &amp; co"' in made.html
    assert made.html.count("<img") == 1  # the lamp has no picture
    prices = ("249.00 PLN", "89.50 PLN", "428.00 PLN") if language == "en" else ("249,00 zł", "89,50 zł", "428,00 zł")
    for price in prices:
        assert price in made.html
        assert price in made.text
    assert made.html.count("c-77?a=1&amp;b=2") == 1  # one main action
    assert f'lang="{language}"' in made.html
    for link in LINKS.values():
        assert link in made.text
    assert "Sofa <Oslo> & co" in made.text
    assert "https://shop.example/cart/c-77?a=1&b=2" in made.text
    assert "Demo" in made.html


@EACH
@pytest.mark.parametrize(
    "variables",
    [
        {"profile": {}, "cart": {"id": "c-1"}, **LINKS},
        {"profile": {}, "cart": None, "event": {}, **LINKS},
        {"profile": {"first_name": None}, "cart": {"items": [], "value": None, "url": None}, "shop": None, **LINKS},
        {"profile": {"first_name": ""}, "cart": {"items": [{}, {"name": "Lamp"}, {"price": "1.00"}]}, **LINKS},
        FULL | {"cart": FULL["cart"] | {"currency": None, "items": [SOFA | {"image": None, "quantity": None}]}},
    ],
    ids=["nothing", "no cart", "nulls", "bare items", "no currency"],
)
def test_whatever_is_missing_it_is_a_good_mail(name: str, language: str, variables: dict[str, Any]) -> None:
    made = mail(name, language, variables)
    for part in (made.subject, made.preheader, made.html, made.text):
        assert part.strip()
        for trace in ("None", "{{", "{%", "<built-in", "undefined", "none,", 'href=""', 'src=""'):
            assert trace not in part, trace
    assert not re.search(r"[,:]\s*[,.!]", made.subject)
    assert made.subject[0].isupper()
    assert LINKS["unsubscribe_url"] in made.text


def test_no_value_breaks_out_of_its_place() -> None:
    hostile = '"><script>alert(1)</script>'
    variables = FULL | {
        "profile": {"first_name": f"Eve\r\nBcc: all@example.com {hostile}"},
        "cart": FULL["cart"] | {"url": hostile, "items": [dict.fromkeys(SOFA, hostile)]},
        "shop": {"name": hostile},
    }
    for name in ("first", "second", "third"):
        for language in ("en", "pl"):
            made = mail(name, language, variables)
            assert "<script" not in made.html
            assert "\n" not in made.subject
            assert "\r" not in made.subject
