"""Scenarios as code on the command line: test, diff, graph, new, schema."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cli.main import run
from cli.scenario import running
from tests.support.web import Asked, Web, serving

LIBRARY = Path(__file__).resolve().parents[2] / "scenarios"
CART = LIBRARY / "abandoned-cart"
MAIN = (CART / "scenario.yaml").read_text()


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The abandoned cart, to be changed."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(CART, tmp_path / "cart"))


def change(folder: Path, was: str, now: str) -> None:
    text = (folder / "scenario.yaml").read_text()
    assert was in text
    (folder / "scenario.yaml").write_text(text.replace(was, now))


def test_tests_that_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scenario", "test", str(CART)]) == 0
    said = capsys.readouterr()
    count = len(list((CART / "tests").glob("*.yaml")))
    assert said.out == f"scenario\ttests\tpassed\tfailed\nabandoned-cart\t{count}\t{count}\t0\n"
    assert f"{count} tests in" in said.err


def test_a_test_that_fails_says_where_and_shows_both_timelines(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(copy, "  - event: order.placed\n", "")
    file = copy / "tests" / "bought-in-the-shop.yaml"
    assert run(["scenario", "test", str(file)]) == 1
    out = capsys.readouterr().out
    assert f"FAILED {file}: bought in the shop, nothing more is sent\n" in out
    assert f"{file}:8:5 second was sent by email at Tue 2026-03-03 10:00, and no line says so\n" in out
    assert "= Mon 2026-03-02 11:00  first sent by email" in out
    assert "+ Tue 2026-03-03 10:00" in out
    assert "steps/3 second: sent" in out
    assert out.endswith("cart\t1\t0\t1\n")


def test_tests_by_name_and_as_json(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scenario", "test", str(copy.parent), "-k", "Polish", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["scenario"], row["name"], row["ok"], row["failures"]) == (
        "cart",
        "a customer who reads Polish gets Polish",
        True,
        [],
    )
    assert [line["mark"] for line in row["timeline"] if line["expected"]] == ["=", "=", "="]
    assert run(["scenario", "test", str(copy), "-k", "no such test"]) == 2
    change(copy, "wait: 1h", "wait: 2h")
    assert run(["scenario", "test", str(copy), "-k", "in-polish", "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert row["failures"][0].keys() == {"file", "line", "column", "path", "message", "hint", "severity"}


def test_a_scenario_that_is_not_beside_is_told_where_it_is_named(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = copy / "tests" / "beside.yaml"
    file.write_text("name: x\nwith:\n  - cart\n  - nix\ngiven: {at: 2026-03-02T10:00}\nthen: [nothing_more]\n")
    assert run(["scenario", "test", str(file)]) == 1
    out = capsys.readouterr().out
    assert f"{file}:4:5 there is no scenario nix beside this one (its folder's name)\n" in out
    assert "no scenario.yaml" not in out


def test_a_test_that_cannot_be_read_fails(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = copy / "tests" / "wrong.yaml"
    file.write_text("name: x\nwhen:\n  - {at: 2026-03-02T10:00, event: cart.updated, data: {cart: {}}}\nthen: [soon]\n")
    assert run(["scenario", "test", str(copy)]) == 1
    out = capsys.readouterr().out
    assert f"{file}:3:62 ingest refuses this: data.cart.id is required" in out
    assert f"{file}:4:8 a line is a mapping" in out


def test_a_scenario_that_is_wrong_fails_its_tests(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(copy, "wait: 1h", "wait: soon")
    assert run(["scenario", "test", str(copy), "-k", "too small"]) == 2, "no test is called so: it is a cart below 50"
    assert run(["scenario", "test", str(copy), "-k", "below 50"]) == 1
    assert f"{copy / 'scenario.yaml'}:18:11 'soon' is no duration" in capsys.readouterr().out


def test_several_scenarios_together(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scenario", "new", "--from", "abandoned-cart", "--id", "second-cart", "second-cart"]) == 0
    both = (
        "name: both\nwith: [second-cart]\n"
        "given: {profile: {email: anna@example.com, consents: {email: [marketing]}}}\n"
        "when: [{at: 2026-03-02T10:00, event: cart.updated, data: {cart: {id: c1, value: 99}}}]\n"
        "then:\n  - {at: 2026-03-02T11:00, sent: first, scenario: abandoned-cart}\n"
        "  - {at: 2026-03-02T11:00, sent: first, scenario: second-cart}\n"
    )
    (copy / "tests" / "both.yaml").write_text(both)
    assert run(["scenario", "test", str(copy), "-k", "both"]) == 0
    (copy / "tests" / "both.yaml").write_text(both.replace("second-cart]", "third-cart]"))
    assert run(["scenario", "test", str(copy), "-k", "both"]) == 1


def test_diff_of_two_folders(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scenario", "diff", str(CART), str(copy)]) == 0
    assert capsys.readouterr().out == ""
    change(copy, "wait: 1h", "wait: 2h")
    change(copy, "  - event: order.paid\n", "")
    (copy / "messages" / "third.email.pl.mjml").unlink()
    assert run(["scenario", "diff", str(CART), str(copy / "scenario.yaml")]) == 0
    assert capsys.readouterr().out == (
        "- exit/1: {event: order.paid}\n~ steps/0/wait: 1h -> 2h\n- messages/third.email.pl.mjml\n"
    )
    assert run(["scenario", "diff", str(CART), str(copy), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["id"], [one["what"] for one in row["differences"]]) == (
        "abandoned-cart",
        ["removed", "changed", "removed"],
    )


def test_diff_of_two_folders_of_scenarios(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scenario", "new", "--from", "abandoned-cart", "other/one"]) == 0
    assert run(["scenario", "new", "--from", "abandoned-cart", "other/two"]) == 0
    shutil.copytree("other", "more")
    assert run(["scenario", "new", "--from", "abandoned-cart", "more/three"]) == 0
    change(Path("more/two"), "wait: 1h", "wait: 2h")
    capsys.readouterr()
    assert run(["scenario", "diff", "other", "more"]) == 0
    assert capsys.readouterr().out == "three\n+ three\ntwo\n~ steps/0/wait: 1h -> 2h\n"


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    def answer(asked: Asked) -> tuple[int, Any]:
        if asked.method == "POST":
            diff = [{"what": "changed", "path": "steps/0/wait", "text": "~ steps/0/wait: 1h -> 2h"}]
            return 201, {"id": "abandoned-cart", "version": 3, "changed": True, "diff": diff}
        if asked.path != "/v1/scenarios/abandoned-cart":
            return 404, {"detail": "no such scenario"}
        text = MAIN.replace("wait: 1h", "wait: 3h") if asked.query.get("version") == "1" else MAIN
        return 200, {"id": "abandoned-cart", "version": 2, "files": {"scenario.yaml": text}}

    with serving(answer) as found:
        monkeypatch.delenv("KURANT_DATA", raising=False)
        monkeypatch.setenv("KURANT_URL", found.url)
        monkeypatch.setenv("KURANT_KEY", "secret-key")
        yield found


def test_diff_with_what_is_published(web: Web, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scenario", "diff", "abandoned-cart@1", "abandoned-cart", "--shop", "s1"]) == 0
    assert capsys.readouterr().out == "~ steps/0/wait: 3h -> 1h\n"
    assert [asked.query for asked in web.asked] == [{"shop": "s1", "version": "1"}, {"shop": "s1"}]
    assert run(["scenario", "diff", "abandoned-cart@1", str(copy)]) == 0
    assert "~ steps/0/wait: 3h -> 1h\n" in capsys.readouterr().out
    assert run(["scenario", "diff", "none@1", str(copy)]) == 2
    assert run(["scenario", "diff", "No Such Thing", str(copy)]) == 2


def test_publishing_tells_what_is_different(web: Web, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scenario", "publish", str(copy)]) == 0
    assert capsys.readouterr().out == "abandoned-cart version 3\n  ~ steps/0/wait: 1h -> 2h\n"


def test_graphs(web: Web, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scenario", "show", "abandoned-cart", "--graph"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("flowchart TD\n")
    assert run(["scenario", "graph", str(copy)]) == 0
    assert capsys.readouterr().out.strip() == shown.strip()
    assert run(["scenario", "show", "abandoned-cart", "--graph", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["graph"].strip() == shown.strip()
    change(copy, "kurant: 1", "kurant: 2")
    assert run(["scenario", "graph", str(copy)]) == 1
    assert f"{copy / 'scenario.yaml'}:1:9 " in capsys.readouterr().out


def test_new_is_a_copy_with_its_own_name_that_passes_its_tests(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scenario", "new", "--from", "abandoned-cart", "--id", "my-cart"]) == 0
    assert capsys.readouterr().out == "my-cart\n"
    text = Path("my-cart/scenario.yaml").read_text()
    assert text == MAIN.replace("id: abandoned-cart", "id: my-cart", 1).replace(
        "name: Abandoned cart", "name: My cart", 1
    )
    assert sorted(p.name for p in Path("my-cart/messages").iterdir()) == sorted(
        p.name for p in (CART / "messages").iterdir()
    )
    assert run(["scenario", "test", "my-cart"]) == 0
    assert run(["scenario", "lint", "my-cart"]) == 0
    assert run(["scenario", "new", "--from", "abandoned-cart", "--id", "my-cart"]) == 2, "it is there already"
    Path("scenarios").mkdir()
    assert run(["scenario", "new", "--from", "my-cart", "--id", "third", "--name", 'A "third": one']) == 0
    assert 'name: "A \\"third\\": one"' in Path("scenarios/third/scenario.yaml").read_text()
    assert run(["scenario", "new", "--from", "my-cart", "--id", "Not An Id"]) == 2
    capsys.readouterr()
    assert run(["scenario", "new", "--from", "nothing"]) == 2
    assert "abandoned-cart" in capsys.readouterr().err


def test_new_tells_what_lint_finds(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(copy, "send: third", "send: fourth")
    assert run(["scenario", "new", "--from", str(copy), "broken"]) == 1
    assert "message fourth has no file" in capsys.readouterr().out


def test_schemas(capsys: pytest.CaptureFixture[str]) -> None:
    for options, name in (([], "scenario"), (["--tests"], "test")):
        assert run(["scenario", "schema", *options]) == 0
        out = capsys.readouterr().out
        Draft202012Validator.check_schema(json.loads(out))
        assert out == (LIBRARY / "schema" / f"{name}.schema.json").read_text()


def test_publishing_says_who_still_goes_by_which_version() -> None:
    rows = [
        {"version": 1, "step": "steps/0", "enrolments": 3},
        {"version": 1, "step": "steps/2", "enrolments": 1},
        {"version": 2, "step": "steps/0", "enrolments": 5},
    ]
    assert running({"running": rows}) == [
        (2, "5 running (5 at steps/0)"),
        (1, "4 running (3 at steps/0, 1 at steps/2)"),
    ]
    assert running({"running": None}) == []
