"""Products: their shape, their exact amounts, and lines out of pieces."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.catalog import ProductTold
from libs.contracts.envelope import Envelope
from libs.domain.intake import Invalid
from libs.domain.intake.lines import Lines
from services.ingest import handlers

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SOFA = {"product_id": "sofa-1", "name": "Sofa Oslo", "price": "249.00", "currency": "PLN"}


def read(text: str | bytes, shop: str = "demo") -> tuple[str, Envelope, ProductTold]:
    made = handlers.product(text.encode() if isinstance(text, str) else text, shop=shop, now=NOW)
    return made.key.decode(), Envelope.read(made.headers), ProductTold.decode(made.value)


def product(**more: Any) -> str:
    return json.dumps({**SOFA, **more})


def test_a_product_becomes_a_message_on_the_key_of_shop_and_product() -> None:
    more = {
        "old_price": 299.5,
        "stock": 3,
        "stock_by_store": {"waw-1": 2, "krk": "1.5"},
        "url": "https://demo.example/p/sofa-1",
        "image": "https://demo.example/i/sofa-1.jpg",
        "categories": ["Sofas", "New"],
        "brand": "Oslo",
        "updated_at": "2026-03-01T10:00:00+01:00",
        "colour": {"name": "grey", "rgb": [1, 2, 3]},
    }
    key, envelope, told = read(product(**more))
    assert key == "demo/sofa-1"
    assert (envelope.shop, envelope.type, envelope.source) == ("demo", "kurant.product.told", "/kurant/ingest")
    assert envelope.time == told.updated_at == datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
    assert told == ProductTold(
        product_id="sofa-1",
        name="Sofa Oslo",
        price="249.00",
        currency="PLN",
        received_at=NOW,
        old_price="299.5",
        stock="3",
        stock_by_store={"waw-1": "2", "krk": "1.5"},
        url="https://demo.example/p/sofa-1",
        image="https://demo.example/i/sofa-1.jpg",
        categories=["Sofas", "New"],
        brand="Oslo",
        updated_at=datetime(2026, 3, 1, 9, 0, tzinfo=UTC),
        more={"colour": {"name": "grey", "rgb": [1, 2, 3]}},
    )


def test_products_of_two_shops_do_not_collide() -> None:
    assert read(product(), shop="a")[0] != read(product(), shop="b")[0]
    assert read(product(product_id="x/1"), shop="a")[0] == "a/x/1"


def test_amounts_keep_their_digits() -> None:
    text = '{"product_id": 7, "name": "x", "price": 0.10, "currency": "PLN", "stock": 9007199254740993.000000001}'
    with pytest.raises(Invalid, match="stock"):
        read(text)
    key, _, told = read(text.replace("9007199254740993", "900719925474099"))
    assert (key, told.price, told.stock) == ("demo/7", "0.10", "900719925474099.000000001")


def test_other_fields_stay_as_they_were_written() -> None:
    text = product(x=1)[:-1] + ', "weight": 1.50, "size": {"w": 2.0}, "old": null}'
    made = handlers.product(text.encode(), shop="demo", now=NOW)
    assert b'"more":{"x":1,"weight":1.50,"size":{"w":2.0},"old":null}' in made.value


def test_the_same_product_has_the_same_id_and_a_changed_one_another() -> None:
    assert read(product())[1].id == read(product())[1].id
    assert read(product())[1].id != read(product(price="1"))[1].id
    assert read(product(), shop="a")[1].id != read(product(), shop="b")[1].id


def test_addresses_do_not_travel_with_products() -> None:
    assert read(product(email="a@example.com", seller={"phone": "1", "name": "Eve"}))[2].more == {
        "seller": {"name": "Eve"}
    }


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"product_id": None}, "product_id"),
        ({"product_id": ""}, "product_id"),
        ({"product_id": " "}, "product_id"),
        ({"product_id": "a\nb"}, "product_id"),
        ({"product_id": "x" * 201}, "product_id"),
        ({"name": ""}, "name"),
        ({"name": "a\0"}, "product.name"),
        ({"price": "12,50"}, "price"),
        ({"price": "-1"}, "price"),
        ({"price": True}, "price"),
        ({"old_price": -1}, "old_price"),
        ({"currency": "zl"}, "currency"),
        ({"stock": "many"}, "stock"),
        ({"stock_by_store": {"a": "many"}}, "stock_by_store[...]"),
        ({"stock_by_store": ["a"]}, "stock_by_store"),
        ({"categories": "Sofas"}, "categories"),
        ({"updated_at": "yesterday"}, "updated_at"),
        ({"updated_at": "0001-01-01T00:00:00+10:00"}, "updated_at"),
        ({"text": "x" * 200_001}, "product"),
        ({"stock_by_store": {f"{n:03}" + "x" * 1_900: 1 for n in range(110)}}, "product"),
    ],
)
def test_what_does_not_fit_is_named(more: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(product(**more))
    assert refused.value.field == field
    assert "many" not in str(refused.value)


@pytest.mark.parametrize("name", ["product_id", "name", "price", "currency"])
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(Invalid, match="is required") as refused:
        read(json.dumps({key: value for key, value in SOFA.items() if key != name}))
    assert refused.value.field == name


@pytest.mark.parametrize("text", ["", "[]", "1", "null", "{", '{"a":', b"\xff", "[" * 5_000, '"' + "x" * 1_000_001])
def test_what_is_no_product_is_said_to_be_none(text: str | bytes) -> None:
    with pytest.raises(Invalid) as refused:
        read(text)
    assert refused.value.field == "product"


@pytest.mark.parametrize(
    ("told", "time"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T10:00", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2030-01-01", NOW),
        (None, NOW),
    ],
)
def test_a_product_is_as_old_as_it_says_and_never_of_the_future(told: str | None, time: datetime) -> None:
    assert read(product(updated_at=told))[1].time == time


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b""))), st.data())
def test_lines_are_the_same_in_whatever_pieces_they_come(lines: list[bytes], data: st.DataObject) -> None:
    body = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)))))
    reader = Lines()
    found = [
        one for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True) for one in reader.feed(body[start:end])
    ]
    found += reader.end()
    plain = [line.strip() for line in body.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    assert found == [(number, line) for number, line in enumerate(plain, 1) if line]
