"""`python -m services.dispatch`"""

import sys

from libs.common import shops
from libs.common.runtime import main
from libs.common.settings import Settings
from services.dispatch import settings as gateways
from services.dispatch.app import compose


def check(settings: Settings) -> None:
    """Raises `Misconfigured` when a file is wrong that only this service and rules read."""
    gateways.load(settings.gateways)
    shops.load(settings.shops)


sys.exit(main("dispatch", compose, check))
