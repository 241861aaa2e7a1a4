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
        ("shops: {vado: {timezone: Europe/Warszawa}}", "shops.vado.timezone: Value error, Europe/Warszawa is no IANA"),
        ("shops: {vado: {colour: red}}", "shops.vado.colour"),
        ("shops: {vado: {url: 'javascript:x'}}", "shops.vado.url"),
        ("- a", "the file"),
        ("shops: [", "shops.yaml:1:9 not YAML"),
        ("shops: {vado: {}, vado: {}}", "vado is given twice"),
        ("shops:\n  vado:\n    caps:\n      - {most: 0, per: 1d}", "shops.yaml:4:16 most is how many"),
        ("shops: {vado: {caps: [{most: 1, per: soon}]}}", "per is a length of time"),
        ("shops: {vado: {caps: [{most: 1, per: 1d, channel: fax}]}}", "fax is no channel (one of: email"),
        ("shops: {vado: {caps: [{most: 1, per: 1d, chanel: email}]}}", "chanel is not known here"),
        ("shops: {vado: {caps: [{most: 1, per: 1d}, {most: 2, per: 24h}]}}", "given twice"),
        ("shops: {vado: {caps: {most: 1, per: 1d}}}", "caps are a list"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "shops.yaml"
    path.write_text(text)
    with pytest.raises(Misconfigured, match="KURANT_SHOPS") as told:
        load(str(path))
    assert says in str(told.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(Misconfigured, match=r"KURANT_SHOPS nowhere\.yaml"):
        load("nowhere.yaml")
