"""The shops file: read whole, or refused with what is wrong."""

from pathlib import Path

import pytest

from libs.common.errors import Misconfigured
from libs.common.shops import load


def test_no_file_is_no_shops() -> None:
    assert load(None) == {}


def test_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "shops.yaml"
    path.write_text("shops: {vado: {name: Vado, url: 'https://vado.example', timezone: Europe/Warsaw}, b: {}}")
    shops = load(str(path))
    assert (shops["vado"].name, shops["vado"].timezone) == ("Vado", "Europe/Warsaw")
    assert (shops["b"].name, shops["b"].url, shops["b"].timezone) == ("", "", None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("shops: {vado: {timezone: Europe/Warszawa}}", "shops.vado.timezone: Value error, Europe/Warszawa is no IANA"),
        ("shops: {vado: {colour: red}}", "shops.vado.colour"),
        ("shops: {vado: {url: 'javascript:x'}}", "shops.vado.url"),
        ("- a", "the file"),
        ("shops: [", "ParserError"),
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
