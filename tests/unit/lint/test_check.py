"""Lint: every finding, at its line, with what to do."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.domain.lint import check
from libs.domain.lint.check import check_bundle
from libs.domain.scenario.source import Finding

HEAD = """\
kurant: 1
id: cart
name: Cart
purpose: marketing
trigger:
  event: cart.updated
key: event.cart.id
steps:
"""
STEPS = """\
  - wait: 1h
  - send: first
"""
MAIL = """\
---
subject: Your cart
---
<mjml>
  <mj-body>
    <mj-section>
      <mj-column>
        <mj-text>Hello {{ profile.first_name }}</mj-text>
        <mj-text><a href="{{ unsubscribe_url }}">Unsubscribe</a></mj-text>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
"""
FIRST = "messages/first.email.mjml"


def bundle(steps: str = STEPS, *, head: str = HEAD, mail: str = MAIL, **more: str) -> dict[str, str]:
    return {"scenario.yaml": head + steps, FIRST: mail, **more}


def only(files: dict[str, str]) -> Finding:
    found = [one for one in check_bundle(files) if one.severity != "info"]
    assert len(found) == 1, [f"{one.file}:{one.line} {one.message}" for one in found]
    return found[0]


def expect(files: dict[str, str], line: int, message: str, hint: str = "", severity: str = "error") -> None:
    """Exactly one finding, in `scenario.yaml`."""
    found = only(files)
    assert (found.file, found.line, found.severity) == ("scenario.yaml", line, severity)
    assert message in found.message
    assert hint in found.hint


def mail_expect(mail: str, line: int, message: str, hint: str = "", severity: str = "error") -> None:
    """Exactly one finding, in the mail."""
    found = only(bundle(mail=mail))
    assert (found.file, found.line, found.severity) == (FIRST, line, severity)
    assert message in found.message
    assert hint in found.hint


def test_a_good_scenario_has_no_finding() -> None:
    assert check_bundle(bundle()) == []


def test_no_scenario_at_all() -> None:
    found = check_bundle({FIRST: MAIL})
    assert [(one.file, one.line, one.message) for one in found] == [("scenario.yaml", 1, "there is no scenario.yaml")]
    assert check_bundle({})[0].severity == "error"


def test_what_parsing_finds_comes_with_what_the_text_shows() -> None:
    found = check_bundle(bundle(head=HEAD.replace("cart.updated", "cart.updatd").replace("name: Cart\n", "")))
    assert [(one.line, one.message) for one in found] == [
        (1, "name is missing"),
        (5, "no event `cart.updatd` exists"),
    ]


def test_not_yaml() -> None:
    found = check_bundle(bundle("  - wait: [1h\n"))
    assert found[0].message.startswith("not YAML")
    assert found[0].line in (9, 10)


def test_missing_purpose() -> None:
    expect(bundle(head=HEAD.replace("purpose: marketing\n", "")), 1, "purpose is missing", "add `purpose:`")


@pytest.mark.parametrize(
    ("purpose", "line", "message"),
    [
        ("purpose: transactional", 4, "names its legal basis"),
        ("purpose: transactional\nlegal_basis: [contract]", 5, "must be text"),
        ("purpose: transactional\nlegal_basis: ''", 5, "must be text"),
    ],
)
def test_transactional_names_its_basis(purpose: str, line: int, message: str) -> None:
    expect(bundle(head=HEAD.replace("purpose: marketing", purpose)), line, message, "contract")


def test_transactional_with_its_basis_is_good() -> None:
    assert check_bundle(bundle(head=HEAD.replace("marketing", "transactional\nlegal_basis: contract"))) == []


def test_holidays_and_coupons() -> None:
    head = HEAD.replace("key:", "window:\n  between: ['09:00', '20:00']\n  holidays: skip\nkey:")
    expect(bundle(head=head), 9, "`holidays: skip` needs a calendar")
    expect(bundle(head=head.replace("skip", "keep")), 9, "can only be `skip`")
    expect(bundle(STEPS + "    coupon: {pool: autumn}\n"), 11, "no pools of coupons: there is no code of `autumn`")
    expect(bundle(STEPS + "    gateway: second\n"), 11, "cannot choose another")


def test_channels_without_a_gateway() -> None:
    expect(bundle(STEPS + "    channels: [email, sms]\n"), 11, "for sms this version has no gateway", "", "warning")
    text = STEPS + "  - wait: 1h\n  - send: text\n    channels: [sms, push]\n"
    files = bundle(text, **{"messages/text.sms.txt": "hello"})
    expect(files, 13, "`text` reaches nobody: this version has no gateway for sms or push but `file`", "add email")
    missing = [one for one in check_bundle(bundle(text)) if one.severity == "error"]
    assert [(one.line, one.hint) for one in missing] == [
        (12, "create messages/text.push.yaml"),
        (12, "create messages/text.sms.txt"),
        (13, "add email, or keep the scenario until there is one"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "wrong"),
    [
        ("event: cart.updated", "event: cart.updatet", 6, "cart.updatet"),
        ("key:", "exit:\n  - event: order.palced\nkey:", 8, "order.palced"),
        ("key:", "exit: {event: order.palced}\nkey:", 7, "order.palced"),
    ],
)
def test_events_that_do_not_exist(old: str, new: str, line: int, wrong: str) -> None:
    expect(bundle(head=HEAD.replace(old, new)), line, f"no event `{wrong}` exists", "did you mean")


def test_an_event_within_a_condition() -> None:
    steps = STEPS + "    if:\n      not:\n        happened: {event: order.placd, within: 3d}\n"
    expect(bundle(steps), 13, "no event `order.placd` exists", "did you mean `order.placed`?")


def test_events_of_ones_own_exist() -> None:
    assert check_bundle(bundle(head=HEAD.replace("cart.updated", "custom.visited"))) == []
    expect(bundle(head=HEAD.replace("cart.updated", "visited")), 6, "no event `visited`", "begins with `custom.`")


def test_a_message_that_is_not_there() -> None:
    expect(
        bundle(STEPS + "  - wait: 1h\n  - send: frist\n"),
        12,
        "message frist has no file for email",
        "messages/frist.email.mjml",
    )
    found = check_bundle({"scenario.yaml": HEAD + STEPS})
    assert [(one.line, one.hint) for one in found] == [(10, f"create {FIRST}")]


def test_the_name_of_a_message_nearly_right() -> None:
    found = check_bundle(bundle(STEPS.replace("first", "frist")))
    assert [(one.file, one.line, one.severity) for one in found] == [
        ("scenario.yaml", 10, "error"),
        (FIRST, 1, "warning"),
    ]
    assert "did you mean `first`?" in found[0].hint


def test_a_message_in_one_language_only_is_there() -> None:
    files = bundle()
    files["messages/first.email.pl.mjml"] = files.pop(FIRST)
    assert check_bundle(files) == []


def test_a_text_alone_is_a_mail_and_beside_a_mail_is_its_text() -> None:
    text = "---\nsubject: Your cart\n---\nHello {{ unsubscribe_url }}\n"
    assert check_bundle({"scenario.yaml": HEAD + STEPS, "messages/first.email.txt": text}) == []
    assert check_bundle(bundle(**{"messages/first.email.txt": "Hello\n"})) == []


def test_files_that_nothing_reads() -> None:
    for file in ("README.md", "messages/first.mjml", "messages/first.fax.txt", "messages/first.email.polish.mjml"):
        found = only(bundle(**{file: "x"}))
        assert (found.file, found.line, found.severity) == (file, 1, "warning")
        assert "is not read" in found.message
    assert check_bundle(bundle(**{"tests/one.yaml": "name: one"})) == []


def test_a_message_that_is_never_sent() -> None:
    found = only(bundle(**{"messages/other.email.mjml": MAIL}))
    assert (found.file, found.severity) == ("messages/other.email.mjml", "warning")
    assert found.message == "no step sends other by email"


def test_two_files_of_one_message_and_a_form_that_does_not_fit() -> None:
    html = MAIL.replace("mjml", "html")
    found = only(bundle(**{"messages/first.email.html": html}))
    assert (found.file, found.severity) == (FIRST, "error")
    assert "messages/first.email.html is the same message" in found.message
    found = check_bundle(bundle(**{"messages/first.sms.mjml": MAIL}))[0]
    assert found.message == "a message for sms cannot be .mjml"


def test_what_is_never_reached() -> None:
    expect(bundle("  - exit\n  - send: first\n"), 10, "never reached", "", "warning")
    branch = "  - if: {cart.value: 1}\n    then: [exit]\n    else: [exit]\n  - send: first\n"
    expect(bundle(branch), 12, "never reached", "", "warning")
    assert check_bundle(bundle(branch.replace("    else: [exit]\n", ""))) == []


def test_a_scenario_that_sends_nothing() -> None:
    found = check_bundle({"scenario.yaml": HEAD + "  - wait: 1h\n"})
    assert [(one.line, one.severity) for one in found] == [(8, "warning")]
    assert found[0].message == "this scenario sends nothing"


def test_lengths_of_time() -> None:
    expect(bundle(STEPS + "    late: 0h\n"), 11, "late must be longer than nothing")
    expect(bundle(STEPS + "    late: 60d\n"), 11, "60 days after it was due", "", "warning")
    expect(bundle(STEPS.replace("1h", "999999w")), 9, "longer than 5 years")
    expect(bundle(head=HEAD.replace("key:", "again: {after: 99y}\nkey:")), 7, "longer than 5 years")
    expect(bundle(STEPS + "    if: {happened: {event: order.placed, within: 401d}}\n"), 11, "400 days: this cannot")


def test_since_a_message_that_is_not_sent() -> None:
    steps = STEPS + "  - send: first\n    if: {happened: {event: order.placed, since: sent(frist)}}\n"
    expect(bundle(steps), 12, "no step sends `frist`", "did you mean `first`?")


def test_an_exit_that_ends_what_it_starts() -> None:
    expect(bundle(head=HEAD.replace("key:", "exit: [{event: cart.updated}]\nkey:")), 7, "both starts", "", "warning")


def test_paths_written_wrong() -> None:
    where = "  event: cart.updated\n  where: {event.cart.valeu: {gte: 50}}\n"
    head = HEAD.replace("  event: cart.updated\n", where)
    expect(bundle(head=head), 7, "event.cart.valeu", "did you mean `event.cart.value`?", "warning")
    expect(
        bundle(head=head.replace("event.cart.valeu", "rfm.segmnt")),
        7,
        "rfm.segmnt is not known",
        "`segment`",
        "warning",
    )
    assert check_bundle(bundle(head=head.replace("valeu", "colour"))) == []


def test_conditions_are_looked_into() -> None:
    steps = STEPS + "    if:\n      any:\n        - cart.value: 1\n        - not: {profile.frist_name: x}\n"
    expect(bundle(steps), 14, "profile.frist_name", "did you mean `profile.first_name`?", "warning")


def test_front_matter() -> None:
    mail_expect(MAIL.replace("subject: Your cart\n", ""), 1, "the mail has no subject")
    mail_expect(MAIL.replace("subject: Your cart", "subject: ''"), 1, "the mail has no subject")
    mail_expect(MAIL.replace("subject: Your cart\n---\n", "subject: Your cart\n"), 1, "front matter does not end")
    mail_expect(MAIL.replace("cart\n---", "cart\npreheder: x\n---"), 3, "preheder is not known")
    mail_expect(MAIL.replace("Your cart", "{{ profile.first_name }}, hello"), 2, "not YAML", "double quotes")
    mail_expect(MAIL.replace("Your cart", "{{ profile.first_name }}"), 2, "subject must be text", "double quotes")
    mail_expect(MAIL.replace("Your cart", '"{{ profil.first_name }}"'), 2, "profil.first_name", "`profile`")


def test_a_mail_without_content() -> None:
    mail_expect("---\nsubject: x\n---\n\n", 4, "the mail has no content")


def test_templates() -> None:
    mail_expect(MAIL.replace("first_name }}", "first_name"), 8, "syntax error")
    mail_expect(MAIL.replace("first_name }}", "first_name | shout }}"), 8, "filter shout is unknown")
    mail_expect(MAIL.replace("profile.first_name", "profil.first_name"), 8, "profil.first_name", "`profile`")
    mail_expect(MAIL.replace("profile.first_name", "somebody"), 8, "somebody is not known", "one of: profile")
    mail_expect(MAIL.replace("profile.first_name", "cart.currenci"), 8, "cart.currenci", "`cart.currency`", "warning")
    mail_expect(MAIL.replace("profile.first_name", "coupon.code"), 8, "coupon.code is empty", "", "warning")
    mail_expect(
        MAIL.replace("profile.first_name", "cart.value * 2"), 8, "fails where a value is missing", "", "warning"
    )


def test_what_a_template_may_use() -> None:
    loop = "{% for item in cart.items %}{{ loop.index }} {{ item.name }} {{ item.price|money }}{% endfor %}"
    known = "{% set x = key %}{{ x }}{{ event.time|date }}{{ order.id }}{{ shop.name }}{{ preferences_url }}"
    assert check_bundle(bundle(mail=MAIL.replace("{{ profile.first_name }}", loop + known))) == []


def test_mjml() -> None:
    mail_expect(MAIL.replace("</mj-body>\n</mjml>", ""), 4, "MJML:")
    mail_expect(MAIL.replace("mj-text>Hello", "mj-txt>Hello").replace("name }}</mj-text>", "name }}</mj-txt>"), 8,
                "MJML knows no <mj-txt>", "did you mean `mj-text`?")  # fmt: skip
    picture = '        <mj-image src="https://example.com/{{ 1 > 0 }}.jpg" />\n'
    mail_expect(
        MAIL.replace("        <mj-text>Hello", picture + "        <mj-text>Hello"), 8, "no alt text", "", "warning"
    )
    with_alt = picture.replace(" />", ' alt="sofa" />')
    assert check_bundle(bundle(mail=MAIL.replace("        <mj-text>Hello", with_alt + "        <mj-text>Hello"))) == []


def test_no_link_to_unsubscribe_by() -> None:
    mail = MAIL.replace("unsubscribe_url", "preferences_url")
    mail_expect(mail, 4, "no link to unsubscribe by", "headers", "warning")
    head = HEAD.replace("marketing", "transactional\nlegal_basis: contract")
    assert check_bundle(bundle(head=head, mail=mail)) == []


def test_findings_come_in_the_order_of_the_files() -> None:
    files = bundle(STEPS + "  - wait: 1h\n  - send: none\n    gateway: x\n", mail=MAIL.replace("profile", "profil"))
    found = check_bundle(files | {"a.md": ""})
    assert [(one.file, one.line) for one in found] == [
        ("scenario.yaml", 12),
        ("scenario.yaml", 13),
        ("a.md", 1),
        (FIRST, 8),
    ]


def test_a_fault_of_the_lint_itself_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: Any) -> None:
        raise KeyError("x")

    monkeypatch.setattr(check, "check_scenario", broken)
    expect(bundle(), 1, "this cannot be read (KeyError)")


ODD = st.sampled_from(
    ["", "x", "0", "-", "{", "[", "event", "null", "1e400", "9" * 5000, "0o9", "0x", ".nan", "*a", "&a"]
)
LINES = st.sampled_from(
    [*(HEAD + STEPS).splitlines(), "exit: [1]", "window: {between: 1}", "  - if: 1", "  - split: 1"]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(LINES | ODD, max_size=14), st.lists(st.sampled_from(MAIL.splitlines()) | ODD, max_size=14))
def test_it_never_raises(scenario: list[str], mail: list[str]) -> None:
    for found in check_bundle({"scenario.yaml": "\n".join(scenario), FIRST: "\n".join(mail)}):
        assert found.line >= 1
        assert found.message


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    ),
    st.sampled_from(["trigger", "exit", "window", "again", "key", "steps", "purpose", "legal_basis", "priority", "id"]),
)
def test_values_of_the_wrong_kind_never_raise(value: Any, field: str) -> None:
    text = "\n".join(line for line in (HEAD + STEPS).splitlines() if not line.startswith(field))
    assert isinstance(check_bundle(bundle(head=text + f"\n{field}: {json.dumps(value)}\n", steps="")), list)
