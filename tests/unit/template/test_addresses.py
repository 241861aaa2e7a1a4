"""What addresses stand in a mail: those of the author and the shop, readable, and nobody else's."""

import re
from pathlib import Path
from typing import Any

import pytest

from cli.scenario import read_bundle
from libs.domain.template import compile_bundle, render

ROOT = Path(__file__).resolve().parents[3]
BUNDLE = compile_bundle(read_bundle(ROOT / "scenarios" / "abandoned-cart"))
ITEM = {"name": "Sofa <Oslo>", "quantity": 1, "price": "249.00", "image": "https://demo.example/i/sofa.jpg"}
VARIABLES: dict[str, Any] = {
    "profile": {"first_name": "A/B", "language": "en"},
    "cart": {"value": "249.00", "currency": "PLN", "url": "https://demo.example/c?a=1&b=2", "items": [ITEM]},
    "shop": {"name": "demo"},
    "unsubscribe_url": "https://kurant.example/u/t",
    "preferences_url": "https://kurant.example/p/t",
}


@pytest.mark.parametrize("name", sorted(BUNDLE))
def test_addresses_in_html_can_be_read_as_they_are(name: str) -> None:
    html = render(BUNDLE[name], VARIABLES).html
    assert 'src="https://demo.example/i/sofa.jpg"' in html
    assert 'href="https://demo.example/c?a=1&amp;b=2"' in html
    assert "A/B" in html
    assert "Sofa &lt;Oslo&gt;" in html


@pytest.mark.parametrize("name", sorted(BUNDLE))
def test_a_mail_loads_nothing_from_somebody_else(name: str) -> None:
    """No web font: its server would hear of every customer who reads a mail."""
    html = render(BUNDLE[name], VARIABLES).html
    hosts = set(re.findall(r"(?:href|src)=\"https?://([^/\"]+)|url\(https?://([^/)]+)", html))
    assert {one or other for one, other in hosts} == {"demo.example", "kurant.example"}
