"""The shops file: read whole, or refused with what is wrong."""

from datetime import timedelta
from pathlib import Path

import pytest

from libs.common.errors import Misconfigured
from libs.common.shops import load
from libs.domain.consent.caps import Cap


def test_no_file_is_no_shops() -> None:
    assert load(None) == {}


def test_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "shops.yaml"
    path.write_text("shops: {vado: {name: Vado, url: 'https://vado.example', timezone: Europe/Warsaw}, b: {}}")
    shops = load(str(path))
    assert (shops["vado"].name, shops["vado"].timezone) == ("Vado", "Europe/Warsaw")
    assert (shops["b"].name, shops["b"].url, shops["b"].timezone) == ("", "", None)


def test_how_often_customers_are_written_to(tmp_path: Path) -> None:
    path = tmp_path / "shops.yaml"
    path.write_text("shops: {vado: {caps: [{channel: email, most: 1, per: 1d}, {most: 3, per: 7d}]}, b: {caps: }}")
    shops = load(str(path))
    day, week = timedelta(days=1), timedelta(days=7)
    assert shops["vado"].caps == (Cap(channel="email", most=1, per=day), Cap(most=3, per=week))
    assert shops["b"].caps == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("shops:\n  vado: {timezone: Europe/Warszawa}", ":2: timezone: Europe/Warszawa is no IANA time zone, such as"),
        ("shops:\n  vado:\n    name: V\n    colour: red", ":4: 'colour' is not known; known: name, url, timezone"),
        ("shops:\n  a: {}\n  vado: {url: 'javascript:x'}", ":3: url must be http://... or https://..."),
        ("shops:\n  a: {name: [x]}", ":2: name must be text: put it in quotes"),
        ("shops:\n  a: 7", ":2: a must be a mapping"),
        ("shops: {}\nother: 1", ":2: 'other' is not known; known: shops"),
        ("- a", ":1: there must be a mapping `shops:`"),
        ("shops: [", ":1: not YAML"),
        ("shops:\n  a: {}\n  a: {}", ":3: a is given twice"),
        ("", ":1: the file is empty"),
        ("shops:\n  vado:\n    caps:\n      - {most: 0, per: 1d}", ":4: most is how many messages are let through"),
        ("shops:\n  a: {caps: [{most: 1, per: soon}]}", ":2: per is a length of time (such as `1d` or `7d`"),
        ("shops:\n  a: {caps: [{most: 1, per: 1d, channel: fax}]}", ":2: fax is no channel (one of: email"),
        ("shops:\n  a: {caps: [{most: 1, per: 1d, chanel: email}]}", ":2: chanel is not known here (a cap has channel"),
        ("shops:\n  a: {caps: [{most: 1, per: 1d}, {most: 2, per: 24h}]}", ":2: a cap of all channels in this time is"),
        ("shops:\n  a: {caps: {most: 1, per: 1d}}", ":2: caps are a list"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "shops.yaml"
    path.write_text(text)
    with pytest.raises(Misconfigured) as told:
        load(path)
    assert str(told.value).startswith(f"{path}{says}")
    assert "\n" not in str(told.value)


def test_a_file_that_cannot_be_read_says_which_setting_names_it(tmp_path: Path) -> None:
    with pytest.raises(
        Misconfigured, match=r"^nowhere\.yaml: no such file; write it, or let KURANT_SHOPS name another"
    ):
        load("nowhere.yaml")
    with pytest.raises(Misconfigured, match="Is a directory; KURANT_SHOPS must name a file"):
        load(tmp_path)
    (tmp_path / "binary").write_bytes(b"\x89PNG\xff\x00")
    with pytest.raises(Misconfigured, match="binary: not a text file in UTF-8; KURANT_SHOPS must name a YAML file"):
        load(tmp_path / "binary")
