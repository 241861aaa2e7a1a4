"""Verbs that look: `status`, `explain`, `outbox`, `audit`."""

from typing import Annotated, Any

import typer

from cli import explained, known
from cli.client import Refused, find
from cli.options import Data, Json, Profile, Shop
from cli.terminal import CliError, line, show_json, show_table

OUTBOX = ("requested_at", "profile", "scenario", "message", "channel", "end", "reason", "until", "ended_at")
SUMS = ("events", "steps", "messages")


def status(data: Data = None, as_json: Json = False) -> None:
    """What runs, how far behind it is, what waits."""
    found = find(data).ask("GET", "/v1/status", holds=("now", "services", "steps"))
    if as_json:
        show_json(found)
    else:
        line(f"platform time {found['now']}")
        rows = [
            (name, "ready" if row["ready"] else "not ready", _lag(row["lag"]))
            for name, row in found["services"].items()
        ]
        show_table(("service", "state", "lag"), rows)
        line(f"pending steps {found['steps']['pending']}, oldest due {found['steps']['oldest_due'] or '-'}")
    if not all(row["ready"] for row in found["services"].values()):
        raise typer.Exit(1)


def _lag(lag: Any) -> Any:
    return sum(lag.values()) if isinstance(lag, dict) else lag


def outbox(
    shop: Shop = None,
    profile: Profile = None,
    channel: Annotated[str | None, typer.Option("--channel", help="email, sms, push ...")] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Every message with its end and the reason."""
    known.channel(channel)
    target = find(data)
    own = target.shop(shop)
    found = target.ask("GET", "/v1/outbox", params={"shop": own, "profile": profile, "channel": channel})
    known.shop(target, own, found)
    known.profile(target, own, profile, found)
    if as_json:
        show_json(found)
    else:
        show_table(OUTBOX, [[row.get(name) for name in OUTBOX] for row in found])


def explain(
    shop: Shop = None,
    email: Annotated[str | None, typer.Option("--email", help="the customer's e-mail address")] = None,
    profile: Profile = None,
    scenario: Annotated[str | None, typer.Option("--scenario", help="only this one")] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Why something was sent, deferred, suppressed, or never started."""
    if (email is None) == (profile is None):
        raise CliError("give either --email or --profile")
    target = find(data)
    own = target.shop(shop)
    try:
        asked = {"shop": own, "email": email, "profile": profile, "scenario": scenario}
        found = target.ask("GET", "/v1/explain", params=asked, holds=("profile", "scenarios"))
    except Refused as refused:
        if refused.status == 404:
            known.shop(target, own)
        raise
    known.scenario(target, own, scenario, found["scenarios"])
    if as_json:
        show_json(found)
        return
    line(f"profile {found['profile']}" + (f", in the zone {found['zone']}" if found.get("zone") else ""))
    parts = [explained.scenario(part) for part in found["scenarios"]]
    parts += [explained.segment(part) for part in found.get("segments") or ()]
    for told in parts:
        line("")
        for text in told:
            line(text)


def audit(data: Data = None, as_json: Json = False) -> None:
    """Do the sums agree? Exit code 1 when they do not."""
    found = find(data).ask("GET", "/v1/audit", holds=("ok", *SUMS))
    if as_json:
        show_json(found)
    else:
        for subject in SUMS:
            line(f"{subject}: " + ", ".join(f"{name} {count}" for name, count in found[subject].items()))
        line("the sums agree" if found["ok"] else "the sums differ")
    if not found["ok"]:
        raise typer.Exit(1)
