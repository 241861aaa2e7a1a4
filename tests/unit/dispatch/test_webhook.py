"""Calls of web addresses: what is said, how it is signed, where it never goes."""

import base64
import ipaddress
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.secrets import Secrets
from libs.domain import webhook
from libs.domain.template import TemplateError

CONTEXT: dict[str, Any] = {
    "profile": {"first_name": 'An"na', "points": 7, "tags": ["vip"]},
    "cart": {"value": "249.00", "items": [{"name": "Sofa"}]},
    "event": {"type": "cart.updated"},
    "key": "c-1",
}


def said(data: Any) -> Any:
    return json.loads(webhook.body({"id": "m"}, data, CONTEXT))["data"]


@pytest.mark.parametrize(
    ("secret", "id", "at", "body", "signature"),
    [
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            '{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
            "msg_1",
            1790000000,
            '{"id":1001,"total":"199.90","name":"Zażółć"}',
            "v1,JMJythzyrnLvx0I3o+NvjSaGcOQMZPrxx9CtOx8ktlg=",
        ),
    ],
)
def test_it_signs_as_standard_webhooks_does(secret: str, id: str, at: int, body: str, signature: str) -> None:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    assert webhook.secret(key) == secret
    assert webhook.sign([key], id, at, body.encode()) == signature
    assert webhook.sign([b"another" * 4, key], id, at, body.encode()).split(" ")[1] == signature


def test_every_shop_has_keys_of_its_own_and_a_rotation_keeps_the_old_one() -> None:
    old, new = Secrets({"k1": b"x" * 32}), Secrets({"k2": b"y" * 32, "k1": b"x" * 32})
    assert len(old.webhook_keys("demo")[0]) == 32
    assert old.webhook_keys("demo") != old.webhook_keys("other")
    assert new.webhook_keys("demo")[1:] == old.webhook_keys("demo")
    assert new.webhook_keys("demo")[0] not in old.webhook_keys("demo")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({}, {}),
        ({"a": 1, "b": None, "c": True}, {"a": 1, "b": None, "c": True}),
        ("{{ profile.first_name }}!", 'An"na!'),
        ({"name": "{{ profile.first_name }}"}, {"name": 'An"na'}),
        ({"points": "{{ profile.points }}"}, {"points": 7}),
        ({"lines": "{{cart.items}}"}, {"lines": [{"name": "Sofa"}]}),
        ({"first": "{{ cart.items.0.name }}"}, {"first": "Sofa"}),
        ({"count": "{{ cart.items | length }}"}, {"count": "1"}),
        ({"worth": "{{ cart.value | money('PLN', 'pl') }}"}, {"worth": "249,00 zł"}),
        ({"nothing": "{{ profile.no.such }}", "text": "x{{ profile.no.such }}"}, {"nothing": None, "text": "x"}),
        ({"beyond": "{{ cart.items.9 }}", "of": "{{ key.x }}"}, {"beyond": None, "of": None}),
        ([["{{ key }}"], "plain"], [["c-1"], "plain"]),
        ({"{{ key }}": "{{ shop }}"}, {"{{ key }}": None}),
    ],
)
def test_texts_are_rendered_and_values_stay_values(data: Any, found: Any) -> None:
    assert said(data) == found


def test_what_does_not_render_is_an_error_without_values() -> None:
    with pytest.raises(TemplateError) as error:
        said({"x": "{{ profile.first_name | nosuchfilter }}"})
    assert "An" not in str(error.value)


def test_too_much_is_too_much() -> None:
    with pytest.raises(webhook.TooLarge):
        said({"x": "y" * webhook.LARGEST})
    deep: Any = "x"
    for _ in range(30):
        deep = [deep]
    with pytest.raises(webhook.TooLarge):
        said(deep)


@pytest.mark.parametrize("text", ["8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001::1"])
def test_the_open_internet_may_be_called(text: str) -> None:
    assert webhook.is_public(text)


INSIDE = [
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    *("198.18.0.1", "192.0.2.1", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
]


@pytest.mark.parametrize("text", INSIDE)
def test_the_own_house_may_not_in_whatever_it_is_wrapped(text: str) -> None:
    number = int(ipaddress.IPv4Address(text))
    wrapped = [
        f"::ffff:{text}",
        str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80))),
        str(ipaddress.IPv6Address((0x0064FF9B << 96) | number)),
        str(ipaddress.IPv6Address(number)),
    ]
    assert [one for one in (text, *wrapped) if webhook.is_public(one)] == []


@pytest.mark.parametrize(
    "text",
    [
        *(
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "fec0::1",
            "4000::1",
        ),
        *("", "localhost", "1.2.3", "8.8.8.8/32", "fe80::1%eth0"),
    ],
)
def test_nor_may_what_is_none_or_of_no_public_kind(text: str) -> None:
    assert not webhook.is_public(text)


@given(st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=4, network="169.254.0.0/16"))
def test_no_private_address_slips_through(address: ipaddress.IPv4Address) -> None:
    assert not webhook.is_public(str(address))
