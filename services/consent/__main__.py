"""`python -m services.consent`"""

import sys

from libs.common.runtime import main
from services.consent.app import compose

sys.exit(main("consent", compose))
