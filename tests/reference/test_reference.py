"""The engine against the model of the language, history by history. `make proof` tries a hundred thousand.

`python -m tests.reference COUNT FIRST` tries others. A difference is printed with its seed, made as small as it gets.
"""

import os
import random
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from libs.domain.engine import run
from tests.reference.compare import EACH, LONG, SHORT, Players, differs, shrink, trial
from tests.reference.generator import case, written

FULL = os.environ.get("KURANT_PROOF") == "full"
CHUNK = 100
SHOWN = 5_000


@pytest.mark.timeout(7200)
def test_the_engine_does_what_the_language_says() -> None:
    count = LONG if FULL else SHORT
    first = random.Random("reference").randrange(10**6) * EACH
    found: list[str] = []
    done, begun = 0, time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for differences, tried in pool.map(trial, range(first, first + count, CHUNK), [CHUNK] * (count // CHUNK)):
            found += differences
            done += tried
            for difference in differences:
                print(f"\n{difference}", flush=True)
            if FULL and done % SHOWN == 0:
                spent = time.monotonic() - begun
                print(f"\n{done:,} of {count:,} histories, {len(found)} differences, {spent:.0f} s", flush=True)
    assert not found, "\n\n".join(found)


def test_a_seed_is_the_same_case_for_ever() -> None:
    assert case(70) == case(70)
    assert case(71, written(70)).scenarios == case(70).scenarios != case(80).scenarios


def test_a_fault_in_the_engine_is_seen_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that sends what the step's `if` forbids."""
    monkeypatch.setattr(run, "holds", lambda *_: True)
    found = next(
        told
        for start in range(0, 2_000, EACH)
        for players in [Players(written(start))]
        for told in [case(start, written(start))]
        if players.difference(told)
    )
    small = shrink(found, differs)
    assert len(small.arrivals) <= 3
    monkeypatch.undo()
    assert Players(small.scenarios).difference(small) is None
