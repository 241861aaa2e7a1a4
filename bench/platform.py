"""A whole platform by `kurant up`, with scenarios and a mail sink of the benchmark's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import parts
from bench.load import SCENARIO
from cli.local.ports import Ports
from cli.local.process import LocalError

FIRST_BASE, LAST_BASE = 28_000, 40_000
PROBE_EVENT = "custom.probe"
PROBE = f"""\
kurant: 1
id: probe
name: Probe
purpose: transactional
legal_basis: contract
trigger: {{event: {PROBE_EVENT}}}
key: event.probe
again: always
steps:
  - send: hello
    channels: [email]
"""
MAIL = """\
---
subject: "{subject}"
---
<html><body><p>Hello {{{{ profile.first_name }}}}, this is a message of ordinary length about your order.</p>
<p>It says what was asked for, when it comes, and whom to ask.</p></body></html>
"""


@contextmanager
def running(folder: Path, smtp: int) -> Iterator[Ports]:
    """`kurant up` in `folder`, its mail going to port `smtp`; returns when it says `ready`."""
    _scenarios(folder / "scenarios")
    gateways = folder / "gateways.yaml"
    gateways.write_text(f'gateways:\n  - {{name: mail, kind: smtp, url: "smtp://127.0.0.1:{smtp}"}}\n')
    ports, log = _free(), folder / "up.log"
    where = ("--data", str(folder / "data"), "--port-base", str(ports.base), "--scenarios", str(folder / "scenarios"))
    env = parts.environ(KURANT_GATEWAYS=str(gateways))
    with parts.process("cli.main", "up", *where, log=log, env=env, patience=90) as child:
        parts.wait_until(lambda: "ready" in log.read_text().splitlines(), child, timeout=180)
        if "scenario probe version 1" not in log.read_text():
            raise RuntimeError(f"the probe's scenario was not published:\n{log.read_text()[-2000:]}")
        yield ports


def _free() -> Ports:
    for base in range(FIRST_BASE, LAST_BASE, 100):
        try:
            Ports(base).check_free()
        except LocalError:
            continue
        return Ports(base)
    raise RuntimeError("no free range of ports")


def _scenarios(folder: Path) -> None:
    for name, text, messages in (
        ("probe", PROBE, {"hello": "Probe {{ event.probe }}"}),
        ("abandoned-cart", SCENARIO, {"first": "Your cart", "second": "Your cart again"}),
    ):
        (folder / name / "messages").mkdir(parents=True)
        (folder / name / "scenario.yaml").write_text(text)
        for message, subject in messages.items():
            (folder / name / "messages" / f"{message}.email.html").write_text(MAIL.format(subject=subject))
