"""A mail as bytes (RFC 5322, MIME), from values that anybody may have typed.

`address` who it is from and to · `header` and `body` encode · `links` makes clicks and opens countable · `build`.
"""

from libs.domain.mail.address import BadAddress, Mailbox, Recipient, choose_sender, read_recipient, read_sender
from libs.domain.mail.build import Letter, Mail, build
from libs.domain.mail.links import Links, track

__all__ = [
    "BadAddress",
    "Letter",
    "Links",
    "Mail",
    "Mailbox",
    "Recipient",
    "build",
    "choose_sender",
    "read_recipient",
    "read_sender",
    "track",
]
