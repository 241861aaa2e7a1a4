"""Gateways: one file a kind, all with the shape of `Gateway`."""

from services.dispatch.channels.base import CannotSend, Gateway, Gateways
from services.dispatch.channels.file import FileSink
from services.dispatch.channels.smtp import Smtp
from services.dispatch.settings import GatewaySettings, SmtpGateway

__all__ = ["CannotSend", "Gateway", "Gateways", "build"]


def build(settings: list[GatewaySettings], fallback_sender: str) -> Gateways:
    """The gateways of the file; `fallback_sender` writes where neither the file nor the author names a sender."""
    made: list[Gateway] = []
    for one in settings:
        made.append(Smtp(one, fallback_sender) if isinstance(one, SmtpGateway) else FileSink(one, fallback_sender))
    return Gateways(made)
