"""Mails as bytes, read back by the standard library's parser, whatever anybody has typed."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.mail import BadAddress, Letter, Mailbox, build, choose_sender, header, read_recipient, read_sender
from libs.domain.mail import body as bodies

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SENDER = Mailbox(address="news@shop.example", name="Shop")
TEXT = st.text(max_size=400)
LINES = st.text(alphabet=st.sampled_from('aA ż€😀\r\n\x00\x0b\u2028\u0085:<>@,;"\\=?_.-'), max_size=300)


def letter(**changes: Any) -> Letter:
    given_: dict[str, Any] = {
        "message": "5f9c7b0e-0000-5000-8000-000000000001",
        "shop": "demo",
        "scenario": "abandoned-cart",
        "name": "first",
        "purpose": "marketing",
        "to": "anna@example.com",
        "sender": SENDER,
        "subject": "Your cart",
        "text": "Hello\n",
        "html": "<p>Hello</p>",
        "date": NOON,
        "unsubscribe_url": "https://shop.example/u/t",
    }
    return Letter(**(given_ | changes))


def parsed(made: Letter) -> EmailMessage:
    found = message_from_bytes(build(made).content, policy=policy.default)
    assert isinstance(found, EmailMessage)
    assert not found.defects
    return found


def part(mail: EmailMessage, kind: str) -> str:
    found = mail.get_body(preferencelist=(kind,))
    assert found is not None
    return str(found.get_content()).replace("\r\n", "\n")


def test_a_mailing_says_how_to_leave_it() -> None:
    mail = parsed(letter(traceparent="00-a-b-01"))
    assert mail["List-Unsubscribe"] == "<https://shop.example/u/t>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["List-ID"] == "<marketing.demo.shop.example>"
    assert mail["Feedback-ID"] == "abandoned-cart:first:marketing:demo"
    assert mail["Precedence"] == "bulk"
    assert mail["Auto-Submitted"] is None
    assert mail["Message-ID"] == "<5f9c7b0e-0000-5000-8000-000000000001@shop.example>"
    assert mail["Date"] == "Mon, 02 Mar 2026 12:00:00 +0000"
    assert mail["traceparent"] == "00-a-b-01"
    assert (mail["From"], mail["To"]) == ("Shop <news@shop.example>", "anna@example.com")


def test_what_is_owed_has_nothing_to_leave() -> None:
    mail = parsed(letter(purpose="transactional"))
    assert mail["Auto-Submitted"] == "auto-generated"
    for name in ("List-Unsubscribe", "List-Unsubscribe-Post", "List-ID", "Precedence"):
        assert mail[name] is None


def test_the_same_letter_makes_the_same_bytes() -> None:
    assert build(letter()) == build(letter())


def test_no_address_in_what_is_printed() -> None:
    assert "anna@" not in repr(letter()) + repr(build(letter()))


@given(subject=LINES, name=LINES)
def test_no_value_adds_a_header_or_a_line(subject: str, name: str) -> None:
    made = build(letter(subject=subject, sender=Mailbox(address=SENDER.address, name=name))).content
    head = made.partition(b"\r\n\r\n")[0]
    names = {line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith(b" ")}
    plain = build(letter()).content.partition(b"\r\n\r\n")[0]
    assert names == {line.partition(b":")[0] for line in plain.split(b"\r\n") if not line.startswith(b" ")}
    assert b"\n" not in head.replace(b"\r\n", b"") and b"\r" not in head.replace(b"\r\n", b"")
    assert head.isascii()
    assert max(map(len, head.split(b"\r\n"))) <= 998


@given(TEXT)
def test_a_subject_reads_as_it_was_written(subject: str) -> None:
    clean = header.clean(subject.encode("utf-8", "replace").decode())
    assert " ".join(str(parsed(letter(subject=subject))["Subject"]).split()) == clean


@given(text=TEXT, html=TEXT)
def test_bodies_read_as_they_were_written(text: str, html: str) -> None:
    def normal(written: str) -> str:
        lines = written.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")
        return lines if lines.endswith("\n") else lines + "\n"

    made = letter(text=text, html="<p>" + html)
    mail = parsed(made)
    assert part(mail, "plain") == normal(text)
    assert part(mail, "html") == normal("<p>" + html)
    content = build(made).content
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert content.isascii()


def test_words_that_look_encoded_are_left_as_they_are() -> None:
    assert parsed(letter(subject="=?utf-8?q?Free?="))["Subject"] == "=?utf-8?q?Free?="
    assert "=?" not in parsed(letter(subject="a" * 2_000))["Subject"]


def test_a_text_alone() -> None:
    mail = parsed(letter(html=""))
    assert mail.get_content_type() == "text/plain"
    assert part(mail, "plain") == "Hello\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Hello", "7bit"),
        ("x" * 2_000, "quoted-printable"),
        ("Cześć, to jest tekst", "quoted-printable"),
        ("日本語", "base64"),
    ],
)
def test_the_shortest_right_encoding(text: str, encoding: str) -> None:
    assert bodies.encode(text)[0] == encoding


def test_a_body_cannot_end_its_part() -> None:
    boundary = "--=_5f9c7b0e-0000-5000-8000-000000000001--"
    mail = parsed(letter(text=f"before\n{boundary}\nafter"))
    assert part(mail, "plain") == f"before\n{boundary}\nafter\n"


@pytest.mark.parametrize(
    "bad",
    ["", "a", "a@", "@b.c", "a@b@c.d", "a b@c.d", "a@b..c", ".a@b.c", "a@-b.c", "a@b.c\n", "a\x00@b.c", "a,b@c.d",
     "<a@b.c>", '"a b"@c.d', f"{'a' * 65}@b.c", f"a@{'b' * 250}.c", "ż\n@b.c", "ż ż@b.c", "a@ż b.c"],
)  # fmt: skip
def test_what_is_no_address(bad: str) -> None:
    with pytest.raises(BadAddress) as raised:
        read_recipient(bad)
    assert len(bad) < 2 or bad not in str(raised.value)


def test_addresses_of_other_scripts() -> None:
    found = read_recipient("żółw@straße.de")
    assert (found.address, found.international) == ("żółw@xn--strae-oqa.de", True)
    assert b"To: <\xc5\xbc" in build(letter(to="żółw@straße.de")).content


@pytest.mark.parametrize(
    ("asked", "address", "name"),
    [
        ("", "news@shop.example", "Shop"),
        ("Sofas", "news@shop.example", "Sofas"),
        ("Sofas <sofas@shop.example>", "sofas@shop.example", "Sofas"),
        ("Bank <ceo@bank.example>", "news@shop.example", "Bank"),
        ("ceo@bank.example", "news@shop.example", "Shop"),
        ("Sofas <broken", "news@shop.example", "Sofas"),
        ('"Sofas, Ltd" <s@SHOP.example>', "s@SHOP.example", "Sofas, Ltd"),
    ],
)
def test_the_sender_an_author_may_have(asked: str, address: str, name: str) -> None:
    assert choose_sender(asked, SENDER, frozenset({"shop.example"})) == Mailbox(address=address, name=name)


def test_any_sender_where_the_gateway_names_none() -> None:
    assert choose_sender("A <a@b.example>", SENDER, None) == Mailbox(address="a@b.example", name="A")
    with pytest.raises(BadAddress):
        read_sender("ż@b.example")
