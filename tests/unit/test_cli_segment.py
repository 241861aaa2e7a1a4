"""`kurant segment`, and what other verbs make of segments."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.main import run
from cli.segment import beside, items
from cli.terminal import CliError
from tests.support.web import Asked, Web, serving

VIP = "kurant: 1\nid: vip\nname: VIP\ncondition: {profile.level: gold}\n"
ROW = {"id": "vip", "version": 2, "state": "live", "name": "VIP"}
EXPLAINED = {
    "profile": "p-1",
    "scenarios": [],
    "segments": [
        {
            "segment": "vip",
            "version": 2,
            "in": True,
            "since": "2026-03-02T10:00:00+00:00",
            "judged_again_at": "2026-04-01T10:00:00+00:00",
            "conditions": [{"path": "profile.level", "found": "gold", "verdict": True}],
        },
        {"segment": "other", "version": 1, "in": False, "since": None, "conditions": []},
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "segments"
    made.mkdir()
    (made / "vip.yaml").write_text(VIP)
    return made


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Web]:
    def answer(asked: Asked) -> tuple[int, Any]:
        if (asked.method, asked.path) == ("POST", "/v1/segments"):
            if "gold" in str(asked.body):
                return 201, {**ROW, "changed": True, "published": True, "warnings": [], "diff": []}
            error = {"file": "segment.yaml", "line": 4, "column": 3, "message": "wrong", "hint": "mend it"}
            return 422, {"detail": "not published", "errors": [error]}
        known: dict[tuple[str, str], Any] = {
            ("GET", "/v1/segments"): [ROW],
            ("GET", "/v1/segments/vip"): {**ROW, "files": {"segment.yaml": VIP}},
            ("POST", "/v1/segments/vip/archive"): {**ROW, "state": "archived"},
            ("GET", "/v1/explain"): EXPLAINED,
        }
        found = known.get((asked.method, asked.path))
        return (404, {"detail": "no such route"}) if found is None else (200, found)

    with serving(answer) as found:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("KURANT_DATA", raising=False)
        monkeypatch.setenv("KURANT_URL", found.url)
        monkeypatch.setenv("KURANT_KEY", "secret-key")
        yield found


def test_publish_sends_the_file_and_tells_what_became_of_it(
    web: Web, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "wrong.yaml").write_text(VIP.replace("gold", "x"))
    assert run(["segment", "publish", str(folder), "--shop", "s1"]) == 1
    assert web.asked[0].body == {"shop": "s1", "files": {"segment.yaml": VIP}}
    out = capsys.readouterr().out
    assert out.splitlines() == ["vip version 2", f"{folder}/wrong.yaml:4:3 wrong (mend it)"]
    assert run(["segment", "publish", str(folder / "vip.yaml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["id"] == "vip"


def test_list_show_archive(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["segment", "list"]) == 0
    assert "vip\t2\tlive\tVIP" in capsys.readouterr().out
    assert run(["segment", "show", "vip"]) == 0
    assert VIP.strip() in capsys.readouterr().out
    assert run(["segment", "archive", "vip"]) == 0
    assert "vip: archived" in capsys.readouterr().err


def test_explain_shows_them(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "--profile", "3ffcebf0-11eb-537b-946e-54d6d4f020eb", "--shop", "s1"]) == 0
    out = capsys.readouterr().out
    assert (
        "segment vip version 2: in since 2026-03-02T10:00:00+00:00, judged again at 2026-04-01T10:00:00+00:00\n"
        '  profile.level is "gold": met\n'
    ) in out
    assert "segment other version 1: not in\n" in out


def test_lint_needs_no_platform(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["segment", "lint", str(folder.parent)]) == 0
    (folder / "other.yaml").write_text(VIP.replace("profile.level", "event.level"))
    assert run(["segment", "lint", str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{folder}/other.yaml:4:")
    assert lines[1].startswith(f"{folder}/other.yaml:1:1 the id is vip, but the file is called other.yaml")
    assert run(["segment", "lint", str(folder), "--json"]) == 1
    assert {Path(one["file"]).name for one in json.loads(capsys.readouterr().out)} == {"other.yaml"}
    assert run(["segment", "lint", str(folder / "nothing")]) == 2


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["segment", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$id"] == "urn:kurant:segment:1"


def test_segments_are_found_in_beside_and_above(tmp_path: Path, folder: Path) -> None:
    scenario = tmp_path / "scenarios" / "group" / "one"
    scenario.mkdir(parents=True)
    assert [file.name for file, _ in beside(tmp_path / "scenarios")] == ["vip.yaml"]
    assert beside(scenario, 1) == []
    assert [file.name for file, _ in beside(scenario, 3)] == ["vip.yaml"]
    assert [file.name for file, _ in items([tmp_path])] == ["vip.yaml"]
    with pytest.raises(CliError):
        items([scenario])


SCENARIO = """\
kurant: 1
id: it
name: It
purpose: marketing
trigger: {segment: {enters: vip}}
steps: [{send: first}]
"""
TEST = """\
name: gold is thanked
given: {profile: {email: a@example.com, consents: {email: [marketing]}}}
when:
  - {at: 2026-03-02T10:00, event: profile.updated, data: {level: gold}}
then:
  - {at: 2026-03-02T10:00, sent: first}
"""


def test_tests_of_scenarios_know_the_segments_beside(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = tmp_path / "scenarios" / "it"
    (scenario / "messages").mkdir(parents=True)
    (scenario / "tests").mkdir()
    (scenario / "scenario.yaml").write_text(SCENARIO)
    (scenario / "messages" / "first.email.txt").write_text("---\nsubject: Hi\n---\nThanks {{ unsubscribe_url }}\n")
    (scenario / "tests" / "one.yaml").write_text(TEST)
    assert run(["scenario", "test", str(scenario)]) == 0
    (folder / "vip.yaml").write_text(VIP.replace("gold", "platinum"))
    assert run(["scenario", "test", str(scenario)]) == 1
    capsys.readouterr()
    (folder / "vip.yaml").write_text(VIP.replace("profile.level", "key"))
    assert run(["scenario", "test", str(scenario)]) == 1
    assert f"{folder}/vip.yaml:4:" in capsys.readouterr().out
