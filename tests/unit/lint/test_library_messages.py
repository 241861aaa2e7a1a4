"""Every message of every scenario that comes with Kurant, whatever a shop sends and whatever it leaves out."""

import re
from pathlib import Path
from typing import Any

import pytest

from cli.scenario import read_bundle
from libs.domain.scenario.parse import parse
from libs.domain.template import CompiledMessage, Rendered, compile_bundle, render

LIBRARY = Path(__file__).resolve().parents[3] / "scenarios"
FOLDERS = sorted(file.parent for file in LIBRARY.rglob("scenario.yaml"))
MESSAGES = [
    pytest.param(folder, key, message, id=f"{folder.name}/{key}")
    for folder in FOLDERS
    for key, message in sorted(compile_bundle(read_bundle(folder)).items())
]
EACH = pytest.mark.parametrize(("folder", "key", "message"), MESSAGES)
LEAVE = {"unsubscribe_url": "https://shop.example/u/t1", "preferences_url": "https://shop.example/p/t1"}
LINKS = {**LEAVE, "confirm_url": "https://shop.example/c/t1"}
PRODUCT = {
    "product_id": "sofa-1",
    "name": "Sofa <Oslo> & co",
    "quantity": 1,
    "price": "249.00",
    "old_price": "300.00",
    "lowest_price": "290.00",
    "currency": "PLN",
    "url": "https://shop.example/sofa-1?a=1&b=2",
    "image": "https://shop.example/i/sofa-1.jpg",
}
CART = {"id": "c-1", "value": "428.00", "currency": "PLN", "url": "https://shop.example/c?a=1&b=2", "items": [PRODUCT]}
ORDER = {
    "id": "o-1",
    "number": "2026/7",
    "value": "428.00",
    "currency": "PLN",
    "status": "sent",
    "url": "https://shop.example/o/1",
    "tracking_url": "https://carrier.example/t/1",
    "tracking_number": "T1",
    "carrier": "Post",
    "planned_delivery": "2026-03-04",
    "items": [PRODUCT],
}
CAMPAIGN = {"title": "Spring", "text": "Chairs.", "url": "https://shop.example/s", "image": PRODUCT["image"]}
FULL: dict[str, Any] = {
    "profile": {"first_name": "Anna", "timezone": "Europe/Warsaw"},
    "event": {"url": "https://shop.example/go", "product": PRODUCT, "cart": CART, "order": ORDER, "campaign": CAMPAIGN},
    "cart": CART,
    "order": ORDER,
    "rfm": {"segment": "loyal"},
    "coupon": {"code": "ABC-123", "valid_until": "2026-03-16T12:00:00+00:00"},
    "shop": {"id": "demo", "name": "Demo", "url": "https://shop.example/"},
    "key": "c-1",
    **LINKS,
}
SPARSE: list[dict[str, Any]] = [
    {"profile": {}, "event": {}, "cart": None, "order": None, "shop": {"id": "demo"}, **LEAVE},
    {
        "profile": {"first_name": None},
        "event": {"product": {"product_id": "p"}, "campaign": None},
        "shop": None,
        **LEAVE,
    },
    {
        "profile": {"first_name": ""},
        "event": {"product": {"product_id": "p", "name": None, "price": None}, "order": {"id": "o"}, "url": None},
        "cart": {"id": "c", "items": [{}]},
        "order": {"id": "o", "items": []},
        **LEAVE,
    },
]
TRACES = ("None", "{{", "{%", "<built-in", "undefined", "none,", 'href=""', 'src=""')
GSM7 = re.compile(r"[A-Za-z0-9 \r\n@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ!\"#¤%&'()*+,\-./:;<=>?¡ÄÖÑÜ§¿äöñüà]*")
"""The characters of GSM 03.38 that count as one."""
BUTTON = "padding:16px 32px"


def parts(message: CompiledMessage, made: Rendered) -> list[str]:
    return [made.subject, made.preheader, made.html, made.text] if message.channel == "email" else [made.text]


@EACH
def test_whatever_is_missing_it_can_be_sent(folder: Path, key: str, message: CompiledMessage) -> None:
    for variables in (FULL, *SPARSE):
        made = render(message, variables)
        for part in parts(message, made):
            assert part.strip()
            for trace in TRACES:
                assert trace not in part, trace
        if message.channel == "email":
            assert made.subject[0].isupper() or made.subject[0].isdigit()
            assert not re.search(r"[,:]\s*[,.!]", made.subject)


@EACH
def test_a_mail_has_one_main_button_and_its_language(folder: Path, key: str, message: CompiledMessage) -> None:
    if message.channel != "email":
        return
    assert render(message, FULL).html.count(BUTTON) <= 1
    assert f'lang="{message.language or "en"}"' in message.html
    if parse((folder / "scenario.yaml").read_text()).purpose != "transactional":
        for link in LEAVE.values():
            assert link in render(message, SPARSE[0]).text


@EACH
def test_a_text_message_is_one_segment(folder: Path, key: str, message: CompiledMessage) -> None:
    if message.channel != "sms":
        return
    for variables in (FULL, *SPARSE):
        text = render(message, variables).text.strip()
        assert len(text) <= 160
        assert GSM7.fullmatch(text)


@EACH
def test_no_value_breaks_out_of_its_place(folder: Path, key: str, message: CompiledMessage) -> None:
    made = render(message, hostile(FULL))
    assert "<script" not in made.html
    assert "\n" not in made.subject
    assert "\r" not in made.subject


def hostile(value: Any) -> Any:
    """The same variables, each text of them an attempt to be more than text."""
    if isinstance(value, dict):
        return {name: hostile(told) for name, told in value.items()}
    if isinstance(value, list):
        return [hostile(told) for told in value]
    return 'Eve\r\nBcc: all@example.com "><script>alert(1)</script>'


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_message_is_there_in_both_languages(folder: Path) -> None:
    messages = compile_bundle(read_bundle(folder))
    for message in messages.values():
        assert f"{message.name}.{message.channel}" in messages
        assert f"{message.name}.{message.channel}.pl" in messages


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_says_when_to_use_it(folder: Path) -> None:
    if folder.name == "abandoned-cart":
        return
    text = (folder / "scenario.yaml").read_text()
    for line in ("  When to use: ", "  Needs: ", "  Ends: "):
        assert line in text
