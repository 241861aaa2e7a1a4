"""What the language has and this version of the platform cannot do yet: refused, with what is missing, never faked."""

import ipaddress
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from libs.domain.lint.fields import near
from libs.domain.scenario.model import Act, Scenario, Send
from libs.domain.scenario.source import Finding, Source

READY_CHANNELS = ("email",)
"""Channels for which a kind of gateway exists that reaches customers."""
WEBHOOK = ("url", "name")
"""What a webhook step needs to say; the rest of it goes to the receiver."""


def check_head_limits(scenario: Scenario, source: Source) -> Iterator[Finding]:
    """Of the head: holidays."""
    if scenario.window is not None and scenario.window.skip_holidays:
        message = "`holidays: skip` needs a calendar of holidays, and this version has none"
        yield source.finding("window/holidays", message, "leave `holidays` out")


def check_send_limits(step: Send, source: Source) -> Iterator[Finding]:
    """Of a send: coupons, a gateway of its own, channels that reach nobody."""
    if step.coupon is not None:
        message = f"this version has no pools of coupons: there is no code of `{step.coupon['pool']}` to give"
        yield source.finding(f"{step.path}/coupon", message, "leave `coupon` out; a code for all can stand in the text")
    if f"{step.path}/gateway" in source.positions:
        message = "this version sends by the first gateway of a channel: it cannot choose another"
        yield source.finding(f"{step.path}/gateway", message, "leave `gateway` out")
    ready = [channel for channel in step.channels if channel in READY_CHANNELS]
    missing = [channel for channel in step.channels if channel not in READY_CHANNELS]
    if not ready:
        message = f"`{step.message}` reaches nobody: this version has no gateway for {' or '.join(missing)} but `file`"
        hint = f"add {', '.join(READY_CHANNELS)}, or keep the scenario until there is one"
        yield source.finding(f"{step.path}/channels", message, hint)
        return
    for index, channel in enumerate(step.channels):
        if channel in missing:
            message = f"for {channel} this version has no gateway but `file`: elsewhere nothing is sent by it"
            yield source.finding(f"{step.path}/channels/{index}", message, "", "warning")


def check_webhook(step: Act, source: Source) -> Iterator[Finding]:
    """The address that a webhook step calls, and its words."""
    path = f"{step.path}/webhook"
    for name in step.what:
        if name not in WEBHOOK and (hint := near(name, WEBHOOK, 0.6)):
            yield source.finding(f"{path}/{name}", f"{name} is not known here", hint)
    at = f"{path}/url" if f"{path}/url" in source.positions else path
    address = str(step.what.get("url", ""))
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        yield source.finding(at, "this is no address", "`https://crm.example/hooks/kurant`")
        return
    if not host or any(sign.isspace() for sign in address) or port == 0:
        yield source.finding(at, "this is no address", "`https://crm.example/hooks/kurant`")
    else:
        yield from _address(source, at, parts, host)


def _address(source: Source, at: str, parts: SplitResult, host: str) -> Iterator[Finding]:
    private = _is_private(host)
    if parts.username is not None or parts.password is not None:
        message = "a password in a scenario is no secret"
        yield source.finding(at, message, "leave it out: calls are signed, the receiver checks that")
    if parts.scheme == "http" and private:
        yield source.finding(at, "this is called in local mode only: elsewhere it must be https", "", "warning")
    elif parts.scheme != "https":
        yield source.finding(at, "a webhook is called by https", f"`https://{host}{parts.path}`")
    elif private:
        yield source.finding(at, "a private address is called in local mode only", "", "warning")


def _is_private(host: str) -> bool:
    """Whether a host is this machine or a network that is nobody else's."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not ipaddress.ip_address(name).is_global
    except ValueError:
        return False
