"""Writes a message as a customer gets it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from libs.domain.mail import Letter, Links, Mailbox, choose_sender, track
from libs.domain.template import MAY_LACK, CompiledMessage, render
from services.dispatch.handlers import Decision, Job


@dataclass(frozen=True, kw_only=True)
class Style:
    """What a gateway adds to a message: the sender, the domains an author may write from (None: any), tracking."""

    sender: Mailbox
    senders: frozenset[str] | None = None
    tracking: bool = True


def write(
    job: Job,
    message: CompiledMessage,
    decision: Decision,
    style: Style,
    links: Links,
    now: datetime,
    *,
    traceparent: str | None = None,
    shop: Mapping[str, str] = MappingProxyType({}),
) -> Letter:
    """The message as this customer gets it; raises `TemplateError`. `shop` is what templates may say of the shop."""
    request = job.request
    names = ("unsubscribe_url", "preferences_url", "confirm_url")
    given = {name: getattr(decision, name) or "" for name in names}
    profile = {"timezone": request.timezone, **(request.context.get("profile") or {})}
    context = {**MAY_LACK, **request.context, **given, "profile": profile, "shop": {**shop, "id": job.shop}}
    rendered = render(message, context)
    html = rendered.html
    if html and style.tracking:
        html = track(
            html,
            link=lambda target: links.click(job.message, target),
            pixel=links.pixel(job.message),
            leave={url for url in given.values() if url},
        )
    return Letter(
        message=job.message,
        shop=job.shop,
        scenario=request.scenario,
        name=request.name,
        purpose=request.purpose,
        channel=decision.channel,
        to=decision.address,
        sender=choose_sender(rendered.sender, style.sender, style.senders),
        subject=rendered.subject,
        text=rendered.text,
        html=html,
        url=rendered.url,
        date=now,
        unsubscribe_url=decision.unsubscribe_url,
        traceparent=traceparent or job.traceparent,
    )
