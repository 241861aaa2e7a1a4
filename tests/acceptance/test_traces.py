"""Names that attack a mail's head, and the trace that runs from the request to the mail."""

import secrets

import pytest

from tests.acceptance.stories import HOUR
from tests.support.running import Running
from tests.support.shop import Customer, visit

NAMES = {
    "crlf": "Anna\r\nBcc: x@evil.example",
    "lf": "Anna\nX-Injected: yes\n\nbody",
    "separator": "Anna\u2028Bcc: x@evil.example\x0b\x0c\x85",
    "encoded": "=?utf-8?q?Anna=0D=0ABcc=3A_x=40evil.example?=",
    "template": "{{ 7 * 7 }}{% for i in range(9) %}x{% endfor %}",
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "long": "A" * 5_000,
    "unicode": "Zażółć gęślą jaźń 🛋️ \u202eevil",
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_name_cannot_become_a_header(platform: Running, kind: str) -> None:
    customer = Customer(visit(f"name-{kind}"))
    now = platform.now()
    told = customer.known(now - HOUR, first_name=NAMES[kind])
    answer = platform.post([told, customer.consent(now - HOUR), customer.custom("hello", now)])
    assert answer.status_code == 202, answer.text
    if answer.json()["rejected"]:
        assert [row["index"] for row in answer.json()["rejected"]] == [0], "only the name was wrong"
    (mail,) = platform.await_mails(customer.email, 1)
    assert mail["to"] == [customer.email]
    assert not {"bcc", "x-injected"} & {name.lower() for name in mail["headers"]}
    assert "\n" not in mail["subject"] and "\r" not in mail["subject"]
    assert mail["subject"].startswith("Hello")
    assert "<script>" not in mail["html"] and "<img src=x" not in mail["html"]
    assert "Hello 49" not in mail["subject"]


def test_a_name_in_other_letters_arrives_whole(platform: Running) -> None:
    customer = Customer(visit("letters"))
    now = platform.now()
    name = "Zażółć Gęślą 🛋️"
    platform.tell(customer.known(now - HOUR, first_name=name), customer.consent(now - HOUR))
    platform.tell(customer.custom("hello", now))
    (mail,) = platform.await_mails(customer.email, 1)
    assert mail["subject"] == f"Hello {name}"
    assert f"Good day, {name}." in mail["text"]


@pytest.mark.parametrize("scenario", ["hello", "held"])
def test_the_trace_of_the_request_reaches_the_mail(platform: Running, scenario: str) -> None:
    """At once, and through a wait."""
    customer = Customer(visit("traced"))
    now = platform.now()
    platform.tell(customer.known(now - HOUR), customer.consent(now - HOUR))
    trace = secrets.token_hex(16)
    platform.tell(customer.custom(scenario, now), traceparent=f"00-{trace}-{secrets.token_hex(8)}-01")
    (mail,) = platform.await_mails(customer.email, 1)
    version, told, span, flags = mail["headers"]["traceparent"].split("-")
    assert (version, told, len(span), len(flags)) == ("00", trace, 16, 2)


def test_a_broken_traceparent_does_no_harm(platform: Running) -> None:
    customer = Customer(visit("untraced"))
    now = platform.now()
    platform.tell(customer.known(now - HOUR), customer.consent(now - HOUR))
    for broken in ("nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "x" * 5_000):
        platform.tell(customer.custom("hello", now), traceparent=broken)
    for mail in platform.await_mails(customer.email, 3):
        assert "nonsense" not in mail["headers"].get("traceparent", "")
        assert "x" * 40 not in mail["headers"].get("traceparent", "")


def test_a_transactional_message_needs_an_address_and_no_consent(platform: Running) -> None:
    customer, nobody = Customer(visit("receipt")), Customer(visit("receipt"))
    now = platform.now()
    platform.tell(customer.known(now - HOUR))
    platform.tell(customer.custom("paid", now))
    (mail,) = platform.await_mails(customer.email, 1)
    assert mail["subject"] == "Your receipt"
    without = nobody.custom("paid", now)
    without["data"] = {"user_id": f"u-{nobody.name}"}
    platform.tell(without)
    platform.settled()
