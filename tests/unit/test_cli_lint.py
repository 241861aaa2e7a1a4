"""`kurant scenario lint`: what it prints, and when it fails."""

import json
import shutil
from pathlib import Path

import pytest

from cli.main import run

LIBRARY = Path(__file__).resolve().parents[2] / "scenarios"


def write(folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / "scenario.yaml").write_text(text)


def body(id: str, trigger: str, steps: str) -> str:
    return f"kurant: 1\nid: {id}\nname: {id}\npurpose: marketing\ntrigger: {trigger}\nsteps: {steps}\n"


def test_nothing_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scenario", "lint", str(LIBRARY / "abandoned-cart")]) == 0
    said = capsys.readouterr()
    assert (said.out, "nothing wrong" in said.err) == ("", True)


def test_what_is_only_worth_knowing_is_nothing_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    folder = LIBRARY / "library" / "abandoned-browse"
    assert run(["scenario", "lint", str(folder)]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"{folder}/scenario.yaml:11:21 info: for this the last 400 `product.viewed`")
    assert "nothing wrong" in said.err


def test_warnings_do_not_fail_and_errors_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scenario", "lint", str(LIBRARY / "library" / "shipped")]) == 0
    said = capsys.readouterr()
    assert "scenario.yaml:21:23 warning: for sms this version has no gateway" in said.out
    assert "nothing wrong" not in said.err
    assert run(["scenario", "lint", str(LIBRARY / "not-yet" / "welcome-coupon")]) == 1
    assert "scenario.yaml:19:13 this version has no pools of coupons" in capsys.readouterr().out


def test_what_shows_only_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a", body("a", "{tag: {added: x}}", "[{untag: x}, {tag: y}]"))
    write(tmp_path / "b", body("b", "{tag: {added: y}}", "[{untag: y}, {tag: x}]"))
    for alone in ("a", "b"):
        assert run(["scenario", "lint", str(tmp_path / alone)]) == 0
    capsys.readouterr()
    assert run(["scenario", "lint", str(tmp_path), "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["file"], found["line"], found["severity"]) == (str(tmp_path / "a" / "scenario.yaml"), 6, "error")
    assert "a -> b -> a" in found["message"]
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    assert run(["scenario", "lint", str(tmp_path / "a"), str(tmp_path / "c")]) == 1
    assert f"{tmp_path / 'c' / 'scenario.yaml'}:2:5 a is the id of {tmp_path / 'a'} too" in capsys.readouterr().out


def test_the_caps_of_a_shops_file_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "shops.yaml"
    file.write_text("shops:\n  calm: {caps: [{channel: email, most: 1, per: 1d}]}\n  loud: {}\n")
    folder = str(LIBRARY / "abandoned-cart")
    assert run(["scenario", "lint", folder, "--shops", str(file)]) == 0
    assert "scenario.yaml:23:11 warning: cap by construction: within 1d this scenario" in capsys.readouterr().out
    assert run(["scenario", "lint", folder, "--shops", str(file), "--shop", "loud"]) == 0
    assert capsys.readouterr().out == ""
    assert run(["scenario", "lint", folder, "--shops", str(file), "--shop", "other"]) == 2
    assert "has no such shop" in capsys.readouterr().err
    file.write_text("shops:\n  calm: {caps: [{channel: email, most: 0, per: 1d}]}\n")
    assert run(["scenario", "lint", folder, "--shops", str(file)]) == 2
    assert "shops.yaml:2: most is how many messages are let through" in capsys.readouterr().err
