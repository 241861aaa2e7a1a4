"""`python -m tests.replay.record`: the decisions of today for the histories that are kept, in their place.

Do so only when a change of decisions is meant, and read what git shows then: enrolments that run when the next
version is installed go on by it, and messages whose ids change may be sent twice. With `--anew` the histories
themselves are collected again: from the tests of the scenario library, and from the generator of `tests/reference`.
"""

import argparse
import json
import sys
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

from cli.rehearse import canonical
from libs.domain.rehearsal.model import Rehearsal
from libs.domain.rehearsal.read import read_test
from tests.reference import generator
from tests.reference.case import Arrival, Case
from tests.replay.play import FOLDER, History, corpora, decide, read, write

ROOT = Path(__file__).parents[2]
OF_EACH = 4
"""Tests of one scenario that are kept."""
RANDOM, EVENTFUL = 100, 6
"""So many random histories are kept, of those with so many decisions at least."""


def of_library() -> tuple[dict[str, str], list[History]]:
    """Histories out of the tests of scenarios. What a test says of consents is none of the engine's business."""
    texts: dict[str, str] = {}
    histories = []
    for file in sorted((ROOT / "scenarios").rglob("scenario.yaml")):
        tests = sorted((file.parent / "tests").glob("*.yaml"))
        name = file.parent.name
        texts[name] = file.read_text()
        for test in tests[:: max(1, len(tests) // OF_EACH)][:OF_EACH]:
            told = read_test(test.read_text(), test.name, canonical)
            histories.append(History(f"{name}/{test.stem}", [name], _case(told)))
    return texts, histories


def _case(test: Rehearsal) -> Case:
    given = test.given
    arrivals = [Arrival(given.at, "profile.updated", given.at, "given", given.traits)] if given.traits else []
    for move in (*given.past, *test.moves):
        told = Arrival(move.arrives, move.type, move.at, move.id or move.path, move.data, move.of)
        arrivals += [told] * (move.repeat + 1) if move.type else []
    return Case(0, given.zone, [], arrivals, test.end() + timedelta(days=30), 0)


def of_generator() -> tuple[dict[str, str], list[History]]:
    """Random ones in which something happens."""
    texts: dict[str, str] = {}
    histories: list[History] = []
    for seed in count(0, 10):
        if len(histories) == RANDOM:
            break
        case = generator.case(seed)
        names = [f"{seed}-{one['id']}" for one in case.scenarios]
        own = {name: json.dumps(one) for name, one in zip(names, case.scenarios, strict=True)}
        made = History(str(seed), names, replace(case, scenarios=[]))
        if len(decide(made, own)) >= EVENTFUL:
            texts |= own
            histories.append(made)
    return texts, histories


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.replay.record", description=__doc__)
    parser.add_argument("--anew", action="store_true", help="collect the histories again")
    if parser.parse_args().anew:
        for name, (texts, histories) in {"library": of_library(), "random": of_generator()}.items():
            write(FOLDER / f"{name}.jsonl", texts, histories)
    for file in corpora():
        texts, histories = read(file)
        changed = 0
        for history in histories:
            before, history.decisions = history.decisions, decide(history, texts)
            changed += before != history.decisions
        write(file, texts, histories)
        print(f"{file.name}: {len(histories)} histories, {changed} are decided otherwise than before")
    return 0


if __name__ == "__main__":
    sys.exit(main())
