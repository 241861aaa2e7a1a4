"""`python -m services.scheduler`"""

import sys

from libs.common.runtime import main
from services.scheduler.app import compose

sys.exit(main("scheduler", compose))
