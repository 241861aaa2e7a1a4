"""What a customer's click changes of what stands."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from libs.domain.consent.state import TRANSACTIONAL, State, Status

Wish = tuple[str, str, Status]
"""Channel, purpose, and how a customer wants it to stand."""
Standing = Mapping[tuple[str, str], State]
"""What stands for one profile, by channel and purpose."""
Choose = Callable[[Standing], list[Wish]]
"""What a customer's click changes of what stands."""


def unsubscribing(channel: str, purpose: str) -> Choose:
    """No more of this; of a transactional message's link: no more of anything else by its channel."""

    def choose(standing: Standing) -> list[Wish]:
        if purpose != TRANSACTIONAL:
            return [(channel, purpose, "withdrawn")]
        return [(*key, "withdrawn") for key in standing if key[0] == channel and key[1] != TRANSACTIONAL]

    return choose


def all_off(standing: Standing) -> list[Wish]:
    """Nothing more but what a contract needs."""
    return [(*key, "withdrawn") for key in standing if key[1] != TRANSACTIONAL]


class NoSuchChoice(ValueError):
    """Something was chosen that the preference page does not offer."""


def switching(channel: str, purpose: str, on: bool) -> Choose:
    """One switch of the preference page. It turns on only what was refused or withdrawn before: what waits for a
    confirmation is confirmed by its own link, and nothing unknown is made up. Raises `NoSuchChoice`."""

    def choose(standing: Standing) -> list[Wish]:
        state = standing.get((channel, purpose))
        if state is None or purpose == TRANSACTIONAL:
            raise NoSuchChoice("nothing is known of this channel and purpose")
        if not on:
            return [(channel, purpose, "withdrawn")]
        if state.status == "requested":
            raise NoSuchChoice("it waits for its confirmation")
        return [(channel, purpose, "granted")] if state.status in ("refused", "withdrawn") else []

    return choose


def confirming(channel: str, purpose: str) -> Choose:
    """A double opt-in: what was requested is granted, anything else stays."""

    def choose(standing: Standing) -> list[Wish]:
        state = standing.get((channel, purpose))
        return [(channel, purpose, "granted")] if state and state.status == "requested" else []

    return choose


def chosen(standing: Standing, choose: Choose, now: datetime) -> list[tuple[Wish, datetime]]:
    """The wishes that are not fulfilled yet, each with its event time.

    A customer's own click counts after everything that stands, even if a shop's clock was ahead.
    """
    wishes: list[tuple[Wish, datetime]] = []
    for channel, purpose, status in choose(standing):
        state = standing.get((channel, purpose))
        if state is None:
            wishes.append(((channel, purpose, status), now))
        elif state.status != status:
            wishes.append(((channel, purpose, status), max(now, state.newest + timedelta(microseconds=1))))
    return wishes
