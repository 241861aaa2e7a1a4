"""`kurant events send`: batches, rejected lines by number, resuming."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.main import run
from tests.support.web import Asked, Web, serving


class Ingest:
    """Accepts events; refuses those that say so; fails as a whole from a given call on."""

    def __init__(self) -> None:
        self.got: list[int] = []
        self.calls = 0
        self.broken_from = 10**9
        self.away: list[int] = []

    def answer(self, asked: Asked) -> tuple[int, Any]:
        self.calls += 1
        if self.calls in self.away:
            return 503, {"detail": "away; try again"}
        if self.calls >= self.broken_from:
            return 500, {"detail": "an unexpected error"}
        if any(event.get("poison") for event in asked.body):
            return 400, {"detail": "poison"}
        rejected = [{"index": at, "error": "type: missing"} for at, event in enumerate(asked.body) if event.get("bad")]
        good = [event["n"] for event in asked.body if not event.get("bad")]
        if not good:
            return 422, {"detail": "no event of the batch can be used", "rejected": rejected}
        known = [n for n in good if n in self.got]
        self.got += [n for n in good if n not in self.got]
        return 202, {"accepted": len(good) - len(known), "duplicates": len(known), "rejected": rejected}


@pytest.fixture
def ingest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[Ingest, Web]]:
    made = Ingest()
    with serving(made.answer) as web:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("KURANT_URL", web.url)
        monkeypatch.setenv("KURANT_INGEST_URL", web.url)
        monkeypatch.setenv("KURANT_KEY", "key")
        yield made, web


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return path


def test_sends_batches_of_five_hundred(ingest: tuple[Ingest, Web], tmp_path: Path, capsys: Any) -> None:
    file = write(tmp_path / "e.jsonl", [{"n": n} for n in range(1, 1202)])
    assert run(["events", "send", str(file), "--json"]) == 0
    assert [len(asked.body) for asked in ingest[1].asked] == [500, 500, 201]
    assert ingest[1].asked[0].headers["Content-Type"] == "application/cloudevents-batch+json"
    assert json.loads(capsys.readouterr().out) == {"accepted": 1201, "duplicates": 0, "rejected": []}
    assert not (tmp_path / "e.jsonl.progress").exists()


def test_rejected_lines_are_told_by_number(ingest: tuple[Ingest, Web], tmp_path: Path, capsys: Any) -> None:
    rows = [{"n": 1}, "\n", {"n": 3, "bad": True}, "{broken\n", "[1]\n", {"n": 6, "poison": True}, {"n": 7}]
    file = write(tmp_path / "e.jsonl", rows)
    assert run(["events", "send", str(file), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["accepted"] == 2
    assert [row["line"] for row in told["rejected"]] == [3, 4, 5, 6]
    assert told["rejected"][0]["error"] == "type: missing"
    assert told["rejected"][3]["error"] == "poison"
    assert ingest[0].got == [1, 7]


def test_goes_on_where_it_stopped(ingest: tuple[Ingest, Web], tmp_path: Path, capsys: Any) -> None:
    file = write(tmp_path / "e.jsonl", [{"n": n, "bad": n == 10} for n in range(1, 1202)])
    ingest[0].broken_from = 2
    assert run(["events", "send", str(file)]) == 1
    assert len(ingest[0].got) == 499
    ingest[0].broken_from = 10**9
    capsys.readouterr()
    assert run(["events", "send", str(file), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["accepted"] == 1200
    assert told["duplicates"] == 0
    assert told["rejected"] == [{"line": 10, "error": "type: missing"}]


def test_from_the_beginning_when_asked(ingest: tuple[Ingest, Web], tmp_path: Path, capsys: Any) -> None:
    file = write(tmp_path / "e.jsonl", [{"n": n} for n in range(1, 700)])
    ingest[0].broken_from = 2
    assert run(["events", "send", str(file)]) == 1
    ingest[0].broken_from = 10**9
    capsys.readouterr()
    assert run(["events", "send", str(file), "--again", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"accepted": 199, "duplicates": 500, "rejected": []}


def test_waits_for_an_ingest_that_is_away(ingest: tuple[Ingest, Web], tmp_path: Path) -> None:
    ingest[0].away = [1, 2]
    assert run(["events", "send", str(write(tmp_path / "e.jsonl", [{"n": 1}]))]) == 0
    assert ingest[0].got == [1]


def test_a_missing_file_is_called_wrong(ingest: tuple[Ingest, Web], tmp_path: Path) -> None:
    assert run(["events", "send", str(tmp_path / "none.jsonl")]) == 2


def test_a_batch_of_which_nothing_can_be_used_says_why_of_each_line(
    ingest: tuple[Ingest, Web], tmp_path: Path, capsys: Any
) -> None:
    file = write(tmp_path / "e.jsonl", ["\n", {"n": 2, "bad": True}, {"n": 3, "bad": True}, {"n": 4, "bad": True}])
    assert run(["events", "send", str(file), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["rejected"] == [
        {"line": line, "error": "type: missing"} for line in (2, 3, 4)
    ]
    assert ingest[0].calls == 1


@pytest.mark.parametrize("rows", [[], ["\n", "  \n"]])
def test_a_file_without_events_is_called_wrong(
    ingest: tuple[Ingest, Web], tmp_path: Path, capsys: Any, rows: list[Any]
) -> None:
    file = write(tmp_path / "e.jsonl", rows)
    assert run(["events", "send", str(file), "--json"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"kurant: no events in {file}\n")
    assert sorted(tmp_path.iterdir()) == [file]


def test_an_address_that_is_not_ingest_s_is_told(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def console(asked: Asked) -> tuple[int, Any]:
        return (200, {"service": "console"}) if asked.path == "/healthz" else (404, {"detail": "Not Found"})

    file = write(tmp_path / "e.jsonl", [{"n": 1}])
    with serving(console) as web:
        monkeypatch.chdir(tmp_path)
        for name, value in (("URL", web.url), ("INGEST_URL", web.url), ("KEY", "key")):
            monkeypatch.setenv(f"KURANT_{name}", value)
        assert run(["events", "send", str(file)]) == 2
    assert capsys.readouterr().err == f"kurant: KURANT_INGEST_URL {web.url} is console, it must be ingest\n"
