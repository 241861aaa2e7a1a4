"""B2, B11 to B13, B18, B19: what follows from what people do, are, or leave undone."""

import re
from typing import Any

import httpx

from tests.acceptance.rows.telling import Life, Story, get
from tests.acceptance.stories import MINUTE, links, pixel
from tests.support.running import Running
from tests.support.shop import Event

CAMPAIGN = {"title": "The spring collection", "text": "Light chairs.", "url": "https://demo.example/spring"}


def _signed_up(life: Life) -> list[Event]:
    asked = {"channel": "email", "purpose": "marketing", "status": "requested", "text": "I agree"}
    return [life.does("newsletter.subscribed", consents=[asked])]


def _unsure(life: Life) -> list[Event]:
    """Known, but without any consent."""
    return life.known()[:1]


def _confirm(_platform: Running, _life: Life, mail: dict[str, Any]) -> None:
    """The link of the mail, and the button of its page."""
    found = re.findall(r'https?://[^\s"<>]+/c/[^\s"<>]+', mail["html"])
    page = get(found[0])
    assert page.status_code == 200, page.text
    done = httpx.post(found[0], data={"confirm": "yes"}, trust_env=False, timeout=30)
    assert done.status_code == 200, done.text


def _open(_platform: Running, _life: Life, mail: dict[str, Any]) -> None:
    assert get(pixel(mail)).status_code == 200


def _open_and_click(platform: Running, life: Life, mail: dict[str, Any]) -> None:
    _open(platform, life, mail)
    wanted = next(link for link in links(mail) if get(link).headers["location"] == CAMPAIGN["url"])
    assert get(wanted).status_code in (302, 303, 307)


def _tagged(tag: str) -> Any:
    return lambda it: [it.does("profile.tagged", tags=[tag], campaign=CAMPAIGN)]


def _started(life: Life) -> Event:
    return life.does("profile.registration_started", life.now - 30 * MINUTE, url="https://demo.example/go-on")


def _quiet(life: Life) -> list[Event]:
    """The last log-in will be ninety days ago at eight."""
    return [life.does("profile.logged_in", life.at(-90, "08:00"))]


def _moved(*cities: str) -> Any:
    """One city after the other, five minutes apart."""
    return lambda it: [
        it.does("profile.updated", it.now - 30 * MINUTE + n * 5 * MINUTE, city=city) for n, city in enumerate(cities)
    ]


STORIES = (
    Story(
        row="B2",
        name="form-left",
        scenario="unfinished-registration",
        happens=lambda it: [_started(it)],
        sent=("first",),
        because="waiting",
        mail="https://demo.example/go-on",
    ),
    Story(
        row="B2 C5",
        name="form-finished",
        scenario="unfinished-registration",
        happens=lambda it: [_started(it), it.does("profile.registered")],
        because="profile.registered",
    ),
    Story(
        row="B11 C1",
        name="registered",
        scenario="welcome",
        happens=lambda it: [it.does("profile.registered")],
        sent=("first",),
        because="waiting",
    ),
    Story(
        row="B11",
        name="asked-to-confirm",
        scenario="double-opt-in",
        happens=_signed_up,
        sent=("ask",),
        known=_unsure,
    ),
    Story(
        row="B11",
        name="confirmed-by-link",
        scenario="double-opt-in-welcome",
        happens=_signed_up,
        sent=("confirmed",),
        reacts=_confirm,
        to="double-opt-in",
        known=_unsure,
    ),
    Story(
        row="B11",
        name="not-confirmed",
        scenario="double-opt-in-welcome",
        happens=_signed_up,
        because="waiting",
        known=_unsure,
    ),
    Story(
        row="B12 D1",
        name="silent",
        scenario="inactive",
        happens=_quiet,
        sent=("first",),
        because="waiting",
    ),
    Story(
        row="B12",
        name="silent-but-bought",
        scenario="inactive",
        happens=lambda it: [*_quiet(it), it.order("placed", it.at(-10, "12:00"))],
        because=None,
    ),
    Story(
        row="B13",
        name="birthday",
        scenario="birthday",
        happens=lambda it: [it.does("profile.updated", birthday=f"1990{it.day(7)[4:]}")],
        sent=("before",),
        because="waiting",
    ),
    Story(
        row="B13",
        name="birthday-was",
        scenario="birthday-after",
        happens=lambda it: [it.does("profile.updated", birthday=f"1990{it.day(-2)[4:]}")],
        sent=("after",),
    ),
    Story(
        row="B18 C4 B19",
        name="opened-only",
        scenario="our-follow-up",
        happens=_tagged("campaign-follow-up"),
        sent=("announcement", "follow-up"),
        mail="Light chairs.",
        reacts=_open,
    ),
    Story(
        row="B18 C4",
        name="clicked",
        scenario="our-follow-up",
        happens=_tagged("campaign-follow-up"),
        sent=("announcement",),
        because="exit step",
        reacts=_open_and_click,
    ),
    Story(
        row="B18",
        name="clicked-there",
        scenario="clicked-spring",
        happens=_tagged("campaign-follow-up"),
        sent=("more",),
        reacts=_open_and_click,
        to="our-follow-up",
    ),
    Story(
        row="B18 C4",
        name="not-opened",
        scenario="our-second-subject",
        happens=_tagged("campaign-second-subject"),
        sent=("first", "second"),
    ),
    Story(
        row="B18 C4",
        name="opened-at-once",
        scenario="our-second-subject",
        happens=_tagged("campaign-second-subject"),
        sent=("first",),
        because="exit step",
        reacts=_open,
    ),
    Story(row="B19", name="moves-in", scenario="came-to-gdansk", happens=_moved("Gdańsk"), sent=("hello",)),
    Story(row="B19", name="moves-about", scenario="came-to-gdansk", happens=_moved("Łódź"), because=None),
    Story(row="B19", name="moves-out", scenario="left-gdansk", happens=_moved("Gdańsk", "Łódź"), sent=("goodbye",)),
    Story(row="B19", name="stays", scenario="left-gdansk", happens=_moved("Gdańsk"), because=None),
    Story(
        row="B19",
        name="joins-wholesale",
        scenario="joined-wholesale",
        happens=lambda it: [it.does("profile.updated", groups=["wholesale"])],
        sent=("terms",),
    ),
    Story(
        row="B19",
        name="lapses",
        scenario="lapsed",
        happens=lambda it: [it.order("placed", it.at(-30, "08:00"))],
        sent=("miss-you",),
    ),
)
