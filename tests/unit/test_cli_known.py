"""Which shops a local platform knows: asked only when an answer is empty."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import known
from cli.client import Target
from cli.local.folder import Folder
from cli.terminal import CliError
from tests.support.web import Asked, Web, serving


@pytest.fixture
def web() -> Iterator[Web]:
    def answer(asked: Asked) -> tuple[int, Any]:
        if asked.path == "/v1/status":
            return 401, {"detail": "this key is not known"}
        if asked.path == "/v1/keys":
            return 200, [{"shop": "keyed"}]
        return 200, [{"id": "cart"}] if (asked.path, asked.query) == ("/v1/scenarios", {"shop": "live"}) else []

    with serving(answer) as found:
        yield found


@pytest.fixture
def target(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.delenv("KURANT_SHOPS", raising=False)
    folder = Folder(tmp_path)
    folder.shops.write_text("shops: {filed: {}}")
    return Target(console=web.url, ingest=None, key="k", local=folder)


@pytest.mark.parametrize("shop", ["demo", "filed", "keyed", "live", None])
def test_a_shop_that_there_is(shop: str | None, target: Target) -> None:
    known.shop(target, shop, [])


def test_a_shop_that_there_is_not(target: Target) -> None:
    with pytest.raises(CliError, match=r"--shop nope: not known; known: demo, filed, keyed \(one is known by") as told:
        known.shop(target, "nope", [])
    assert told.value.code == 2


def test_nobody_is_asked_when_there_is_an_answer(target: Target, web: Web) -> None:
    known.shop(target, "nope", [1])
    assert web.asked == []


def test_keys_that_were_changed_while_it_runs(target: Target) -> None:
    with pytest.raises(
        CliError, match=r"secrets\.yaml is not the file that this platform was started with: put it back"
    ):
        target.ask("GET", "/v1/status")
