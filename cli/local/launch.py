"""Become another program that dies with its parent; run as a file, standard library only.

`python -I -S launch.py PARENT_PID same|nobody PROGRAM ARGS…`

On Linux the kernel kills the program when the thread that started it ends (PR_SET_PDEATHSIG), so a supervisor
that is killed with SIGKILL leaves nothing behind. PostgreSQL refuses to run as root: `nobody` gives up root for
that user, but keeps the right to read and to walk through folders (its binaries may lie under /root).
"""

import ctypes
import os
import pwd
import signal
import struct
import sys

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
CAPABILITY_VERSION_3 = 0x20080522


def _permitted() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        return next((int(line.split()[1], 16) for line in status if line.startswith("CapPrm")), 0)


def become_nobody() -> None:
    """Root becomes `nobody`, still able to reach files; containers often permit only one of the two rights."""
    user = pwd.getpwnam("nobody")
    libc = ctypes.CDLL(None, use_errno=True)
    linux = sys.platform == "linux"
    permitted = _permitted() if linux else 0
    right = next((cap for cap in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE) if permitted & 1 << cap), None)
    if right is not None:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    if right is not None:
        header = ctypes.create_string_buffer(struct.pack("Ii", CAPABILITY_VERSION_3, 0))
        mask = 1 << right
        libc.capset(header, ctypes.create_string_buffer(struct.pack("6I", mask, mask, mask, 0, 0, 0)))
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, right, 0, 0)


def die_with(parent: int) -> None:
    """Ask for the end of this process when `parent` ends; end now when it already has."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


def main() -> None:
    parent, user, program = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if user == "nobody":
        become_nobody()
    die_with(parent)
    os.execv(program[0], program)


if __name__ == "__main__":
    main()
