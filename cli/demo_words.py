"""The words of the demo: each line says when (the platform's time), who, what and why. Pure."""

from datetime import datetime
from typing import Any

SCENARIO = "abandoned-cart"
WIDE = 6
DUE = {"first": "1 hour", "second": "24 hours", "third": "72 hours"}
WHY_NOT = {
    "no_consent": "has never agreed to mails",
    "withdrawn": "has taken the consent back",
    "refused": "has refused mails",
    "unconfirmed": "has not confirmed the consent",
    "no_address": "has no address",
    "suppressed": "the address is blocked",
    "late": "it would come too late",
    "paused": "the scenario is paused",
}
WHY_ENDED = {
    "order.placed": "has bought",
    "order.paid": "has paid",
    "cart.cleared": "has emptied the cart",
    "completed": "every reminder has had its turn",
}


def when(moment: datetime | str | None) -> str:
    """A moment of the platform's clock, as every line of the demo has it."""
    if not moment:
        return ""
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{found:%a %d %b %H:%M}"


def line(moment: datetime | str | None, who: str, what: str, why: str = "") -> str:
    """One line: time, who, what, and why."""
    return f"{when(moment)}  {who:<{WIDE}} {what}{f' ({why})' if why else ''}"


def head(speed: float, customers: int, inbox: str) -> list[str]:
    """What a stranger must know before the first line."""
    return [
        "",
        f"The demo day: one furniture shop, {customers} customers, three days.",
        f"Scenario {SCENARIO}: who leaves a cart of 50.00 or more gets a mail 1, 24 and 72 hours later, unless the "
        "customer buys or empties the cart before; no mail without consent.",
        f"Every time below is the platform's clock, in UTC. It runs {speed:g} times faster than life: a second here is "
        f"{pace(speed)} there, so that a mail sent at once looks some minutes late.",
        f"The mails themselves arrive at {inbox}",
        "",
    ]


def pace(speed: float) -> str:
    """What a second is on a clock of this speed."""
    return f"{speed / 60:.0f} minutes" if speed >= 120 else f"{speed:g} seconds"


def outcome(row: dict[str, Any]) -> tuple[str, str]:
    """What became of a message (a row of the outbox), and why."""
    message, end, reason = row["message"], row["end"], row["reason"] or ""
    if end == "sent":
        after = f"{DUE[message]} after the cart, not bought" if message in DUE else ""
        return f"{message} mail sent", after
    if end == "pending":
        return f"{message} mail on its way", ""
    why = f"{WHY_NOT[reason]}: {reason}" if reason in WHY_NOT else reason
    return f"{message} mail {'not sent' if end == 'suppressed' else end}", why


def ending(scenario: str, because: str) -> tuple[str, str]:
    """What the end of a run of a scenario means, and why."""
    why = f"{WHY_ENDED[because]}: {because}" if because in WHY_ENDED else because
    return f"{scenario} {'is through' if because == 'completed' else 'ends, no more mails'}", why
