"""`python -m services.dispatch`"""

import sys

from libs.common.runtime import main
from services.dispatch.app import compose

sys.exit(main("dispatch", compose))
