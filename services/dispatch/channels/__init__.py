"""Ways out: one file a kind. Those to customers have the shape of `Gateway`; web addresses are called by `Hooks`."""

from services.dispatch.channels.base import CannotSend, Gateway, Gateways, Way
from services.dispatch.channels.file import FileSink
from services.dispatch.channels.smtp import Smtp
from services.dispatch.channels.webhook import Hooks
from services.dispatch.settings import GatewaySettings, SmtpGateway

__all__ = ["CannotSend", "Gateway", "Gateways", "Hooks", "Way", "build"]


def build(settings: list[GatewaySettings], fallback_sender: str) -> Gateways[Gateway | Hooks]:
    """The gateways of the file; `fallback_sender` writes where neither the file nor the author names a sender."""
    made: list[Gateway] = []
    for one in settings:
        made.append(Smtp(one, fallback_sender) if isinstance(one, SmtpGateway) else FileSink(one, fallback_sender))
    return Gateways(made)
