"""`python -m services.ingest`"""

import sys

from libs.common.runtime import main
from services.ingest.app import compose

sys.exit(main("ingest", compose))
