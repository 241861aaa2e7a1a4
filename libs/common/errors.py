"""What can go wrong, as a tree.

KurantError
├── Misconfigured      a setting is wrong: the process ends with one line that says which (exit code 2)
├── Unavailable        a downstream (database, broker, service) is away: wait and try again
├── Fenced             another process has taken this partition over: write nothing, leave
└── Problem            an HTTP answer by RFC 9457 (`libs.common.http.problem`)
"""


class KurantError(Exception):
    """Base of all of ours."""


class Misconfigured(KurantError):
    """A setting is missing or wrong; the text names it and says what to do."""


class Unavailable(KurantError):
    """A downstream is away; the same call may succeed later."""


class Fenced(KurantError):
    """The stored offset is not where we left it: another owner has moved on (I4)."""
