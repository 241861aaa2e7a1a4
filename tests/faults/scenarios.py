"""The scenarios and the gateways of the kill test, as files. Plain HTML: the harness needs no more."""

from pathlib import Path

from tests.faults.stories import MESSAGES, WAITS

CART = """\
kurant: 1
id: faults-cart
name: A cart that was left
purpose: marketing
trigger: {event: cart.updated, where: {event.cart.value: {gte: 50}}}
key: event.cart.id
again: always
restart: true
exit:
  - event: order.placed
steps:
"""
RECEIPT = """\
kurant: 1
id: faults-receipt
name: A receipt at once
purpose: transactional
legal_basis: contract
trigger: {event: custom.receipt}
key: event.receipt.number
again: always
steps:
  - send: receipt
    channels: [email]
"""
MAIL = """\
---
subject: "{subject}"
---
<html><body><p>Hello. This mail is of the kill test.</p>{footer}</body></html>
"""
FOOTER = '<p><a href="{{ unsubscribe_url }}">no more of these</a></p>'


def write(folder: Path) -> None:
    """Both scenarios, each a folder in `folder`. A subject says which mail it is: name and mark."""
    steps = "".join(
        f"  - wait: {round(wait * 60)}m\n  - send: {name}\n    channels: [email]\n"
        for wait, name in zip(WAITS, MESSAGES, strict=True)
    )
    mails = {name: MAIL.format(subject=f"{name} {{{{ event.cart.url }}}}", footer=FOOTER) for name in MESSAGES}
    receipt = {"receipt": MAIL.format(subject="receipt {{ event.receipt.number }}", footer="")}
    for id, text, messages in (("faults-cart", CART + steps, mails), ("faults-receipt", RECEIPT, receipt)):
        (folder / id / "messages").mkdir(parents=True)
        (folder / id / "scenario.yaml").write_text(text)
        for name, content in messages.items():
            (folder / id / "messages" / f"{name}.email.html").write_text(content)


def write_gateways(path: Path, smtp_port: int) -> None:
    """One gateway: the sink."""
    path.write_text(f'gateways:\n  - {{name: mail, kind: smtp, url: "smtp://127.0.0.1:{smtp_port}"}}\n')
