"""`python -m services.rules`"""

import sys

from libs.common import shops
from libs.common.runtime import main
from services.rules.app import compose

sys.exit(main("rules", compose, lambda settings: shops.load(settings.shops)))
