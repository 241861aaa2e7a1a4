"""The shape of the house: what the import contracts cannot see."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(path.parent for path in ROOT.glob("services/*/__init__.py"))
ROOMS = {"__init__", "__main__", "app", "settings", "routes", "ticker", "stream", "handlers", "store", "tables"}
ROOMS |= {"clients", "metrics", "channels", "shops", "migrations"}
LONGEST_FILE, LONGEST_FUNCTION = 400, 60


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def tracked() -> list[Path]:
    """What git knows, and what it will: files not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    except (OSError, subprocess.CalledProcessError):  # a copy without git: everything but what tools made
        skipped = {".venv", ".git", ".kurant"}
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if not skipped & set(path.parts)]
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_every_service_has_the_same_rooms(service: Path) -> None:
    found = {path.stem for path in service.iterdir() if path.suffix == ".py" or path.is_dir()} - {"__pycache__"}
    assert found <= ROOMS
    assert {"__main__", "app", "handlers", "store", "routes", "migrations"} <= found


def test_no_file_is_too_long() -> None:
    long = {str(path): count for path in sources("libs", "services", "cli", "tests", "bench")
            if (count := path.read_text().count("\n")) > LONGEST_FILE}  # fmt: skip
    assert long == {}


def test_no_function_is_too_long() -> None:
    long: dict[str, int] = {}
    for path in sources("libs", "services", "cli", "bench"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = length
    assert long == {}


def test_everything_public_in_the_libraries_says_what_it_is() -> None:
    silent: list[str] = []
    for path in sources("libs"):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            private = node.name.startswith("_") or node.name == "main" or path.parent.name in ("migrations", "alembic")
            if not private and not ast.get_docstring(node):
                silent.append(f"{path.relative_to(ROOT)}:{node.name}")
    assert silent == []


def test_the_lock_file_has_hashes_and_no_addresses() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in re.sub(r"#.*", "", text)
    pinned = re.findall(r"^[a-zA-Z0-9][^\n]*==[^\n]*\\$", text, re.MULTILINE)
    assert len(pinned) > 100
    assert text.count("--hash=sha256:") >= len(pinned)


def test_no_path_of_a_machine_is_in_the_project() -> None:
    pattern = re.compile(r"(?<![\w.<-])/(home|root|work|Users)/\w")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked()
        if path.suffix in {".py", ".md", ".yaml", ".toml", ".json", ""} and path.name != Path(__file__).name
        for match in pattern.finditer(path.read_text(errors="replace"))
    ]
    assert found == []
