"""Message files: compiled once, rendered within limits, never telling a value in an error."""

import pytest

from libs.domain.scenario.source import ScenarioError
from libs.domain.template import CompiledMessage, TemplateError, compile_bundle, pick, render
from libs.domain.template.shelf import Shelf

MJML = """\
---
subject: "{{ profile.first_name }}, {{ cart.value | money('PLN', 'pl') }}"
preheader: Still here
---
<mjml><mj-body><mj-section><mj-column>
<mj-text>Hello {{ profile.first_name }}</mj-text>
<mj-raw>{% for item in cart.items %}</mj-raw><mj-text>{{ item.name }}: {{ item.price | money("PLN") }}</mj-text>
<mj-image src="{{ item.image }}" href="{{ item.url }}" alt="{{ item.name }}" /><mj-raw>{% endfor %}</mj-raw>
<mj-button href="{{ cart.url }}">To the cart</mj-button>
</mj-column></mj-section></mj-body></mjml>
"""
VALUES = {
    "profile": {"first_name": "Ańa <3"},
    "cart": {
        "value": "1249.00",
        "url": "https://demo.example/c?a=1&b=2",
        "items": [
            {"name": "Sofa", "price": "249.00", "image": "https://i.example/1.jpg", "url": "https://demo.example/1"},
            {"name": "Lamp", "price": "89", "image": "https://i.example/2.jpg", "url": "https://demo.example/2"},
        ],
    },
}


def test_mjml_becomes_html_with_loops_and_a_text_part_with_the_same() -> None:
    made = render(compile_bundle({"messages/first.email.mjml": MJML})["first.email"], VALUES)
    assert made.subject == "Ańa <3, 1\u00a0249,00 zł" or made.subject == "Ańa <3, 1 249,00 zł"
    assert made.html.count("249.00 PLN") == 1 and "89.00 PLN" in made.html
    assert "Ańa &lt;3" in made.html and "<3" not in made.html.replace("&lt;3", "")
    assert 'src="https:&#x2f;&#x2f;i.example&#x2f;1.jpg"' in made.html or 'src="https://i.example/1.jpg"' in made.html
    assert "Sofa: 249.00 PLN" in made.text and "Lamp: 89.00 PLN" in made.text
    assert "To the cart (https://demo.example/c?a=1&b=2)" in made.text
    assert made.html.index("Still here") < made.html.index("Hello")


def test_a_text_beside_is_the_text_part_and_alone_is_a_mail() -> None:
    both = compile_bundle({"messages/a.email.html": "<p>x</p>", "messages/a.email.txt": "own {{ key }}"})
    assert render(both["a.email"], {"key": "k"}).text == "own k"
    alone = compile_bundle({"messages/a.email.txt": "---\nsubject: S\n---\nonly text"})["a.email"]
    assert (alone.subject, alone.html, alone.text) == ("S", "", "only text")


def test_a_push_is_yaml_alone() -> None:
    made = compile_bundle({"messages/a.push.yaml": "title: T {{ key }}\nbody: B\nurl: https://x.example/{{ key }}\n"})
    rendered = render(made["a.push"], {"key": "k"})
    assert (rendered.subject, rendered.text, rendered.url) == ("T k", "B", "https://x.example/k")


def test_front_matter_may_be_empty_or_wrong() -> None:
    assert compile_bundle({"messages/a.sms.txt": "---\n---\nHi"})["a.sms"].text == "Hi"
    for broken in ("---\nsubject: x\nHi", "---\nnonsense: 1\n---\nHi", "---\n[1]\n---\nHi"):
        with pytest.raises(ScenarioError):
            compile_bundle({"messages/a.sms.txt": broken})


def test_broken_mjml_names_the_line() -> None:
    with pytest.raises(ScenarioError) as raised:
        compile_bundle({"messages/a.email.mjml": "---\nsubject: x\n---\n<mjml><mj-body>\n<mj-nonsense></mjml>"})
    assert raised.value.findings[0].file == "messages/a.email.mjml"
    assert raised.value.findings[0].line >= 4


@pytest.mark.parametrize(
    "template",
    [
        "{{ profile.secret | nosuch }}",
        "{{ profile.secret + 1 }}",
        "{{ profile.secret.upper(1, 2, 3) }}",
        "{% include profile.secret %}",
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
    ],
)
def test_an_error_tells_no_value(template: str) -> None:
    message = CompiledMessage(name="a", channel="email", language=None, text=template)
    with pytest.raises(TemplateError) as raised:
        render(message, {"profile": {"secret": "anna@example.com"}})
    assert "anna" not in str(raised.value)
    assert raised.value.__cause__ is None and raised.value.__suppress_context__


def test_what_is_missing_is_empty() -> None:
    message = CompiledMessage(name="a", channel="email", language=None, text="[{{ cart.nothing.at.all }}]")
    assert render(message, {}).text == "[]"


def test_the_shelf_keeps_a_version_as_it_was() -> None:
    """I8."""
    shelf = Shelf()
    shelf.publish("demo", "s", 1, {})
    shelf.publish("demo", "s", 1, compile_bundle({"messages/a.sms.txt": "x"}))
    assert shelf.find("demo", "s", 1) == {}
    assert shelf.find("other", "s", 1) is None
    assert (shelf.state("demo", "s", 2), shelf.knows("demo", "s", 2)) == ("live", False)
    shelf.set_state("demo", "s", "paused", 1)
    assert (shelf.state("demo", "s", 1), shelf.state("demo", "s", 2)) == ("archived", "paused")


def test_any_language_is_better_than_none() -> None:
    bundle = compile_bundle({"messages/a.sms.pl.txt": "pl", "messages/a.sms.cs.txt": "cs"})
    found = pick(bundle, "a", "sms", "de")
    assert found is not None and found.text == "cs"
    assert pick(bundle, "b", "sms", "pl") is None


@pytest.mark.parametrize(
    ("at", "zone", "shown"),
    [
        ("2026-03-10T09:00:00Z", "Europe/Warsaw", "10.03 10:00"),
        ("2026-03-10T10:00+01:00", "America/New_York", "10.03 05:00"),
        ("2026-03-10T10:00+01:00", None, "10.03 10:00"),
        ("2026-03-10T10:00", "Europe/Warsaw", "10.03 10:00"),
        ("2026-03-10", "America/New_York", "10.03 00:00"),
        ("tomorrow", "Europe/Warsaw", "tomorrow"),
        ("0001-01-01T00:00Z", "America/New_York", "0001-01-01T00:00Z"),
    ],
)
def test_a_time_is_shown_as_on_the_wall_of_the_customer(at: str, zone: str | None, shown: str) -> None:
    files = {"messages/m.sms.txt": "{{ event.at|date('%d.%m %H:%M', profile.timezone) }}"}
    variables = {"event": {"at": at}, "profile": {"timezone": zone} if zone else {}}
    assert render(compile_bundle(files)["m.sms"], variables).text == shown


@pytest.mark.parametrize(
    ("language", "shown"),
    [("en", "Monday, 2 March"), ("pl", "poniedziałek, 2 marca"), ("pl-PL", "poniedziałek, 2 marca")],
)
def test_days_and_months_have_their_names(language: str, shown: str) -> None:
    files = {"messages/m.sms.txt": "{{ event.at|date('%A, %-d %B', profile.timezone, '" + language + "') }}"}
    variables = {"event": {"at": "2026-03-01T23:30:00Z"}, "profile": {"timezone": "Europe/Warsaw"}}
    assert render(compile_bundle(files)["m.sms"], variables).text == shown
