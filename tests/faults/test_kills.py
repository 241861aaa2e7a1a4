"""The kill test, and the proof that it can fail. `make faults` runs the long form, with figures."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults import mutants, report
from tests.faults.campaign import Campaign, Outcome, run
from tests.faults.sink import Moods

FULL = os.environ.get("KURANT_FAULTS") == "full"
SHORT = Campaign(name="short kill test", customers=120, speed=600, carts_over=1.2, receipts=150, kills=8)
LONG = Campaign(
    name="long kill test",
    customers=2_000,
    speed=360,
    carts_over=26,
    receipts=2_500,
    kills=44,
    servers=("kafka", "postgres"),
    patience=240,
)
CUT_SHORT = Campaign(
    name="mutant: " + mutants.OFFSET_FIRST.says,
    customers=400,
    speed=1_800,
    carts_over=5,
    receipts=600,
    kills=1,
    victims=("rules",),
    servers=("postgres", "postgres"),
    calm=True,
    told=("patient",),
    moods=Moods(),
    patience=30,
)
UNASKED = Campaign(
    name="mutant: " + mutants.NOBODY_ASKED.says,
    customers=30,
    speed=1_800,
    carts_over=1,
    receipts=10,
    kills=0,
    told=("patient", "never agreed", "withdraws", "unsubscribes"),
    moods=Moods(),
    patience=15,
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a run keeps its journals and logs; removed when the test has passed, unless KURANT_FAULTS_KEEP is set."""
    path = Path(tempfile.mkdtemp(prefix="kurant-faults-"))
    path.chmod(0o755)
    yield path
    if (path / "passed").exists() and not os.environ.get("KURANT_FAULTS_KEEP"):
        shutil.rmtree(path, ignore_errors=True)


def shown(outcome: Outcome, folder: Path) -> str:
    """The table and what is wrong, also printed (see it with -s) and kept beside the journals."""
    text = report.table(outcome.facts, outcome.verdict, outcome.figures)
    if outcome.verdict.discrepancies:
        text += "\n" + report.wrongs(outcome.facts, outcome.verdict)
    text += f"\njournals and logs: {folder}"
    (folder / "report.txt").write_text(text)
    print("\n" + text)
    return text


@pytest.mark.timeout(1_800 if FULL else 280)
def test_whatever_is_killed_nothing_is_lost_or_sent_twice_or_without_consent(folder: Path) -> None:
    campaign = LONG if FULL else SHORT
    outcome = run(campaign, folder, mutants.make(folder))
    told = shown(outcome, folder)
    assert not outcome.verdict.discrepancies, told
    assert outcome.figures.audit_code == 0 and outcome.figures.audit["ok"] is True, told
    assert sum(outcome.figures.kills.values()) >= campaign.kills, told
    assert outcome.verdict.expected["must"] > campaign.customers and outcome.verdict.expected["must not"] > 20, told
    (folder / "passed").touch()


@pytest.mark.timeout(600 if FULL else 280)
def test_an_offset_committed_before_its_state_is_found_out(folder: Path) -> None:
    if FULL:  # the same kills, and nothing broken: what is lost below is lost by the mutation
        healthy = folder / "healthy"
        healthy.mkdir()
        control = run(replace(CUT_SHORT, name="control: the same, unbroken"), healthy, mutants.make(healthy))
        told = shown(control, healthy)
        assert not control.verdict.discrepancies, told
    outcome = run(CUT_SHORT, folder, mutants.make(folder, mutants.OFFSET_FIRST))
    told = shown(outcome, folder)
    assert outcome.verdict.count("lost") > 0 and outcome.verdict.count("unaccounted") > 0, told
    assert outcome.figures.audit_code == 1, told
    (folder / "passed").touch()


@pytest.mark.timeout(280)
def test_a_platform_that_does_not_ask_for_consent_is_found_out(folder: Path) -> None:
    outcome = run(UNASKED, folder, mutants.make(folder, mutants.NOBODY_ASKED))
    told = shown(outcome, folder)
    assert outcome.verdict.count("without consent") > 0, told
    assert outcome.verdict.count("lost") == 0, told
    (folder / "passed").touch()
