"""`kurant rfm`: what the verbs ask of a console, print and exit with."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import rfm
from cli.main import run
from tests.support.web import Asked, Web, serving

ROW = {
    "profile": "p-1",
    "segment": "loyal",
    "r": 3,
    "f": 5,
    "m": 4,
    "recency_days": 12,
    "orders": 5,
    "frequency": 5,
    "monetary": "120.50",
    "last_day": "2026-02-18",
}
STATUS: dict[str, Any] = {
    "run": 4,
    "version": 2,
    "known_version": 2,
    "computed_at": "2026-03-02T00:00:01+00:00",
    "day": "2026-03-02",
    "next_at": "2026-03-03T00:00:00+00:00",
    "currency": "PLN",
    "customers": 3,
    "segments": [
        {"segment": "loyal", "customers": 2, "orders": 9, "monetary": "220.50"},
        {"segment": None, "customers": 1, "orders": 1, "monetary": "5.00"},
    ],
    "cuts": {"recency": [60, 30], "frequency": [], "monetary": [100]},
    "excluded": {"returned": 2},
}
EXPLAINED = {
    **ROW,
    "day": "2026-03-02",
    "text": "segment: loyal (line 2 of the map: r 3-5)\nrecency: 12 days, score 3",
    "history": [{"at": "2026-02-01T00:00:00+00:00", "from": None, "to": "loyal", "r": 3, "f": 5, "m": 4}],
}
GOOD = "kurant: 1\ncurrency: PLN\n"
BAD = GOOD + "windwo: 90d\n"
Answers = dict[tuple[str, str], Any]


@pytest.fixture
def answers() -> Answers:
    return {
        ("GET", "/v1/rfm"): (200, STATUS),
        ("GET", "/v1/rfm/customers"): (200, [ROW]),
        ("GET", "/v1/rfm/explain"): (200, EXPLAINED),
        ("POST", "/v1/rfm/runs"): (
            200,
            {"done": True, "run": 4, "kind": "full", "day": "2026-03-02", "customers": 3, "changed": 1, "quiet": False},
        ),
        ("PUT", "/v1/rfm"): (201, {"version": 2, "changed": True, "published": True, "acted_on": True}),
    }


@pytest.fixture
def web(answers: Answers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Web]:
    def answer(asked: Asked) -> tuple[int, Any]:
        told = answers.get((asked.method, asked.path), (404, {"detail": "no such route"}))
        status, body = told(asked) if callable(told) else told
        return status, body

    with serving(answer) as found:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("KURANT_DATA", raising=False)
        monkeypatch.setenv("KURANT_URL", found.url)
        monkeypatch.setenv("KURANT_KEY", "secret-key")
        yield found


def test_compute(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rfm", "compute", "--now", "--quiet", "--shop", "s1"]) == 0
    assert capsys.readouterr().out == "full run: 3 customers, 1 changed\n"
    assert web.asked[0].query == {"shop": "s1", "now": "true", "quiet": "true"}
    assert run(["rfm", "compute", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == 4
    assert web.asked[1].query == {}


def test_compute_waits_for_a_long_run(
    web: Web, answers: Answers, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rfm, "POLL", 0.01)
    runs = iter((3, 3, 4))
    answers["POST", "/v1/rfm/runs"] = 202, {"done": False, "run": 4}
    answers["GET", "/v1/rfm"] = lambda _: (200, STATUS | {"run": next(runs)})
    assert run(["rfm", "compute"]) == 0
    assert capsys.readouterr().out == "3 customers\n"


def test_compute_without_orders(web: Web, answers: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    answers["POST", "/v1/rfm/runs"] = 409, {"detail": "shop s1 has no orders"}
    assert run(["rfm", "compute"]) == 2
    assert "shop s1 has no orders" in capsys.readouterr().err


def test_show_the_segments(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rfm", "show"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "3 customers on 2026-03-02 by rules version 2, computed 2026-03-02T00:00:01+00:00",
        "segment\tcustomers\tshare\torders\tmonetary PLN",
        "loyal\t2\t66.7%\t9\t220.50",
        "(none)\t1\t33.3%\t1\t5.00",
    ]
    assert "frequency cut points: none, too few customers" in said.err
    assert "orders that do not count (returned): 2" in said.err
    assert run(["rfm", "show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == STATUS


def test_show_before_the_first_run(web: Web, answers: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    answers["GET", "/v1/rfm"] = 200, STATUS | {"run": 0}
    assert run(["rfm", "show"]) == 0
    assert "first run 2026-03-03T00:00:00+00:00" in capsys.readouterr().err


def test_show_one_segment(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rfm", "show", "--segment", "loyal"]) == 0
    assert "p-1\tloyal\t3\t5\t4\t12\t5\t5\t120.50\t2026-02-18" in capsys.readouterr().out
    assert web.asked[0].query == {"segment": "loyal", "limit": "1000"}


def test_explain(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rfm", "explain", "--email", "anna@example.com", "--shop", "s1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("profile p-1 on 2026-03-02\nsegment: loyal")
    assert "none to loyal (r 3, f 5, m 4)" in out
    assert web.asked[0].query == {"shop": "s1", "email": "anna@example.com"}
    assert run(["rfm", "explain", "--profile", "3ffcebf0-11eb-537b-946e-54d6d4f020eb", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == EXPLAINED
    assert run(["rfm", "explain"]) == 2


def test_export_page_by_page(
    web: Web, answers: Answers, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rfm, "PAGE", 2)
    pages = {None: ["a", "b"], "b": ["c", "d"], "d": []}
    answers["GET", "/v1/rfm/customers"] = lambda asked: (
        200,
        [ROW | {"profile": name} for name in pages[asked.query.get("after")]],
    )
    assert run(["rfm", "export", "out.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": "out.csv", "customers": 4}
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [row["profile"] for row in rows] == ["a", "b", "c", "d"]
    assert rows[0]["monetary"] == "120.50"


def test_an_export_that_breaks_off_leaves_the_file_as_it_was(web: Web, answers: Answers, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("before")
    answers["GET", "/v1/rfm/customers"] = 503, {"detail": "rules is away"}
    assert run(["rfm", "export", "out.csv"]) == 1
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("out.csv", "before")]


def test_export_to_nowhere(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rfm", "export", "none/out.csv"]) == 2
    assert "none/out.csv: No such file" in capsys.readouterr().err


def test_lint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rfm.yaml"
    file.write_text(GOOD)
    assert run(["rfm", "lint", str(file)]) == 0
    file.write_text(BAD)
    assert run(["rfm", "lint", str(file)]) == 1
    assert f"{file}:3:9 " in capsys.readouterr().out
    assert run(["rfm", "lint", str(file), "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["file"], found["line"], found["hint"]) == (str(file), 3, "did you mean `window`?")
    assert run(["rfm", "lint", str(tmp_path / "none.yaml")]) == 2


def test_publish(web: Web, answers: Answers, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rfm.yaml").write_text(GOOD)
    assert run(["rfm", "publish", "rfm.yaml", "--shop", "s1"]) == 0
    assert capsys.readouterr().out == "RFM rules version 2\n"
    assert (web.asked[0].method, web.asked[0].body) == ("PUT", {"shop": "s1", "text": GOOD})
    answers["PUT", "/v1/rfm"] = 202, {"version": 2, "changed": False, "published": False, "acted_on": False}
    assert run(["rfm", "publish", "rfm.yaml"]) == 0
    assert "version 2, unchanged, stored; they take effect when Kafka" in capsys.readouterr().out


def test_publish_what_is_wrong(web: Web, answers: Answers, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rfm.yaml").write_text(BAD)
    error = {
        "file": "rfm.yaml",
        "line": 3,
        "column": 1,
        "message": "windwo is unknown",
        "hint": "",
        "severity": "error",
    }
    answers["PUT", "/v1/rfm"] = 422, {"detail": "not published", "errors": [error]}
    assert run(["rfm", "publish", "rfm.yaml"]) == 1
    assert capsys.readouterr().out == "rfm.yaml:3:1 windwo is unknown\n"
    answers["PUT", "/v1/rfm"] = 422, {"detail": "shop: letters", "errors": [{"field": "shop", "message": "letters"}]}
    assert run(["rfm", "publish", "rfm.yaml"]) == 2
