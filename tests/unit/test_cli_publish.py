"""`kurant up` publishes what lies in its folder; what was archived stays so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli import up

SCENARIO = "kurant: 1\nid: {id}\nname: {id}\npurpose: marketing\ntrigger: {{event: custom.x}}\nsteps: [{{tag: x}}]\n"


class Console:
    """The far side of HTTP: what is asked of it is kept."""

    def __init__(self) -> None:
        self.published: list[str] = []

    def ask(self, method: str, path: str, **options: Any) -> Any:
        if method == "GET":
            rows = [{"id": "over", "state": "archived"}, {"id": "held", "state": "paused"}]
            return rows if path == "/v1/scenarios" else []
        (text,) = options["json"]["files"].values()
        id = text.split("id: ")[1].split("\n")[0]
        self.published.append(id)
        return {"id": id, "version": 1, "changed": False}


class Platform:
    """As much of a platform as publishing needs."""

    folder = type("Folder", (), {"path": Path("nowhere")})

    def patiently(self, call: Callable[[], Any], _error: type[Exception]) -> Any:
        return call()


def test_what_was_archived_stays_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for id in ("held", "new", "over"):
        (tmp_path / id).mkdir()
        (tmp_path / id / "scenario.yaml").write_text(SCENARIO.format(id=id))
    console = Console()
    monkeypatch.setattr(up, "find", lambda _path: console)
    up.publish(Platform(), tmp_path)  # type: ignore[arg-type]
    assert console.published == ["held", "new"]
    said = " ".join(capsys.readouterr().err.split())
    assert "scenario over stays archived; `kurant scenario publish" in said
