"""Broken copies of the platform, which the harness must find out.

A mutant is the source tree, copied, with one promise taken out of the text. A text that is not found any more
fails loudly: a mutant that mutates nothing would prove nothing.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cli.local.process import ROOT
from tests.faults.platform import environment

COPIED = ("libs", "services", "cli")


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """In `file`, `old` (which must be there once) becomes `new`."""

    says: str
    file: str
    old: str
    new: str


# The pause stands for the time that a consumer which commits by itself leaves between the two.
OFFSET_FIRST = Mutation(
    says="the offset is committed before the state",
    file="libs/common/bus/apply.py",
    old="""\
            await self._offsets.advance(connection, moves)
            outcome = await handle(connection, records)
""",
    new="""\
            await self._offsets.advance(connection, moves)
        from asyncio import sleep

        await sleep(0.02)
        async with self._database.transaction() as connection:
            outcome = await handle(connection, records)
""",
)
NOBODY_ASKED = Mutation(
    says="the question of consent is removed",
    file="services/dispatch/clients.py",
    old='        "purpose": request.purpose,\n',
    new='        "purpose": "transactional",\n',
)


class NotFound(AssertionError):
    """The text to be mutated is not there (or more than once): the mutation must be written anew."""


def mutate(text: str, mutation: Mutation) -> str:
    """The text with the mutation; raises `NotFound`."""
    if text.count(mutation.old) != 1:
        raise NotFound(f"{mutation.says}: {mutation.file} has the text {text.count(mutation.old)} times, not once")
    return text.replace(mutation.old, mutation.new)


def make(folder: Path, *mutations: Mutation) -> Path:
    """A mutated copy of the source tree in `folder`, shown to be what its processes import.

    Without mutations it is the healthy control: a copy too, so that nobody's edits reach what is started again.
    """
    tree = folder / "tree"
    for name in COPIED:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for mutation in mutations:
        path = tree / mutation.file
        path.write_text(mutate(path.read_text(), mutation))
        module = mutation.file.removesuffix(".py").replace("/", ".")
        found = imported(tree, module)
        assert found == path, f"{module} is imported from {found}, not from the copy"
    return tree


def imported(tree: Path, module: str) -> Path:
    """Where a process of this tree finds a module."""
    code = f"import importlib.util; print(importlib.util.find_spec({module!r}).origin)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tree, env=environment(tree), capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())
