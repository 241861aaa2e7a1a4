"""`kurant`: the command line. Exit code 0 done, 1 found wrong, 2 called wrong; errors are one line on stderr.

Nothing is imported before Ctrl-C is heeded: the verbs take most of a second to load.
"""

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    signal.signal(signal.SIGINT, _leave)
    from cli.verbs import run as verb

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.exit(verb(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def run(arguments: list[str]) -> int:
    """Run one command; its exit code."""
    from cli.verbs import run as verb

    return verb(arguments)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Nothing has begun, so nothing is to be ended."""
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
