"""A small scenario, and tests of it written as an author would."""

from libs.domain.rehearsal.read import read_test
from libs.domain.rehearsal.rehearse import Outcome, rehearse
from libs.domain.rehearsal.stage import Stage, prepare

HEAD = """\
kurant: 1
id: cart
name: Cart
purpose: marketing
trigger: {event: cart.updated, where: {event.cart.value: {gte: 50}}}
key: event.cart.id
exit:
  - event: order.placed
steps:
"""
STEPS = """\
  - wait: 1h
  - send: first
  - wait: 23h
  - send: second
"""
MAIL = '---\nsubject: "{{ profile.first_name }}: {{ cart.value }}"\n---\nText of {{ cart.id }}. {{ unsubscribe_url }}\n'
GIVEN = """\
name: a test
given: {profile: {email: anna@example.com, consents: {email: [marketing]}, timezone: Europe/Warsaw, first_name: Anna}}
"""
CART = "  - {at: 2026-03-02T10:00, event: cart.updated, data: {cart: {id: c1, value: 249.00}}}\n"


def bundle(steps: str = STEPS, head: str = HEAD, **messages: str) -> dict[str, str]:
    """The scenario's files; `first_email='…'` is another text for a message."""
    told = {"first_email": MAIL, "second_email": MAIL, **messages}
    files = {f"messages/{name.replace('_', '.')}.txt": text for name, text in told.items()}
    return {"scenario.yaml": head + steps, **files}


def play(then: str, *, when: str = CART, given: str = GIVEN, files: dict[str, str] | None = None) -> Outcome:
    """What comes of a test."""
    text = f"{given}when:\n{when}then:\n{then}" if when else f"{given}then:\n{then}"
    return rehearse(Stage(prepare(files or bundle())), read_test(text, "tests/one.yaml"))


def wrong(outcome: Outcome) -> list[str]:
    """What it fails for, each with its line."""
    return [f"{one.line}: {one.message}" for one in outcome.findings()]
