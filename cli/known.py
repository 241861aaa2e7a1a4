"""When an answer is empty: was there nothing, or was something asked for that does not exist?"""

import os
from typing import Any, get_args

from cli.client import Refused, Target
from cli.terminal import CliError
from libs.common import shops
from libs.common.http.demo import DEMO_SHOP
from libs.contracts.contacts import Channel
from libs.contracts.messages import WEBHOOK
from libs.domain.rfm.model import RfmRules
from libs.domain.rfm.parse import parse

CHANNELS = (*get_args(Channel), WEBHOOK)


def channel(name: str | None) -> None:
    """Raises `CliError` for a channel that is none."""
    if name is not None and name not in CHANNELS:
        raise CliError(f"--channel {name}: not known; known: {', '.join(CHANNELS)}")


def shop(target: Target, name: str | None, found: Any = None) -> None:
    """Raises `CliError` for a shop that the platform does not know, unless something was `found` of it.

    A key from outside is of one shop, and the platform refuses others; so only a local platform is asked.
    """
    if found or name is None or target.local is None:
        return
    known = {DEMO_SHOP, *shops.load(os.environ.get("KURANT_SHOPS") or target.local.shops)}
    known |= {row["shop"] for row in target.ask("GET", "/v1/keys")}
    if name not in known and not any(target.ask("GET", f"/v1/{kind}", params={"shop": name}) for kind in PUBLISHED):
        how = f"one is known by a key (kurant keys create --shop {name}), by the shops file, or by what is published"
        raise CliError(f"--shop {name}: not known; known: {', '.join(sorted(known))} ({how})")


PUBLISHED = ("scenarios", "segments")


def profile(target: Target, name: str | None, id: str | None, found: Any) -> None:
    """Raises `Refused` for a profile that nobody has heard of, when nothing was `found` of it."""
    if id is not None and not found:
        target.ask("GET", f"/v1/profiles/{id}/timeline", params={"shop": name})


def scenario(target: Target, name: str | None, id: str | None, found: Any) -> None:
    """Raises `Refused` for a scenario that was never published, when nothing was `found` of it."""
    if id is not None and not found:
        target.ask("GET", f"/v1/scenarios/{id}", params={"shop": name})


def rfm_segment(target: Target, name: str | None, segment: str | None, found: Any) -> None:
    """Raises `CliError` for a segment that the shop's rules do not have, when nobody was `found` in it."""
    if segment is None or found:
        return
    try:
        rules = parse(target.ask("GET", "/v1/rfm/rules", params={"shop": name})["text"])
    except Refused as refused:
        if refused.status != 404:
            raise
        rules = RfmRules(currency="XXX")  # none published: the defaults hold
    known = dict.fromkeys([line.segment for line in rules.segments] + [rules.outside or ""])
    if segment not in known:
        raise CliError(f"--segment {segment}: not known; known: {', '.join(one for one in known if one)}")
