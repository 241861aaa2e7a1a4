"""`python -m services.console`"""

import sys

from libs.common.runtime import main
from services.console.app import compose

sys.exit(main("console", compose))
