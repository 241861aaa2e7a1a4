"""Which links are counted, and how."""

import pytest

from libs.domain.mail import track
from libs.domain.mail.links import is_web


def tracked(document: str, **more: object) -> str:
    return track(document, link=lambda target: f"T({target})", pixel=None, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ('<a href="https://x.example/a?b=1&amp;c=2">', '<a href="T(https://x.example/a?b=1&amp;c=2)">'),
        ('<a href="https:&#x2f;&#x2f;x.example">', '<a href="T(https://x.example)">'),
        ("<a class=c href='http://x.example'>", '<a class=c href="T(http://x.example)">'),
        ('<A\nHREF = "HTTPS://x.example">', '<A\nHREF = "T(HTTPS://x.example)">'),
        ('<area href="https://x.example">', '<area href="T(https://x.example)">'),
    ],
)
def test_links_to_the_web_are_counted(written: str, made: str) -> None:
    assert tracked(written) == made


@pytest.mark.parametrize(
    "written",
    [
        '<a href="mailto:a@b.example">',
        '<a href="tel:+48601000000">',
        '<a href="#top">',
        '<a href="/relative">',
        '<a href="javascript:alert(1)">',
        '<a href="">',
        '<a name="x">',
        '<link href="https://x.example/style.css">',
        '<img src="https://x.example/i.png">',
        '<a data-href="https://x.example">',
        f'<a href="https://x.example/{"a" * 2_000}">',
    ],
)
def test_others_stay_as_they_are(written: str) -> None:
    assert tracked(written) == written


def test_the_ways_out_are_never_counted() -> None:
    document = '<a href="https://s.example/u/t&#x2f;1">leave</a><a href="https://s.example/p/t">choose</a>'
    assert tracked(document, leave={"https://s.example/u/t/1", "https://s.example/p/t"}) == document


def test_the_pixel_is_the_last_thing_of_the_body() -> None:
    made = track("<body>x</body></html>", link=str, pixel="https://p.example/o/1")
    assert made.startswith("<body>x<img src=") and made.endswith("></body></html>")
    assert track("x", link=str, pixel="https://p.example").endswith('border:0">')


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https:/x",
        "https://",
        "http:///x",
        "ftp://x",
        "javascript://x",
        "https://x\r\ny",
        "https://x y",
    ],
)
def test_nowhere_else_can_a_browser_be_sent(target: str) -> None:
    assert not is_web(target)
